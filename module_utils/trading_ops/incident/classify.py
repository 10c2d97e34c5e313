"""Severity and category of an incident: computed from facts, or set by a person, who says why. Both are kept."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from ..core.clock import parse_utc
from ..core.result import build_result
from .category import classify, describe
from .facts import parse_facts
from .folder import UNSYNCED, FolderError, append, incident_path
from .info import category_of, read_entries, severity_of
from .record import CATEGORIES, merge, project
from .severity import LEVELS, Limits, assess, measure_downtime
from .timeline import Entry, TimelineError
from .trading_hours import parse_trading_hours

_EMPTY: Final[dict[str, Any]] = {"category": "", "severity": "", "record": {}, "lines": []}


@dataclass(frozen=True)
class Request:
    """What is to be judged. `category` and `severity` are a person's, empty for the computed ones."""

    incidents_path: Path
    incident_id: str
    facts: Mapping[str, Any]
    category: str
    severity: str
    reason: str
    trading_hours: Sequence[str]
    limits: Limits
    by: str
    origin: str


def ensure_classified(request: Request, now: str, dry_run: bool) -> dict[str, Any]:
    """Return the module result: what the record then says, with what it stands on. Never raises."""
    if error := _find_error(request):
        return _result("usage", error)
    try:
        folder = incident_path(request.incidents_path, request.incident_id)
        entries = read_entries(folder)
        record = project(request.incident_id, entries)
        found = _entries(request, entries, record, now)
        new = [entry for entry in found if merge(record, (entry.facts or {})["record"]) != record]
        if new and not dry_run:
            append(folder, UNSYNCED, new)
    except (FolderError, TimelineError, ValueError) as error:
        return _result("failed", str(error))
    record = project(request.incident_id, [*entries, *new])
    letter, level = category_of(record), severity_of(record)
    text = "; ".join(entry.text for entry in found) or f"{request.incident_id}: {_named(letter)}, {level}"
    return _result(
        "planned" if dry_run else "proven",
        text,
        changed=bool(new),
        category=letter,
        severity=level,
        record=record,
        lines=_lines(record),
    )


def _find_error(request: Request) -> str:
    if request.category and request.category not in CATEGORIES:
        return f"A category is one of {', '.join(CATEGORIES)}, not {request.category!r}."
    if request.severity and request.severity not in LEVELS:
        return f"A severity is one of {', '.join(LEVELS)}, not {request.severity!r}."
    if (request.category or request.severity) and not request.reason.strip():
        return "Who sets another category or severity says why: -e reason=…"
    return ""


def _entries(request: Request, entries: Sequence[Entry], record: Mapping[str, Any], now: str) -> list[Entry]:
    plain = Entry("", now, now, "note", step="4.5 Classify", by=request.by, origin=request.origin)
    found = []
    if request.facts:
        facts = parse_facts(request.facts)
        if facts.downtime_seconds is None:
            windows = parse_trading_hours(list(request.trading_hours))
            facts = replace(facts, downtime_seconds=measure_downtime(entries, windows, parse_utc(now)))
        severity = assess(facts, request.limits)
        proposal = classify(facts, parse_utc(record["opened_at"] or now))
        measured = {
            "loss_percent": facts.loss_percent,
            "downtime_seconds": facts.downtime_seconds,
            "checks_failed": [check.text for check in facts.checks if check.outcome == "fail"],
        }
        computed = {"level": severity.level, "reasons": [*severity.reasons], "unknown": [*severity.unknown]}
        why = "; ".join((*severity.reasons, *severity.unknown)) or "every definition is known not to be met"
        found.append(
            replace(
                plain,
                kind="severity",
                text=f"Severity computed: {severity.level} ({why})",
                facts={"record": {"severity": {"computed": computed}, "measured": measured}},
            )
        )
        found.append(
            replace(
                plain,
                kind="category",
                text=f"Category proposed: {_named(proposal.letter)} ({proposal.why})",
                facts={"record": {"category": {"computed": describe(proposal)}}},
            )
        )
    for kind, name, value in (("severity", "level", request.severity), ("category", "letter", request.category)):
        if value:
            given = {name: value, "reason": request.reason, "by": request.by}
            text = f"{kind.capitalize()} set: {value} ({request.reason})"
            found.append(replace(plain, kind=kind, text=text, facts={"record": {kind: {"set": given}}}))
    return [replace(entry, id=f"{entry.kind}-{uuid.uuid4().hex[:16]}") for entry in found]


def _named(letter: str) -> str:
    return f"{letter} {CATEGORIES[letter]}" if letter else "none"


def _lines(record: Mapping[str, Any]) -> list[str]:
    computed = (record.get("category") or {}).get("computed") or {}
    lines = []
    for letter, seen in (computed.get("evidence") or {}).items():
        parts = [("for", seen["strong"] + seen["weak"]), ("against", seen["against"]), ("unknown", seen["unknown"])]
        shown = "; ".join(f"{name}: {', '.join(texts)}" for name, texts in parts if texts)
        lines.append(f"{letter} {CATEGORIES[letter]}: {shown or 'nothing is known'}")
    return lines


def _result(outcome: str, summary: str, **fields: Any) -> dict[str, Any]:
    return build_result(outcome, summary, **_EMPTY | fields)
