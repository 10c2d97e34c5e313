"""The ranges behind every check of the catalogue, as Prometheus has them, for the evidence of an incident."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ..core.clock import format_utc, parse_utc
from ..core.durable import bounded
from ..core.outcome import GOOD
from ..core.result import build_result
from ..core.scratch import SCRATCH_PREFIX
from ..core.shown_urls import show_url
from ..host.http import MAX_BYTES, HttpError, parse_endpoint
from .catalogue import CatalogueError, Check, parse_checks
from .evaluate import MAX_QUERIES_AT_ONCE
from .prometheus import Series, http_fetch_range, parse_range_answer

MOST_POINTS: Final = 11_000
"""Prometheus refuses a range of more points in one series."""

CURVE_SECONDS: Final = 86_400
CURVE_POINTS: Final = 288
"""Of a day, one every five minutes: more is not seen in a picture."""

CURVE_TIMEOUT_SECONDS: Final = 10
"""For all of them."""

_POINT_BYTES: Final = 40
"""What a point takes in an answer, at most."""

FetchRange = Callable[[str, int], tuple[int, bytes]]


def step_seconds(range_seconds: float, interval_seconds: float, series: int) -> int:
    """Return the smallest step at which an answer with so many series is neither refused nor cut."""
    points = min(MOST_POINTS, MAX_BYTES // (_POINT_BYTES * max(1, series))) - 1
    return max(1, math.ceil(interval_seconds), math.ceil(range_seconds / points))


def observe_ranges(
    checks: Sequence[Check],
    fetch: FetchRange,
    range_seconds: float,
    interval_seconds: float,
    timeout_seconds: float,
    clock: Callable[[], float],
) -> list[dict[str, Any]]:
    """Return one entry per check: what it is, its step, and its series or why there are none. Never raises."""
    until = clock() + timeout_seconds

    def ask(check: Check) -> dict[str, Any]:
        step = step_seconds(range_seconds, interval_seconds, len(check.expected))
        series: tuple[Series, ...] = ()
        reason = ""
        try:
            left = until - clock()
            if left <= 0:
                raise HttpError("Prometheus took too long over the ranges before it.")
            status, body = bounded(lambda: fetch(check.query, step), left)
            series = parse_range_answer(status, body)
            reason = "" if series else check.no_data
        except TimeoutError:
            reason = "no whole answer in time"
        except HttpError as error:
            reason = str(error)
        except Exception as error:  # whatever a network or a library comes up with is one thing: no answer
            reason = f"no answer: {error or type(error).__name__}"
        return {
            **{name: getattr(check, name) for name in ("id", "title", "section", "group", "query", "unit")},
            **{name: getattr(check, name) for name in ("condition", "threshold")},
            "step_seconds": step,
            "status": "complete" if series else "missing" if reason == check.no_data else "failed",
            "reason": reason,
            "series": [{"labels": dict(each.labels), "points": list(map(_shown, each.points))} for each in series],
        }

    with ThreadPoolExecutor(MAX_QUERIES_AT_ONCE) as pool:
        return list(pool.map(ask, checks))


def collect(
    params: Mapping[str, Any], now: Callable[[], float], clock: Callable[[], float], is_dry: bool
) -> dict[str, Any]:
    """Return the module result; the ranges themselves are in the file that it names."""
    try:
        checks = parse_checks(params["checks"])
        end = parse_utc(params["until"]).timestamp() if params["until"] else now()
    except (CatalogueError, ValueError) as error:
        return _result("failed", str(error))
    if is_dry:
        return _result("planned", f"would take the ranges behind {len(checks)} checks")
    seconds = float(params["range_seconds"])
    fetch = http_fetch_range(parse_endpoint(params), end - seconds, end)
    found = observe_ranges(checks, fetch, seconds, params["scrape_interval_seconds"], params["timeout_seconds"], clock)
    whole = sum(entry["status"] == "complete" for entry in found)
    ranges = {
        "format": 1,
        "prometheus_url": show_url(params["prometheus_url"]),
        "begin": _format_epoch(end - seconds),
        "end": _format_epoch(end),
        "checks": found,
    }
    try:
        path = _write(Path(params["scratch_path"]), ranges)
    except OSError as error:
        return _result("failed", f"the ranges could not be written: {error}")
    errors = sorted({entry["reason"] for entry in found if entry["status"] == "failed"})
    summary = f"ranges behind {whole} of {len(found)} checks" + "".join(f"; {reason}" for reason in errors[:2])
    return _result("failed" if errors else "proven", summary, str(path), whole)


def collect_curves(params: Mapping[str, Any], now: Callable[[], float], clock: Callable[[], float]) -> dict[str, Any]:
    """Return the last day of the checks in `curves`, as values and not in a file. Never raises on what it sees.

    The catalogue is good: its checks have been evaluated before.
    """
    checks = [check for check in parse_checks(params["checks"]) if check.id in params["curves"]]
    end = now()
    fetch = http_fetch_range(parse_endpoint(params), end - CURVE_SECONDS, end)
    found = observe_ranges(checks, fetch, CURVE_SECONDS, CURVE_SECONDS / CURVE_POINTS, CURVE_TIMEOUT_SECONDS, clock)
    return {"begin": _format_epoch(end - CURVE_SECONDS), "end": _format_epoch(end), "checks": found}


def _format_epoch(epoch: float) -> str:
    """Return seconds since 1970 as this project writes times."""
    return format_utc(datetime.fromtimestamp(epoch, UTC))


def _shown(point: tuple[float, float]) -> list[float | None]:
    """Return a point for JSON, which has no words for NaN and the infinities."""
    at, value = point
    return [round(at, 3), value if math.isfinite(value) else None]


def _write(scratch: Path, ranges: Mapping[str, Any]) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX, dir=scratch))
    path = folder / "metrics.json"
    with open(path, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        json.dump(ranges, file, separators=(",", ":"))
    return path


def _result(outcome: str, summary: str, path: str = "", complete: int = 0) -> dict[str, Any]:
    next_command = "" if outcome in GOOD else "./runbook checks"
    return build_result(outcome, summary, next_command=next_command, path=path, complete=complete)
