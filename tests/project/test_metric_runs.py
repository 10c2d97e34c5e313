"""Whole runs of `checks` on this machine, against a Prometheus that answers as told."""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.project.repository import ROOT
from tests.project.test_runs import play
from tests.unit.fake_prometheus import answer, catalogue_item, sample


class Server(ThreadingHTTPServer):
    """Says `value` of both symbols, whatever the query, and that it is fresh."""

    daemon_threads = True
    value = "1"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        (query,) = parse_qs(urlsplit(self.path).query)["query"]
        word = "0" if query.startswith("max by") else self.server.value
        symbols = [{"symbol": "BTCUSDT"}, {"symbol": "ETHUSDT"}]
        _, text = answer([sample(labels, word, time.time()) for labels in symbols])
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


@pytest.fixture
def checks(tmp_path: Path, server: Server) -> Any:
    """Return what runs `checks` over a catalogue on a feed host that is this machine: exit code, verdict, output."""
    here = {
        "ansible_connection": "local",
        "ansible_become": False,
        "ansible_python_interpreter": sys.executable,
        "trading_core_prometheus_url": f"http://127.0.0.1:{server.server_port}",
    }
    inventory = tmp_path / "hosts.json"
    inventory.write_text(json.dumps({"feed_hosts": {"hosts": {"here": here}}}))

    def run(*options: str, **fields: Any) -> tuple[int, str, str]:
        catalogue = json.dumps({"check_catalogue_checks": [catalogue_item(**fields)]})
        # Not the zone of the host, which is where the owner's laptop is.
        return play("checks", inventory, "-e", catalogue, *options, TZ="Europe/Copenhagen")

    return run


def test_healthy_checks_end_with_zero_and_each_stands_there_with_value_and_unit(checks):
    code, verdict, output = checks()
    assert (code, "SEEN: here: 1 of 1 checks pass" in verdict) == (0, True), output
    assert "    PASS  feed_bars  1 (worst of 2)  > 0      bars/s  0.0 s  LiveFeed_Runbook 6\n" in output


def test_a_check_beyond_its_limit_ends_with_one_and_the_page_to_read(checks, server):
    server.value = "0"
    code, verdict, output = checks()
    assert (code, "feed_bars: symbol=BTCUSDT / symbol=ETHUSDT: 0, must be > 0 (bars/s)" in verdict) == (1, True), output
    assert verdict.endswith("NEXT: runbooks/LiveFeed_Runbook.md 6")


def test_without_a_prometheus_everything_is_unknown_and_ends_with_ten(checks):
    code, verdict, output = checks("-e", "trading_core_prometheus_url=http://127.0.0.1:1")
    assert (code, "Connection refused" in verdict) == (10, True), output
    assert "    UNKNOWN  feed_bars " in output


@pytest.mark.faults
def test_a_bad_catalogue_ends_with_twelve_and_names_check_and_field(checks):
    code, verdict, output = checks(threshold="many")
    assert (code, "feed_bars: threshold: a number is needed, not 'many'" in verdict) == (12, True), output


def test_a_value_of_the_inventory_that_is_none_is_named_with_the_line_of_the_catalogue_it_spoils(tmp_path, checks):
    code, verdict, output = play("checks", tmp_path / "hosts.json", "-e", "trading_core_feed_latency_p99_limit_ms=many")
    assert code == 12, output
    named = re.search(r"(roles/check_catalogue/vars/main.yml) line (\d+): feed_latency_p99: threshold: ", verdict)
    assert named, verdict
    line = (ROOT / named[1]).read_text(encoding="utf-8").splitlines()[int(named[2]) - 1]
    assert "{{ trading_core_feed_latency_p99_limit_ms }}" in line


def test_a_host_whose_clock_differs_from_the_controllers_is_refused_on_either_side(checks):
    """No clock is within less than nothing of another."""
    code, _, output = checks("-e", "trading_core_clock_offset_seconds=-3600")
    assert code == 10, output
    assert "this host's clock is" in output
    assert "ahead of the controller's" in output
