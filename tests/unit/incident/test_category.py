"""Categories A to E: what speaks for each, and which of them is proposed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from trading_ops.incident.category import classify, describe
from trading_ops.incident.facts import parse_facts

OPENED = datetime(2026, 11, 21, 8, tzinfo=UTC)


def check(name, group, outcome="fail"):
    return {"id": name, "group": group, "outcome": outcome, "value": 3.0, "condition": "<", "threshold": 2}


def change(time):
    return {"time": time, "key": "sizing.position_ratio", "before": 0.1, "after": 0.2}


HOSTS = {"lab1": {"reachable": True, "engine": ""}, "lab2": {"outcome": "proven", "trouble": []}}
VENUE = {"url": "http://venue", "outcome": "proven", "count": 0}
SILENT = {"url": "http://venue", "outcome": "unknown", "summary": "no whole answer within 3 s"}
PASSING = [
    check(f"{group}_1", group, "pass") for group in ("feed", "data_quality", "bots", "strategy", "drift", "hosts")
]
WELL = {"hosts": HOSTS, "open_orders": VENUE, "config_changes": [], "checks": PASSING}


def proposed(**facts):
    return classify(parse_facts({**WELL, **facts}), OPENED)


@pytest.mark.parametrize(
    ("facts", "letter"),
    [
        ({}, ""),
        ({"checks": [*PASSING, check("gaps", "data_quality")]}, "A"),
        ({"data_corruption": True}, "A"),
        ({"checks": [*PASSING, check("live_risk_limit", "bots")]}, "B"),
        ({"order_errors": 5}, "B"),
        ({"order_errors": 5, "open_orders": SILENT}, "E"),
        ({"open_orders": SILENT}, "E"),
        ({"open_orders_by_host": [SILENT, VENUE], "open_orders": None}, ""),
        ({"open_orders_by_host": [SILENT, {}], "open_orders": None}, "E"),
        ({"hosts": {**HOSTS, "lab2": {}}}, "C"),
        ({"hosts": {**HOSTS, "lab2": {"outcome": "unknown", "trouble": ["the engine hangs"]}}}, "C"),
        ({"checks": [*PASSING, check("host_disk", "hosts")]}, "C"),
        ({"checks": [*PASSING, check("host_cpu", "hosts"), check("gaps", "data_quality")]}, "A"),
        ({"checks": [*PASSING, check("psi", "drift")]}, "B"),
        ({"config_changes": [change("2026-11-21T07:30:00.000Z")]}, "D"),
        ({"config_changes": [change("2026-11-21T06:59:00.000Z")]}, ""),
        ({"config_changes": [change("2026-11-21T08:01:00.000Z")]}, ""),
        (
            {
                "config_changes": [change("2026-11-21T07:30:00.000Z")],
                "checks": [*PASSING, check("live_risk_limit", "bots")],
            },
            "D",
        ),
        (
            {"checks": [*PASSING, check("gaps", "data_quality")], "config_changes": [change("2026-11-21T07:30:00Z")]},
            "A",
        ),
        ({"checks": [*PASSING, check("gaps", "data_quality")], "open_orders": SILENT}, "E"),
        ({"checks": [*PASSING, check("gaps", "data_quality")], "hosts": {**HOSTS, "lab2": {}}}, "C"),
        ({"checks": [*PASSING, check("bot_seen", "bots")]}, ""),
        ({"checks": [check("critical_alerts", "monitoring")]}, ""),
        ({"hosts": {}, "open_orders": None, "config_changes": None, "checks": None}, ""),
    ],
    ids=[
        *"all well|gaps|data corruption said|risk limit|calls refused|calls fail, venue silent|venue silent".split("|"),
        *"venue told one host|venue told none|host away|engine hangs|disk|cpu and gaps|drift only|change before".split(
            "|"
        ),
        *"change long before|change after|change and risk limit|change and gaps|venue and gaps|host and gaps".split(
            "|"
        ),
        *"our own stop|an alert of something else|nothing known".split("|"),
    ],
)
def test_the_proposal_is_the_outermost_strong_evidence(facts, letter):
    assert proposed(**facts).letter == letter


def test_evidence_against_and_what_is_not_known_are_told():
    seen = proposed(checks=[*PASSING, check("nan_records", "data_quality", "unknown")]).evidence
    assert (seen["A"].unknown, seen["A"].against) == (("nan_records: not known",), ())
    assert seen["E"].against == ("the venue answers",)
    assert seen["C"].against == ("every host and engine answers", "every check of hosts passes")
    assert seen["D"].against == ("no change of the configuration in the hour before",)
    nothing = classify(parse_facts({}), OPENED).evidence
    assert all(evidence.unknown and not evidence.against for evidence in nothing.values())


def test_changes_are_only_known_when_every_host_has_told():
    known = {"outcome": "proven", "entries": []}
    assert classify(parse_facts({"drift_logs": [known, known]}), OPENED).evidence["D"].against
    assert classify(parse_facts({"drift_logs": [known, {}]}), OPENED).evidence["D"].unknown
    assert proposed(config_changes=[change("soon")]).evidence["D"].unknown


def test_the_proposal_says_why_with_the_value():
    found = describe(proposed(checks=[check("gaps", "data_quality")]))
    assert (found["letter"], found["why"]) == ("A", "gaps: 3, must be < 2")
    assert found["evidence"]["A"]["strong"] == ["gaps: 3, must be < 2"]
