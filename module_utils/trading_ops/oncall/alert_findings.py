"""Section 2.5 of the start of a shift: what fires and who is on it, what is silenced, whether alerts arrive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from ..alerts.alertmanager import Matcher, Silence
from ..alerts.info import describe_labels
from ..checks.rules import WATCHDOG, alert_name
from ..core.clock import parse_utc
from ..core.commands import checked_command
from .seen import Finding, Seen, explain_missing

SILENCE_ENDS_SOON: Final = timedelta(hours=2)
STOPS: Final = frozenset({"stop_bots", "stop_live"})


def who_has(alert: Mapping[str, Any], takes: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return who took the alert, and what comes next; empty for nobody. One that went and came back is nobody's."""
    own = [
        take
        for take in takes
        if take.get("fingerprint") == alert["fingerprint"]
        and (take.get("starts_at") == alert["starts_at"] or str(take.get("at")) >= alert["starts_at"])
    ]
    return own[-1] if own else {}


def judge_alerts(seen: Seen) -> Iterator[Finding]:
    """Yield the points of section 2.5."""
    # An estate without the receiver was never promised that an alert stops anything.
    if seen.alert_path is not None and seen.alert_path.get("is_set_up") is not False:
        is_good = seen.alert_path.get("outcome") == "proven"
        outcome = "pass" if is_good else "fail" if "is_set_up" in seen.alert_path else "unknown"
        named = checked_command(str(seen.alert_path.get("next_command") or ""))
        fix = "" if is_good else named or "./runbook oncall_access"
        yield Finding("2.5", "alerts that stop trading", outcome, explain_missing(seen.alert_path), fix)
    for host, result in seen.alerts.items():
        if result.get("outcome") != "proven":
            text = explain_missing(result)
            yield Finding("2.5", f"Alertmanager on {host}", "unknown", text, "./runbook alerting_start")
            continue
        yield Finding("2.5", f"Alertmanager on {host}", "pass", f"{result['version']}: {result['summary']}")
        if not any(alert["labels"].get("alertname") == WATCHDOG for alert in result["alerts"]):
            text = "the alert that always fires does not arrive: no other would"
            yield Finding("2.5", f"path of alerts on {host}", "fail", text, "./runbook monitoring_setup")
        takes = seen.shift.get("takes")
        for alert in result["alerts"]:
            if alert["labels"].get("alertname") != WATCHDOG:
                yield _alert(alert, takes)
        for silence in result["silences"]:
            yield from _silence(seen, silence)


def _alert(alert: Mapping[str, Any], takes: Sequence[Mapping[str, Any]] | None) -> Finding:
    labels = alert["labels"]
    severity = labels.get("severity", "no severity")
    subject = f"alert {labels.get('alertname', '')} {describe_labels(labels)}".strip()
    text = f"{severity}, since {alert['starts_at']}: {alert['annotations'].get('summary', '')}"
    text += ", silenced" if alert["silenced_by"] else ""
    take = f'./runbook alert_take -e alert={alert["fingerprint"][:8]} -e next_step="what you do about it"'
    if takes is None:
        return Finding("2.5", subject, "unknown", f"{text}; nobody knows whether somebody is on it", take)
    if own := who_has(alert, takes):
        return Finding(
            "2.5", subject, "pass", f"{text}; {own.get('by')} is on it since {own.get('at')}: {own.get('next')}"
        )
    is_critical = severity not in {"warning", "none"}
    return Finding("2.5", subject, "fail" if is_critical else "pass", f"{text}; nobody is on it", take)


def _silence(seen: Seen, found: Mapping[str, Any]) -> Iterator[Finding]:
    silence = parse_silence(found)
    subject = f"silence {silence.describe()}"
    summary = f"until {silence.ends_at} by {silence.created_by}: {silence.comment}"
    left = parse_utc(silence.ends_at) - seen.now
    stops = stops_silenced(seen.alerts, seen.checks, silence)
    if stops:
        end = f"./runbook silence_end -e id={silence.id}"
        text = f"{summary}; it silences what stops trading: {', '.join(stops)}"
        yield Finding("2.5", subject, "fail", text, end)
    elif left <= SILENCE_ENDS_SOON:
        fix = "fix its cause, or type the same ./runbook silence again, with its minutes from now on"
        yield Finding(
            "2.5", subject, "fail", f"{summary}; it ends in {max(0, round(left.total_seconds() / 60))} min", fix
        )
    else:
        yield Finding("2.5", subject, "pass", summary)


def parse_silence(found: Mapping[str, Any]) -> Silence:
    """Return a silence from its plain values."""
    return Silence(**{**found, "matchers": tuple(Matcher(**each) for each in found["matchers"])})


def stops_silenced(
    alerts: Mapping[str, Mapping[str, Any]], checks: Mapping[str, Mapping[str, Any]], silence: Silence
) -> list[str]:
    """Return the alerts that stop bots and that this silence keeps quiet now, or would."""
    firing = [alert["labels"] for result in alerts.values() for alert in result.get("alerts", [])]
    possible = [
        {
            "alertname": alert_name(check["id"]),
            **{name: check[name] for name in ("severity", "action", "group", "section")},
            "check": check["id"],
            **series["labels"],
        }
        for result in checks.values()
        for check in result.get("checks", [])
        for series in check["series"] or [{"labels": {}}]
    ]
    covered = (
        labels.get("alertname", "")
        for labels in [*firing, *possible]
        if labels.get("action") in STOPS and silence.covers(labels)
    )
    return sorted(set(covered))
