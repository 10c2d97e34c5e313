"""Time for records (UTC, ISO 8601). Durations are measured with a monotonic clock instead."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> str:
    """Return the present time in UTC as ISO 8601 with milliseconds, e.g. `2026-11-21T01:30:00.123Z`."""
    return format_utc(datetime.now(UTC))


def format_utc(moment: datetime) -> str:
    """Return `moment` (aware) in UTC as ISO 8601 with milliseconds and `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
