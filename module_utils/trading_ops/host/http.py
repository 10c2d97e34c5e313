"""One HTTP exchange with a server of the estate: credentials, no redirect, no proxy, bounded in bytes and time."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from ..core.urls import show_url

MAX_BYTES: Final = 1024 * 1024
"""Checks ask for a few series each. A longer answer is to something else."""

Ask = Callable[[str, str], tuple[int, bytes]]
"""Sends a request (method, path) and returns HTTP status and body, cut after MAX_BYTES + 1; may raise anything."""

Send = Callable[[str, str, bytes], tuple[int, bytes]]
"""The same with a body of JSON (method, path, body); empty for none."""


class HttpError(Exception):
    """There was no answer, or there is none that may be believed. The text is a sentence."""


@dataclass(frozen=True)
class Endpoint:
    """Where a server is and how it is asked. Secrets are not shown."""

    url: str
    username: str = ""
    password: str = field(default="", repr=False)
    token_path: str = ""
    ca_path: str = ""
    validate_certs: bool = True
    query_timeout_seconds: float = 5.0

    @property
    def shown(self) -> str:
        """The address without what may be secret."""
        return show_url(self.url)


ACCESS_ARGUMENTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "token_path": {"type": "path", "no_log": False},
    "ca_path": {"type": "path"},
    "validate_certs": {"type": "bool", "default": True},
}
"""What a module takes to ask a server, beside its address; documented in playbooks/doc_fragments/http_access.py."""


def parse_endpoint(
    params: Mapping[str, Any], url: str = "prometheus_url", timeout: str = "query_timeout_seconds"
) -> Endpoint:
    """Return the endpoint that a module's parameters name; `url` and `timeout` are the names of two of them."""
    return Endpoint(
        url=params[url],
        username=params["username"] or "",
        password=params["password"] or "",
        token_path=params["token_path"] or "",
        ca_path=params["ca_path"] or "",
        validate_certs=params["validate_certs"],
        query_timeout_seconds=params[timeout],
    )


def http_ask(endpoint: Endpoint) -> Ask:
    """Return what asks `endpoint` without a body."""
    send = http_send(endpoint)
    return lambda method, path: send(method, path, b"")


def http_send(endpoint: Endpoint) -> Send:
    """Return what talks to `endpoint`. It follows no redirect (that leads to a login page) and uses no proxy."""

    @cache
    def opener() -> urllib.request.OpenerDirector:
        context = ssl.create_default_context(cafile=endpoint.ca_path or None)
        if not endpoint.validate_certs:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        https = urllib.request.HTTPSHandler(context=context)
        return urllib.request.build_opener(urllib.request.ProxyHandler({}), https, _NoRedirect())

    def send(method: str, path: str, body: bytes) -> tuple[int, bytes]:
        parts = urlsplit(endpoint.url)
        if parts.scheme not in {"http", "https"} or "@" in parts.netloc or parts.query:
            # A library would take a password for a port, and say so.
            raise HttpError("The address has to be http:// or https://, without user, password and query.")
        secret, headers = _credentials(endpoint)
        headers |= {"Content-Type": "application/json"} if body else {}
        url = f"{endpoint.url.rstrip('/')}{path}"
        request = urllib.request.Request(url, data=body or None, headers=headers, method=method)
        try:
            with opener().open(request, timeout=endpoint.query_timeout_seconds) as answer:
                return answer.status, answer.read(MAX_BYTES + 1)
        except urllib.error.HTTPError as error:
            # A server may repeat what it was sent in the words of its refusal.
            refusal = error.read(MAX_BYTES + 1)
            return error.code, refusal.replace(secret.encode(), b"(secret)") if secret else refusal
        except urllib.error.URLError as error:
            raise HttpError(f"{endpoint.shown}: {error.reason}.") from error

    return send


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _credentials(endpoint: Endpoint) -> tuple[str, dict[str, str]]:
    """Return the secret and the headers that carry it."""
    headers = {"Accept": "application/json"}
    if endpoint.token_path:
        secret = Path(endpoint.token_path).read_text(encoding="utf-8").strip()
        return secret, headers | {"Authorization": f"Bearer {secret}"}
    if endpoint.username:
        pair = b64encode(f"{endpoint.username}:{endpoint.password}".encode()).decode()
        return endpoint.password, headers | {"Authorization": f"Basic {pair}"}
    return "", headers
