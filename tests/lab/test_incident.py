"""The first minute of an incident on real hosts, and what comes with it: people told, a fix made and undone."""

from __future__ import annotations

import json
import os
import re
import shlex
import time
from collections.abc import Iterator
from datetime import UTC, datetime
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
HOME = "/var/lib/trading-core/incidents"
NOTIFICATION_SECONDS = 10


@pytest.fixture
def feed(trading: None) -> Iterator[None]:
    """Bots trade on a feed that runs; it runs again afterwards, and nothing is wrong with anything."""
    yield
    no_receiver_fault()
    on(FEED_HOST, "docker start live_connector prometheus")
    wait_until(feed_answers, 60, "the feed answers")
    no_feed_fault()


def feed_answers() -> bool:
    return "ok" in on(FEED_HOST, "curl -fs -m 3 -o /dev/null http://localhost:8000/metrics && echo ok || true")


def record(run: Run) -> Path:
    return Path(os.environ["TRADING_CORE_INCIDENTS_PATH"]) / run.incident_id


def timeline(run: Run) -> list[dict]:
    return timeline_of(run.incident_id)


def timeline_of(incident_id: str) -> list[dict]:
    lines = []
    for name in ("timeline.jsonl", "pending.jsonl"):
        path = Path(os.environ["TRADING_CORE_INCIDENTS_PATH"]) / incident_id / name
        lines += path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


@pytest.mark.timeout(900)
@pytest.mark.faults
def test_gaps_stop_bots_then_feed_then_the_team_is_told_and_all_of_it_is_on_record(feed):
    feed_fault("gaps")
    wait_until(lambda: "gaps" in runbook("checks").verdict, 60, "the gaps are seen")
    begun = now()
    run = runbook("incident", "-e", "reason=gaps", "-e", "data_corruption=true")
    assert (run.code, "missed" in run.verdict) == (0, False)
    assert running_bots() == []
    assert "live_connector" not in on(FEED_HOST, "docker ps --format '{{.Names}}'")
    assert f"incident {run.incident_id}" in run.output.splitlines()

    entries = timeline(run)
    done = [entry["step"] for entry in entries if entry["kind"] == "step" and entry["outcome"]]
    assert done.index("4.1 Stop trading (fail-safe)") < done.index("4.2 Stop feed on data corruption")
    idle = next(e for e in entries if e["step"].endswith("(metrics as well)") and e["outcome"])
    assert (idle["outcome"], idle["text"]) == ("proven", f"{FEED_HOST}: nothing to do")
    facts = next(e for e in entries if e["step"] == "4.5 Classify (the facts)" and e["outcome"])
    assert (facts["outcome"], "gaps" in facts["text"]) == ("proven", True)
    assert done.index("4.2 Stop feed on data corruption") < done.index("4.3 Inform (Informér)")
    stopped = next(e for e in entries if e["step"].startswith("4.1 Stop trading (fail-safe)") and e["outcome"])
    assert stopped["facts"]["last_stopped_at"] < next(
        e["at"] for e in entries if e["step"] == "4.2 Stop feed on data corruption" and e["kind"] == "step"
    )
    (message,) = messages("ops", begun)
    told, incident_id, sentence, head = message.splitlines()
    assert (told, incident_id) == (TEXT, run.incident_id)
    assert sentence.startswith("PROVEN: 2 bots proven stopped on 2 of 2 hosts") and "orders: none" in sentence
    # The head is the digest of a whole line, which the line after it carries.
    assert head.removeprefix("Timeline head: ") in {entry["previous"] for entry in entries}
    (category,) = [entry for entry in entries if entry["kind"] == "category"]
    assert "A feed" in category["text"] and "gaps" in category["text"]

    evidence = {path.name: path for path in (record(run) / "evidence").iterdir()}
    assert set(evidence) == set(TRADING_HOSTS)
    for host in TRADING_HOSTS:
        manifest = json.loads(next(evidence[host].rglob("manifest.json")).read_text())
        assert any(item["path"].endswith("_bot.log") or "bot" in item["name"] for item in manifest["items"])
    assert len(list(evidence[FEED_HOST].rglob("*.png"))) >= len(PICTURES)
    assert on("lab-control", f"ls /var/lib/trading-core/incidents/{run.incident_id}/timeline.jsonl")
    verified = runbook("incident_verify", "-e", f"incident_id={run.incident_id}", "-e", f"head={head.split()[-1]}")
    assert verified.code == 0


@pytest.mark.faults
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("fault", "channel", "why"),
    [
        ("slow", "172.29.77.21:8910", "no answer within 10 s"),
        ("down", "172.29.77.21:8910", "the service answered 503"),
        ("", "172.29.77.21:1", ""),  # nothing listens
        ("", "172.29.77.251:8910", ""),  # nobody has that address
    ],
    ids=["slow", "an error", "refused", "no such host"],
)
def test_a_channel_that_is_slow_or_dead_costs_its_limit_and_is_named_as_missed(feed, fault, channel, why):
    if fault:
        receiver_fault(fault)
    urls = json.dumps({"trading_core_notification_urls": [f"ops=json://{channel}/ops"]})
    run = runbook("incident", "-e", "reason=gaps", "-e", urls)
    missed = run.verdict.partition("missed: ")[2]
    assert (run.code, f"4.3 Inform (notified on 0 of 1 channels; ops (json): {why}" in missed) == (0, True)
    inform = [e["at"] for e in timeline(run) if e["step"].startswith("4.3") and e["kind"] == "step"]
    began, ended = map(datetime.fromisoformat, inform)
    # The rest is the time that Ansible takes for a play of two modules on a busy machine.
    assert (ended - began).total_seconds() <= NOTIFICATION_SECONDS + 10
    assert [entry["outcome"] for entry in timeline(run) if entry["kind"] == "notification"] == ["failed"]


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_a_host_that_is_frozen_is_named_and_everything_else_is_done_for_the_others(feed):
    docker("pause", "lab2")
    try:
        run = runbook("incident", "-e", "reason=gaps", "-e", "data_corruption=true")
    finally:
        docker("unpause", "lab2")
    assert (run.code, "lab2: did not answer" in run.verdict) == (10, True)
    assert "the feed stays up, since nothing proves that the bots are down on lab2" in run.verdict
    assert re.search(r"missed: .*4\.4 Collect evidence \(lab2: did not answer", run.verdict)
    told, _, sentence, *_ = messages("ops", "2026")[-1].splitlines()
    assert (told, "lab2: did not answer" in sentence) == (TEXT, True)
    assert list((record(run) / "evidence" / "lab1").rglob("manifest.json"))


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_without_the_control_host_the_copy_keeps_all_and_the_next_run_brings_it_home(feed):
    docker("pause", "lab-control")
    try:
        run = runbook("incident", "-e", "reason=gaps")
    finally:
        docker("unpause", "lab-control")
    assert (run.code, "missed: " in run.verdict, "5.5 Bring the record home (lab-control: did" in run.verdict) == (
        0,
        True,
        True,
    )
    assert [entry["kind"] for entry in timeline(run)].count("category") == 1
    assert runbook("incident_info").code == 0
    assert on("lab-control", f"ls /var/lib/trading-core/incidents/{run.incident_id}/timeline.jsonl")


@pytest.mark.faults
def test_escalation_tells_one_contact_after_the_other_and_says_who_was_told_when(stacks):
    begun, incident = now(), f"INC-{datetime.now(UTC):%Y%m%d-%H%M%S}-escalation"
    call = ("escalate", "-e", f"incident_id={incident}", "-e", "reason=the venue is silent")
    assert runbook(*call).code == 0
    second = runbook(*call)
    assert (second.code, "next is Bo (2 of 2); notified before: Anna 20" in second.output) == (0, True)
    refused = runbook(*call)
    assert (refused.code, "Every contact was notified already: Anna 20" in refused.verdict) == (13, True)
    assert [len(messages(channel, begun)) for channel in ("anna", "bo", "ops")] == [1, 1, 0]
    assert "årsag: the venue is silent." in messages("anna", begun)[0]


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_whatever_is_changed_in_a_record_afterwards_is_named(feed):
    run = runbook("incident", "-e", "reason=gaps", "-e", "stop_prometheus=true")
    assert run.code == 0
    assert "prometheus" not in on(FEED_HOST, "docker ps --format '{{.Names}}'")
    home = f"{HOME}/{run.incident_id}"
    assert runbook("incident_verify", "-e", f"incident_id={run.incident_id}").code == 0
    on(
        "lab-control",
        f"cd {home}/evidence/lab1 && sed -i '0,/trading/s//trAding/' logs/live_connector.log"
        " && sed -i '0,/./s//!/' logs/prometheus.log"
        " && mv logs/trading-paper-bot-1.log logs/another.log && rm host/meminfo.txt && echo more >logs/more.log"
        f" && cd {home} && sed -i '2s/Noticed/noticed/' timeline.jsonl",
    )
    found = runbook("incident_verify", "-e", f"incident_id={run.incident_id}")
    # ./runbook status, and with it every set-up of jobs, would say of it forever that it is damaged.
    on("lab-control", f"rm -rf {home}")
    assert found.code == 1
    evidence = "evidence/lab1"
    for named in (
        f"{evidence}/logs/prometheus.log: it was changed since it was collected",
        f"{evidence}/logs/trading-paper-bot-1.log: it was renamed to {evidence}/logs/another.log",
        f"{evidence}/host/meminfo.txt: it was removed",
        f"{evidence}/logs/more.log: it was added, no manifest names it",
        "timeline.jsonl line 2: ",
    ):
        assert named in found.output, named


FIXES = [
    ("disable=venue", "+venue.enabled: false", "may_enter=False"),
    ("disable=RefStrat_01", "+strategies.RefStrat_01.enabled: false", "may_enter=False"),
    ("disable=BTCUSDT", "+symbols.BTCUSDT.enabled: false", "may_enter=False"),
    ("scale_sizing=0.5", "+sizing.position_ratio: 0.05", ", position_ratio=0.05,"),
    ("orders_per_minute=6", "+load.orders_per_minute: 6", "orders_per_minute=6.0"),
    ("changes=risk_limits.drawdown_ratio=0.03", "+risk_limits.drawdown_ratio: 0.03", "drawdown_ratio=0.03"),
]


def configs() -> dict[str, str]:
    return {host: on(host, f"sha256sum {CONFIG}; stat -c '%a %U %G' {CONFIG}") for host in TRADING_HOSTS}


def mitigate(*options: str) -> Run:
    return runbook("mitigate", "-e", "incident_id=INC-20261121-000000-fix", "-e", "reason=it rejects", *options)


def undo(fixed: Run) -> Run:
    (printed,) = set(re.findall(r"undo: (\./runbook mitigate .*? -e reason=undo)", fixed.verdict))
    return runbook(*shlex.split(printed)[1:])


def settings(host: str, mode: str) -> str:
    """Return what the bot last said that it read."""
    said = on(host, f"docker logs trading-{mode}-bot-1 2>&1 | grep 'settings read' | tail -1")
    return said.partition("settings read: ")[2]


def wait_for_bots(words: str, what: str) -> None:
    for host, mode in zip(TRADING_HOSTS, ("paper", "live"), strict=True):
        wait_until(lambda host=host, mode=mode: words in settings(host, mode), 30, f"the {mode} bot: {what}")


@pytest.mark.faults
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("fix", "line", "obeyed"), FIXES, ids=[fix for fix, *_ in FIXES])
def test_a_fix_shows_its_diff_bots_obey_it_and_what_it_prints_restores_the_bytes(trading, fix, line, obeyed):
    before = configs()
    former = settings("lab1", "paper")
    shown = mitigate("--check", "--diff", "-e", fix)
    assert (shown.code, shown.output.count(line)) == (0, len(TRADING_HOSTS))
    assert configs() == before

    fixed = mitigate("-e", fix)
    assert fixed.code == 0
    wait_for_bots(obeyed, fix)
    if "may_enter=False" in obeyed:
        no_order_for(8, {"buy"}, most=0)
    if "orders_per_minute" in fix:
        no_order_for(20, {"buy", "sell"}, most=2 * 5)  # forty, without it

    undone = undo(fixed)
    assert (undone.code, configs()) == (0, before)
    wait_for_bots(former, "its former settings")
    begun = now()
    wait_until(lambda: len(clients_with_orders(begun)) == 2, 60, "both bots trade again")
    entries = [e for e in timeline_of("INC-20261121-000000-fix") if e["kind"] == "mitigation"]
    assert {entry["facts"]["host"] for entry in entries[-4:]} == set(TRADING_HOSTS)


def no_order_for(seconds: float, sides: set[str], most: int) -> None:
    """Watch the venue for a while, once what was on its way has arrived."""
    time.sleep(3)
    begun = now()
    time.sleep(seconds)
    assert len([order for order in orders(begun) if order["side"] in sides]) <= most


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_what_was_disabled_is_enabled_again_and_an_undo_of_that_disables_it(trading):
    before = configs()
    off = mitigate("-e", "disable=venue")
    disabled = configs()
    again = mitigate("-e", "enable=venue")
    assert (off.code, again.code) == (0, 0)
    wait_for_bots("may_enter=True", "enabled")
    assert (undo(again).code, configs()) == (0, disabled)
    wait_for_bots("may_enter=False", "disabled")
    assert (undo(off).code, configs()) == (0, before)
    wait_for_bots("may_enter=True", "as before")


@pytest.mark.faults
def test_a_service_is_restarted_as_it_is_and_the_feed_only_through_its_gate(stacks):
    def of(name: str) -> list[str]:
        return on(FEED_HOST, f"docker inspect -f '{{{{.Id}}}} {{{{.State.StartedAt}}}}' {name}").split()

    feed, (grafana, started_at) = of("live_connector"), of("grafana")
    asked = ("service_restart", "-e", "reason=no panel loads", "-e")
    assert runbook(*asked, "services=grafana", "--check").code == 0
    assert of("grafana") == [grafana, started_at]
    assert runbook(*asked, "services=grafana").code == 0
    assert (of("grafana")[0], of("grafana")[1] > started_at) == (grafana, True)
    refused = runbook(*asked, "services=live_connector")
    assert (refused.code, "through its gate only" in refused.verdict, of("live_connector")) == (13, True, feed)
