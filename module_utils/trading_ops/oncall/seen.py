"""All that was looked at for the start of a shift, and one point of what it comes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from ..core.clock import format_utc, parse_utc
from .open_orders import VenueWord, venue_words

A_SHIFT: Final = timedelta(hours=12)
"""What is looked back over where nobody knows when the last shift began."""


@dataclass(frozen=True)
class Finding:
    """One point. `outcome` is pass, fail or unknown; `fix` is the command or setting that helps, empty where none."""

    section: str
    subject: str
    outcome: str
    text: str
    fix: str = ""


@dataclass(frozen=True)
class Limits:
    """What is still good."""

    memory_limit_percent: float
    disk_free_limit_percent: float
    clock_offset_seconds: float


@dataclass(frozen=True)
class Seen:
    """All that was looked at, as the modules returned it; {} for one that gave no result.

    hosts: every host of the estate; `unreachable` and `msg` are Ansible's words for one that did not answer.
    feed_hosts, feed_project: where services are expected that nobody may have recorded.
    checks, alerts: of each feed host. curves: of the last day. alert_path: whether alerts that act would be carried
    out; None where the estate was not asked. venues: what they said of open orders. since: when the last shift began,
    ISO 8601 UTC.
    """

    now: datetime
    since: str
    hosts: Mapping[str, Mapping[str, Any]]
    feed_hosts: Sequence[str]
    feed_project: str
    checks: Mapping[str, Mapping[str, Any]]
    alerts: Mapping[str, Mapping[str, Any]]
    curves: Mapping[str, Any]
    incidents: Mapping[str, Any]
    shift: Mapping[str, Any]
    limits: Limits
    alert_path: Mapping[str, Any] | None = None
    venues: Sequence[VenueWord] = ()


def parse_seen(params: Mapping[str, Any], now: datetime) -> Seen:
    """Return what the plays before saw, from the module's parameters."""
    return Seen(
        now=now,
        since=params["since"] or params["shift"].get("explained_until") or format_utc(now - A_SHIFT),
        hosts=params["hosts"],
        feed_hosts=params["feed_hosts"],
        feed_project=params["feed_project_name"],
        checks=params["checks"],
        alerts=params["alerts"],
        curves=params["curves"],
        incidents=params["incidents"],
        shift=params["shift"],
        alert_path=params["alert_path"],
        venues=tuple(venue_words(params)),
        limits=Limits(
            params["memory_limit_percent"], params["disk_free_limit_percent"], params["clock_offset_seconds"]
        ),
    )


def demand_past(seen: Seen) -> None:
    """Raise ValueError for a since that is still to come: nothing would be looked at, and all of it be good."""
    if parse_utc(seen.since) > seen.now + timedelta(seconds=seen.limits.clock_offset_seconds):
        text = f"{seen.since} lies in the future, and nothing after it could be seen"
        raise ValueError(f"{text}; it is {format_utc(seen.now)} (UTC) now")


def explain_missing(result: Mapping[str, Any]) -> str:
    """Return why there is no result, without Ansible's own words before the connection's."""
    text = str(result.get("summary") or result.get("msg") or "no result")
    return text.removeprefix("Task failed: ").removeprefix("Failed to connect to the host via ssh: ")
