"""What is known when an incident is judged. What is missing is unknown, and never taken for fine.

`{"checks": […], "hosts": {host: …}, "open_orders": {…}, "config_changes": […], "order_errors": n, "loss_percent": x,
"downtime_seconds": x, "reason": text, "data_corruption": bool}`. A host is `{"reachable", "engine"}`, the engine's
trouble or empty, or what `kill_switch_info` said of it. In place of `open_orders` and `config_changes` there can be
`open_orders_by_host` and `drift_logs`, what `open_orders_info` and `drift_log_info` said on each trading host.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

LOSS_CHECKS: Final = frozenset({"live_pnl_day", "live_pnl_day_last"})
"""The day's PnL in percent of the equity that it began with. Paper loses no capital."""

STOPPED_CHECKS: Final = frozenset({"bot_seen", "bot_bar_age", "bot_trades", "bot_database_age"})
"""Fail where no bot runs, which our own stop brings about."""


TEXT_CHARACTERS: Final = 160


@dataclass(frozen=True)
class Check:
    """One check of the catalogue, as it turned out: `pass`, `fail` or `unknown`."""

    id: str
    group: str
    severity: str
    outcome: str
    value: float | None
    text: str


@dataclass(frozen=True)
class Facts:
    """The facts, read leniently: a value of another shape than it should have is unknown (None).

    hosts: what is wrong with each host that was asked, empty text for nothing.
    venue: what is wrong with the venue's answer, empty text for nothing, None where it was not asked.
    """

    checks: tuple[Check, ...]
    hosts: Mapping[str, str]
    venue: str | None
    open_orders: int | None
    config_changes: tuple[Mapping[str, Any], ...] | None
    order_errors: float | None
    loss_percent: float | None
    downtime_seconds: float | None
    reason: str
    data_corruption: bool

    def failing(self, *groups: str) -> list[Check]:
        """Return the checks of these groups that fail, but for those that fail wherever a bot is stopped."""
        return [item for item in self.of(*groups) if item.outcome == "fail" and item.id not in STOPPED_CHECKS]

    def of(self, *groups: str) -> list[Check]:
        """Return the checks of these groups."""
        return [check for check in self.checks if check.group in groups]


def parse_facts(given: Mapping[str, Any]) -> Facts:
    """Return the facts that a play collected; never raises."""
    checks = tuple(_parse_checks(given.get("checks")))
    open_orders = given.get("open_orders") or _best_answer(given.get("open_orders_by_host"))
    count = open_orders.get("count") if isinstance(open_orders, Mapping) else None
    changes = given.get("config_changes", _all_changes(given.get("drift_logs")))
    errors = _number(given.get("order_errors"))
    loss = _number(given.get("loss_percent"))
    return Facts(
        checks=checks,
        hosts=_parse_hosts(given.get("hosts")),
        venue=_parse_venue(open_orders),
        open_orders=count if isinstance(count, int) and not isinstance(count, bool) else None,
        config_changes=tuple(item for item in changes if isinstance(item, Mapping))
        if isinstance(changes, list)
        else None,
        order_errors=errors if errors is not None else _largest(checks, {"bot_order_errors"}),
        loss_percent=loss if loss is not None else _loss(checks),
        downtime_seconds=_number(given.get("downtime_seconds")),
        reason=str(given.get("reason") or ""),
        data_corruption=str(given.get("data_corruption")).lower() in {"true", "yes", "1"},
    )


def _parse_checks(given: object) -> Iterable[Check]:
    for item in given if isinstance(given, list) else []:
        if isinstance(item, Mapping) and item.get("id"):
            outcome = str(item.get("outcome"))
            value = _number(item.get("value"))
            shown = "no value" if value is None else f"{value:.6g} {item.get('unit', '')}".strip()
            limit = f"must be {item.get('condition', '')} {item.get('threshold', '')}"
            yield Check(
                id=str(item["id"]),
                group=str(item.get("group", "")),
                severity=str(item.get("severity", "")),
                outcome=outcome if outcome in {"pass", "fail"} else "unknown",
                value=value,
                text=f"{item['id']}: {shown}, {limit}",
            )


def _parse_hosts(given: object) -> dict[str, str]:
    found = {}
    for host, seen in given.items() if isinstance(given, Mapping) else ():
        seen = seen if isinstance(seen, Mapping) else {}
        engine = seen.get("engine")
        if "outcome" in seen:
            error = "; ".join(map(str, seen.get("trouble") or ["unknown"]))[:TEXT_CHARACTERS]
            found[str(host)] = "" if seen["outcome"] == "proven" else f"its engine: {error}"
        elif seen.get("reachable") is not True:
            found[str(host)] = "did not answer"
        elif engine:
            found[str(host)] = f"its engine: {engine}"
        else:
            found[str(host)] = "" if isinstance(engine, str) else "its engine was not asked"
    return found


def _best_answer(given: object) -> Mapping[str, Any] | None:
    """Return what the venue told one of the hosts, else why it told none of them."""
    answers = [item for item in given if isinstance(item, Mapping)] if isinstance(given, list) else []
    answers.sort(key=lambda item: item.get("outcome") != "proven")
    return answers[0] if answers else None


def _all_changes(given: object) -> list[Any] | None:
    """Return the changes on all hosts; None where of one of them nothing is known."""
    logs = given if isinstance(given, list) else []
    if not logs or not all(isinstance(log, Mapping) and log.get("outcome") == "proven" for log in logs):
        return None
    return [entry for log in logs for entry in log.get("entries", [])]


def _parse_venue(open_orders: object) -> str | None:
    if not isinstance(open_orders, Mapping) or not open_orders.get("url"):
        return None  # no endpoint is configured, so nobody asked
    if open_orders.get("outcome") == "proven":
        return ""
    return str(open_orders.get("summary") or "the venue gave no answer")


def _loss(checks: Sequence[Check]) -> float | None:
    worst = _largest([replace(check, value=-check.value) for check in checks if check.value is not None], LOSS_CHECKS)
    return None if worst is None else max(worst, 0.0)


def _largest(checks: Iterable[Check], ids: Collection[str]) -> float | None:
    """Return the largest value of these checks that a sample stands behind."""
    values = [check.value for check in checks if check.id in ids and check.outcome != "unknown"]
    return max((value for value in values if value is not None), default=None)


def _number(given: object) -> float | None:
    if isinstance(given, str):  # as it comes from -e
        try:
            given = float(given)
        except ValueError:
            return None
    if isinstance(given, bool) or not isinstance(given, int | float):
        return None
    return float(given) if math.isfinite(given) else None
