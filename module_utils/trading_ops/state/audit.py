"""The audit log of one host: who halted, released, took the lease, and what the guard had to stop. Append only."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..core.clock import parse_utc
from ..core.durable import append_durably, bounded

AUDIT_FILE: Final = "audit.jsonl"
WRITE_SECONDS: Final = 2
READ_SECONDS: Final = 1
NEWEST_BYTES: Final = 262_144
"""What is read of the log for the newest stops: about a thousand of them."""

STOPPED: Final = "stopped while halted"
RELEASED: Final = "released"

EVENTS: Final = frozenset(
    {
        "engaged",
        RELEASED,
        "latch brought to both places",
        STOPPED,
        "restart policy neutralised",
        "unexpected bot seen",
        "lease taken",
        "lease freed",
        "trading configuration changed",
        "deploys paused",
        "deploys resumed",
        "revision changed",
    }
)


@dataclass(frozen=True)
class GuardStops:
    """How often the guard has stopped the bot of this name, and the first of these times (UTC) that is known."""

    name: str
    times: int
    since: str


def format_entry(event: str, by: str, now: str, **fields: Any) -> str:
    """Return one line: `{"time", "event", "by", …fields}`. `now` is ISO 8601 UTC; ValueError for an unknown event."""
    if event not in EVENTS:
        raise ValueError(f"unknown audit event {event!r}")
    return json.dumps({"time": now, "event": event, "by": by, **fields}, ensure_ascii=False) + "\n"


def append(state_path: Path, event: str, by: str, now: str, **fields: Any) -> None:
    """Write one entry, fsynced, within WRITE_SECONDS. Raises OSError (also TimeoutError)."""
    line = format_entry(event, by, now, **fields)
    bounded(lambda: append_durably(state_path / AUDIT_FILE, line), WRITE_SECONDS)


def record_quietly(state_path: Path, event: str, by: str, now: str, **fields: Any) -> list[str]:
    """Return a warning instead of raising: what happened has happened, whether it can be written down or not."""
    try:
        append(state_path, event, by, now, **fields)
    except OSError as error:
        return [f"The audit log in {state_path} could not be written: {error}."]
    return []


def read_guard_stops(state_path: Path, since: str) -> list[GuardStops]:
    """Return which bots the guard has stopped after `since` (UTC) and after the last release, most often first.

    Where `since` is no time, as with a damaged latch, the release alone is the border. Only the newest NEWEST_BYTES are
    read, within READ_SECONDS; empty where they cannot be.
    """
    try:
        text = bounded(lambda: _newest(state_path / AUDIT_FILE), READ_SECONDS)
    except OSError:
        return []
    found: dict[str, GuardStops] = {}
    for line in text.split("\n"):
        try:
            entry = json.loads(line)
            event, time, name = entry["event"], entry["time"], str(entry.get("container") or "")
            is_after = _is_after(time, since)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue  # a damaged line hides no other; the shift report names it
        if event == RELEASED:
            found = {}
        elif event == STOPPED and name and is_after:
            before = found.get(name, GuardStops(name, 0, time))
            found[name] = GuardStops(name, before.times + 1, before.since)
    return sorted(found.values(), key=lambda each: -each.times)


def _newest(path: Path) -> str:
    """Return whole lines of the end of the file."""
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - NEWEST_BYTES))
        content = file.read(NEWEST_BYTES)
    whole = content if size <= NEWEST_BYTES else content.partition(b"\n")[2]
    return whole.decode("utf-8", "replace")


def _is_after(time: str, since: str) -> bool:
    """Return whether a time is after another that may be none. ValueError where `time` itself is none."""
    at = parse_utc(time)
    try:
        return at >= parse_utc(since)
    except ValueError:
        return True
