"""Whether an incident's folder is what it was: timeline, record and evidence held against what vouches for them.

The timeline vouches for itself (its chain) and for each manifest of evidence; a manifest vouches for the files that it
lists, by their paths below its folder. `incident.yml` is what the timeline adds up to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ..core.durable import bounded
from ..core.result import build_result
from ..core.strict_json import parse_json
from .folder import (
    EVIDENCE,
    INCIDENT,
    LOCK_FILES,
    POST_MORTEM,
    TIMELINE,
    UNSYNCED,
    FolderError,
    incident_path,
    read,
)
from .info import collected_manifests
from .record import project
from .timeline import Entry, parse_timeline

MANIFEST: Final = "manifest.json"
NOT_VOUCHED_FOR: Final = frozenset({UNSYNCED, POST_MORTEM}) | LOCK_FILES
"""People edit the post-mortem; what is not synced yet has a chain of its own."""

HASHING_SECONDS: Final = 120
SHOWN: Final = 200


@dataclass(frozen=True)
class Folder:
    """What an incident's folder holds: the SHA-256 of every file by its path, and the content of those that vouch."""

    files: Mapping[str, str]
    timeline: bytes
    unsynced: bytes
    incident: bytes
    manifests: Mapping[str, bytes] = field(default_factory=dict)
    odd: tuple[str, ...] = ()


def find_defects(incident_id: str, folder: Folder, known_head: str = "", expect_evidence: bool = True) -> list[str]:
    """Return in words everything that is not as it was, each with the name of the file or line; empty: nothing.

    `known_head` is a hash of a line of the timeline that somebody kept elsewhere, whole or its beginning.
    """
    timeline = parse_timeline(folder.timeline)
    found = [f"{TIMELINE} line {defect.line}: {defect.why}" for defect in timeline.defects]
    found += [f"{UNSYNCED} line {defect.line}: {defect.why}" for defect in parse_timeline(folder.unsynced).defects]
    if known_head and not any(head.startswith(known_head) for head in timeline.heads):
        found.append(f"{TIMELINE}: no line of it has the hash {known_head}: it was rewritten, or cut before that line")
    if not timeline.entries and not folder.unsynced:
        found.append(f"{TIMELINE}: there is nothing in it")
    # Evidence is in the local copy before its entry is synced.
    entries = [*timeline.entries, *parse_timeline(folder.unsynced).entries]
    found += _record_defects(incident_id, folder, timeline.entries)
    found += [f"{name}: it is neither a file nor a directory" for name in folder.odd]
    return found + _file_defects(folder, collected_manifests(entries) if expect_evidence else {})


def observe(incidents_path: Path, incident_id: str, known_head: str, is_copy: bool) -> dict[str, Any]:
    """Return the module result of `incident_verify`. Only reads, never raises.

    A local copy need not be there, nor hold the evidence: that is where it was collected, and on the control host.
    """
    try:
        path = incident_path(incidents_path, incident_id)
        if not path.is_dir():
            text = f"{incidents_path} holds nothing of {incident_id}"
            return _result("proven" if is_copy else "unknown", text, [], "")
        folder = bounded(lambda: read_folder(path), HASHING_SECONDS)
        without = is_copy and not (path / EVIDENCE).exists()
        found = find_defects(incident_id, folder, known_head.strip().lower(), expect_evidence=not without)
    except (FolderError, OSError, ImportError) as error:
        return _result("unknown", f"{incident_id} could not be verified: {error}", [], "")
    head = parse_timeline(folder.timeline).head
    if found:
        more = f"; and {len(found) - 3} more" if len(found) > 3 else ""
        return _result("failed", f"{incident_id} is NOT what it was: {'; '.join(found[:3])}{more}", found, head)
    entries = len(parse_timeline(folder.timeline).entries)
    text = f"{incident_id}: {entries} entries and {len(folder.files.keys() - NOT_VOUCHED_FOR)} files are what they were"
    text += "; the evidence is not in this copy" if without else ""
    return _result("proven", f"{text}, head {head}", [], head)


def read_folder(path: Path) -> Folder:
    """Return what the folder holds. Raises OSError and FolderError; links are never followed."""
    files, manifests, odd = {}, {}, []
    for item in _walk(path):
        name = str(item.relative_to(path))
        if item.is_symlink() or not item.is_file():
            odd.append(name)
            continue
        files[name] = _digest(item)
        if item.name == MANIFEST:
            manifests[name] = read(item.parent, MANIFEST)
    return Folder(files, read(path, TIMELINE), read(path, UNSYNCED), read(path, INCIDENT), manifests, tuple(odd))


def _record_defects(incident_id: str, folder: Folder, entries: tuple[Entry, ...]) -> list[str]:
    if not entries:
        return []  # not synced yet
    if not folder.incident:
        return [f"{INCIDENT}: it was removed"]
    import yaml

    try:
        written = yaml.safe_load(folder.incident)
    except (yaml.YAMLError, ValueError) as error:
        return [f"{INCIDENT}: it cannot be read: {' '.join(str(error).split())}"]
    if written != project(incident_id, entries):
        return [f"{INCIDENT}: it is not what the entries of the timeline add up to"]
    return []


def _file_defects(folder: Folder, vouched: Mapping[str, str]) -> list[str]:
    found: list[str] = []
    expected: dict[str, str] = {}
    for path, content in folder.manifests.items():
        name = path.removeprefix(f"{EVIDENCE}/").removesuffix(MANIFEST).rstrip("/")
        known = vouched.get(name)
        if known is None:
            found.append(f"{path}: no entry of the timeline vouches for it")
        elif known != folder.files[path]:
            found.append(f"{path}: it was changed since it was collected")
        try:
            expected |= {f"{path.removesuffix(MANIFEST)}{item}": digest for item, digest in _listed(content).items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            found.append(f"{path}: it cannot be understood: {error}")
    lost = {f"{EVIDENCE}/{name}/{MANIFEST}" for name in vouched} - folder.files.keys()
    found += [f"{path}: it was removed" for path in sorted(lost)]
    evidence = {
        path: digest
        for path, digest in folder.files.items()
        if path not in {TIMELINE, INCIDENT, *NOT_VOUCHED_FOR} and path not in folder.manifests
    }
    removed = {path: digest for path, digest in expected.items() if path not in evidence}
    added = {path: digest for path, digest in evidence.items() if path not in expected}
    changed = [path for path, digest in expected.items() if evidence.get(path, digest) != digest]
    found += [f"{path}: it was changed since it was collected" for path in sorted(changed)]
    for path, digest in sorted(removed.items()):
        renamed = next((other for other, seen in sorted(added.items()) if seen == digest), "")
        if renamed:
            del added[renamed]
        found.append(f"{path}: it was renamed to {renamed}" if renamed else f"{path}: it was removed")
    return found + [f"{path}: it was added, no manifest names it" for path in sorted(added)]


def _listed(manifest: bytes) -> dict[str, str]:
    """Return path -> SHA-256 of the files that a manifest has; an item that could not be collected has none."""
    items = parse_json(manifest.decode("utf-8"))["items"]
    return {str(item["path"]): str(item["sha256"]) for item in items if item.get("sha256")}


def _walk(path: Path) -> Iterator[Path]:
    for item in sorted(path.iterdir()):
        if item.is_dir() and not item.is_symlink():
            yield from _walk(item)
        else:
            yield item


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _result(outcome: str, summary: str, defects: list[str], head: str) -> dict[str, Any]:
    return build_result(outcome, summary, defects=defects, head=head, lines=defects[:SHOWN])
