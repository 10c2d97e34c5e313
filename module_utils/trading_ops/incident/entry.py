"""Writing one event of an incident down at once, in the copy that lies in the checkout."""

from __future__ import annotations

import getpass
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .folder import PENDING, FolderError, append, incident_path
from .timeline import Entry, TimelineError, format_new_lines


def build_entry(params: Mapping[str, Any], now: str, origin: str) -> Entry:
    """Return the entry that a module's parameters ask for; one without an id gets one that no other has."""
    record = {key: value for key, value in params["record"].items() if value}
    return Entry(
        id=params["entry_id"] or f"note-{uuid.uuid4().hex[:16]}",
        at=params["at"] or now,
        recorded_at=now,
        kind=params["kind"],
        step=params["step"],
        procedure=params["procedure"],
        outcome=params["outcome"],
        text=params["text"],
        by=params["by"],
        origin=origin,
        facts=params["facts"] | ({"record": record} if record else {}),
    )


def note(incidents_path: Path, incident_id: str, entry: Entry, dry_run: bool) -> dict[str, Any]:
    """Return the module result of `incident_entry`. Never raises."""
    try:
        folder = incident_path(incidents_path, incident_id)
        format_new_lines(b"", [entry])  # says what is wrong with it, also where nothing is written
        added = 1 if dry_run else append(folder, PENDING, [entry])
    except (FolderError, TimelineError) as error:
        return _result("failed", str(error), False, entry.id)
    words = f"{incident_id}: {entry.kind}: {entry.text or entry.step or entry.id}"
    return _result("planned" if dry_run else "proven", words, bool(added), entry.id)


def read_origin() -> str:
    """Return the account and machine that this runs on, `user@machine`."""
    try:
        account = getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as containers have
        account = str(os.getuid())
    return f"{account}@{os.uname().nodename}"


def _result(outcome: str, summary: str, changed: bool, entry_id: str) -> dict[str, Any]:
    return {"changed": changed, "outcome": outcome, "summary": summary, "next_command": "", "entry_id": entry_id}
