"""Trading hours: which part of a downtime counts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from trading_ops.incident.trading_hours import parse_trading_hours, seconds_within


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
