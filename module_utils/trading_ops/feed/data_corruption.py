"""Whether the feed has to stop: the data is said or found to be wrong, and every bot is proven to be down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from ..core.outcome import GOOD

GROUP: Final = "data_quality"
"""Checks of the catalogue that tell wrong data. A late or silent feed is no reason to stop it."""


def decide(
    is_said: bool, metrics: Iterable[Mapping[str, Any]], stops: Mapping[str, Mapping[str, Any]], scope: str = "all"
) -> dict[str, Any]:
    """Return the module result; `must_stop` only where it is certain that no bot is cut off from its data.

    metrics: results of `metric_checks_info`. stops: that of `kill_switch` by trading host, for bots of `scope`.
    """
    checks = [check for result in metrics for check in result.get("checks") or []]
    quality = {str(check.get("id")): check.get("outcome") for check in checks if check.get("group") == GROUP}
    failing = [name for name, outcome in quality.items() if outcome == "fail"]
    unknown = [name for name, outcome in quality.items() if outcome not in {"pass", "fail"}]
    unproven = sorted(host for host, result in stops.items() if scope != "all" or result.get("outcome") not in GOOD)
    if is_said or failing:
        found = "; ".join(filter(None, ["data corruption was said" if is_said else "", _fail(failing)]))
        if unproven or not stops:
            hosts = ", ".join(unproven) or "any host"
            sentence = f"{found}; the feed stays up, since nothing proves that the bots are down on {hosts}"
            return _result("refused", sentence, "./runbook failsafe_stop")
        return _result("proven", found, must_stop=True)
    if unknown or not quality:
        words = ", ".join(unknown) or "it was not asked for"
        sentence = f"whether the data is wrong is not known ({words}); the feed was left as it is"
        return _result("unknown", sentence, './runbook feed_stop -e reason="the data is wrong" (if it is)')
    return _result("proven", f"no sign of wrong data ({', '.join(quality)} pass); the feed was left as it is")


def _fail(names: Sequence[str]) -> str:
    return f"{', '.join(names)} fail{'s' * (len(names) == 1)}" if names else ""


def _result(outcome: str, summary: str, next_command: str = "", must_stop: bool = False) -> dict[str, Any]:
    return {
        "changed": False,
        "outcome": outcome,
        "summary": summary,
        "next_command": next_command,
        "must_stop": must_stop,
    }
