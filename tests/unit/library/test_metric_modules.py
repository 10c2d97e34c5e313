"""metric_checks_info and wait_for_metrics against a Prometheus over HTTP: it answers, refuses, redirects or drips."""

from __future__ import annotations

import json
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import metric_checks_info
import pytest
import wait_for_metrics
import yaml
from ansible.module_utils.testing import patch_module_args
from trading_ops.checks.evaluate import queries_of
from trading_ops.host.http import MAX_BYTES

from tests.unit.compose_world import FakeTime
from tests.unit.fake_prometheus import LATENCY, FakePrometheus, answer, catalogue_item, sample

CHECKS = [catalogue_item(), LATENCY]
MODULES = [metric_checks_info, wait_for_metrics]


class Server(ThreadingHTTPServer):
    """`drip` sends one byte every 0.05 s; `location` redirects; `seen` are path and headers of each request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.values = FakePrometheus(FakeTime(), *CHECKS).values
        self.status, self.text, self.location, self.drip = 200, b"", "", False
        self.seen: list[tuple[str, dict[str, str]]] = []
        threading.Thread(target=self.serve_forever, args=[0.01], daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        path = urlsplit(self.path)
        self.server.seen.append((path.path, {key.lower(): value for key, value in self.headers.items()}))
        (query,) = parse_qs(path.query)["query"]
        text = self.server.text or answer([sample(*each, time.time()) for each in self.server.values[query]])[1]
        self.send_response(self.server.status)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        for part in text if self.server.drip else [text]:
            self.wfile.write(bytes([part]) if self.server.drip else part)
            if self.server.drip:
                time.sleep(0.05)

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.shutdown()
    running.server_close()


def run(capsys: pytest.CaptureFixture[str], module: Any = metric_checks_info, **params: Any) -> dict[str, Any]:
    with patch_module_args({"checks": CHECKS} | params), pytest.raises(SystemExit) as ended:
        module.main()
    return json.loads(capsys.readouterr().out) | {"code": ended.value.code or 0}


def test_a_healthy_prometheus_is_proven_and_every_query_went_to_its_address_once(server, capsys):
    seen = run(capsys, prometheus_url=f"{server.url}/")
    assert (seen["code"], seen["outcome"], seen["changed"]) == (0, "proven", False)
    assert [path for path, _ in server.seen] == ["/api/v1/query"] * 5
    assert seen["prometheus_url"] == f"{server.url}/"


def test_looking_never_fails_on_what_it_sees_and_waiting_does(server, capsys):
    server.values[LATENCY["query"]] = [({}, "812")]
    seen = run(capsys, prometheus_url=server.url)
    assert (seen["code"], seen["outcome"]) == (0, "failed")
    closed = run(capsys, wait_for_metrics, prometheus_url=server.url, stable_seconds=0, timeout_seconds=0)
    assert (closed["code"], closed["outcome"], closed["closed_by"][0]["value"]) == (1, "refused", 812)
    at_the_end = {"stable_seconds": 0, "timeout_seconds": 0, "closed_outcome": "failed"}
    assert run(capsys, wait_for_metrics, prometheus_url=server.url, **at_the_end)["outcome"] == "failed"
    server.values[LATENCY["query"]] = [({}, "12")]
    opened = run(capsys, wait_for_metrics, prometheus_url=server.url, stable_seconds=0.02, interval_seconds=0.01)
    assert (opened["code"], opened["outcome"]) == (0, "proven")
    assert opened["steps"] >= 2


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_a_bad_catalogue_fails_also_where_looking_does_not(module, server, capsys):
    for wrong in ({"checks": []}, {"checks": [{"id": "feed_bars"}]}, {"select": {"symbol": "DOGEUSDT"}}):
        seen = run(capsys, module, prometheus_url=server.url, **wrong)
        assert (seen["code"], seen["outcome"]) == (1, "invalid")
    assert server.seen == []


def test_a_dry_run_looks_once_and_does_not_wait(server, capsys):
    seen = run(capsys, wait_for_metrics, prometheus_url=server.url, _ansible_check_mode=True)
    assert (seen["outcome"], seen["steps"]) == ("proven", 1)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "nonsense", "file:///etc", "http://[x", "", "http://127.0.0.1:x"]
)
def test_an_address_where_nobody_answers_is_unknown(capsys, url):
    seen = run(capsys, prometheus_url=url)
    assert (seen["code"], seen["outcome"]) == (0, "unknown")


def test_a_redirect_is_not_followed_and_carries_no_token(server, capsys, tmp_path):
    other = Server()
    (tmp_path / "token").write_text("abc\n")
    server.status, server.location = 302, other.url
    assert run(capsys, prometheus_url=server.url, token_path=str(tmp_path / "token"))["outcome"] == "unknown"
    assert other.seen == []
    other.shutdown()


def test_a_proxy_of_the_environment_is_not_used(server, capsys, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    assert run(capsys, prometheus_url=server.url)["outcome"] == "proven"


def test_a_prometheus_that_drips_is_given_up_at_the_time_limit(server, capsys):
    server.drip = True
    begun = time.monotonic()
    seen = run(capsys, prometheus_url=server.url, query_timeout_seconds=0.3)
    assert (seen["outcome"], "no whole answer within 0.3 s" in seen["summary"]) == ("unknown", True)
    assert time.monotonic() - begun < 1.5


def test_an_answer_without_end_is_not_read_to_its_end(server, capsys):
    server.text = b" " * (MAX_BYTES + 10)
    assert "longer than" in run(capsys, prometheus_url=server.url)["summary"]


def test_credentials_are_sent_and_not_shown(server, capsys, tmp_path):
    (tmp_path / "token").write_text("hidden-token\n")
    shown = run(capsys, prometheus_url=server.url, token_path=str(tmp_path / "token"))
    assert {headers["authorization"] for _, headers in server.seen} == {"Bearer hidden-token"}
    assert (shown["outcome"], "hidden-token" in json.dumps(shown)) == ("proven", False)
    server.seen.clear()
    shown = run(capsys, prometheus_url=server.url, username="reno", password="hidden-word")
    assert {headers["authorization"] for _, headers in server.seen} == {"Basic cmVubzpoaWRkZW4td29yZA=="}
    assert (shown["outcome"], "hidden-word" in json.dumps(shown)) == ("proven", False)


def test_a_server_that_repeats_what_it_was_sent_does_not_bring_a_token_into_the_output(server, capsys, tmp_path):
    (tmp_path / "token").write_text("hidden-token\n")
    server.status, server.text = 401, b'{"status": "error", "error": "bad token hidden-token"}'
    shown = run(capsys, prometheus_url=server.url, token_path=str(tmp_path / "token"))
    assert (shown["outcome"], "hidden-token" in json.dumps(shown)) == ("unknown", False)
    assert "bad token (secret)" in shown["summary"]


@pytest.mark.parametrize(
    "url", ["http://reno:hidden@127.0.0.1", "http://127.0.0.1:1?key=hidden", "ftp://reno:hidden@a"]
)
def test_credentials_in_an_address_are_refused_and_not_shown(capsys, url):
    shown = run(capsys, prometheus_url=url)
    assert (shown["outcome"], "hidden" in json.dumps(shown)) == ("unknown", False)
    assert "without user, password and query" in shown["summary"]


@pytest.mark.parametrize("which", ["token_path", "ca_path"])
def test_a_file_that_cannot_be_read_is_unknown_and_nobody_is_asked_without_it(server, capsys, tmp_path, which):
    assert run(capsys, prometheus_url=server.url, **{which: str(tmp_path / "away")})["outcome"] == "unknown"
    assert server.seen == []


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    path = tmp_path / "own.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *subject]
    subprocess.run([*made, "-keyout", str(path), "-out", str(tmp_path / "cert")], check=True, capture_output=True)
    path.write_text(path.read_text() + (tmp_path / "cert").read_text())
    return path


def test_a_certificate_that_nobody_vouches_for_is_refused_unless_its_authority_is_named(server, capsys, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    url = server.url.replace("http:", "https:")
    strange = run(capsys, prometheus_url=url)
    assert (strange["outcome"], "CERTIFICATE_VERIFY_FAILED" in strange["summary"]) == ("unknown", True)
    assert run(capsys, prometheus_url=url, ca_path=str(certificate))["outcome"] == "proven"
    assert run(capsys, prometheus_url=url, validate_certs=False)["outcome"] == "proven"


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_documented_results_are_the_returned_ones(module, server, capsys):
    times = {"stable_seconds": 0} if module is wait_for_metrics else {}
    seen = run(capsys, module, prometheus_url=server.url, **times)
    documented = yaml.safe_load(module.RETURN)
    assert seen.keys() - {"invocation", "code", "changed", "warnings"} == documented.keys()
    assert sum(len(queries_of(check)) for check in FakePrometheus(FakeTime(), *CHECKS).checks) == len(server.seen) == 5
