"""HTTP calls that send and return JSON, each with a time limit."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any


class CallFailed(Exception):
    """No usable answer: what was asked, and what came back instead."""


def call(method: str, url: str, body: Mapping[str, Any] | None = None, timeout_seconds: float = 2.0) -> Any:
    """The parsed JSON answer.

    CallFailed on anything but a 2xx with JSON in it. After a time-out the other side may have acted.
    """
    request = urllib.request.Request(
        url,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout_seconds) as response:
            return json.loads(response.read())
    except urllib.error.HTTPError as error:
        detail = error.read(300).decode(errors="replace")
        raise CallFailed(f"{method} {url} answered {error.code}: {detail}") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise CallFailed(f"{method} {url} gave no answer: {error or type(error).__name__}") from error


@contextmanager
def understood(url: str) -> Iterator[None]:
    """Make an answer that lacks what we need, or holds something else there, a failed call too."""
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        raise CallFailed(f"{url} gave an answer that makes no sense: {error!r}") from error
