"""Trading hours: which part of a downtime counts. Pure.

`always`, or windows of a week in UTC such as `mon-fri 08:00-22:00`; one that ends at or before its beginning ends the
next day.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final

ALWAYS: Final = "always"
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_WINDOW: Final = re.compile(r"(\w{3})(?:-(\w{3}))? +(\d\d):(\d\d)-(\d\d):(\d\d)")


@dataclass(frozen=True)
class Window:
    """Days of the week (0 is Monday) on which it begins, the time of day, and how long it lasts."""

    days: frozenset[int]
    begins: time
    lasts: timedelta


def parse_trading_hours(given: object) -> tuple[Window, ...]:
    """Return the windows that an inventory's value means. ValueError for one that means none."""
    parts = [given] if isinstance(given, str) else given
    if not isinstance(parts, Sequence) or not parts:
        raise ValueError(f"trading hours are {ALWAYS!r} or windows like 'mon-fri 08:00-22:00', not {given!r}")
    return tuple(_parse_window(str(word).strip().lower()) for word in parts)


def seconds_within(windows: Sequence[Window], begin: datetime, end: datetime) -> float:
    """Return how many seconds from `begin` to `end` lie in trading hours; what two windows share counts once."""
    total, reached = 0.0, begin
    for opens, closes in sorted(_occurrences(windows, begin, end)):
        opens = max(opens, reached)
        if closes > opens:
            total += (closes - opens).total_seconds()
            reached = closes
    return total


def _parse_window(word: str) -> Window:
    if word == ALWAYS:
        return Window(frozenset(range(7)), time(), timedelta(days=1))
    found = _WINDOW.fullmatch(word)
    try:
        if not found:
            raise ValueError
        first = DAYS.index(found[1])
        last = DAYS.index(found[2] or found[1])
        begins, ends = time(int(found[3]), int(found[4])), time(int(found[5]) % 24, int(found[6]))
        if int(found[5]) > 24:
            raise ValueError
    except ValueError as error:
        raise ValueError(f"{word!r} is no window of trading hours like 'mon-fri 08:00-22:00'") from error
    lasts = (datetime.combine(datetime.min, ends) - datetime.combine(datetime.min, begins)).total_seconds()
    days = frozenset((first + step) % 7 for step in range((last - first) % 7 + 1))
    return Window(days, begins, timedelta(seconds=lasts if lasts > 0 else lasts + 86400))


def _occurrences(windows: Sequence[Window], begin: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    found = []
    day = begin.astimezone(UTC).date() - timedelta(days=1)
    while datetime.combine(day, time(), UTC) < end:
        for window in windows:
            opens = datetime.combine(day, window.begins, UTC)
            if day.weekday() in window.days:
                found.append((max(opens, begin), min(opens + window.lasts, end)))
        day += timedelta(days=1)
    return found
