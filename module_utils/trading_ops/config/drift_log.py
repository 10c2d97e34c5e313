"""The drift log of one host: what is traded and how large, changed through us: when, by whom and why. Append only.

`{"time", "by", "why", "key", "before", "after", "documentation"}`, one line a change, written before the change itself.
`documentation` is a digest of the strategy's documentation as it then was: as long as it reads the same, it is due.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from ..core.durable import append_durably, bounded
from ..core.result import build_result
from ..core.strict_json import object_lines

DRIFT_FILE: Final = "drift_log.jsonl"
READ_SECONDS: Final = 2
WRITE_SECONDS: Final = 5
SHOWN_ENTRIES: Final = 20


@dataclass(frozen=True)
class Entry:
    """One change. `time` is ISO 8601 UTC; `documentation` is empty where there was none."""

    time: str
    by: str
    why: str
    key: str
    before: Any
    after: Any
    documentation: str


@dataclass(frozen=True)
class Log:
    """The changes, oldest first, and the numbers of lines that nobody can understand."""

    entries: tuple[Entry, ...]
    damaged_lines: tuple[int, ...] = ()


def format_entry(entry: Entry) -> str:
    """Return one line."""
    return json.dumps(asdict(entry), ensure_ascii=False) + "\n"


def parse_log(text: str) -> Log:
    """Return the log that a file's text holds; never raises."""
    entries, damaged = [], []
    for number, line in enumerate(object_lines(text), 1):
        try:
            entries.append(_parse_entry(line))
        except (ValueError, TypeError, RecursionError):
            damaged.append(number)
    return Log(tuple(entries), tuple(damaged))


def read(state_path: Path) -> Log:
    """Return the log of the host, empty where nothing was ever changed. Raises OSError (also TimeoutError)."""
    try:
        return parse_log(bounded(lambda: (state_path / DRIFT_FILE).read_bytes(), READ_SECONDS).decode(errors="replace"))
    except FileNotFoundError:
        return Log(())


def record(state_path: Path, entries: Sequence[Entry]) -> None:
    """Append the entries, fsynced. Raises OSError where they are not on disk within WRITE_SECONDS."""
    path, text = state_path / DRIFT_FILE, "".join(map(format_entry, entries))

    def append() -> None:
        # A line that a crash cut off must not swallow the next one.
        is_cut = path.exists() and not path.read_bytes().endswith(b"\n")
        append_durably(path, f"\n{text}" if is_cut else text)

    bounded(append, WRITE_SECONDS)


def digest(documentation_path: Path) -> str:
    """Return what tells one state of the documentation from another; empty where there is none."""
    try:
        content = bounded(documentation_path.read_bytes, READ_SECONDS)
    except OSError:
        return ""
    return hashlib.sha256(content).hexdigest()[:16]


def select_due(log: Log, documentation: str) -> dict[str, tuple[Any, Any]]:
    """Return key -> (value before, value now) of what changed while the documentation read as it does.

    A change that was undone is none.
    """
    due: dict[str, tuple[Any, Any]] = {}
    for entry in log.entries:
        if entry.documentation == documentation:
            first, _ = due.get(entry.key, (entry.before, None))
            due[entry.key] = (first, entry.after)
    return {key: (before, after) for key, (before, after) in due.items() if before != after}


def describe_due(state_path: Path, documentation_path: Path) -> str:
    """Return in words which documentation is due for what, or why that is not known; empty for nothing."""
    log, error = _observe(state_path)
    documentation = digest(documentation_path)
    due = select_due(log, documentation)
    changes = ", ".join(f"{key} {before} -> {after}" for key, (before, after) in due.items())
    missing = "" if documentation else " (not there)"
    text = f"documentation due: {documentation_path}{missing} for {changes}" if due else ""
    return "; ".join(filter(None, [error, text]))


def observe(state_path: Path, documentation_path: Path) -> dict[str, Any]:
    """Return the module result: the log and what documentation is due. Never raises."""
    log, error = _observe(state_path)
    count = len(log.entries)
    due = describe_due(state_path, documentation_path) or "no documentation due"
    return build_result(
        "unknown" if error else "proven",
        f"{count} change{'s' * (count != 1)} on record; {due}",
        next_command=f"tail {state_path / DRIFT_FILE} (on the host)" if error else "",
        entries=[asdict(entry) for entry in log.entries],
        documentation_due=sorted(select_due(log, digest(documentation_path))),
        lines=[f"{e.time}  {e.key} {e.before} -> {e.after}, {e.by}: {e.why}" for e in log.entries[-SHOWN_ENTRIES:]],
    )


def _parse_entry(line: str) -> Entry:
    entry = Entry(**json.loads(line))
    if not all(isinstance(text, str) for text in (entry.time, entry.by, entry.why, entry.key, entry.documentation)):
        raise ValueError("a text is something else")
    return entry


def _observe(state_path: Path) -> tuple[Log, str]:
    """Return the log and why it is not known in full; empty: it is."""
    try:
        log = read(state_path)
    except OSError as error:
        return Log(()), f"{state_path / DRIFT_FILE} could not be read: {error}"
    numbers = ", ".join(map(str, log.damaged_lines))
    return log, f"{state_path / DRIFT_FILE} cannot be understood in line {numbers}" if numbers else ""
