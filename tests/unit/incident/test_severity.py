"""Severity: the owner's definitions, on numbers; trading hours; how long trading was down."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from trading_ops.incident.facts import parse_facts
from trading_ops.incident.severity import Limits, assess, measure_downtime
from trading_ops.incident.timeline import Entry
from trading_ops.incident.trading_hours import parse_trading_hours

LIMITS = Limits()
CHECK = {"id": "gaps", "group": "data_quality", "severity": "critical", "outcome": "pass", "value": 0.0}
WELL = {
    "hosts": {"lab1": {"reachable": True, "engine": ""}},
    "checks": [CHECK],
    "loss_percent": 0,
    "downtime_seconds": 0,
}


def level(**facts):
    return assess(parse_facts({**WELL, **facts}), LIMITS).level


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, "minor"),
        ({"loss_percent": 2}, "critical"),
        ({"loss_percent": 2.01}, "major"),
        ({"loss_percent": "3"}, "major"),
        ({"loss_percent": 0.1}, "critical"),
        ({"downtime_seconds": 1800}, "critical"),
        ({"downtime_seconds": 1801}, "major"),
        ({"data_corruption": True}, "critical"),
        ({"data_corruption": "true"}, "critical"),
        ({"open_orders": {"url": "x", "outcome": "proven", "count": 2}}, "critical"),
        ({"hosts": {"lab1": {"reachable": False}}}, "critical"),
        ({"hosts": {"lab1": {"reachable": True, "engine": "hangs"}}}, "critical"),
        ({"checks": [{**CHECK, "outcome": "fail"}]}, "critical"),
        ({"checks": [{**CHECK, "outcome": "fail", "severity": "warning"}]}, "minor"),
    ],
    ids=str,
)
def test_the_level_follows_from_the_facts(facts, expected):
    assert level(**facts) == expected


@pytest.mark.parametrize(
    "missing",
    [
        {"loss_percent": None},
        {"loss_percent": float("nan")},
        {"loss_percent": "much"},
        {"loss_percent": True},
        {"downtime_seconds": None},
        {"hosts": {}},
        {"hosts": {"lab1": {}}},
        {"hosts": {"lab1": {"reachable": True}}},
        {"hosts": "none"},
        {"checks": []},
        {"checks": None},
        {"checks": [{**CHECK, "outcome": "unknown"}]},
        {"checks": [{**CHECK, "outcome": "good"}]},
    ],
    ids=str,
)
def test_what_is_not_known_is_never_minor(missing):
    assert level(**missing) == "critical"


def test_the_reason_has_the_numbers_in_it():
    found = assess(parse_facts({**WELL, "loss_percent": 2.5, "downtime_seconds": 3600}), LIMITS)
    assert found.reasons == ("loss of 2.5 % is above 2 %", "60 min down in trading hours are above 30 min")


def at(text):
    return datetime.fromisoformat(f"{text}+00:00").astimezone(UTC)


def step(clock, procedure, title, outcome="proven", **facts):
    moment = f"2026-11-20T{clock}:00.000Z"
    return Entry(f"{procedure}-{clock}", moment, moment, "step", title, procedure, outcome, facts=facts)


STOP = step("08:05", "failsafe_stop", "4.1 Stop trading", stopped=True, last_stopped_at="2026-11-20T08:00:00.000Z")
START = step("09:00", "bot_start", "3 Paper bot and 4 Live bot, start")


@pytest.mark.parametrize(
    ("entries", "minutes"),
    [
        ([STOP], 120),
        ([STOP, START], 60),
        ([START, STOP], 60),
        ([STOP, START, step("09:30", "failsafe_stop", "4.1", stopped=True)], 90),
        ([STOP, step("08:10", "failsafe_stop", "4.1", stopped=True)], 120),
        ([STOP, step("08:30", "bot_start", "3 Paper bot and 4 Live bot, start (the gates)")], 120),
        ([STOP, step("08:30", "bot_start", "3 Paper bot and 4 Live bot, start", outcome="refused")], 120),
        ([step("08:00", "failsafe_stop", "4.1", outcome="unknown", stopped=True)], 120),
        ([step("08:00", "failsafe_stop", "4.1", outcome="failed")], None),
        ([], None),
    ],
    ids=[
        *"stopped,started again,in any order,stopped twice,a stop joined,only the gates".split(","),
        *"a refused start,stopped on some hosts,no stop,nothing".split(","),
    ],
)
def test_trading_is_down_from_the_end_of_the_last_bot_until_one_starts(entries, minutes):
    always = parse_trading_hours("always")
    measured = measure_downtime(entries, always, at("2026-11-20T10:00"))
    assert measured == (None if minutes is None else minutes * 60)
