"""The halt latch: one small JSON file per trading host. While it is engaged nothing of ours starts a bot.

It stands in two places: in a folder of its own, the only one that bots mount, and where it was before, which bots,
guards, checkouts and people of before know alone. Either one halts; it is written to both, and lifted in both
(docs/decisions/0028-who-shares-the-host.md).

`{"scope": "all" | "live", "incident_ids": [...], "since": ISO UTC, "by": text, "reason": text}`. It is simple enough
for a shell to write. A missing file is the only sign of "released"; whatever cannot be understood is engaged.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, TypeVar

from ..core.bots import SCOPES
from ..core.clock import parse_utc
from ..core.durable import bounded, fsync_directory, write_durably
from ..core.ids import slug
from ..core.locks import locked
from . import audit

_T = TypeVar("_T")

READ_SECONDS: Final = 1

CONCURRENT_SECONDS: Final = 30
"""How long the slowest of several stops begun together may take to reach a host."""

LATCH_FILE: Final = "halt.json"
LATCH_FOLDER: Final = "latch"
LOCK: Final = "latch"


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


def latch_path(state_path: Path) -> Path:
    """Return the latch in its own folder, which bots mount."""
    return state_path / LATCH_FOLDER / LATCH_FILE


def places(state_path: Path) -> tuple[Path, Path]:
    """Return where the latch stands: where it was before, and in its own folder."""
    return state_path / LATCH_FILE, latch_path(state_path)


def state_path_of(path: Path) -> Path:
    """Return the state directory of a latch that is named by either of its places."""
    return path.parent.parent if path.parent.name == LATCH_FOLDER else path.parent


def read_latch(state_path: Path) -> Latch | None:
    """Return the latch of both places, None when it is released: there is no such file in either."""
    try:
        # Bounded: a dead disk must not hold up a stop. What does not answer is unreadable, and so engaged.
        return join(bounded(lambda: _read_places(state_path), READ_SECONDS).values())
    except OSError as error:
        return _damaged(f"unreadable: {error}")


def join(seen: Iterable[Latch | None]) -> Latch | None:
    """Return the latch that several places together mean: the widest scope, all ids, and damaged where one is."""
    found = [latch for latch in seen if latch]
    if not found:
        return None
    first = next((latch for latch in reversed(found) if not latch.damaged), found[0])
    others = [latch for latch in found if latch is not first]
    ids = dict.fromkeys(incident_id for latch in (first, *others) for incident_id in latch.incident_ids)
    scope = "all" if any(latch.scope == "all" for latch in found) else "live"
    damaged = "; ".join(dict.fromkeys(latch.damaged for latch in found if latch.damaged))
    return replace(first, scope=scope, incident_ids=tuple(ids), damaged=damaged)


def _read_places(state_path: Path) -> dict[Path, Latch | None]:
    return {path: _read(path) for path in places(state_path)}


def _read(path: Path) -> Latch | None:
    try:
        return parse_latch(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        # A link that leads nowhere is there, and the shell takes it for engaged too.
        return _damaged("a link that leads nowhere") if path.is_symlink() else None
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
    if present.damaged:  # it holds everything, and a stop never narrows a halt
        ids = dict.fromkeys(present.incident_ids + wanted.incident_ids)
        return replace(wanted, scope="all", incident_ids=tuple(ids))
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


def engage(state_path: Path, wanted: Latch, keep_first_id: bool, timeout_seconds: float) -> tuple[Latch, bool]:
    """Return the latch that is on disk in both places, fsynced, and whether this call changed it.

    Raises LatchError when it is not there within `timeout_seconds`: a sick disk must not hold up a stop. What could be
    written by then halts all the same.
    """

    def write() -> tuple[Latch, bool]:
        _make_folder(state_path)
        with ExitStack() as held:
            with suppress(OSError):  # a halt never fails for its lock
                held.enter_context(locked(state_path, LOCK))
            planned = plan_engage(read_latch(state_path), wanted, keep_first_id)
            changed, errors = False, []
            for path in places(state_path):
                try:
                    _make_folder(path.parent)
                    changed |= _put(path, planned)
                except OSError as error:
                    errors.append(str(error))
            if errors:
                raise LatchError("; ".join(errors))
            return planned, changed

    return _in_time(write, timeout_seconds, f"write the latch in {state_path}")


def lift(state_path: Path, incident_id: str, by: str, now: str, timeout_seconds: float) -> bool:
    """Return whether a latch was lifted (False: there was none). Starts nothing; the audit log has it first.

    Raises LatchError, with the latch untouched, unless `incident_id` is one of its ids.
    """

    def remove() -> bool:
        if not state_path.is_dir():
            return False
        with locked(state_path, LOCK):
            present = read_latch(state_path)
            if not may_lift(present, incident_id):
                return False
            audit.append(state_path, "released", by, now, incident_id=incident_id)
            if read_latch(state_path) != present:  # by the shell, or by a version that has another lock
                raise LatchError("It was engaged anew at the same moment. Look, then lift it once more.")
            for path in places(state_path):
                if path.parent.is_dir():
                    path.unlink(missing_ok=True)
                    fsync_directory(path.parent)
            return True

    return _in_time(remove, timeout_seconds, f"lift the latch in {state_path}")


def settle(state_path: Path, timeout_seconds: float) -> bool:
    """Return whether a latch that one place had, or had otherwise, was brought to both. Makes the latch's folder.

    So what a version of before wrote halts the bots that mount the folder, and the other way round. Raises LatchError.
    """

    def carry_over() -> bool:
        if not state_path.is_dir():
            return False
        _make_folder(state_path / LATCH_FOLDER)
        if not _settled_texts(state_path):
            return False
        with locked(state_path, LOCK):
            texts = _settled_texts(state_path)  # again: it may just have been lifted
            for path, text in texts.items():
                write_durably(path, text)
            return bool(texts)

    return _in_time(carry_over, timeout_seconds, f"bring the latch to both places in {state_path}")


def is_settled(state_path: Path) -> bool:
    """Return whether `settle` would find nothing to do."""
    return (state_path / LATCH_FOLDER).is_dir() and not _settled_texts(state_path)


def _settled_texts(state_path: Path) -> dict[Path, str]:
    """Return what each place has to hold that holds another latch than both together, or none."""
    seen = _read_places(state_path)
    latch = join(seen.values())
    if latch is None:
        return {}
    if latch.damaged:  # what is there already stays to be looked at, and holds everything as well
        text = f"damaged: {latch.damaged}\n"
        return {path: text for path, each in seen.items() if each is None}
    return {path: format_latch(latch) for path, each in seen.items() if each != latch}


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


def _put(path: Path, planned: Latch) -> bool:
    """Return whether the latch had to be written to this place, where it then is."""
    present = _read(path)
    if present == planned:
        return False
    if present and present.damaged:
        _keep_aside(path)
    write_durably(path, format_latch(planned))
    if _read(path) != planned:
        raise OSError(f"{path} does not hold what was written to it.")
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


def _make_folder(path: Path) -> None:
    if not path.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o755)  # whatever the umask: bots read the latch under other users


def _in_time(work: Callable[[], _T], timeout_seconds: float, what: str) -> _T:
    try:
        return bounded(work, timeout_seconds)
    except (LatchError, OSError, ValueError) as error:
        raise LatchError(f"Could not {what}: {error}") from error


def _damaged(why: str) -> Latch:
    return Latch("all", (), "unknown", "unknown", "unknown", damaged=why)
