"""Times as text: UTC, ISO 8601, always with microseconds, so that text order is time order."""

from __future__ import annotations

from datetime import UTC, datetime


def iso_utc(time: float) -> str:
    """A time in seconds since 1970 as text."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
