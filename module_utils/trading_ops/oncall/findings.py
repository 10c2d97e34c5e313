"""What a shift begins with, judged: each point of the on-call page is good, bad, or not known.

Starts from what is expected (every host of the estate, every recorded service, every check) and looks for it in what
was seen. What is not there is unknown, which is never good.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from ..core.clock import format_utc
from ..core.commands import checked_command
from .alert_findings import judge_alerts
from .host_findings import judge_hosts, judge_metric_errors
from .open_orders import FIX
from .seen import Finding, Seen, explain_missing

SECTIONS: Final = {
    "2.1": "System status (Systemstatus)",
    "2.2": "LiveFeed",
    "2.3": "Trading bots (Trading-bots)",
    "2.4": "ML drift (ML-drift)",
    "2.5": "Alertmanager",
    "2.8": "Halt, incidents, deploys and backups",
}
"""Number and heading of each, as on the page."""

_SECTION_OF_GROUP: Final = {
    "feed": "2.2",
    "data_quality": "2.2",
    "bots": "2.3",
    "strategy": "2.3",
    "paper_kpi": "2.3",
    "drift": "2.4",
    "hosts": "2.1",
    "monitoring": "2.5",
    "backup": "2.8",
}


_ORDER: Final = ("fail", "unknown", "pass")


def judge(seen: Seen) -> list[Finding]:
    """Return every point, by section, the bad ones first."""
    found = [*judge_hosts(seen), *judge_metric_errors(seen), *_checks(seen), *judge_alerts(seen), *_safety(seen)]
    found += [
        Finding("2.3", f"orders at {each.url}", each.outcome, each.text, "" if each.outcome == "pass" else FIX)
        for each in seen.venues
    ]
    places = list(SECTIONS)
    return sorted(found, key=lambda each: (places.index(each.section), _ORDER.index(each.outcome)))


def outcome_of(findings: Iterable[Finding]) -> str:
    """Return the outcome of a report: one bad point is a failure, one unknown is unknown, none at all is unknown."""
    outcomes = {finding.outcome for finding in findings}
    return "failed" if "fail" in outcomes else "proven" if outcomes == {"pass"} else "unknown"


def compare(before: Iterable[Mapping[str, Any]], findings: Iterable[Finding]) -> list[tuple[str, str, str, str]]:
    """Return section, subject, outcome before (`new` where the point was not there) and now, of what changed."""
    known = {(str(each.get("section")), str(each.get("subject"))): str(each.get("outcome")) for each in before}
    changed = []
    for each in findings:
        was = known.pop((each.section, each.subject), "new")
        if was != each.outcome and (was, each.outcome) != ("new", "pass"):
            changed.append((each.section, each.subject, was, each.outcome))
    gone = [(section, subject, was, "gone") for (section, subject), was in known.items() if was != "pass"]
    return changed + gone


def halted_off_record(
    hosts: Mapping[str, Mapping[str, Any]], incidents: Mapping[str, Any]
) -> Iterator[tuple[str, str, str]]:
    """Return id, what is missing, and the command that syncs it, of each incident that only a halt tells of.

    The operator who stopped has its record in the checkout until an incident procedure syncs it.
    """
    known = {each["id"] for each in incidents["incidents"]}
    for host, status in hosts.items():
        for name in (status.get("latch") or {}).get("incident_ids", []):
            if name not in known:
                known.add(name)
                say = f"./runbook incident_info -e incident_id={name}"
                yield name, f"a record on the control host, and {host} is halted for it", say


def _checks(seen: Seen) -> Iterator[Finding]:
    for host, result in seen.checks.items():
        checks = result.get("checks") or []
        if not checks:
            why = explain_missing(result)
            for section in dict.fromkeys(_SECTION_OF_GROUP.values()):
                yield Finding(section, f"checks on {host}", "unknown", f"not evaluated: {why}", "./runbook checks")
        for check in checks:
            bad = check["outcome"] != "pass"
            value = "no value" if check["value"] is None else f"{check['value']:.6g}"
            text = f"{value}, must be {check['condition']} {check['threshold']:.6g} {check['unit']}"
            page, _, number = check["section"].partition(" ")
            yield Finding(
                _SECTION_OF_GROUP.get(check["group"], "2.1"),
                f"{check['title']} ({check['id']})",
                check["outcome"] if check["outcome"] in _ORDER else "unknown",
                check["reason"] if bad and check["reason"] else text,
                f"runbooks/{page}.md {number}" if bad else "",
            )


def _safety(seen: Seen) -> Iterator[Finding]:
    for host, status in seen.hosts.items():
        if latch := status.get("latch"):
            ids = ", ".join(latch["incident_ids"]) or "no incident"
            text = f"engaged ({latch['scope']}) since {latch['since']} by {latch['by']}: {latch['reason']} [{ids}]"
            yield Finding("2.8", f"{host}: halt", "fail", text, "runbooks/Incident_Handling.md 4.7")
        elif "latch" in status:
            yield Finding("2.8", f"{host}: halt", "pass", "released")
        if gate := status.get("gate"):
            # No fault: a bot that runs needs none, and who starts one is told what to do.
            ends = gate["expires_at"]
            is_over = ends <= format_utc(seen.now)
            until = f"ran out at {ends}, the next start needs another" if is_over else f"until {ends}"
            yield Finding("2.8", f"{host}: feed gate", "pass", f"passed at {gate['passed_at']}, {until}")
    yield from _incidents(seen)
    if "entries" not in seen.shift:
        why = seen.shift.get("msg") or "no result"
        yield Finding(
            "2.8", "record of shifts", "unknown", f"the control host did not say: {why}", "./runbook oncall_access"
        )
    for sentence in seen.shift.get("trouble", []):
        yield Finding("2.8", "record of shifts", "unknown", sentence)
    if "pause" in seen.shift:
        # A pause is somebody's decision, and no fault: what it waits for is in the checks.
        yield Finding("2.8", "deploys", "pass", seen.shift["pause"] or "not paused")


def _incidents(seen: Seen) -> Iterator[Finding]:
    if "incidents" not in seen.incidents:
        text = f"the control host did not say: {explain_missing(seen.incidents)}"
        yield Finding("2.8", "incidents", "unknown", text, "./runbook incident_info")
        return
    if seen.incidents["outcome"] != "proven":
        fix = checked_command(seen.incidents["next_command"])
        yield Finding("2.8", "incidents", "unknown", seen.incidents["summary"], fix)
    opened = [each for each in seen.incidents["incidents"] if each["state"] == "open"]
    for each in opened:
        owner = str(each["record"].get("owner", "")) or "nobody"
        text = f"open since {each['opened_at']}, {each['phase']}, {owner} is on it: {each['reason']}"
        yield Finding("2.8", each["id"], "fail", text, "runbooks/Incident_Handling.md 5")
    off_record = list(halted_off_record(seen.hosts, seen.incidents))
    for name, missing, say in off_record:
        yield Finding("2.8", name, "fail", f"has not {missing}", say)
    if not opened and not off_record:
        yield Finding("2.8", "incidents", "pass", "none is open")
