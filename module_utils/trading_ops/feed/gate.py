"""The feed gate: one small file per trading host that says which feed was verified, and until when that counts.

`{"outcome": "pass", "feeds": [{"host", "container_id", "started_at"}], "passed_at", "expires_at", "by", "checks":
[{"id", "value", "unit"}]}`. A pass that can be read, is of now, and is of the very feed containers that run now, is the
only sign of "open". Whatever cannot be understood is closed. Its times are those of this host's own clock.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from ..core.clock import format_utc, parse_utc
from ..core.durable import bounded, fsync_directory, write_durably
from ..core.result import build_result
from .container import Feed, FeedError, parse_feeds

GATE_FILE: Final = "feed_gate.json"
GATE_COMMAND: Final = "./runbook feed_gate"
READ_SECONDS: Final = 1
WRITE_SECONDS: Final = 5
LONGEST_SECONDS: Final = 3600
"""A pass says that the feed was good, not for how long it will be. Longer than this is no pass, whatever wrote it."""


def format_gate(feeds: Sequence[Feed], checks: Iterable[Mapping[str, Any]], by: str, now: datetime, ttl: int) -> str:
    """Return the file's text for a pass that counts for `ttl` seconds from `now`."""
    fields = {
        "outcome": "pass",
        "feeds": [asdict(feed) for feed in feeds],
        "passed_at": format_utc(now),
        "expires_at": format_utc(now + timedelta(seconds=ttl)),
        "by": by,
        "checks": [{key: check.get(key) for key in ("id", "value", "unit")} for check in checks],
    }
    return json.dumps(fields, ensure_ascii=False) + "\n"


def judge_gate(text: str | None, feeds_now: Sequence[Feed], now: datetime) -> str:
    """Return why the gate is closed, as a sentence; empty: it is open.

    `text` is the file's (None: there is none), `feeds_now` what the feed hosts' engines describe just now.
    """
    if text is None:
        return "The feed gate is closed: no feed was verified for this host, or a later gate closed it."
    try:
        data = json.loads(text)
        passed_at, expires_at = parse_utc(data["passed_at"]), parse_utc(data["expires_at"])
        feeds, outcome = parse_feeds(data["feeds"]), data["outcome"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, FeedError) as error:
        return f"The feed gate cannot be understood ({error!r}) and counts as closed."
    if outcome != "pass":
        return f"The feed gate says {outcome!r} and not 'pass'."
    if not passed_at <= now < expires_at or expires_at - passed_at > timedelta(seconds=LONGEST_SECONDS):
        return (
            f"The feed gate is over: passed at {format_utc(passed_at)}, it counts until {format_utc(expires_at)}, "
            f"for {LONGEST_SECONDS} s at most, and it is {format_utc(now)}."
        )
    if not feeds or set(feeds) != set(feeds_now):
        passed, running = _format_feeds(feeds), _format_feeds(feeds_now)
        return f"The feed gate was passed by another feed ({passed}) than the one that runs ({running})."
    return ""


def read_gate(path: Path, feeds_now: Sequence[Feed], now: datetime) -> str:
    """Return why the gate at `path` is closed, as a sentence; empty: it is open."""
    try:
        text = bounded(lambda: path.read_text(encoding="utf-8"), READ_SECONDS)
    except FileNotFoundError:
        text = None
    except (OSError, ValueError) as error:
        return f"The feed gate cannot be read ({error}) and counts as closed."
    return judge_gate(text, feeds_now, now)


def ensure_closed(path: Path, dry_run: bool) -> dict[str, Any]:
    """Return the module result of closing the gate: there is no file any more."""
    was_there = path.exists() or path.is_symlink()
    try:
        if was_there and not dry_run:
            bounded(lambda: _remove(path), WRITE_SECONDS)
    except OSError as error:
        return build_result("failed", f"The feed gate could not be closed: {error}", next_command=f"sudo rm -r {path}")
    summary = "feed gate closed" if was_there else "feed gate was closed already"
    return build_result("planned" if dry_run else "proven", summary, changed=was_there)


def ensure_open(path: Path, params: Mapping[str, Any], now: datetime, dry_run: bool) -> dict[str, Any]:
    """Return the module result of writing a pass and reading it back; without a whole feed nothing is written."""
    seconds = params["ttl_seconds"]
    try:
        feeds = parse_feeds(params["feeds"])
    except FeedError as error:
        return build_result("refused", f"{error} The feed gate stays closed.", next_command=GATE_COMMAND)
    text = format_gate(feeds, params["checks"], params["by"], now, seconds)
    if closed := judge_gate(text, feeds, now):
        return build_result("refused", closed, next_command=GATE_COMMAND)
    if dry_run:
        return build_result("planned", f"feed gate would be open for {seconds} s", changed=True)
    try:
        bounded(lambda: _write(path, text), WRITE_SECONDS)
    except OSError as error:
        summary = f"The feed gate could not be written: {error}"
        return build_result("failed", summary, next_command=f"ls -la {path.parent}")
    if closed := read_gate(path, feeds, now):
        summary = f"What was written is not there. {closed}"
        return build_result("failed", summary, changed=True, next_command=f"ls -la {path.parent}")
    until = format_utc(now + timedelta(seconds=seconds))
    return build_result("proven", f"feed gate open until {until} for {_format_feeds(feeds)}", changed=True)


def _remove(path: Path) -> None:
    path.unlink()
    fsync_directory(path.parent)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    write_durably(path, text)


def _format_feeds(feeds: Sequence[Feed]) -> str:
    return "; ".join(feed.describe() for feed in feeds) or "none"
