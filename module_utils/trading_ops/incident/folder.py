"""The folder of one incident, the primary one on the control host or a local copy in a checkout: its files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from ..core.durable import append_durably, bounded, write_durably
from ..core.locks import locked
from .timeline import Entry, Timeline, format_new_lines, parse_timeline

_T = TypeVar("_T")

INCIDENT_ARGUMENTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "incidents_path": {"type": "path", "required": True},
    "incident_id": {"type": "str", "required": True},
}
"""Documented in playbooks/doc_fragments/incident.py."""

TIMELINE: Final = "timeline.jsonl"
UNSYNCED: Final = "pending.jsonl"
"""In a local copy: entries that the primary record has not got yet, a chain of its own."""

INCIDENT: Final = "incident.yml"
POST_MORTEM: Final = "post_mortem.md"
EVIDENCE: Final = "evidence"
LOCK: Final = "record"
LOCK_FILES: Final = frozenset({".lock", f".{LOCK}.lock"})
"""What the lock may leave in the folder: of before, and where there is no root."""

FILE_SECONDS: Final = 5
MAX_BYTES: Final = 64 * 1024 * 1024

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,119}")


class FolderError(Exception):
    """An incident's folder could not be read or written, or there is no such incident. The text is a sentence."""


def incident_path(incidents_path: Path, incident_id: str) -> Path:
    """Return the incident's folder. Raises FolderError for an id that could lead elsewhere."""
    if not _ID.fullmatch(incident_id):
        raise FolderError(f"{incident_id!r} is no incident id.")
    return incidents_path.resolve() / incident_id


def incident_ids(incidents_path: Path) -> list[str]:
    """Return the ids of all incidents that have a folder here, oldest first. Raises FolderError."""

    def listed() -> list[str]:
        if not incidents_path.is_dir():
            return []
        return sorted(path.name for path in incidents_path.iterdir() if path.is_dir() and _ID.fullmatch(path.name))

    return in_time(listed, f"{incidents_path} could not be read")


def read(folder: Path, name: str) -> bytes:
    """Return a file's bytes, none where it is not there. Raises FolderError."""

    def content() -> bytes:
        path = folder / name
        if not path.exists():
            return b""
        if path.stat().st_size > MAX_BYTES:
            raise FolderError(f"{path} is longer than {MAX_BYTES} bytes.")
        return path.read_bytes()

    return in_time(content, f"{folder / name} could not be read")


def read_timeline(folder: Path, name: str = TIMELINE) -> Timeline:
    """Return what a timeline says, empty where there is none. Raises FolderError."""
    return parse_timeline(read(folder, name))


def make(folder: Path) -> None:
    """Make the folder where it is missing; only its owner may look into it, since logs and names are in it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)


def append(folder: Path, name: str, entries: Sequence[Entry]) -> int:
    """Append those of `entries` that the file has not yet, fsynced; return how many. Makes the folder.

    Raises FolderError and TimelineError.
    """

    def work() -> int:
        make(folder)
        with locked(folder, LOCK):
            return append_locked(folder, name, entries)

    return in_time(work, f"{folder / name} could not be written")


def append_locked(folder: Path, name: str, entries: Iterable[Entry]) -> int:
    """Do what `append` does, for who holds the lock."""
    path = folder / name
    added = format_new_lines(path.read_bytes() if path.exists() else b"", entries)
    if added.strip():
        append_durably(path, added.decode("utf-8"))
        path.chmod(0o600)
    return added.strip().count(b"\n") + bool(added.strip())


def replace_locked(folder: Path, name: str, content: str) -> bool:
    """Give the file this content, for who holds the lock; return whether it was another. Empty: no file."""
    path = folder / name
    if (path.read_bytes() if path.exists() else b"") == content.encode():
        return False
    if content:
        write_durably(path, content)
        path.chmod(0o600)
    else:
        path.unlink()
    return True


def in_time(work: Callable[[], _T], what: str) -> _T:
    """Return what `work` returns within FILE_SECONDS. Raises FolderError that begins with `what`."""
    try:
        return bounded(work, FILE_SECONDS)
    except OSError as error:
        raise FolderError(f"{what}: {error}.") from error
