"""What the modules for metric checks are asked for, and what they return."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..core.clock import uptime
from ..core.result import build_result
from ..core.shown_urls import show_url
from ..host.http import parse_endpoint
from .catalogue import CatalogueError, find_line, parse_checks, select_checks, select_gates
from .evaluate import (
    CheckResult,
    Limits,
    Window,
    by_reason,
    controller_distrust,
    distrust_all,
    evaluate_all,
    wait_until_stable,
)
from .prometheus import Fetch, http_fetch

_NOT_WAITED: Final[dict[str, Any]] = {"closed_by": [], "waited_seconds": 0.0, "steps": 0}


@dataclass(frozen=True)
class Tools:
    """All I/O of a run: how Prometheus is asked, the time of day, a clock that only goes forward, and waiting."""

    fetch: Fetch
    now: Callable[[], float] = time.time
    clock: Callable[[], float] = uptime
    sleep: Callable[[float], None] = time.sleep


def build_tools(params: Mapping[str, Any]) -> Tools:
    """Return the I/O of a run against the Prometheus that a module's parameters name."""
    return Tools(http_fetch(parse_endpoint(params)))


def observe_once(params: Mapping[str, Any], tools: Tools) -> dict[str, Any]:
    """Return the module result of evaluating once: `proven`, `failed`, `unknown`, or `invalid` without any check."""
    try:
        observe, _ = _prepare(params, tools)
    except CatalogueError as error:
        return _invalid(error, params, tools)
    results = observe()
    bad = _not_passed(results)
    outcomes = [result.outcome for result in bad]
    outcome = "failed" if "fail" in outcomes else "unknown" if outcomes else "proven"
    summary = f"{len(results) - len(bad)} of {len(results)} checks pass"
    if bad:
        summary += f"; {_reasons(bad)}"
    page = "runbooks/{}.md {}".format(*bad[0].check.section.split(" ")) if bad else ""
    return _result(outcome, summary, page, results, params, tools)


def wait(params: Mapping[str, Any], tools: Tools) -> dict[str, Any]:
    """Return the module result of waiting: `proven`, `refused` at the end of the time; `invalid` or `usage`."""
    try:
        observe, distrust = _prepare(params, tools)
    except CatalogueError as error:
        return _invalid(error, params, tools) | _NOT_WAITED
    stable, interval, timeout = (float(params[f"{name}_seconds"]) for name in ("stable", "interval", "timeout"))
    if not 0 <= stable <= timeout or interval <= 0:
        summary = f"a window of {stable:g} s in steps of {interval:g} s does not fit into {timeout:g} s"
        return _result("usage", summary, "", (), params, tools) | _NOT_WAITED
    # A clock that is off does not come right by waiting: the controller's was given once.
    settle = 0 if distrust else params["settle_seconds"]
    window = Window(stable, interval, timeout, params["fail_fast"] or bool(distrust), settle)
    waited = wait_until_stable(observe, tools.clock, tools.sleep, window)
    if waited.is_stable:
        summary = f"all {len(waited.results)} checks passed at every step for {waited.stable_seconds:.0f} s"
    elif waited.closed_by:
        summary = f"closed after {waited.waited_seconds:.0f} s by {_reasons(waited.closed_by)}"
    else:
        summary = f"all checks pass, for {waited.stable_seconds:.0f} of {stable:g} s only"
    if waited.closed_by and waited.stable_seconds:
        summary += f"; since then all passed, for {waited.stable_seconds:.0f} of {stable:g} s"
    outcome, next_command = ("proven", "") if waited.is_stable else ("refused", "./runbook checks")
    result = _result(outcome, summary, next_command, waited.results, params, tools)
    return result | {
        "closed_by": [_shown(item) for item in waited.closed_by],
        "waited_seconds": round(waited.waited_seconds, 3),
        "steps": waited.steps,
    }


def format_lines(results: Sequence[CheckResult]) -> list[str]:
    """Return the checks as a table: a line each, and under it what is wrong with it and those that follow."""
    rows = [("", "check", "value", "must be", "unit", "age", "runbook")]
    for result in results:
        check = result.check
        value = "-" if result.value is None else f"{result.value:.6g}"
        if result.value is not None and len(result.series) > 1:
            value += f" (worst of {len(result.series)})"
        rows.append(
            (
                result.outcome.upper(),
                check.id,
                value,
                f"{check.condition} {check.threshold:.6g}",
                check.unit,
                "-" if result.age_seconds is None else f"{result.age_seconds:.1f} s",
                check.section,
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    reasons = ["", *(result.reason for result in results)]
    found = []
    # Without Prometheus all checks have one reason; it stands under the first of them.
    for line, reason, before in zip(lines, reasons, ["", *reasons], strict=False):
        found.append(line)
        if reason and reason != before:
            found.append(f"{'':{widths[0]}}  {_printable(reason)}")
    return found


def _prepare(params: Mapping[str, Any], tools: Tools) -> tuple[Callable[[], tuple[CheckResult, ...]], str]:
    """Return what evaluates all checks once, and why nothing may be believed, if so. Raises CatalogueError."""
    select = {str(name): str(value) for name, value in params["select"].items()}
    items = select_gates(params["checks"], params.get("gates") or ())
    checks = select_checks(parse_checks(items), select)
    if not checks:
        selection = ", ".join(f"{name}={value}" for name, value in select.items())
        raise CatalogueError("the catalogue", "expected", f"no check expects a series with {selection}")
    limits = Limits(
        scrape_interval_seconds=params["scrape_interval_seconds"],
        clock_offset_seconds=params["clock_offset_seconds"],
        query_timeout_seconds=params["query_timeout_seconds"],
    )
    distrust = controller_distrust(params["controller_epoch"], tools.now(), limits)
    if distrust:
        return lambda: distrust_all(checks, distrust), distrust
    return lambda: evaluate_all(checks, tools.fetch, tools.now, tools.clock, limits, select), ""


def _invalid(error: CatalogueError, params: Mapping[str, Any], tools: Tools) -> dict[str, Any]:
    line = find_line(params["catalogue_text"] or "", error)
    where = f"roles/check_catalogue/vars/main.yml line {line}: " if line else ""
    return _result("invalid", f"{where}{error}", "", (), params, tools)


def _not_passed(results: Iterable[CheckResult]) -> list[CheckResult]:
    """Return the checks that did not pass, those that failed before those of which nothing is known."""
    bad = [result for result in results if result.outcome != "pass"]
    return sorted(bad, key=lambda result: result.outcome != "fail")


def _reasons(results: Iterable[CheckResult]) -> str:
    return _printable(by_reason((result.check.id, result.reason) for result in results))


def _shown(result: CheckResult) -> dict[str, Any]:
    check = result.check
    return {
        "id": check.id,
        "title": check.title,
        "section": check.section,
        "group": check.group,
        "severity": check.severity,
        "action": check.action,
        "outcome": result.outcome,
        "value": result.value,
        "unit": check.unit,
        "condition": check.condition,
        "threshold": check.threshold,
        "age_seconds": result.age_seconds,
        "reason": result.reason,
        "series": [
            {
                "labels": dict(each.labels),
                "outcome": each.outcome,
                "value": each.value,
                "age_seconds": each.age_seconds,
                "reason": each.reason,
            }
            for each in result.series
        ],
    }


def _result(
    outcome: str,
    summary: str,
    next_command: str,
    results: Sequence[CheckResult],
    params: Mapping[str, Any],
    tools: Tools,
) -> dict[str, Any]:
    return build_result(
        outcome,
        summary,
        next_command=next_command,
        checks=[_shown(result) for result in results],
        lines=format_lines(results) if results else [],
        prometheus_url=show_url(params["prometheus_url"]),
        controller_epoch=params["controller_epoch"],
        host_epoch=tools.now(),
    )


def _printable(text: str) -> str:
    """Return text without control characters: label values and error texts come from elsewhere."""
    return "".join(char for char in text if char.isprintable())
