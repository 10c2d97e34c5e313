"""Which alerts fired since a moment, from when until when, as Prometheus remembers it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ..checks.prometheus import Series, http_fetch_range, parse_range_answer
from ..checks.ranges import FetchRange
from ..checks.rules import WATCHDOG
from ..core.clock import format_utc, parse_utc
from ..core.durable import bounded
from ..core.result import build_result
from ..host.http import HttpError, parse_endpoint
from .info import describe_labels

QUERY: Final = f'ALERTS{{alertstate="firing", alertname!="{WATCHDOG}"}}'
STEPS: Final = 500
"""How finely the time is looked at; an alert that was shorter than a step can be missed."""

A_SHIFT: Final = timedelta(hours=12)
LONGEST: Final = timedelta(days=14)
"""What is further back is not told; the summary says from when on."""
TIMEOUT_SECONDS: Final = 10


def describe(series: Series, end: float, step_seconds: int) -> dict[str, Any]:
    """Return one alert: when it was first and last seen, and whether it still fires. Gaps in it are not told."""
    first, last = series.points[0][0], series.points[-1][0]
    labels = {name: value for name, value in series.labels.items() if not name.startswith("__")}
    return {
        "alertname": labels.get("alertname", ""),
        "severity": labels.get("severity", ""),
        "about": describe_labels({name: value for name, value in labels.items() if name != "alertstate"}),
        "from": _moment(first),
        "until": _moment(last),
        "fires": last > end - 2 * step_seconds,
    }


def fetch_alerts(fetch: FetchRange, begin: float, end: float) -> list[dict[str, Any]]:
    """Return every alert that fired, by its begin. Raises HttpError."""
    step = max(15, math.ceil((end - begin) / STEPS))
    try:
        status, body = bounded(lambda: fetch(QUERY, step), TIMEOUT_SECONDS)
    except HttpError:
        raise
    except Exception as error:  # whatever a network or a library comes up with is one thing: no answer
        raise HttpError(f"no answer: {error or type(error).__name__}") from error
    found = [describe(each, end, step) for each in parse_range_answer(status, body) if each.points]
    return sorted(found, key=lambda each: (each["from"], each["alertname"], each["about"]))


def observe(params: Mapping[str, Any], now: Callable[[], datetime]) -> dict[str, Any]:
    """Return the module result: the alerts since then. Never raises."""
    end = now()
    try:
        begin = parse_utc(params["since"]) if params["since"] else end - A_SHIFT
        if begin >= end:
            raise ValueError(f"{params['since']} is not in the past of this host, whose clock says {format_utc(end)}")
        begin = max(begin, end - LONGEST)
        times = begin.timestamp(), end.timestamp()
        alerts = fetch_alerts(http_fetch_range(parse_endpoint(params), *times), *times)
    except (ValueError, HttpError) as error:
        return _result("unknown", str(error), [])
    firing = sum(each["fires"] for each in alerts)
    return _result("proven", f"{len(alerts)} alerts since {format_utc(begin)}, {firing} of them still fire", alerts)


def _moment(epoch: float) -> str:
    return format_utc(datetime.fromtimestamp(epoch, UTC))


def _result(outcome: str, summary: str, alerts: list[dict[str, Any]]) -> dict[str, Any]:
    lines = [
        f"{each['alertname']}  {each['about']}  {each['from']} to {'now' if each['fires'] else each['until']}"
        for each in alerts
    ]
    next_command = "" if outcome == "proven" else "./runbook checks"
    return build_result(outcome, summary, next_command=next_command, alerts=alerts, lines=lines)
