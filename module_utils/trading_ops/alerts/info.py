"""What fires and what is silenced as a module result, and silences that end by themselves."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any, Final

from ..checks.rules import WATCHDOG, alert_name
from ..core.clock import format_utc
from ..core.result import build_result
from .alertmanager import (
    FEWEST_CHARACTERS,
    Alert,
    Alertmanager,
    AlertmanagerError,
    Matcher,
    Silence,
    select_alerts,
    select_silences,
)

LONGEST_MINUTES: Final = 24 * 60
"""A silence outlives no shift that nobody hands over; who needs it longer says so again."""

SEE_ALERTS: Final = "./runbook alerts"

_SHOWN: Final = 5
_WHOLE_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Seen:
    """What Alertmanager answered."""

    version: str
    alerts: tuple[Alert, ...]
    silences: tuple[Silence, ...]


_NOT_SEEN: Final = Seen("", (), ())


def observe(alertmanager: Alertmanager, wanted: str = "") -> dict[str, Any]:
    """Return the module result: what fires and what is silenced. Never raises.

    wanted: name or fingerprint of the alerts in `matching`; `refused` where none of them fires.
    """
    try:
        seen = Seen(alertmanager.status().version, alertmanager.alerts(), alertmanager.silences())
    except AlertmanagerError as error:
        return _seen("unknown", str(error), _NOT_SEEN, (), "./runbook alerting_start")
    matching = select_alerts(seen.alerts, wanted) if wanted else ()
    if wanted and not matching:
        return _seen("refused", f"no alert {wanted!r} fires", seen, (), SEE_ALERTS)
    real = [alert for alert in seen.alerts if alert.name != WATCHDOG]
    critical = sum(alert.labels.get("severity") == "critical" for alert in real)
    text = f"{len(real)} alerts fire ({critical} critical), {len(seen.silences)} silences"
    return _seen("proven", text, seen, matching)


def ensure_silenced(
    alertmanager: Alertmanager, params: Mapping[str, Any], now: Callable[[], datetime], dry_run: bool
) -> dict[str, Any]:
    """Return the module result of `state: present`: the silence is there, and ends. Never raises."""
    minutes, incident_id = params["minutes"], params["incident_id"]
    if not params["matchers"] or not all(params[name].strip() for name in ("by", "reason", "incident_id")):
        return _silenced("usage", "what is silenced, by whom, why, and for which incident has to be said")
    if not 1 <= (minutes or 0) <= LONGEST_MINUTES:
        return _silenced("usage", f"minutes: a silence lasts from 1 to {LONGEST_MINUTES} minutes, not {minutes!r}")
    matchers = tuple(Matcher(name, str(value)) for name, value in sorted(params["matchers"].items()))
    comment = f"{incident_id}: {' '.join(params['reason'].split())}"
    begin = now()
    end = begin + timedelta(minutes=minutes)
    # A second run a moment later asks for the same; one that asks for much longer asks for another end.
    enough = format_utc(end - timedelta(minutes=max(1, minutes / 10)))

    def covers() -> str:
        return _describe_covered(alertmanager, matchers, params["check_ids"])

    try:
        there = [each for each in alertmanager.silences() if _is_same(each, matchers, comment)]
        if long := [each for each in there if each.ends_at >= enough]:
            text = f"is silenced: {_describe(long[0])}; {covers()}"
            return _silenced("planned" if dry_run else "proven", text, long[0])
        if dry_run:
            text = ", ".join(matcher.describe() for matcher in matchers)
            return _silenced("planned", f"would silence {text} until {format_utc(end)}; {covers()}", changed=True)
        made = alertmanager.silence(matchers, begin, end, params["by"], comment)
        found = [each for each in alertmanager.silences() if each.id == made]
        is_there = bool(found) and _is_same(found[0], matchers, comment) and found[0].ends_at <= format_utc(end)
        for each in there if is_there else ():
            alertmanager.expire(each.id)
    except AlertmanagerError as error:
        return _silenced("failed", str(error))
    if not is_there:
        return _silenced("failed", f"the silence {made} is not there as it was asked for", changed=True)
    return _silenced("proven", f"silenced: {_describe(found[0])}; {covers()}", found[0], changed=True)


def ensure_expired(alertmanager: Alertmanager, silence_id: str, dry_run: bool) -> dict[str, Any]:
    """Return the module result of `state: absent`: there is no such silence any more. Never raises.

    silence_id: the id, or its beginning. One that Alertmanager does not know is refused, since the silence that was
    meant may live on; but a whole one, which names no other, it may have forgotten after its end.
    """
    wanted = silence_id.strip().lower()
    if not wanted:
        return _silenced("usage", "silence_id: which silence ends has to be said")
    try:
        known = alertmanager.known_silences()
        living = [each for each in known if each.state != "expired"]
        there, ended = select_silences(living, wanted), select_silences(known, wanted)
        if len(there) > 1:
            return _silenced("refused", f"{len(there)} silences begin with {wanted!r}: {_ids(there)}")
        if not there and not ended and not _WHOLE_ID.fullmatch(wanted):
            text = f"the id of no silence begins with {wanted!r} ({FEWEST_CHARACTERS} characters at least)"
            return _silenced("refused", f"{text}; there {f'are: {_ids(living)}' if living else 'is none'}")
        if not there:
            forgotten = f"there is no silence {wanted}: Alertmanager does not know it (any more)"
            text = f"has ended already: {_describe(ended[0])}" if ended else forgotten
            return _silenced("planned" if dry_run else "proven", text)
        if dry_run:
            return _silenced("planned", f"would end {_describe(there[0])}", there[0], changed=True)
        alertmanager.expire(there[0].id)
        if any(each.id == there[0].id for each in alertmanager.silences()):
            return _silenced("failed", f"{there[0].id} is still there", there[0], changed=True)
    except AlertmanagerError as error:
        return _silenced("failed", str(error))
    return _silenced("proven", f"ended: {_describe(there[0])}", there[0], changed=True)


def describe_labels(labels: Mapping[str, str]) -> str:
    """Return what tells alerts of one name apart: `host=homelab1, symbol=BTCUSDT`; without a host, the instance."""
    known = {"alertname", "severity", "action", "check", "group", "section", "job"}
    if "host" in labels:
        known.add("instance")
    return ", ".join(f"{name}={value}" for name, value in sorted(labels.items()) if name not in known)


def _describe_covered(alertmanager: Alertmanager, matchers: Sequence[Matcher], check_ids: Sequence[str]) -> str:
    """Return which alerts that fire a silence covers. One that covers none is legitimate, or a name typed wrong."""
    try:
        alerts = alertmanager.alerts()
    except AlertmanagerError as error:
        return f"whether it covers an alert is not known: {error}"
    if covered := sum(all(matcher.holds(alert.labels) for matcher in matchers) for alert in alerts):
        return f"it covers {covered} alert{'s that fire' if covered > 1 else ' that fires'} now"
    wanted = next((matcher.value for matcher in matchers if matcher.name == "alertname"), "")
    elsewhere = [f"for {describe_labels(alert.labels) or 'the estate'}" for alert in alerts if alert.name == wanted]
    names = {name.lower(): name for name in (*map(alert_name, check_ids), *(alert.name for alert in alerts))}
    text = "it covers NO ALERT that fires now"
    if elsewhere:
        text += f"; {wanted} fires {' and '.join(elsewhere[:_SHOWN])}"
    elif wanted and wanted not in names.values():
        near = get_close_matches(wanted.lower(), names, n=1)
        text += f"; {wanted!r} neither fires nor is a check's alert" + (f", {names[near[0]]} is" if near else "")
    return text


def _is_same(silence: Silence, matchers: Sequence[Matcher], comment: str) -> bool:
    own = sorted(silence.matchers, key=lambda each: each.name)
    return silence.state != "expired" and tuple(own) == tuple(matchers) and silence.comment == comment


def _ids(silences: Sequence[Silence]) -> str:
    return ", ".join(each.id for each in silences)


def _describe(silence: Silence) -> str:
    return f"{silence.describe()} until {silence.ends_at} by {silence.created_by} ({silence.comment}), id {silence.id}"


def _line(alert: Alert) -> str:
    silenced = "  SILENCED" if alert.silenced_by else ""
    severity = alert.labels.get("severity", "no severity").upper()
    where = describe_labels(alert.labels)
    text = alert.annotations.get("summary", "")
    return f"{severity:<8}  {alert.name}  {where}  since {alert.starts_at}  {alert.fingerprint[:8]}{silenced}  {text}"


def _seen(outcome: str, summary: str, seen: Seen, matching: Sequence[Alert], next_command: str = "") -> dict[str, Any]:
    shown = [_line(alert) for alert in seen.alerts if alert.name != WATCHDOG]
    return build_result(
        outcome,
        summary,
        next_command=next_command,
        version=seen.version,
        alerts=[asdict(alert) for alert in seen.alerts],
        matching=[{**asdict(alert), "alertname": alert.name} for alert in matching],
        silences=[asdict(silence) for silence in seen.silences],
        lines=[*shown, *(f"SILENCE  {_describe(each)}" for each in seen.silences)],
    )


def _silenced(outcome: str, summary: str, silence: Silence | None = None, changed: bool = False) -> dict[str, Any]:
    next_command = SEE_ALERTS if outcome in {"failed", "refused"} else ""
    found = asdict(silence) if silence else {}
    return build_result(outcome, summary, changed=changed, next_command=next_command, silence=found)
