"""open_orders_info against a venue with behaviour: it answers, fails, redirects, drips or hangs as told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import open_orders_info
import pytest
from ansible.module_utils.testing import patch_module_args


class Venue(ThreadingHTTPServer):
    """`drip` sends one byte every 0.1 s; `headers_seen` is what was sent to it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status, self.body, self.location, self.drip = 200, b'{"orders": []}', "", False
        self.headers_seen: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/orders/open"


class Handler(BaseHTTPRequestHandler):
    server: Venue

    def do_GET(self) -> None:
        self.server.headers_seen.append({key.lower(): value for key, value in self.headers.items()})
        self.send_response(self.server.status)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        for part in self.server.body if self.server.drip else [self.server.body]:
            self.wfile.write(bytes([part]) if self.server.drip else part)
            if self.server.drip:
                time.sleep(0.1)

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def venue() -> Iterator[Venue]:
    server = Venue()
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def ask(capsys: pytest.CaptureFixture[str], **params: Any) -> dict[str, Any]:
    with patch_module_args(params), pytest.raises(SystemExit) as ended:
        open_orders_info.main()
    assert not ended.value.code
    return json.loads(capsys.readouterr().out)


def test_open_orders_are_counted(venue, capsys):
    assert (ask(capsys, url=venue.url)["orders"], ask(capsys, url=venue.url)["count"]) == ("none", 0)
    venue.body = b'{"data": [{"a": 1}, {"a": 2}]}'
    result = ask(capsys, url=venue.url, key="data")
    assert (result["outcome"], result["orders"], result["count"], result["url"]) == ("proven", "open", 2, venue.url)


@pytest.mark.parametrize("status", [401, 404, 500, 503])
def test_an_error_of_the_venue_is_unverified(venue, capsys, status):
    venue.status = status
    assert ask(capsys, url=venue.url)["orders"] == "UNVERIFIED"


def test_a_redirect_is_not_followed_and_carries_no_token(venue, capsys, tmp_path):
    other = Venue()
    threading.Thread(target=other.serve_forever, args=[0.01], daemon=True).start()
    (tmp_path / "token").write_text("abc\n")
    venue.status, venue.location = 302, other.url
    assert ask(capsys, url=venue.url, token_path=str(tmp_path / "token"))["orders"] == "UNVERIFIED"
    assert other.headers_seen == []
    other.shutdown()


def test_a_venue_that_drips_is_given_up_at_the_time_out(venue, capsys):
    venue.drip = True
    begun = time.monotonic()
    result = ask(capsys, url=venue.url, timeout_seconds=0.5)
    assert (result["orders"], "no whole answer within 0.5 s" in result["summary"]) == ("UNVERIFIED", True)
    assert time.monotonic() - begun < 1.2


def test_an_answer_without_end_is_not_read_to_its_end(venue, capsys):
    venue.body = b'{"orders": [' + b" " * 1024 * 1024 + b"]}"
    assert "longer than" in ask(capsys, url=venue.url)["summary"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "nonsense", "file:///etc/hostname", "http://[x", ""])
def test_an_address_where_nobody_answers_is_unverified(capsys, url):
    assert ask(capsys, url=url)["orders"] == "UNVERIFIED"


def test_credentials_are_sent_and_not_shown(venue, capsys, tmp_path):
    (tmp_path / "token").write_text("hidden-token\n")
    shown = ask(capsys, url=venue.url, token_path=str(tmp_path / "token"))
    assert venue.headers_seen[-1]["authorization"] == "Bearer hidden-token"
    assert "hidden-token" not in json.dumps(shown)
    shown = ask(capsys, url=venue.url, username="reno", password="hidden-word")
    assert venue.headers_seen[-1]["authorization"].startswith("Basic ")
    assert "hidden-word" not in json.dumps(shown)


def test_a_token_that_cannot_be_read_is_unverified_and_nobody_is_asked_without_it(venue, capsys, tmp_path):
    assert ask(capsys, url=venue.url, token_path=str(tmp_path / "away"))["orders"] == "UNVERIFIED"
    assert venue.headers_seen == []


def test_check_mode_asks_as_well(venue, capsys):
    assert ask(capsys, url=venue.url, _ansible_check_mode=True)["orders"] == "none"
