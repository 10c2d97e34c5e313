"""The record of an incident: what its timeline adds up to, and syncing what was written down elsewhere.

The timeline is the only truth. `incident.yml` is what its entries add up to, so that a change of it by hand is noticed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from ..core.locks import locked
from ..core.result import build_result
from .folder import (
    INCIDENT,
    LOCK,
    POST_MORTEM,
    TIMELINE,
    UNSYNCED,
    FolderError,
    append_locked,
    in_time,
    incident_path,
    make,
    read,
    replace_locked,
)
from .timeline import (
    Entry,
    Timeline,
    TimelineError,
    as_dict,
    fingerprint,
    format_new_lines,
    parse_entry,
    parse_timeline,
)

PHASES: Final = ("detection", "stabilisation", "analysis", "learning")
"""The owner's life cycle: detection, stabilisation, analysis and temporary fix, post-mortem and learning."""

CATEGORIES: Final = {
    "A": "feed",
    "B": "trading and bots",
    "C": "infrastructure",
    "D": "configuration",
    "E": "outside: venue, network",
}

_PHASE_OF_KIND: Final = {
    "detection": "detection",
    "evidence": "analysis",
    "category": "analysis",
    "mitigation": "analysis",
    "closing": "learning",
}
_PHASE_OF_PROCEDURE: Final = {
    "failsafe_stop": "stabilisation",
    "bot_stop": "stabilisation",
    "feed_stop": "stabilisation",
    "controlled_restart": "analysis",
}


_NOTHING: Final = {TIMELINE: b"", INCIDENT: b"", POST_MORTEM: b""}


@dataclass(frozen=True)
class SyncRequest:
    """What the primary record gets: entries, facts, and a post-mortem for where there is none."""

    incidents_path: Path
    incident_id: str
    entries: Sequence[object]
    facts: Mapping[str, Any]
    post_mortem: str
    by: str
    origin: str


def merge(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return `old` with `new` in it: objects are joined, everything else is replaced."""
    merged = dict(old)
    for key, value in new.items():
        present = merged.get(key)
        if isinstance(present, Mapping) and isinstance(value, Mapping):
            merged[key] = merge(present, value)
        else:
            merged[key] = value
    return merged


def project(incident_id: str, entries: Sequence[Entry]) -> dict[str, Any]:
    """Return the record that the entries add up to."""
    opened_at = min((entry.at for entry in entries), default="")
    record: dict[str, Any] = {"id": incident_id, "state": "open", "opened_at": opened_at, "phase": PHASES[0]}
    for entry in entries:
        record = merge(record, (entry.facts or {}).get("record", {}))
    return record


def format_record(record: Mapping[str, Any]) -> str:
    """Return the text of incident.yml."""
    import yaml  # beside this function, since only what writes a record needs PyYAML

    text: str = yaml.safe_dump(_plain(record), allow_unicode=True, sort_keys=False, width=120)
    return text


def with_phases(known: Sequence[Entry], new: Sequence[Entry]) -> list[Entry]:
    """Return `new` with an entry before each one that begins a later phase of the life cycle.

    A phase that a person has set stays; none begins twice.
    """
    reached = max((_place(phase) for phase in map(_phase_set_by, known) if phase), default=-1)
    seen = {entry.id for entry in known}
    found: list[Entry] = []
    for entry in new:
        if entry.id in seen:
            continue
        begun = _PHASE_OF_KIND.get(entry.kind) or _phase_of_step(entry)
        if begun and _place(begun) > reached:
            found.append(_phase_entry(begun, entry))
        reached = max(reached, _place(_phase_set_by(entry) or begun or PHASES[0]))
        found.append(entry)
    return found


def ensure_synced(request: SyncRequest, now: str, dry_run: bool) -> dict[str, Any]:
    """Return the module result of `incident_record`: what is new is on the primary timeline, and what it then says.

    Damaged lines keep nothing from being recorded; they are named. `now` is ISO 8601 UTC. Never raises.
    """
    try:
        folder = incident_path(request.incidents_path, request.incident_id)
        entries = [parse_entry(found) for found in request.entries]
        if not entries and not request.facts and not folder.exists():
            return _result(request.incident_id, _NOTHING, 0, "planned" if dry_run else "proven")
        if dry_run:
            return _result(request.incident_id, _read_all(folder), 0, "planned")
        added = in_time(lambda: _write(folder, request, entries, now), f"{folder} could not be written")
        seen = _read_all(folder)
    except (FolderError, TimelineError, ImportError) as error:
        missing = "Python's YAML library is missing (fix: apt-get install python3-yaml): "
        return build_result("failed", f"{missing if isinstance(error, ImportError) else ''}{error}")
    lost = {entry.id for entry in entries} - {entry.id for entry in parse_timeline(seen[TIMELINE]).entries}
    if lost:
        return build_result(
            "failed", f"{folder / TIMELINE} does not hold what was written to it: {', '.join(sorted(lost))}."
        )
    return _result(request.incident_id, seen, added, "proven")


def ensure_local_copy(
    incidents_path: Path, incident_id: str, primary: Mapping[str, str], dry_run: bool
) -> dict[str, Any]:
    """Return the module result of `incident_copy`: the local copy reads as the primary, and keeps what is not synced.

    `primary` holds the texts of the primary's files. A copy that is no beginning of it is left as it is and named: one
    of the two was rewritten.
    """
    content = primary["timeline"].encode()
    try:
        folder = incident_path(incidents_path, incident_id)
        if not content and not folder.exists():
            return build_result("planned" if dry_run else "proven", f"{incident_id}: nothing is on record")
        present = read(folder, TIMELINE)
        if not content.startswith(present):
            return build_result(
                "failed",
                f"The timeline in {folder} is not the beginning of the one on the control host: "
                "one of them was rewritten. The copy stays as it is.",
                next_command=f"./runbook incident_verify -e incident_id={incident_id}",
            )
        if dry_run:
            return build_result("planned", f"{incident_id}: a copy would be in {folder}")
        changed, left = in_time(lambda: _refresh(folder, content, primary), f"{folder} could not be written")
    except (FolderError, TimelineError) as error:
        return build_result("failed", str(error))
    text = f"; {left} entr{'y is' if left == 1 else 'ies are'} still to be synced to the control host" if left else ""
    return build_result("proven", f"{incident_id}: copy in {folder}{text}", changed=changed)


def _write(folder: Path, request: SyncRequest, entries: Sequence[Entry], now: str) -> int:
    make(folder)
    with locked(folder, LOCK):
        known = parse_timeline(read(folder, TIMELINE)).entries
        new = with_phases(known, entries)
        record = project(request.incident_id, [*known, *new])
        if merge(record, request.facts) != record:
            new.append(_facts_entry(request, len(known) + len(new), now))
        added = append_locked(folder, TIMELINE, new)
        record = project(request.incident_id, parse_timeline(read(folder, TIMELINE)).entries)
        replace_locked(folder, INCIDENT, format_record(record))
        if request.post_mortem and not (folder / POST_MORTEM).exists():
            replace_locked(folder, POST_MORTEM, request.post_mortem)
    return added


def _refresh(folder: Path, content: bytes, primary: Mapping[str, str]) -> tuple[bool, int]:
    make(folder)
    with locked(folder, LOCK):
        changed = replace_locked(folder, TIMELINE, content.decode())
        changed |= replace_locked(folder, INCIDENT, primary["incident"])
        if primary["post_mortem"] and not (folder / POST_MORTEM).exists():
            changed |= replace_locked(folder, POST_MORTEM, primary["post_mortem"])
        synced = {entry.id for entry in parse_timeline(content).entries}
        unsynced = read(folder, UNSYNCED)
        left = [entry for entry in parse_timeline(unsynced).entries if entry.id not in synced]
        changed |= replace_locked(folder, UNSYNCED, format_new_lines(b"", left).decode())
    return changed, len(left)


def _read_all(folder: Path) -> dict[str, bytes]:
    return {name: read(folder, name) for name in (TIMELINE, INCIDENT, POST_MORTEM)}


def _facts_entry(request: SyncRequest, number: int, now: str) -> Entry:
    return Entry(
        id=f"facts-{number}-{fingerprint(request.facts)[:12]}",
        at=now,
        recorded_at=now,
        kind="note",
        text=f"Facts: {', '.join(sorted(request.facts))}",
        by=request.by,
        origin=request.origin,
        facts={"record": dict(request.facts)},
    )


def _phase_entry(phase: str, cause: Entry) -> Entry:
    return replace(
        cause,
        id=f"phase-{phase}",
        kind="phase",
        outcome="",
        text=f"Phase: {phase}",
        facts={"record": {"phase": phase}},
    )


def _phase_of_step(entry: Entry) -> str:
    if entry.kind != "step":
        return ""
    # The play of the first minute has steps of two phases.
    if entry.procedure == "incident":
        return "stabilisation" if entry.step.startswith(("4.1", "4.2")) else ""
    return _PHASE_OF_PROCEDURE.get(entry.procedure, "")


def _phase_set_by(entry: Entry) -> str:
    if entry.kind != "phase":
        return ""
    phase = (entry.facts or {}).get("record", {}).get("phase", "")
    return phase if phase in PHASES else ""


def _place(phase: str) -> int:
    return PHASES.index(phase)


def _plain(value: Any) -> Any:
    """Return a value of JSON's own types only: YAML writes no other."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def describe_defects(timeline: Timeline) -> str:
    """Return in words what is wrong with a timeline, empty for nothing."""
    return "; ".join(f"line {defect.line}: {defect.why}" for defect in timeline.defects)


def _result(incident_id: str, seen: Mapping[str, bytes], added: int, outcome: str) -> dict[str, Any]:
    timeline = parse_timeline(seen[TIMELINE])
    defects = describe_defects(timeline)
    text = f"{incident_id}: {len(timeline.entries)} entries, {added} of them new, head {timeline.head[:16]}"
    return build_result(
        outcome,
        f"{text}; DAMAGED: {defects}" if defects else text,
        changed=bool(added),
        next_command=f"./runbook incident_verify -e incident_id={incident_id}" if defects else "",
        added=added,
        head=timeline.head,
        record=project(incident_id, timeline.entries),
        entries=[as_dict(entry) for entry in timeline.entries],
        timeline=seen[TIMELINE].decode("utf-8", "replace"),
        incident=seen[INCIDENT].decode("utf-8", "replace"),
        post_mortem=seen[POST_MORTEM].decode("utf-8", "replace"),
    )
