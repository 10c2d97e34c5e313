"""Severity: the owner's definitions, on numbers; trading hours; how long trading was down."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from trading_ops.incident.facts import parse_facts
from trading_ops.incident.severity import Limits, assess, measure_downtime
from trading_ops.incident.timeline import Entry
from trading_ops.incident.trading_hours import parse_trading_hours, seconds_within

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


@pytest.mark.parametrize(
    ("value", "outcome", "loss"),
    [(-2.5, "fail", 2.5), (-0.5, "pass", 0.5), (1.2, "pass", 0.0), (-9.0, "unknown", None), (None, "unknown", None)],
)
def test_loss_is_what_the_live_bots_have_lost_today_as_last_seen(value, outcome, loss):
    check = {"id": "live_pnl_day_last", "group": "bots", "outcome": outcome, "value": value}
    assert parse_facts({"checks": [check]}).loss_percent == loss
    assert parse_facts({"checks": [check | {"id": "paper_pnl_day"}]}).loss_percent is None, "no capital"


def at(text):
    return datetime.fromisoformat(f"{text}+00:00").astimezone(UTC)


# 2026-11-20 is a Friday.
@pytest.mark.parametrize(
    ("hours", "begin", "end", "minutes"),
    [
        ("always", "2026-11-20T12:00", "2026-11-21T12:00", 1440),
        (["mon-fri 08:00-22:00"], "2026-11-20T21:30", "2026-11-23T08:10", 40),
        (["mon-fri 22:00-06:00"], "2026-11-20T23:00", "2026-11-21T12:00", 420),
        (["sun-mon 00:00-24:00"], "2026-11-21T23:00", "2026-11-24T01:00", 2880),
        (["fri 08:00-12:00", "fri 10:00-14:00"], "2026-11-20T00:00", "2026-11-21T00:00", 360),
        (["sat 08:00-12:00"], "2026-11-20T00:00", "2026-11-20T23:00", 0),
        ("Always ", "2026-11-20T12:00", "2026-11-20T12:00", 0),
    ],
    ids=str,
)
def test_only_trading_hours_count_and_each_minute_once(hours, begin, end, minutes):
    assert seconds_within(parse_trading_hours(hours), at(begin), at(end)) == minutes * 60


@pytest.mark.parametrize(
    "hours",
    ["", [], None, "sometimes", ["mon 8:00-22:00"], ["xxx 08:00-09:00"], ["mon 25:00-26:00"], ["mon 08:00-25:00"]],
)
def test_hours_that_mean_none_are_said_so(hours):
    with pytest.raises(ValueError, match="hours"):
        parse_trading_hours(hours)


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
