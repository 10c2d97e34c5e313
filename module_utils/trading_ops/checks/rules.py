"""Alert rules as Prometheus loads them, made from the checks: an alert is raised whenever the gate would not pass."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from .catalogue import Check, Labels

WATCHDOG: Final = "Watchdog"
WATCHDOG_LABELS: Final = {"severity": "none", "action": "none", "group": "watchdog"}
GROUP_PREFIX: Final = "trading_core_"
UNSEEN: Final = "bot_seen"
"""The check whose alert says that a bot is not seen."""

_ABOUT_BOTS: Final = frozenset({"bots", "strategy", "drift"})

# A comparison with NaN is never true, but one with an infinity can be.
_FINITE: Final = {"<": " > -Inf", "<=": " > -Inf", ">": " < Inf", ">=": " < Inf", "==": ""}
_NEXT: Final = {
    "stop_bots": './runbook failsafe_stop -e reason="{title}"',
    "stop_live": './runbook failsafe_stop -e scope=live -e reason="{title}"',
    "pause_deploys": "./runbook checks",
    "none": "./runbook checks",
}


def build_rules(checks: Iterable[Check], scrape_interval_seconds: float) -> dict[str, Any]:
    """Return the content of a rules file: a group for each group of checks, and the alert that always fires.

    That alert carries a digest of all others, so that one can see in a running Prometheus which rules it has.
    """
    interval = f"{round(scrape_interval_seconds * 1000)}ms"
    by_group: dict[str, list[dict[str, Any]]] = {}
    for check in checks:
        by_group.setdefault(check.group, []).append(_rule(check, scrape_interval_seconds))
    groups = [
        {"name": f"{GROUP_PREFIX}{name}", "interval": interval, "rules": rules} for name, rules in by_group.items()
    ]
    digest = hashlib.sha256(json.dumps(groups, sort_keys=True).encode()).hexdigest()
    watchdog = {
        "alert": WATCHDOG,
        "expr": "vector(1)",
        "labels": WATCHDOG_LABELS,
        "annotations": {"summary": "Always fires. Where it does not arrive, no alert does.", "digest": digest},
    }
    return {"groups": [*groups, {"name": f"{GROUP_PREFIX}watchdog", "interval": interval, "rules": [watchdog]}]}


def alert_name(check_id: str) -> str:
    """Return the alert's name, e.g. `FeedLatencyP99` for `feed_latency_p99`."""
    return "".join(word.capitalize() for word in check_id.split("_"))


def alert_labels(check: Check) -> dict[str, str]:
    """Return the labels that an alert carries beside its name and those of its series."""
    return {
        "severity": check.severity,
        "action": check.action,
        "check": check.id,
        "group": check.group,
        "section": check.section,
    }


def alert_expr(check: Check, scrape_interval_seconds: float) -> str:
    """Return PromQL that gives a sample for each series for which, or because of which, the gate would not pass.

    The value is that of the check, NaN for an expected series without one. What is good is written positively (met,
    finite, fresh, not reset), so that whatever is not known to be good raises the alert.
    """
    on = f"on({', '.join(check.labels)})"
    good = [f"({check.query}) {check.condition} {_number(check.threshold)}{_FINITE[check.condition]}"]
    if check.age_query:
        good.append(f"{check.age_query} <= {_number(2 * scrape_interval_seconds)}")
    if check.resets_query:
        good.append(f"{check.resets_query} == 0")
    expected = " or ".join(map(_expected, check.expected))
    together = f" and {on} ".join(f"({part})" for part in (*good, expected))
    return f"(({check.query}) unless {on} ({together})) or (({expected}) unless {on} ({check.query}))"


def render_document(document: Mapping[str, Any]) -> str:
    """Return a file's text. JSON, which every reader of YAML reads and which needs no library on the hosts."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _rule(check: Check, scrape_interval_seconds: float) -> dict[str, Any]:
    series = "".join(f" {name}={{{{ $labels.{name} }}}}" for name in check.labels)
    wanted = f"wanted: {check.condition} {_number(check.threshold)} {check.unit}"
    return {
        "alert": alert_name(check.id),
        "expr": _held_back(check, alert_expr(check, scrape_interval_seconds)),
        "for": f"{check.for_seconds}s",
        **({"keep_firing_for": f"{check.keep_firing_seconds}s"} if check.keep_firing_seconds else {}),
        "labels": alert_labels(check),
        "annotations": {
            "summary": f'{check.title}:{series} {{{{ printf "%.6g" $value }}}} {check.unit}, {wanted}',
            "no_data": f"NaN, or a value that looks good: {check.no_data}",
            "next_command": _NEXT[check.action].format(title=check.title),
        },
    }


def _held_back(check: Check, expr: str) -> str:
    """Return the expression without what is said of a bot that is not seen, which the alert that says so stands for.

    Here and not in Alertmanager, so that it holds for every Alertmanager. What is known of a live bot's money is never
    held back: a bot that comes and goes must not hide a loss.
    """
    if check.group not in _ABOUT_BOTS or check.id == UNSEEN:
        return expr
    held = f'({expr}) unless on(host, mode) ALERTS{{check="{UNSEEN}",alertstate="firing"}}'
    return f"(({expr}) >= -Inf) or ({held})" if check.action == "stop_live" else held


def _expected(labels: Labels) -> str:
    series = "vector(NaN)"
    for name, value in labels:
        series = f'label_replace({series}, {_quoted(name)}, {_quoted(value.replace("$", "$$"))}, "", "")'
    return series


def _quoted(text: str) -> str:
    """Return a PromQL string; its escapes are those of JSON."""
    return json.dumps(text, ensure_ascii=False)


def _number(value: float) -> str:
    return f"{value:.15g}"
