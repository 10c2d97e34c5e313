"""PB-1 and IN-4.7 on real hosts: bots start on a feed that was proven stable just before, and on no other."""

from __future__ import annotations

import subprocess
import time

import pytest

from tests.catalogue import catalogue
from tests.lab.conftest import PAPER, feed_troubles, gate_is_open, pass_gate
from tests.lab.estate import (
    FEED_HOST,
    ROOT,
    feed_fault,
    latch,
    no_feed_fault,
    on,
    runbook,
    running_bots,
    wait_until,
)

pytestmark = pytest.mark.before_others(3)

STABLE_SECONDS = 10
WINDOW_SECONDS = 30
"""The longest window of the lab's feed checks."""
SLACK_SECONDS = 30
"""For three plays on a machine that may be busy, and scrapes every 5 s."""


def switch_on(fault: str) -> None:
    if fault == "prometheus_stopped":
        on(FEED_HOST, "docker stop prometheus")
    else:
        feed_fault(fault)


def switch_off() -> None:
    on(FEED_HOST, "docker start prometheus")
    no_feed_fault()


FAULTS = {
    "latency": ("feed_latency_p99", ", must be < 500 (ms)"),
    "silent_symbol": ("feed_bars_rate", "symbol=ETHUSDT: 0, must be > 0 (bars/s)"),
    "gaps": ("gaps", ", must be < 2 (bars)"),
    "nan_records": ("nan_records", ", must be < 2 (bars)"),
    "reconnect_storm": ("feed_reconnects", ", must be < 3 (connections)"),
    "frozen_metrics": ("feed_bars_rate", ": 0, must be > 0 (bars/s)"),
    "exporter_gone": ("feed_scraped", "0, must be == 1 (0 or 1)"),
    "prometheus_stopped": ("feed_scraped", "Connection refused"),
}
EVERY_RUN = {"exporter_gone"}
"""The others run with --faults: each has a window to wait for, twice."""


@pytest.mark.parametrize(
    "fault", [pytest.param(name, marks=[] if name in EVERY_RUN else [pytest.mark.faults]) for name in FAULTS]
)
def test_a_fault_of_the_feed_closes_the_gate_and_the_gate_opens_by_itself_when_it_is_over(idle, fault):
    check, words = FAULTS[fault]
    switch_on(fault)
    wait_until(lambda: check in feed_troubles(), 60, f"{check} sees {fault}")

    closed = runbook("feed_gate", "-e", f"timeout_seconds={STABLE_SECONDS}")
    assert (closed.code, check in closed.verdict, words in closed.output) == (13, True, True), closed.verdict
    assert not gate_is_open(for_seconds=0)
    refused = runbook(*PAPER)
    assert (refused.code, check in refused.verdict) == (13, True)
    assert running_bots() == []

    waiting = subprocess.Popen(
        [ROOT / "runbook", "feed_gate"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    begun = time.monotonic()
    switch_off()
    output = waiting.communicate(timeout=150)[0]
    assert waiting.returncode == 0, output
    assert time.monotonic() - begun < WINDOW_SECONDS + STABLE_SECONDS + SLACK_SECONDS
    assert gate_is_open()


@pytest.mark.faults
def test_a_pass_of_an_earlier_feed_container_starts_no_bot(idle):
    on(FEED_HOST, "docker restart live_connector")
    wait_until(feed_troubles, 30, "checks that see the restart")
    wait_until(lambda: not feed_troubles(), 90, "a stable feed after its restart")
    refused = runbook(*PAPER)
    assert (refused.code, "passed by another feed" in refused.verdict) == (13, True), refused.verdict
    assert refused.verdict.endswith("NEXT: ./runbook feed_gate")
    assert running_bots() == []
    pass_gate()
    assert runbook(*PAPER).code == 0


@pytest.fixture
def for_incident(halted: str) -> list[str]:
    return ["controlled_restart", "-e", f"incident_id={halted}"]


def test_a_restart_without_evidence_or_for_another_incident_is_refused(for_incident):
    before = on(FEED_HOST, "docker ps --quiet --no-trunc")
    missing = runbook(*for_incident)
    assert (missing.code, "NEXT: ./runbook evidence_collection" in missing.verdict) == (13, True)
    other = runbook("controlled_restart", "-e", "incident_id=INC-20261121-013000-other", "-e", "evidence_waived=test")
    assert (other.code, "is not an incident that halts this host" in other.verdict) == (13, True)
    assert on(FEED_HOST, "docker ps --quiet --no-trunc") == before


@pytest.mark.faults
def test_a_restart_while_a_bot_runs_is_refused(trading):
    stopped = runbook("failsafe_stop", "-e", "reason=test", "-e", "scope=live")
    refused = runbook("controlled_restart", "-e", f"incident_id={stopped.incident_id}", "-e", "evidence_waived=test")
    assert (refused.code, "1 paper bot running" in refused.verdict) == (13, True)
    assert len(running_bots()) == 1


def test_a_controlled_restart_ends_with_an_open_gate_bots_down_and_the_halt_engaged(for_incident):
    on(FEED_HOST, "rm -f /var/lib/trading-core/feed_gate.json")
    restarted = runbook(*for_incident, "-e", "evidence_waived=nothing to keep, it's a test")
    assert restarted.code == 0, restarted.verdict
    passed = {words[1] for line in restarted.output.splitlines() if (words := line.split())[:1] == ["PASS"]}
    assert passed == {check.id for check in catalogue("lab") if "feed" in check.gates}
    assert gate_is_open()
    assert running_bots() == []
    assert latch(FEED_HOST)["incident_ids"][0] in for_incident[-1]
    # What ran already keeps the reason it was started for; that evidence was waived is on record all the same.
    audit = on(FEED_HOST, "tail -n 2 /var/lib/trading-core/audit.jsonl")
    assert "evidence waived: nothing to keep, it's a test" in audit


@pytest.mark.faults
def test_a_restart_that_fails_half_way_leaves_what_it_started_stopped_and_the_rest_as_it_was(for_incident):
    broken = "ops/compose/broken.yml"
    on(FEED_HOST, "docker stop live_connector grafana")
    text = "services: {grafana: {image: registry.invalid/nothing:1}}"
    on(FEED_HOST, f"echo '{text}' >/opt/ai_trading_core/{broken}")
    files = f'{{"trading_core_feed_files": ["ops/compose/docker-compose.yml", "{broken}"]}}'
    try:
        failed = runbook(*for_incident, "-e", "evidence_waived=test", "-e", files)
        assert (failed.code, "Start the dashboards failed" in failed.verdict) == (1, True), failed.verdict
        running = on(FEED_HOST, "docker ps --format '{{.Names}}'").split()
        assert ("prometheus" in running, "live_connector" in running, "grafana" in running) == (True, False, False)
        assert not gate_is_open(for_seconds=0)
    finally:
        on(FEED_HOST, f"rm -f /opt/ai_trading_core/{broken}")
        assert runbook("observability_start").code == 0
