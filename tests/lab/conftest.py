"""Tests on lab hosts. The session brings the lab up, and takes down what it brought up."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from trading_ops.checks.evaluate import Limits, evaluate_all
from trading_ops.checks.prometheus import http_fetch
from trading_ops.host.http import Endpoint

from tests.catalogue import catalogue
from tests.lab import backup_sets
from tests.lab.estate import (
    FEED_HOST,
    HOSTS,
    ROOT,
    TRADING_HOSTS,
    bots,
    latch,
    no_feed_fault,
    now,
    on,
    on_each,
    orders,
    runbook,
    running_bots,
    venue,
    wait_until,
)

PROMETHEUS_URL = "http://172.29.77.11:9090"
LAB = [sys.executable, str(ROOT / "lab" / "estate.py")]


def _lab_stands() -> bool:
    names = subprocess.run(["docker", "ps", "--format", "{{.Names}}"], capture_output=True, text=True, check=False)
    return set(HOSTS) <= set(names.stdout.split())


@pytest.fixture(scope="session", autouse=True)
def reports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Reports go to a folder of the session, not into this checkout."""
    with pytest.MonkeyPatch.context() as patch:
        path = tmp_path_factory.mktemp("reports")
        patch.setenv("TRADING_CORE_REPORTS_PATH", str(path))
        yield path


@pytest.fixture(scope="session")
def repository(stacks: None) -> None:
    """The repository of backups is set up."""
    assert runbook("backup_setup").code == 0


@pytest.fixture(scope="module")
def good_set(stacks: None, repository: None) -> Iterator[None]:
    """A set as it should be, on the restore host, and what copies of it are made with."""
    for host, mode in (("lab1", "paper"), ("lab2", "live")):
        on(host, f"docker start trading-{mode}-bot-1")
    time.sleep(60)  # rows enough for a database to lose one
    assert runbook("backup").code == 0
    backup_sets.keep_good_set()
    yield
    backup_sets.forget_sets()


@pytest.fixture(scope="session")
def lab(pytestconfig: pytest.Config) -> Iterator[None]:
    """The lab's hosts; left as found: up where it was up before, gone where it was not."""
    stood = _lab_stands()
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():  # minutes of silence look like a hang
        print("\nlab up …", flush=True)
        subprocess.run([*LAB, "up"], check=True, timeout=900)
    yield
    if not stood:
        with capture.global_and_fixture_disabled():
            subprocess.run([*LAB, "down"], check=True, timeout=300)


@pytest.fixture(scope="session")
def drilled(lab: None) -> list[str]:
    """The last line of the drill, once it went well in this session."""
    return []


@pytest.fixture(scope="session")
def stacks(lab: None, drilled: list[str]) -> None:
    """Hosts are set up, the feed side runs, and both bots have been started once, paper through the gates."""
    if drilled:
        return
    remove_bots()
    release_halt()
    for call in (["host_setup"], ["observability_start"], ["monitoring_setup"], ["alerting_start"]):
        assert runbook(*call).code == 0
    pass_gate()
    assert runbook(*PAPER).code == 0
    # A live start demands a minute on paper; test_bot_start.py waits for it, and here is made what it leaves.
    on("lab2", f"cd {TRADING} && TRADING_MODE=live docker compose --profile live up -d gui bot")


GATED = frozenset({"trading-paper-bot-1", "trading-live-bot-1"})
TRADING = "/opt/ai_trading_core/ops/compose/trading"
PAPER = ["bot_start", "-e", "mode=paper", "-e", "watch_seconds=0"]
LIVE = ["bot_start", "-e", "mode=live", "-e", "confirm_live=trading-live", "-e", "watch_seconds=0"]


def pass_gate() -> None:
    """Have the feed gate open for the feed that runs; it is only measured where it is not."""
    if not gate_is_open():
        assert runbook("feed_gate").code == 0


def gate_is_open(for_seconds: float = 120) -> bool:
    """Ask the hosts themselves: does each hold a pass of the container that runs now, which will count for a while?"""
    described = on(
        FEED_HOST, "docker inspect -f '{{.Id}} {{.State.StartedAt}}' live_connector 2>/dev/null || true"
    ).split()
    until = datetime.now(UTC) + timedelta(seconds=for_seconds)
    for host in TRADING_HOSTS:
        text = on(host, "cat /var/lib/trading-core/feed_gate.json 2>/dev/null || true")
        gate = json.loads(text) if text else {"feeds": [], "expires_at": "1970-01-01T00:00:00Z"}
        passed = [[feed["container_id"], feed["started_at"]] for feed in gate["feeds"]]
        if passed != [described] or datetime.fromisoformat(gate["expires_at"]) < until:
            return False
    return True


def feed_troubles(*, gates: frozenset[str] = frozenset({"feed"})) -> dict[str, str]:
    """Return the gates' checks that do not pass right now, with the reason, past ./runbook and Ansible."""
    checks = [check for check in catalogue("lab") if gates & set(check.gates)]
    fetch = http_fetch(Endpoint(PROMETHEUS_URL))
    results = evaluate_all(checks, fetch, time.time, time.monotonic, Limits(scrape_interval_seconds=5))
    return {result.check.id: result.reason for result in results if result.outcome != "pass"}


@pytest.fixture
def gate(stacks: None) -> None:
    """Bots may start: the feed's pass is on the hosts, and no alert of an earlier test is left."""
    pass_gate()
    wait_until(lambda: not feed_troubles(gates=frozenset({"feed", "start"})), 120, "checks of a start that pass")


@pytest.fixture
def idle(gate: None) -> Iterator[None]:
    """No bot runs, nothing is halted, the gate is open; no window of the feed's checks holds an earlier fault.

    What a test does to the feed is over afterwards.
    """
    wait_until(lambda: not feed_troubles(), 120, "a feed without trouble")
    remove_bots(keep=GATED)
    stop_bots = "docker ps -q --filter label=com.docker.compose.service=bot | xargs -r docker stop"
    on_each(TRADING_HOSTS, lambda host: on(host, stop_bots))
    release_halt()
    yield
    on(FEED_HOST, "docker start prometheus")
    no_feed_fault()
    remove_bots(keep=GATED)
    release_halt()


def release_halt() -> None:
    """Lift whatever halt there is, past the gate: this only prepares a test.

    Both places at once: the guard puts back what is missing in one.
    """
    state = "/var/lib/trading-core"
    on_each(TRADING_HOSTS, lambda host: on(host, f"rm -rf {state}/halt.json* {state}/latch/halt.json*"))


def remove_bots(keep: frozenset[str] = frozenset()) -> None:
    """Take bot containers away, all but those whose names are to be kept."""

    def clear(host: str) -> None:
        if gone := " ".join(bot.id for bot in bots(host) if bot.name not in keep):
            on(host, f"docker rm -f {gone}")

    on_each(TRADING_HOSTS, clear)


def start_trading() -> None:
    """Start the bots that bot_start has made, and wait for their orders. The gate has tests of its own."""
    modes = dict(zip(TRADING_HOSTS, ("paper", "live"), strict=True))
    on_each(TRADING_HOSTS, lambda host: on(host, f"docker start trading-{modes[host]}-bot-1"))
    begun = now()
    wait_until(lambda: len(clients_with_orders(begun)) >= 2, 60, "orders of both bots at the venue")


def open_clients() -> set[str]:
    return {order["client"] for order in venue("/orders/open")["orders"]}


def flatten() -> None:
    """Cancel whatever earlier bots left open, as a person would at the venue."""
    for client in open_clients():
        venue("/orders/cancel-all", {"client": client})


@pytest.fixture
def trading(stacks: None) -> Iterator[None]:
    """A paper and a live bot trade, and nothing is halted."""
    remove_bots(keep=GATED)
    release_halt()
    flatten()
    start_trading()
    yield
    remove_bots(keep=GATED)


def clients_with_orders(since: str) -> set[str]:
    return {entry["client"] for entry in orders(since)}


@pytest.fixture
def halted(stacks: None, request: pytest.FixtureRequest) -> str:
    """Everything is stopped; the incident's id. Where the test before left it so, that is taken."""
    if incident_id := _halted_already():
        return incident_id
    request.getfixturevalue("trading")
    stopped = runbook("failsafe_stop", "-e", "reason=test")
    assert stopped.code == 0
    assert running_bots() == []
    return stopped.incident_id


def _halted_already() -> str:
    """Return the incident of a test's stop that halts both hosts while every bot is down; else an empty text."""
    try:
        held = [latch(host) or {} for host in TRADING_HOSTS]
        found = {(each.get("scope"), each.get("reason"), *each.get("incident_ids", ())) for each in held}
    except (ValueError, AttributeError):  # a test has damaged it
        return ""
    match list(found):
        case [("all", "test", str(incident_id))] if not running_bots():
            return incident_id
    return ""
