"""How severe an incident is, from facts: the owner's definitions as data. Pure.

critical: it can cost capital, trades wrongly, or has stopped a critical system. major: a loss or a downtime in trading
hours above the limits, which is more. minor: none of it, and everything is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ..core.clock import parse_utc
from .facts import Facts
from .timeline import Entry
from .trading_hours import Window, seconds_within

LEVELS: Final = ("minor", "critical", "major")

_STARTED_BY: Final = ("bot_start", ", start")
"""Procedure, and how the title of the play ends that starts the bots: the plays before it only look."""


@dataclass(frozen=True)
class Limits:
    """Above these an incident is a major one."""

    loss_percent: float = 2
    downtime_seconds: float = 1800


@dataclass(frozen=True)
class Severity:
    """The level, the facts that make it so, and what nobody knows."""

    level: str
    reasons: tuple[str, ...]
    unknown: tuple[str, ...]


def assess(facts: Facts, limits: Limits) -> Severity:
    """Return the severity. What is unknown counts as critical: it can cost capital for all that anybody knows."""
    major, critical, unknown = [], [], []
    loss, downtime = facts.loss_percent, facts.downtime_seconds
    if loss is None:
        unknown.append("loss of capital: not known")
    elif loss > limits.loss_percent:
        major.append(f"loss of {loss:.3g} % is above {limits.loss_percent:g} %")
    elif loss > 0:
        critical.append(f"loss of {loss:.3g} %")
    if downtime is None:
        unknown.append("downtime in trading hours: not known")
    elif downtime > limits.downtime_seconds:
        major.append(f"{downtime / 60:.0f} min down in trading hours are above {limits.downtime_seconds / 60:g} min")
    elif downtime > 0:
        critical.append(f"{downtime / 60:.1f} min down in trading hours")
    if facts.data_corruption:
        critical.append("data corruption was reported")
    if facts.open_orders:
        critical.append(f"{facts.open_orders} open orders at the venue")
    critical += [f"{host}: {error}" for host, error in facts.hosts.items() if error]
    critical += [
        item.text for item in facts.checks if item.severity == "critical" and item in facts.failing(item.group)
    ]
    if not facts.hosts:
        unknown.append("hosts: none was asked")
    if not facts.checks:
        unknown.append("checks: none was evaluated")
    unknown += [f"{item.id}: not known" for item in facts.checks if item.outcome == "unknown"]
    level = "major" if major else "critical" if critical or unknown else "minor"
    return Severity(level, (*major, *critical), tuple(unknown))


def measure_downtime(entries: Sequence[Entry], windows: Sequence[Window], now: datetime) -> float | None:
    """Return for how many seconds of trading hours trading was stopped, until `now` where it still is.

    It begins with a stop that a host proved and ends with a start that was proven. None without such a stop.
    """
    begun: datetime | None = None
    periods: list[tuple[datetime, datetime]] = []
    for entry in sorted(entries, key=lambda entry: entry.at):
        if entry.kind != "step":
            continue
        procedure, ending = _STARTED_BY
        is_start = entry.procedure == procedure and entry.step.endswith(ending) and entry.outcome == "proven"
        if begun is None and (entry.facts or {}).get("stopped") is True:
            begun = _stopped_at(entry)
        elif begun is not None and is_start:
            periods.append((begun, parse_utc(entry.at)))
            begun = None
    if begun is not None:
        periods.append((begun, now))
    return sum(seconds_within(windows, *period) for period in periods) if periods else None


def _stopped_at(entry: Entry) -> datetime:
    """Return when the last bot ended, as its engine says; where none was left to end, when that was proven."""
    try:
        return parse_utc(str((entry.facts or {}).get("last_stopped_at")))
    except ValueError:
        return parse_utc(entry.at)
