"""A small HTTP server: routes to functions, JSON in and out. The standard library does the work."""

from __future__ import annotations

import json
import re
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

_LARGEST_BODY_BYTES = 65536


@dataclass(frozen=True)
class Request:
    """What a route is given: the groups its pattern matched, the query, the JSON body, and who asks."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Mapping[str, Any]
    authorization: str = ""


@dataclass(frozen=True)
class Response:
    """What a route gives back. status None: the connection is dropped without an answer."""

    payload: Any = None
    status: int | None = 200
    content_type: str = "application/json"

    @property
    def content(self) -> bytes:
        if isinstance(self.payload, bytes):
            return self.payload
        return self.payload.encode() if isinstance(self.payload, str) else json.dumps(self.payload).encode()


@dataclass(frozen=True)
class Route:
    """One method and path pattern, answered by one function."""

    method: str
    pattern: str
    answer: Callable[[Request], Response]
    compiled: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "compiled", re.compile(self.pattern))


class BadRequest(Exception):
    """The caller's mistake, in a sentence."""


def dispatch(routes: Sequence[Route], method: str, target: str, body: bytes, authorization: str = "") -> Response:
    """The answer of the first route that matches; 404, or 400 with the sentence, where none can."""
    parts = urlsplit(target)
    for route in routes:
        match = route.compiled.fullmatch(parts.path)
        if match is None or route.method != method:
            continue
        try:
            parsed = json.loads(body) if body else {}
        except ValueError:
            return Response({"error": "the body is not JSON"}, 400)
        if not isinstance(parsed, dict):
            return Response({"error": "the body is not a JSON object"}, 400)
        try:
            return route.answer(Request(match.groupdict(), dict(parse_qsl(parts.query)), parsed, authorization))
        except BadRequest as mistake:
            return Response({"error": str(mistake)}, 400)
    return Response({"error": f"{method} {parts.path} is not known here"}, 404)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    server: _Server

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > _LARGEST_BODY_BYTES:
            response = Response({"error": "the body is too large"}, 413)
            self.close_connection = True
        else:
            asks = self.headers.get("Authorization") or ""
            response = dispatch(self.server.routes, self.command, self.path, self.rfile.read(length), asks)
        if response.status is None:
            self.close_connection = True
            return
        content = response.content
        self.send_response(response.status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815 (the names the base class calls)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not logged: a container's log is evidence, polling would drown it."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, routes: Sequence[Route]) -> None:
        super().__init__(("", port), _Handler)
        self.routes = routes

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # a client that left early is no fault
            super().handle_error(request, client_address)


def start_server(port: int, routes: Sequence[Route]) -> ThreadingHTTPServer:
    """A server on that port, already answering in a thread of its own."""
    server = _Server(port, routes)
    threading.Thread(target=server.serve_forever, name="http", daemon=True).start()
    return server


def stop_signal() -> threading.Event:
    """An event that SIGTERM and SIGINT set."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    return stopping
