from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from trading_ops.core.clock import format_utc, parse_utc, uptime, utc_now


def test_a_moment_of_any_zone_is_written_in_utc_with_milliseconds():
    moment = datetime(2026, 11, 21, 3, 30, 0, 123_900, tzinfo=timezone(timedelta(hours=2)))
    assert format_utc(moment) == "2026-11-21T01:30:00.123Z"


def test_the_present_can_be_read_back():
    assert abs(parse_utc(utc_now()) - datetime.now(UTC)) < timedelta(seconds=5)


@pytest.mark.parametrize(
    ("text", "microsecond"),
    [
        ("2026-11-21T01:30:00Z", 0),
        ("2026-11-21T01:30:00.5Z", 500_000),
        ("2026-11-21T01:30:00.123Z", 123_000),
        ("2026-11-21T01:30:00.123456789Z", 123_456),
    ],
)
def test_times_of_ours_of_a_shell_and_of_an_engine_are_read(text, microsecond):
    assert parse_utc(text) == datetime(2026, 11, 21, 1, 30, 0, microsecond, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["", "Z", "now", "2026-11-21T01:30:00", "2026-11-21T01:30:00+02:00", "2026-11-21T01:30:00.xZ"]
)
def test_a_time_of_another_or_of_no_zone_is_none(text):
    with pytest.raises(ValueError, match=r"time|format"):
        parse_utc(text)


def test_seconds_since_boot_are_those_that_a_shell_reads():
    before = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    assert before - 1 <= uptime() <= before + 5
