"""One HTTP exchange with a server of the estate: credentials, no redirect, no proxy, bounded in bytes and time."""

from __future__ import annotations

import socket
import ssl
from base64 import b64encode
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from ..core.durable import bounded
from ..core.shown_urls import show_url

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
    """Return what talks to `endpoint`. It follows no redirect (that leads to a login page) and uses no proxy.

    `query_timeout_seconds` bound the whole exchange, from looking up the name to the last byte: TimeoutError. (The
    time-out of a socket starts again with each byte that drips in.)
    """

    @cache
    def context() -> ssl.SSLContext:
        made = ssl.create_default_context(cafile=endpoint.ca_path or None)
        if not endpoint.validate_certs:
            made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
        return made

    def send(method: str, path: str, body: bytes) -> tuple[int, bytes]:
        parts, seconds = urlsplit(endpoint.url), endpoint.query_timeout_seconds
        if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc or parts.query:
            # A library would take a password for a port, and say so.
            raise HttpError("The address has to be http:// or https://, without user, password and query.")
        tls = context()  # also where the address needs none: a bad ca_path is an error in any case
        link = HTTPConnection(parts.netloc, timeout=seconds)
        if parts.scheme == "https":
            link = HTTPSConnection(parts.netloc, timeout=seconds, context=tls)
        target = f"{parts.path.rstrip('/')}{path}" or "/"
        opened: list[socket.socket] = []
        try:
            return bounded(lambda: _exchange(endpoint, link, (method, target, body), opened), seconds)
        except TimeoutError as error:
            raise TimeoutError(f"no whole answer within {seconds:g} s") from error
        except HTTPException:
            raise
        except OSError as error:
            raise HttpError(f"{endpoint.shown}: {error}.") from error
        finally:
            for each in opened:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)  # ends the thread that an answer still drips into
            link.close()

    return send


def _exchange(
    endpoint: Endpoint, link: HTTPConnection, asked: tuple[str, str, bytes], opened: list[socket.socket]
) -> tuple[int, bytes]:
    """Return status and body of one exchange; the socket goes into `opened` for who wants to end it."""
    method, target, body = asked
    secrets, headers = _credentials(endpoint)
    headers |= {"Content-Type": "application/json"} if body else {}
    link.connect()
    opened.append(link.sock)
    link.request(method, target, body or None, headers)
    with link.getresponse() as answer:
        status, text = answer.status, answer.read(MAX_BYTES + 1)
    if not 200 <= status < 300:
        for secret in secrets:  # a server may repeat what it was sent in its refusal
            text = text.replace(secret.encode(), b"(secret)")
    return status, text


def _credentials(endpoint: Endpoint) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the secrets and the headers that carry them."""
    headers = {"Accept": "application/json", "Connection": "close"}
    if endpoint.token_path:
        token = Path(endpoint.token_path).read_text(encoding="utf-8").strip()
        if not token.isprintable():  # the library would repeat it, in its complaint of a bad header
            raise HttpError(f"{endpoint.token_path} does not hold one token on one line.")
        return (token,) if token else (), headers | {"Authorization": f"Bearer {token}"}
    if endpoint.username:
        pair = b64encode(f"{endpoint.username}:{endpoint.password}".encode()).decode()
        secrets = (pair, endpoint.password) if endpoint.password else (pair,)
        return secrets, headers | {"Authorization": f"Basic {pair}"}
    return (), headers
