"""PB-2, PB-3 and PB-5 on real hosts: what a start demands, and what becomes of one that goes wrong."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.lab.conftest import LIVE, PAPER, gate_is_open, pass_gate
from tests.lab.estate import (
    FEED_HOST,
    ROOT,
    TRADING_HOSTS,
    bots,
    docker,
    feed_fault,
    latch,
    now,
    on,
    orders,
    runbook,
    running_bots,
    wait_until,
)

CHECKOUT = "/opt/ai_trading_core"


def files(*more: str) -> str:
    return json.dumps({"trading_core_trading_files": ["ops/compose/trading/docker-compose.yml", *more]})


MIXED = {
    "a paper bot with live settings": "environment: {TRADING_MODE: live}",
    "a label of the other mode": "labels: {trading-core.mode: live}",
    "no label": "labels: !reset {}",
}
EVERY_RUN = {"a paper bot with live settings"}


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(text, id=name, marks=[] if name in EVERY_RUN else [pytest.mark.faults])
        for name, text in MIXED.items()
    ],
)
def test_a_bot_whose_mode_is_in_doubt_counts_as_live_and_is_refused(idle, said):
    path = "ops/compose/trading/mixed.yml"
    on("lab1", f"printf '%s' 'services: {{bot: {{{said}}}}}' >{CHECKOUT}/{path}")
    try:
        refused = runbook(*PAPER, "-e", files(path))
    finally:
        on("lab1", f"rm {CHECKOUT}/{path}")
    assert (refused.code, "counts as live. Nothing was started" in refused.verdict) == (13, True), refused.verdict
    assert running_bots() == []


@pytest.fixture
def two_paper_hosts(idle, tmp_path: Path) -> Iterator[str]:
    """The lab with its second host among those that trade on paper. It has no image of the database there."""
    inventory = tmp_path / "inventory"
    subprocess.run(["cp", "-r", str(ROOT / "inventories" / "lab"), str(inventory)], check=True)
    hosts = yaml.safe_load((inventory / "hosts.yml").read_text())
    hosts["all"]["children"]["trading_hosts"]["children"]["paper_hosts"]["hosts"]["lab2"] = None
    (inventory / "hosts.yml").write_text(yaml.safe_dump(hosts))
    yield str(inventory)
    on("lab2", "docker ps -aq --filter label=com.docker.compose.project=trading-paper | xargs -r docker rm -f")
    on("lab2", "rm -f /var/lib/trading-core/desired.json")


@pytest.mark.faults
def test_a_start_that_fails_on_the_second_of_two_hosts_stops_every_bot_and_halts_every_host(two_paper_hosts):
    base = json.dumps({"trading_core_base_services": {"paper": [], "live": ["gui"]}})
    on("lab2", "docker start trading-live-bot-1")  # all means all, also what nobody touched
    failed = runbook(*PAPER, "-i", two_paper_hosts, "-e", base)
    assert failed.code == 1, failed.verdict
    assert "lab1: bot running" in failed.verdict
    assert "Start the bot failed; every trading host was halted" in failed.verdict
    assert running_bots() == []
    (incident,) = {tuple(latch(host)["incident_ids"]) for host in TRADING_HOSTS}
    assert "start-of-the-paper-bot" in incident[0]
    assert on("lab1", "ls /var/lib/trading-core/lease.json 2>/dev/null || true") == ""
    assert runbook(*PAPER).code == 13


def start_and(
    then_after_seconds: float, then: Callable[[], None], *options: str
) -> tuple[subprocess.Popen[str], str, float]:
    """Run a start; some time after its bot is up do `then`. Return it, its output, and how long it went on then."""
    start = subprocess.Popen([ROOT / "runbook", *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    done: list[float] = []

    def happen() -> None:
        wait_until(running_bots, 120, "a bot that runs")
        time.sleep(then_after_seconds)
        then()
        done.append(time.monotonic())

    thread = threading.Thread(target=happen)
    thread.start()
    output = start.communicate(timeout=400)[0]
    ended = time.monotonic()
    thread.join()
    print(output)
    return start, output, ended - done[0]


@pytest.mark.faults
def test_a_fault_one_minute_after_the_start_stops_the_bot_within_the_watch(idle):
    start, output, seconds = start_and(60, lambda: feed_fault("latency"), *PAPER, "-e", "watch_seconds=180")
    assert (start.returncode, "feed_latency_p99" in output) == (13, True), output
    assert "Watch feed and bot failed; every trading host was halted" in output
    assert seconds < 60
    assert running_bots() == []
    assert all(latch(host) for host in TRADING_HOSTS)
    begun = now()
    time.sleep(3)
    assert orders(begun) == []


@pytest.mark.faults
def test_a_bots_own_host_that_goes_away_for_a_moment_in_the_watch_is_halted_with_all_others(idle):
    """Feed and paper bot are on one host: who watches goes away with it."""

    def blink() -> None:
        docker("pause", "lab1")
        time.sleep(7)  # ssh gives a silent host up after 3 s
        docker("unpause", "lab1")

    try:
        start, output, _ = start_and(20, blink, *PAPER, "-e", "watch_seconds=90")
    finally:
        if "true" in docker("inspect", "-f", "{{.State.Paused}}", "lab1"):
            docker("unpause", "lab1")
    assert start.returncode == 10, output
    assert "lab1: did not answer" in output
    assert "every trading host was halted" in output
    assert running_bots() == []
    assert all(latch(host) for host in TRADING_HOSTS)


@pytest.mark.faults
def test_without_the_watch_an_alert_asks_for_the_stop(idle):
    assert runbook(*PAPER).code == 0

    def alert() -> bool:
        text = on(
            FEED_HOST,
            "python3 -c 'import urllib.request as r; print(r.urlopen(\"http://127.0.0.1:9090/api/v1/alerts\").read().decode())'",
        )
        alerts = json.loads(text)["data"]["alerts"]
        firing = [each["labels"] for each in alerts if each["state"] == "firing"]
        return any((each.get("check"), each.get("action")) == ("feed_latency_p99", "stop_bots") for each in firing)

    # The live bot is down here, and an alert about it asks for a stop too: only the feed's own counts.
    assert not alert()
    feed_fault("latency")
    wait_until(alert, 90, "an alert that asks to stop the bots")


@pytest.mark.faults
def test_live_waits_for_paper_and_stops_when_the_feed_host_is_gone(idle):
    missing = runbook(*LIVE)
    assert (missing.code, "paper_kpi" in missing.verdict) == (13, True), missing.verdict
    assert runbook(*PAPER).code == 0
    wait_until(lambda: runbook(*LIVE, "--check").verdict.count("a real run") == 0, 150, "KPIs on paper")
    pass_gate()

    try:
        watched = [ROOT / "runbook", *LIVE, "-e", "watch_seconds=120"]
        start = subprocess.Popen(watched, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        wait_until(lambda: running_bots(["lab2"]), 120, "the live bot")
        time.sleep(20)
        docker("pause", FEED_HOST)
        output = start.communicate(timeout=200)[0]
    finally:
        docker("unpause", FEED_HOST)
    assert start.returncode == 10, output
    assert f"{FEED_HOST}: did not answer" in output
    assert running_bots(["lab2"]) == []
    assert latch("lab2")


@pytest.mark.faults
def test_an_open_gate_and_all_else_well_starts_a_bot_that_is_watched(idle):
    assert gate_is_open()
    started = runbook(*PAPER, "-e", "watch_seconds=5")
    assert (started.code, "bot running" in started.verdict) == (0, True), started.verdict
    (bot,) = [bot for bot in bots("lab1") if bot.is_running]
    assert (bot.restart_policy, bot.labels["trading-core.mode"]) == ("no", "paper")
