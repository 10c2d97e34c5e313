"""Whether the feed has to stop: the data is reported or found to be wrong, and every bot is proven to be down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from ..core.outcome import GOOD
from ..core.result import build_result

GROUP: Final = "data_quality"
"""Checks of the catalogue that find wrong data. A late or silent feed is no reason to stop it."""


def decide(
    is_reported: bool, metrics: Iterable[Mapping[str, Any]], stops: Mapping[str, Mapping[str, Any]], scope: str = "all"
) -> dict[str, Any]:
    """Return the module result; `must_stop` only where it is certain that no bot is cut off from its data.

    metrics: results of `metric_checks_info`. stops: that of `kill_switch` by trading host, for bots of `scope`.
    """
    checks = [check for result in metrics for check in result.get("checks") or []]
    quality = {str(check.get("id")): check.get("outcome") for check in checks if check.get("group") == GROUP}
    failing = [name for name, outcome in quality.items() if outcome == "fail"]
    unknown = [name for name, outcome in quality.items() if outcome not in {"pass", "fail"}]
    unproven = sorted(host for host, result in stops.items() if scope != "all" or result.get("outcome") not in GOOD)
    if is_reported or failing:
        found = "; ".join(filter(None, ["data corruption was reported" if is_reported else "", _fail(failing)]))
        if unproven or not stops:
            hosts = ", ".join(unproven) or "any host"
            sentence = f"{found}; the feed stays up, since nothing proves that the bots are down on {hosts}"
            return build_result("refused", sentence, next_command="./runbook failsafe_stop", must_stop=False)
        return build_result("proven", found, must_stop=True)
    if unknown or not quality:
        checked = ", ".join(unknown) or "it was not asked for"
        sentence = f"whether the data is wrong is not known ({checked}); the feed was left as it is"
        command = './runbook feed_stop -e reason="the data is wrong" (if it is)'
        return build_result("unknown", sentence, next_command=command, must_stop=False)
    sentence = f"no sign of wrong data ({', '.join(quality)} pass); the feed was left as it is"
    return build_result("proven", sentence, must_stop=False)


def _fail(names: Sequence[str]) -> str:
    return f"{', '.join(names)} fail{'s' * (len(names) == 1)}" if names else ""
