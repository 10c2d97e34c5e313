"""The audit log of one host: who halted, released, took the lease, and what the guard had to stop. Append only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from ..core.durable import append_durably, bounded

AUDIT_FILE: Final = "audit.jsonl"
WRITE_SECONDS: Final = 2

EVENTS: Final = frozenset(
    {
        "engaged",
        "released",
        "latch brought to both places",
        "stopped while halted",
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
