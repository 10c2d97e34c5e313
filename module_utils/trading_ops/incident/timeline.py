"""The timeline of an incident: a JSON line per event, each with the hash of the line before it. Pure.

A line is `Entry` and `previous` (SHA-256 of the bytes of the line before, zeros for the first) and `hash` (SHA-256 of
the line without `hash`), keys sorted, no spaces, UTF-8. Who changes a line has to rewrite all that follow, and then the
hash of the last one is another than the one that was sent out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from ..core.clock import parse_utc
from ..core.strict_json import parse_json

KINDS: Final = frozenset("step note phase severity category notification evidence mitigation closing detection".split())
NOTHING_BEFORE: Final = "0" * 64


@dataclass(frozen=True)
class Entry:
    """One event. `at` is when it happened, `recorded_at` when it was first written down, both ISO 8601 UTC.

    id: unlike any other; appending it twice is appending it once.
    kind: one of KINDS.
    step, procedure, outcome: of a runbook's step; empty for what is none.
    by: the person. origin: the account and machine, `user@machine`.
    facts: a JSON object; what stands in it under `record` becomes part of the incident's record.
    """

    id: str
    at: str
    recorded_at: str
    kind: str
    step: str = ""
    procedure: str = ""
    outcome: str = ""
    text: str = ""
    by: str = ""
    origin: str = ""
    facts: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Defect:
    """What is wrong with a line, counted from 1."""

    line: int
    why: str


@dataclass(frozen=True)
class Timeline:
    """What the lines say, oldest first, what is wrong with them, and the hash of each line's bytes.

    An entry stands in it as soon as it can be read: whether to believe it is said by `defects`.
    """

    entries: tuple[Entry, ...] = ()
    defects: tuple[Defect, ...] = ()
    heads: tuple[str, ...] = ()

    @property
    def head(self) -> str:
        """Return the hash of the last line: who has kept it notices any change of this timeline."""
        return self.heads[-1] if self.heads else NOTHING_BEFORE


class TimelineError(ValueError):
    """An entry that cannot be written down. The text is a sentence."""


def parse_timeline(content: bytes) -> Timeline:
    """Return the timeline that a file's bytes hold, every defect named; never raises."""
    lines = content.split(b"\n")
    entries: list[Entry] = []
    defects: list[Defect] = []
    heads: list[str] = []
    seen: set[str] = set()
    if lines.pop():
        lines = content.split(b"\n")
        defects.append(Defect(len(lines), "it has no end: the writing of it was cut off"))
    for number, line in enumerate(lines, 1):
        expected = heads[-1] if heads else NOTHING_BEFORE
        heads.append(_digest(line))
        try:
            entry, previous = _parse_line(line)
            is_as_written = _canonical_line(entry, previous) == line
        except (ValueError, TypeError) as error:
            defects.append(Defect(number, f"it cannot be understood: {error}"))
            continue
        if not is_as_written:
            defects.append(Defect(number, "it was changed after it was written: its own hash does not fit"))
        if previous != expected:
            before = f"line {number - 1} is not" if number > 1 else "a line is missing before it, or it is not"
            defects.append(Defect(number, f"{before} what stood there when it was written"))
        if entry.id in seen:
            defects.append(Defect(number, f"its id {entry.id!r} stands on an earlier line"))
        seen.add(entry.id)
        entries.append(entry)
    return Timeline(tuple(entries), tuple(defects), tuple(heads))


def format_new_lines(content: bytes, entries: Iterable[Entry]) -> bytes:
    """Return what to append to `content` so that it holds `entries` too; those whose id it has are left out.

    Raises TimelineError for an entry that is none.
    """
    timeline = parse_timeline(content)
    known = {entry.id for entry in timeline.entries}
    previous = timeline.head
    # A line that a crash cut off must not swallow the next one.
    added = b"\n" if content and not content.endswith(b"\n") else b""
    for entry in entries:
        if entry.id in known:
            continue
        known.add(entry.id)
        _check(entry)
        line = _canonical_line(entry, previous)
        previous = _digest(line)
        added += line + b"\n"
    return added


def parse_entry(found: object) -> Entry:
    """Return the entry that an object of JSON is; `previous` and `hash` are left aside. Raises TimelineError."""
    if not isinstance(found, dict):
        raise TimelineError("An entry is an object.")
    names = {item.name for item in fields(Entry)}
    unknown = found.keys() - names - {"previous", "hash"}
    missing = {"id", "at", "recorded_at", "kind"} - found.keys()
    if unknown or missing:
        raise TimelineError(f"An entry has no {', '.join(sorted(unknown | missing))}.")
    entry = Entry(**{name: value for name, value in found.items() if name in names})
    _check(entry)
    return entry


def fingerprint(content: Mapping[str, Any]) -> str:
    """Return what tells one object of JSON from another. Raises TimelineError where it is none."""
    return _digest(_canonical(content))


def as_dict(entry: Entry) -> dict[str, Any]:
    """Return the entry as an object of JSON."""
    return {item.name: getattr(entry, item.name) for item in fields(Entry)} | {"facts": dict(entry.facts or {})}


def _check(entry: Entry) -> None:
    for name, value in as_dict(entry).items():
        if name != "facts" and not isinstance(value, str):
            raise TimelineError(f"{name} of an entry is text, not {value!r}.")
    if not entry.id or not entry.id.isprintable():
        raise TimelineError("An entry has an id.")
    if entry.kind not in KINDS:
        raise TimelineError(f"{entry.kind!r} is no kind of entry: {', '.join(sorted(KINDS))}.")
    if not isinstance((entry.facts or {}).get("record", {}), dict):
        raise TimelineError("What an entry adds to the record is an object.")
    for moment in (entry.at, entry.recorded_at):
        try:
            parse_utc(moment)
        except ValueError as error:
            raise TimelineError(f"An entry has its times in UTC: {error}.") from error


def _parse_line(line: bytes) -> tuple[Entry, str]:
    found = parse_json(line.decode("utf-8"))
    entry = parse_entry(found)
    if not isinstance(found.get("previous"), str):
        raise TimelineError("It does not name the line before it.")
    return entry, found["previous"]


def _canonical_line(entry: Entry, previous: str) -> bytes:
    content = as_dict(entry) | {"previous": previous}
    return _canonical(content | {"hash": _digest(_canonical(content))})


def _canonical(content: Mapping[str, Any]) -> bytes:
    try:
        text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise TimelineError(f"An entry holds what JSON cannot: {error}.") from error
    # Half a surrogate pair, out of a name that is no UTF-8, has no bytes of its own.
    return text.encode("utf-8", "replace")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
