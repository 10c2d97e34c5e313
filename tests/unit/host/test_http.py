"""The one HTTP client, against a server with behaviour: it drips, never ends, sends elsewhere or repeats a secret."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from trading_ops.host.http import MAX_BYTES, Endpoint, HttpError, http_ask, http_send


class Server(ThreadingHTTPServer):
    """`act` answers a request in place of a plain 200; `seen` are method, path, headers and body of each."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.act: Callable[[Handler], None] = lambda handler: handler.say(200, b"fine")
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        threading.Thread(target=self.serve_forever, args=[0.01], daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        headers = {key.lower(): value for key, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        self.server.seen.append((self.command, self.path, headers, body))
        self.server.act(self)

    def do_POST(self) -> None:
        self.do_GET()

    def say(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def drip(self, text: bytes) -> None:
        """Send a byte at a time, each well within what a socket's time-out allows."""
        for place in range(len(text)):
            self.wfile.write(text[place : place + 1])
            time.sleep(0.05)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.shutdown()
    running.server_close()


def ask(server: Server, path: str = "/x", **more: Any) -> tuple[int, bytes]:
    return http_ask(Endpoint(server.url, **more))("GET", path)


def drip_body(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.drip(b"x" * 1000)


SLOW: dict[str, Callable[[Handler], None]] = {
    "a body that drips": drip_body,
    "a status line that drips": lambda handler: handler.drip(b"HTTP/1.1 200 " + b"x" * 1000),
    "headers that drip": lambda handler: handler.drip(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200),
    "nothing at all": lambda handler: time.sleep(3),
}


@pytest.mark.parametrize("how", SLOW)
def test_the_whole_exchange_ends_at_its_limit(server, how):
    server.act = SLOW[how]
    begun = time.monotonic()
    with pytest.raises(TimeoutError, match=r"no whole answer within 0\.3 s"):
        ask(server, query_timeout_seconds=0.3)
    assert time.monotonic() - begun < 2.5


def test_an_answer_that_was_given_up_leaves_nobody_waiting_for_it(server):
    server.act = drip_body
    before = threading.active_count()
    with pytest.raises(TimeoutError):
        ask(server, query_timeout_seconds=0.2)
    end = time.monotonic() + 2
    while threading.active_count() > before and time.monotonic() < end:
        time.sleep(0.02)
    assert threading.active_count() <= before


def test_an_answer_without_end_is_cut_one_byte_after_the_most(server):
    server.act = lambda handler: handler.say(200, b"x" * (MAX_BYTES + 5000))
    assert len(ask(server)[1]) == MAX_BYTES + 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_is_not_followed(server, status, tmp_path):
    (tmp_path / "token").write_text("hidden-token\n")
    other = Server()
    server.act = lambda handler: handler.say(status, b"", Location=other.url)
    assert ask(server, token_path=str(tmp_path / "token")) == (status, b"")
    assert other.seen == []
    other.shutdown()
    other.server_close()


@pytest.mark.parametrize("status", [400, 401, 403, 500])
def test_a_refusal_that_repeats_a_secret_is_returned_without_it(server, status, tmp_path):
    (tmp_path / "token").write_text("hidden-token\n")
    server.act = lambda handler: handler.say(status, f"no: {handler.headers['Authorization']} hidden-word".encode())
    assert ask(server, token_path=str(tmp_path / "token")) == (status, b"no: Bearer (secret) hidden-word")
    assert ask(server, username="reno", password="hidden-word") == (status, b"no: Basic (secret) (secret)")


def test_a_token_that_is_no_header_is_not_repeated_by_the_library(server, tmp_path):
    (tmp_path / "token").write_text("hidden\nX-Other: hidden\n")
    with pytest.raises(HttpError) as error:
        ask(server, token_path=str(tmp_path / "token"))
    assert ("hidden" in str(error.value), server.seen) == (False, [])


def test_a_proxy_of_the_environment_is_not_used(server, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    assert ask(server) == (200, b"fine")


def test_method_path_and_body_arrive_below_the_path_of_the_address(server):
    send = http_send(Endpoint(f"{server.url}/prometheus/"))
    assert send("POST", "/-/reload?now=1", b"{}") == (200, b"fine")
    ((method, path, headers, body),) = server.seen
    assert (method, path, body) == ("POST", "/prometheus/-/reload?now=1", b"{}")
    assert headers["content-type"] == "application/json"
    assert ask(server, "") == (200, b"fine")
    assert server.seen[-1][1] == "/"


@pytest.mark.parametrize(
    "url",
    ["", "nonsense", "file:///etc/hostname", "http://", "http://reno:hidden@127.0.0.1", "http://127.0.0.1?k=hidden"],
)
def test_an_address_that_is_none_or_holds_secrets_is_refused(url):
    with pytest.raises(HttpError, match="without user, password and query"):
        http_ask(Endpoint(url))("GET", "/")


def test_an_address_where_nobody_answers_is_named_and_one_that_speaks_otherwise_is_no_http(server):
    with pytest.raises(HttpError, match=r"http://127\.0\.0\.1:1: .*refused"):
        http_ask(Endpoint("http://127.0.0.1:1"))("GET", "/")
    server.act = lambda handler: handler.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")
    with pytest.raises(HTTPException):
        ask(server)


def test_secrets_are_not_shown_with_an_endpoint():
    assert "hidden" not in repr(Endpoint("http://a", "reno", "hidden"))
    assert Endpoint("http://reno:hidden@a:1/x").shown == "http://a:1/x"
