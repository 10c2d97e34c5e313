"""What incidents are on record, and what of them the control host has not got yet. Only reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.result import build_result
from .folder import POST_MORTEM, UNSYNCED, FolderError, incident_ids, incident_path, read, read_timeline
from .record import CATEGORIES, describe_defects, project
from .timeline import Entry, as_dict

SHOWN = 10
REHEARSAL = "incident_test_"


def observe(incidents_path: Path, incident_id: str) -> dict[str, Any]:
    """Return the module result: every incident, or the named one. Never raises.

    A rehearsal of evidence has a folder as well and is no incident: it is seen by its name only.
    The outcome is `unknown` where a record cannot be read or is damaged, or the named one is not there.
    """
    try:
        ids = incident_ids(incidents_path)
        wanted = [name for name in ids if name == incident_id or not (incident_id or name.startswith(REHEARSAL))]
        seen = [_observe(incident_path(incidents_path, name), name) for name in wanted]
    except FolderError as error:
        return _result("unknown", str(error), ())
    if incident_id and not seen:
        return _result("unknown", f"{incidents_path} holds nothing of {incident_id}.", ())
    damaged = [f"{item['id']}: {item['damaged']}" for item in seen if item["damaged"]]
    parts = [_count([item for item in seen if item["state"] == "open"])]
    if unsynced := [item["id"] for item in seen if item["pending"]]:
        parts.append(f"not yet on the control host: {', '.join(unsynced)}")
    parts += [f"DAMAGED: {text}" for text in damaged]
    next_command = f"./runbook incident_verify -e incident_id={damaged[0].partition(':')[0]}" if damaged else ""
    return _result("unknown" if damaged else "proven", "; ".join(parts), seen, next_command)


def severity_of(record: Mapping[str, Any]) -> str:
    """Return the severity that holds: a person's, else the computed one, empty for none."""
    return _that_holds(record, "severity", "level")


def category_of(record: Mapping[str, Any]) -> str:
    """Return the letter that holds: a person's, else the proposed one, empty for none."""
    return _that_holds(record, "category", "letter")


def collected_manifests(entries: Sequence[Entry]) -> dict[str, str]:
    """Return the SHA-256 of each manifest that the timeline vouches for, by its folder below evidence/."""
    found: dict[str, str] = {}
    for entry in entries:
        manifests = (entry.facts or {}).get("manifests")
        if entry.kind == "evidence" and isinstance(manifests, dict):
            found |= {str(folder): str(digest) for folder, digest in manifests.items()}
    return found


def read_entries(folder: Path) -> list[Entry]:
    """Return all that is written down here, also what the control host has not got yet. Raises FolderError."""
    primary = read_timeline(folder).entries
    return [*primary, *_select_unsynced(folder, primary)]


def _select_unsynced(folder: Path, primary: Sequence[Entry]) -> list[Entry]:
    known = {entry.id for entry in primary}
    return [entry for entry in read_timeline(folder, UNSYNCED).entries if entry.id not in known]


def _observe(folder: Path, incident_id: str) -> dict[str, Any]:
    primary, local = read_timeline(folder), read_timeline(folder, UNSYNCED)
    unsynced = _select_unsynced(folder, primary.entries)
    entries = [*primary.entries, *unsynced]
    record = project(incident_id, entries)
    damaged = "; ".join(filter(None, [describe_defects(primary), describe_defects(local)]))
    return {
        "id": incident_id,
        "state": record["state"],
        "phase": record["phase"],
        "opened_at": record["opened_at"],
        "reason": str(record.get("reason", "")),
        "severity": severity_of(record),
        "category": category_of(record),
        "head": primary.head,
        "damaged": damaged,
        "record": record,
        "manifests": collected_manifests(entries),
        "mitigations": [{"at": e.at, "by": e.by, "text": e.text} for e in entries if e.kind == "mitigation"],
        "pending": [as_dict(entry) for entry in unsynced],
        "post_mortem": read(folder, POST_MORTEM).decode("utf-8", "replace"),
    }


def _that_holds(record: Mapping[str, Any], what: str, name: str) -> str:
    found = record.get(what)
    if not isinstance(found, dict):
        return ""
    for source in ("set", "computed"):
        if isinstance(found.get(source), dict):
            return str(found[source].get(name, ""))
    return ""


def _count(opened: Sequence[Mapping[str, Any]]) -> str:
    if not opened:
        return "no open incident"
    shown = ", ".join(item["id"] for item in opened[-3:])
    more = ", …" if len(opened) > 3 else ""
    return f"{len(opened)} open incident{'s' * (len(opened) > 1)}: {shown}{more}"


def _line(item: Mapping[str, Any]) -> str:
    category = f"{item['category']} {CATEGORIES.get(item['category'], '')}".strip() or "no category"
    text = f"{item['phase']}, {item['severity'] or 'severity not known'}, {category}"
    return f"{item['state'].upper()}  {item['id']}  since {item['opened_at']}  {text}  {item['reason']}".rstrip()


def _result(outcome: str, summary: str, seen: Sequence[Mapping[str, Any]], next_command: str = "") -> dict[str, Any]:
    opened = [item for item in seen if item["state"] == "open"]
    return build_result(
        outcome,
        summary,
        next_command=next_command,
        incidents=list(seen),
        open=[item["id"] for item in opened],
        pending={item["id"]: item["pending"] for item in seen if item["pending"]},
        post_mortems={item["id"]: item["post_mortem"] for item in seen},
        lines=[_line(item) for item in (opened or seen)[-SHOWN:]],
    )
