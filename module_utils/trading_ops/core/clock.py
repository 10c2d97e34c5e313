"""Time for records (UTC, ISO 8601). Durations are measured with a monotonic clock instead."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def utc_now() -> str:
    """Return the present time in UTC as ISO 8601 with milliseconds, e.g. `2026-11-21T01:30:00.123Z`."""
    return format_utc(datetime.now(UTC))


def format_utc(moment: datetime) -> str:
    """Return `moment` (aware) in UTC as ISO 8601 with milliseconds and `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_utc(text: str) -> datetime:
    """Return the aware moment that `format_utc`, a shell's `date -u +%FT%TZ` or an engine wrote. ValueError for others.

    Engines give up to nine digits of a second, of which Python 3.11 reads six.
    """
    whole, _, fraction = text.removesuffix("Z").partition(".")
    if not text.endswith("Z") or not (fraction.isdigit() or not fraction):
        raise ValueError(f"not a time in UTC: {text!r}")
    return datetime.fromisoformat(f"{whole}.{fraction[:6] or '0':0<6}+00:00")


def uptime() -> float:
    """Return seconds since boot as /proc/uptime counts them: monotonic, and shared with what a shell writes."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
