"""The first minute of an incident on real hosts, and what comes with it: people told, a fix made and undone."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.conftest import clients_with_orders
from tests.lab.estate import (
    FEED_HOST,
    TRADING_HOSTS,
    Run,
    docker,
    feed_fault,
    messages,
    no_feed_fault,
    no_receiver_fault,
    now,
    on,
    orders,
    receiver_fault,
    runbook,
    running_bots,
    wait_until,
)

TEXT = "Incident på AI_TRADING_CORE – bot/feed stoppet midlertidigt, årsag: gaps."
PICTURES = {"feed latency", "data quality", "PnL", "DD", "TE"}
CONFIG = "/opt/ai_trading_core/config/trading.yml"


@pytest.fixture
def feed(trading: None) -> Iterator[None]:
    """Bots trade on a feed that runs; it runs again afterwards, and nothing is wrong with anything."""
    yield
    no_feed_fault()
    no_receiver_fault()
    on(FEED_HOST, "docker start live_connector prometheus")


def record(run: Run) -> Path:
    return Path(os.environ["TRADING_CORE_INCIDENTS_PATH"]) / run.incident_id


def timeline(run: Run) -> list[dict]:
    lines = []
    for name in ("timeline.jsonl", "pending.jsonl"):
        path = record(run) / name
        lines += path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


@pytest.mark.timeout(400)
def test_gaps_stop_bots_then_feed_then_the_team_is_told_and_all_of_it_is_on_record(feed):
    feed_fault("gaps")
    wait_until(lambda: "gaps" in runbook("checks").verdict, 60, "the gaps are seen")
    begun = now()
    run = runbook("incident", "-e", "reason=gaps", "-e", "data_corruption=true")
    assert (run.code, "missed" in run.verdict) == (0, False)
    assert run.seconds <= 60
    assert running_bots() == []
    assert "live_connector" not in on(FEED_HOST, "docker ps --format '{{.Names}}'")
    assert f"incident {run.incident_id}" in run.output.splitlines()

    entries = timeline(run)
    done = [entry["step"] for entry in entries if entry["kind"] == "step" and entry["outcome"]]
    assert done.index("4.1 Stop trading (fail-safe)") < done.index("4.2 Stop feed on data corruption")
    assert done.index("4.2 Stop feed on data corruption") < done.index("4.3 Inform (Informér)")
    stopped = next(e for e in entries if e["step"].startswith("4.1 Stop trading (fail-safe)") and e["outcome"])
    assert stopped["facts"]["last_stopped_at"] < next(
        e["at"] for e in entries if e["step"] == "4.2 Stop feed on data corruption" and e["kind"] == "step"
    )
    (message,) = messages("ops", begun)
    told, incident_id, head = message.splitlines()
    assert (told, incident_id) == (TEXT, run.incident_id)
    assert head.removeprefix("Timeline head: ") in {entry["hash"] for entry in entries}
    (category,) = [entry for entry in entries if entry["kind"] == "category"]
    assert "A feed" in category["text"] and "gaps" in category["text"]

    evidence = {path.name: path for path in (record(run) / "evidence").iterdir()}
    assert set(evidence) == set(TRADING_HOSTS)
    for host in TRADING_HOSTS:
        manifest = json.loads(next(evidence[host].rglob("manifest.json")).read_text())
        assert any(item["path"].endswith("_bot.log") or "bot" in item["name"] for item in manifest["items"])
    assert len(list(evidence[FEED_HOST].rglob("*.png"))) >= len(PICTURES)
    assert on("control1", f"ls /var/lib/trading-core/incidents/{run.incident_id}/timeline.jsonl")
    verified = runbook("incident_verify", "-e", f"incident_id={run.incident_id}", "-e", f"head={head.split()[-1]}")
    assert verified.code == 0


@pytest.mark.faults
@pytest.mark.timeout(400)
@pytest.mark.parametrize("fault", ["slow", "down"])
def test_a_channel_that_is_slow_or_dead_costs_its_limit_and_is_named_as_missed(feed, fault):
    receiver_fault(fault)
    run = runbook("incident", "-e", "reason=gaps")
    why = "no answer within 10 s" if fault == "slow" else "the service answered 503"
    assert (run.code, f"missed: 4.3 Inform (told on 0 of 1 channels; ops (json): {why}" in run.verdict) == (0, True)
    began, ended = (e["at"] for e in timeline(run) if e["step"].startswith("4.3") and e["kind"] == "step")
    assert ended > began
    assert [entry["outcome"] for entry in timeline(run) if entry["kind"] == "notification"] == ["failed"]


@pytest.mark.faults
@pytest.mark.timeout(400)
def test_a_host_that_is_frozen_is_named_and_everything_else_is_done_for_the_others(feed):
    docker("pause", "homelab2")
    try:
        run = runbook("incident", "-e", "reason=gaps", "-e", "data_corruption=true")
    finally:
        docker("unpause", "homelab2")
    assert (run.code, "homelab2: did not answer" in run.verdict) == (10, True)
    assert "the feed stays up, since nothing proves that the bots are down on homelab2" in run.verdict
    assert re.search(r"missed: .*4\.4 Collect evidence \(homelab2: did not answer", run.verdict)
    assert messages("ops", "2026")[-1].splitlines()[0] == TEXT
    assert list((record(run) / "evidence" / "homelab1").rglob("manifest.json"))


@pytest.mark.faults
@pytest.mark.timeout(400)
def test_without_the_control_host_the_copy_keeps_all_and_the_next_run_brings_it_home(feed):
    docker("pause", "control1")
    try:
        run = runbook("incident", "-e", "reason=gaps")
    finally:
        docker("unpause", "control1")
    assert (run.code, "missed: " in run.verdict, "5.5 Bring the record home (control1: did" in run.verdict) == (
        0,
        True,
        True,
    )
    assert [entry["kind"] for entry in timeline(run)].count("category") == 1
    assert runbook("incident_info").code == 0
    assert on("control1", f"ls /var/lib/trading-core/incidents/{run.incident_id}/timeline.jsonl")


@pytest.mark.faults
def test_escalation_tells_one_contact_after_the_other_and_says_who_was_told_when(stacks):
    begun, incident = now(), "INC-20261121-000000-escalation"
    call = ("escalate", "-e", f"incident_id={incident}", "-e", "reason=the venue is silent")
    assert runbook(*call).code == 0
    second = runbook(*call)
    assert (second.code, "next is Bo (2 of 2); told before: Anna 20" in second.output) == (0, True)
    refused = runbook(*call)
    assert (refused.code, "Every contact was told already: Anna 20" in refused.verdict) == (13, True)
    assert [len(messages(channel, begun)) for channel in ("anna", "bo", "ops")] == [1, 1, 0]
    assert "årsag: the venue is silent." in messages("anna", begun)[0]


@pytest.mark.faults
@pytest.mark.timeout(400)
def test_running_bots_obey_a_fix_and_what_it_prints_restores_the_bytes(trading):
    before = {host: on(host, f"sha256sum {CONFIG}") for host in TRADING_HOSTS}
    incident = ("-e", "incident_id=INC-20261121-000000-fix", "-e", "reason=it rejects")
    shown = runbook("mitigate", "--check", "--diff", *incident, "-e", "orders_per_minute=6")
    assert (shown.code, "+load.orders_per_minute: 6" in shown.output) == (0, True)
    assert {host: on(host, f"sha256sum {CONFIG}") for host in TRADING_HOSTS} == before

    fixed = runbook("mitigate", *incident, "-e", "orders_per_minute=6")
    assert fixed.code == 0
    begun = now()
    wait_until(lambda: now() > begun[:17] + "59", 70, "a minute goes by")
    begun = now()
    wait_until(lambda: now()[:16] > begun[:16] and now()[17:19] >= "30", 100, "more than half a minute goes by")
    assert len(orders(begun)) <= 2 * 12

    (undo,) = set(re.findall(r"undo: (\./runbook mitigate .*? -e reason=undo)", fixed.verdict))
    undone = runbook(*shlex.split(undo)[1:])
    assert (undone.code, {host: on(host, f"sha256sum {CONFIG}") for host in TRADING_HOSTS}) == (0, before)

    off = runbook("mitigate", *incident, "-e", "disable=venue")
    wait_until(lambda: not [o for o in orders(now()) if o["side"] == "buy"], 20, "no new position")
    (undo,) = set(re.findall(r"undo: (\./runbook mitigate .*? -e reason=undo)", off.verdict))
    assert runbook(*shlex.split(undo)[1:]).code == 0
    begun = now()
    wait_until(lambda: len(clients_with_orders(begun)) == 2, 60, "both bots trade again")
    assert {host: on(host, f"sha256sum {CONFIG}") for host in TRADING_HOSTS} == before
