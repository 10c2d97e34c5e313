"""One run at a time changes a host, and a stop asks nobody."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.lab.conftest import PAPER, release_halt
from tests.lab.estate import ROOT, on, runbook, running_bots, wait_until

pytestmark = pytest.mark.before_others(3)

LEASE = "/var/lib/trading-core/lease.json"
AUDIT = "/var/lib/trading-core/audit.jsonl"
SLOW_FILE = "ops/compose/trading/slow.yml"
# Its first probe takes 15 s and then all is well: bot_start waits for it before it comes to the bot.
SLOW = """
services:
  gui:
    healthcheck:
      test: ["CMD-SHELL", "test -e /tmp/ready || { sleep 15; touch /tmp/ready; }"]
      interval: 1s
      timeout: 60s
"""


def lease() -> dict[str, str] | None:
    text = on("lab1", f"cat {LEASE} 2>/dev/null || true")
    return json.loads(text) if text else None


def hold(seconds: float) -> None:
    """Put another run's lease on the host."""
    moments = (datetime.now(UTC) + timedelta(seconds=more) for more in (0, seconds))
    since, expires = (moment.isoformat().replace("+00:00", "Z") for moment in moments)
    fields = {"holder": "kim@desk (run 1)", "purpose": "a rehearsal", "since": since, "expires": expires}
    on("lab1", f"echo '{json.dumps(fields)}' >{LEASE}")


def audited(since: int = 0) -> list[dict[str, str]]:
    return [json.loads(line) for line in on("lab1", f"cat {AUDIT} 2>/dev/null || true").splitlines()][since:]


@pytest.fixture
def leased(trading, gate):
    hold(600)
    yield
    on("lab1", f"rm -rf {LEASE}*")


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(PAPER, id="bot_start"),
        pytest.param(["feed_start"], id="feed_start", marks=pytest.mark.faults),
        pytest.param(["host_setup"], id="host_setup", marks=pytest.mark.faults),
    ],
)
def test_a_start_or_an_installation_is_refused_with_who_holds_the_lease(leased, call):
    refused = runbook(*call)
    assert refused.code == 75
    for word in ("LOCKED", "kim@desk (run 1)", "a rehearsal", f"sudo rm -r {LEASE}"):
        assert word in refused.verdict
    assert refused.verdict.count("kim@desk") == 1
    assert lease()["holder"] == "kim@desk (run 1)"
    dry = runbook(*call, "--check")
    assert (dry.code, "a real run would end with 75, LOCKED" in dry.verdict) == (0, True)


@pytest.mark.faults
def test_a_start_that_may_wait_goes_on_when_the_lease_is_freed(leased):
    timer = threading.Timer(5, lambda: on("lab1", f"rm {LEASE}"))
    timer.start()
    started = runbook(*PAPER, "-e", "lease_wait_seconds=60")
    timer.join()
    assert (started.code, started.seconds > 5) == (0, True)
    assert lease() is None


@pytest.mark.faults
def test_a_lease_that_is_over_is_taken_over_and_written_down(trading):
    before = len(audited())
    hold(0)
    assert runbook("feed_start").code == 0
    taken, freed = audited(before)
    assert (taken["event"], taken["former"], freed["event"]) == ("lease taken", "kim@desk (run 1)", "lease freed")
    assert taken["holder"] == freed["holder"] != taken["former"]


@pytest.mark.faults
def test_a_damaged_lease_is_locked_with_the_words_how_to_end_it(leased):
    on("lab1", f"echo garbage >{LEASE}")
    refused = runbook("feed_start")
    assert (refused.code, f"sudo rm -r {LEASE}" in refused.verdict) == (75, True)


@pytest.mark.faults
def test_starts_at_once_follow_each_other(trading):
    before = len(audited())
    argv = [str(ROOT / "runbook"), "feed_start", "-e", "lease_wait_seconds=60", "-e", "by=same"]
    starts = [subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(3)]
    outputs = [start.communicate(timeout=120)[0] for start in starts]
    assert [start.returncode for start in starts] == [0, 0, 0], outputs
    events = audited(before)
    assert [entry["event"] for entry in events] == ["lease taken", "lease freed"] * 3
    assert len({entry["holder"] for entry in events}) == 3


@pytest.fixture
def slow_start(trading, gate):
    """A start that holds the lease and waits for its first service."""
    on("lab1", "docker stop trading-paper-bot-1")
    on("lab1", f"cat >/opt/ai_trading_core/{SLOW_FILE} <<'END'\n{SLOW}\nEND")
    files = json.dumps({"trading_core_trading_files": ["ops/compose/trading/docker-compose.yml", SLOW_FILE]})
    argv = [str(ROOT / "runbook"), *PAPER, "-e", files]
    start = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    shown = "docker inspect -f '{{.State.Health.Status}}' trading-paper-gui-1 2>/dev/null || true"
    try:
        wait_until(lambda: lease() and on("lab1", shown).strip() == "starting", 60, "a start that waits for gui")
        yield start
    finally:
        _kill(start)
        on("lab1", f"rm -f /opt/ai_trading_core/{SLOW_FILE} {LEASE}")
        release_halt()
        assert runbook(*PAPER).code == 0


def _kill(start: subprocess.Popen[str]) -> None:
    """End the command and all that it started on this machine; nothing happens where it is over."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(start.pid, signal.SIGKILL)
    start.wait()


def test_a_stop_goes_through_while_a_start_holds_the_lease_and_no_bot_is_left(slow_start):
    stopped = runbook("failsafe_stop", "-e", "reason=test")
    assert (stopped.code, slow_start.poll()) == (0, None), "the start was over before the stop: nothing is shown"
    assert lease() is not None
    output = slow_start.communicate(timeout=120)[0]
    assert slow_start.returncode == 13, output
    assert stopped.incident_id in output
    time.sleep(2)
    assert running_bots() == []
    assert lease() is None, "the lease was not freed after the failure"


@pytest.mark.faults
def test_a_killed_start_leaves_a_lease_that_ends_by_itself(slow_start):
    _kill(slow_start)
    left = lease()
    seconds = (datetime.fromisoformat(left["expires"]) - datetime.fromisoformat(left["since"])).total_seconds()
    assert 0 < seconds <= 3600
    assert runbook("feed_start").code == 75
