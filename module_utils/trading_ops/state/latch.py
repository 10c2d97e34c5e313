"""The halt latch: one small JSON file per trading host. While it is engaged nothing of ours starts a bot.

`{"scope": "all" | "live", "incident_ids": [...], "since": ISO UTC, "by": text, "reason": text}`. It is simple enough
for a shell to write. A missing file is the only sign of "released"; whatever cannot be understood is engaged.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, TypeVar

from ..core.bots import SCOPES
from ..core.clock import parse_utc
from ..core.durable import bounded, fsync_directory, locked, write_durably
from ..core.ids import slug
from . import audit

_T = TypeVar("_T")

READ_SECONDS: Final = 1

CONCURRENT_SECONDS: Final = 30
"""How long the slowest of several stops begun together may take to reach a host."""

LATCH_FILE: Final = "halt.json"
LOCK_FILE: Final = ".lock"


class LatchError(Exception):
    """The latch could not be written or lifted. The text is a sentence."""


@dataclass(frozen=True)
class Latch:
    """An engaged latch. `damaged` says why the file could not be understood, and is empty for a good one."""

    scope: str
    incident_ids: tuple[str, ...]
    since: str
    by: str
    reason: str
    damaged: str = ""

    def blocks(self, mode: str) -> bool:
        """Return whether a bot of `mode` must not start; every mode but `paper` counts as live."""
        return self.scope != "live" or mode != "paper"

    def sentence(self) -> str:
        """Return why nothing may start, as a sentence."""
        if self.damaged:
            return f"The halt latch is damaged ({self.damaged}) and counts as engaged for all bots."
        ids = ", ".join(self.incident_ids)
        return f"The halt latch is engaged ({self.scope}) since {self.since} by {self.by}: {self.reason} [{ids}]."


def parse_latch(text: str) -> Latch:
    """Return the latch that a file's text means; never raises, since whatever is not understood is engaged."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        return _damaged("empty" if not text.strip() else f"not JSON: {error}")
    if not isinstance(data, dict):
        return _damaged("not a JSON object")
    scope, ids = data.get("scope"), data.get("incident_ids")
    if not isinstance(scope, str) or scope not in SCOPES:
        return _damaged(f"unknown scope {scope!r}")
    if not isinstance(ids, list) or not ids or not all(isinstance(item, str) and item for item in ids):
        return _damaged("no incident id")
    since, by, reason = (str(data.get(key) or "not given") for key in ("since", "by", "reason"))
    return Latch(scope, tuple(ids), since, by, reason)


def format_latch(latch: Latch) -> str:
    """Return the file's text for a latch."""
    fields = asdict(latch)
    del fields["damaged"]
    return json.dumps(fields, ensure_ascii=False) + "\n"


def read_latch(path: Path) -> Latch | None:
    """Return the latch at `path`, None when it is released (no such file)."""
    try:
        # Bounded: a dead disk must not hold up a stop. What does not answer is unreadable, and so engaged.
        return parse_latch(bounded(lambda: path.read_text(encoding="utf-8"), READ_SECONDS))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        return _damaged(f"unreadable: {error}")


def plan_engage(present: Latch | None, wanted: Latch, keep_first_id: bool) -> Latch:
    """Return the latch that engaging `wanted` leads to.

    The first writer's time, person and reason stay. Its scope only ever widens. With `keep_first_id` (the id of
    `wanted` was made up for this run) an engaged latch keeps its ids: stopping twice is one incident.
    Stops that meet within CONCURRENT_SECONDS agree on the oldest id, whatever order they reach a host in: otherwise
    ten at once would leave different incidents on different hosts.
    """
    if present is None:
        return wanted
    if present.damaged:
        return replace(wanted, scope="all")  # a damaged latch holds everything, and a stop never narrows a halt
    scope = "all" if "all" in (present.scope, wanted.scope) else "live"
    if keep_first_id and wanted.incident_ids < present.incident_ids and _are_concurrent(present, wanted):
        return replace(wanted, scope=scope, since=present.since)
    new = () if keep_first_id else tuple(i for i in wanted.incident_ids if i not in present.incident_ids)
    return replace(present, scope=scope, incident_ids=present.incident_ids + new)


def _are_concurrent(present: Latch, wanted: Latch) -> bool:
    """Return whether two runs without a given id met on this host at about the same time."""
    was_made_up = len(present.incident_ids) == 1 and present.incident_ids[0].endswith(f"-{slug(present.reason)}")
    try:
        apart = parse_utc(wanted.since) - parse_utc(present.since)
    except ValueError:
        return False
    return was_made_up and abs(apart.total_seconds()) <= CONCURRENT_SECONDS


def engage(path: Path, wanted: Latch, keep_first_id: bool, timeout_seconds: float) -> tuple[Latch, bool]:
    """Return the latch that is on disk, fsynced, and whether this call changed it.

    Raises LatchError when it is not there within `timeout_seconds`: a sick disk must not hold up a stop.
    """

    def write() -> tuple[Latch, bool]:
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.parent.chmod(0o755)  # whatever the umask: bots read the latch under other users
        with locked(path.parent / LOCK_FILE):
            present = read_latch(path)
            planned = plan_engage(present, wanted, keep_first_id)
            if planned == present:
                return planned, False
            if present and present.damaged:
                _keep_aside(path)
            write_durably(path, format_latch(planned))
            on_disk = read_latch(path)
            if on_disk != planned:
                raise LatchError(f"{path} does not hold what was written to it.")
            return planned, True

    return _in_time(write, timeout_seconds, f"write {path}")


def lift(path: Path, incident_id: str, by: str, now: str, timeout_seconds: float) -> bool:
    """Return whether a latch was lifted (False: there was none). Starts nothing; the audit log has it first.

    Raises LatchError, with the latch untouched, unless `incident_id` is one of its ids.
    """

    def remove() -> bool:
        if not path.parent.is_dir():
            return False
        with locked(path.parent / LOCK_FILE):
            if not may_lift(read_latch(path), incident_id):
                return False
            audit.append(path.parent, "released", by, now, incident_id=incident_id)
            path.unlink()
            fsync_directory(path.parent)
            return True

    return _in_time(remove, timeout_seconds, f"lift {path}")


def may_lift(present: Latch | None, incident_id: str) -> bool:
    """Return whether there is a latch to lift; raises LatchError when `incident_id` does not entitle to it."""
    if present is None:
        return False
    if present.damaged:
        raise LatchError(
            f"The halt latch is damaged ({present.damaged}), so no incident id can match. "
            "Stop again, which writes a readable latch, then lift the halt with the id it shows."
        )
    if incident_id not in present.incident_ids:
        raise LatchError(
            f"{incident_id!r} is not an incident of this latch. It is held by: {', '.join(present.incident_ids)}."
        )
    return True


def _keep_aside(path: Path) -> None:
    """Keep a latch that could not be read beside the new one, which replaces it in one step.

    It stays in its place until then: a disk that fails in between must not leave the halt lifted.
    """
    aside = path.with_name(f"{path.name}.damaged-{path.lstat().st_mtime_ns}")
    if path.is_dir():
        path.replace(aside)
    elif not aside.exists():
        aside.hardlink_to(path)


def _in_time(work: Callable[[], _T], timeout_seconds: float, what: str) -> _T:
    try:
        return bounded(work, timeout_seconds)
    except (LatchError, OSError, ValueError) as error:
        raise LatchError(f"Could not {what}: {error}") from error


def _damaged(why: str) -> Latch:
    return Latch("all", (), "unknown", "unknown", "unknown", damaged=why)
