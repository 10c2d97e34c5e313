"""The lease of one host: who starts something on it right now. A stop never asks for it.

`{"holder": text, "purpose": text, "since": ISO UTC, "expires": ISO UTC}`. All times are the host's own, so no two
clocks are compared. A missing file is free; one that cannot be understood is held until it
is too old to belong to any run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

from ..core.clock import format_utc
from ..core.durable import bounded, fsync_directory, write_durably
from ..core.locks import locked
from ..core.result import build_result
from . import audit

_T = TypeVar("_T")

LEASE_FILE: Final = "lease.json"
LOCK: Final = "lease"

MAX_SECONDS: Final = 3600
"""No lease is longer, and none blocks longer: a run that died, or garbage in the file, is over by then."""

READ_SECONDS: Final = 1
WRITE_SECONDS: Final = 5
INTERVAL_SECONDS: Final = 1.0


class LeaseError(Exception):
    """The lease could not be read, written or freed. The text is a sentence."""


@dataclass(frozen=True)
class Lease:
    """A lease as the file holds it. `damaged` says why the file could not be understood, empty for a good one."""

    holder: str
    purpose: str
    since: datetime
    expires: datetime
    damaged: str = ""


@dataclass(frozen=True)
class Wanted:
    """A lease that a run asks for. `holder` names the person and the run: two runs never have the same."""

    holder: str
    purpose: str
    duration_seconds: int
    by: str


@dataclass(frozen=True)
class Clock:
    """The time, handed in: the host's time of day, seconds that only go forward, and waiting."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True)
class Taken:
    """Whether the lease is this run's (in check mode: would be), or else the one in the way.

    `former` is the one that was over and is replaced.
    """

    is_mine: bool
    lease: Lease
    former: Lease | None = None
    warnings: tuple[str, ...] = ()


def parse_lease(text: str, modified: datetime) -> Lease:
    """Return the lease that a file's text means; never raises. `modified` is when the file was last written.

    What is not understood counts as held, until MAX_SECONDS after it was written.
    """
    try:
        fields = json.loads(text)
        holder, purpose = fields["holder"], fields["purpose"]
        since, expires = _parse_moment(fields["since"]), _parse_moment(fields["expires"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        return _damaged("empty" if not text.strip() else f"{type(error).__name__}: {error}", modified)
    if not all(isinstance(text, str) and text and text.isprintable() for text in (holder, purpose)):
        return _damaged("no holder and purpose as text", modified)
    if not timedelta(0) <= expires - since <= timedelta(seconds=MAX_SECONDS):
        return _damaged(f"it would be held from {fields['since']} to {fields['expires']}", modified)
    return Lease(holder, purpose, since, expires)


def format_lease(lease: Lease) -> str:
    """Return the file's text for a lease."""
    return json.dumps(_fields(lease), ensure_ascii=False) + "\n"


def decide(present: Lease | None, holder: str, now: datetime) -> str:
    """Return what `present` is to `holder`: `free`, `own`, `expired` or `held`. Only `held` keeps it out.

    A lease from later than `now` (the host's clock was set back) is held: who took it may still be at work.
    """
    if present is None:
        return "free"
    if now >= present.expires:
        return "expired"
    return "own" if _is_of(present, holder) else "held"


def build_wanted(by: str, run_id: str, purpose: str, duration_seconds: int) -> Wanted:
    """Return what a run asks for. The holder is empty without a run id: two such runs could not be told apart."""
    person = _printable(by)
    holder = f"{person} (run {_printable(run_id)})" if run_id.strip() else ""
    return Wanted(holder, _printable(purpose), duration_seconds, person)


def take(state_path: Path, wanted: Wanted, now: Callable[[], datetime], dry_run: bool) -> Taken:
    """Return whether the lease is this run's now. Asks once; a run that has it already gets it prolonged.

    Raises LeaseError where the answer is not on disk within WRITE_SECONDS.
    """
    if dry_run:
        return _judge(_in_time(lambda: _read(state_path), READ_SECONDS, "read", state_path), wanted, now())

    def read_decide_write() -> Taken:
        _make_directory(state_path)
        with locked(state_path, LOCK):
            # The time is read under the lock: waiting for it may have outlived the lease that stood there.
            moment = now()
            taken = _judge(_read(state_path), wanted, moment)
            if taken.is_mine:
                _write(state_path, taken.lease)
        return taken

    taken = _in_time(read_decide_write, WRITE_SECONDS, "take", state_path)
    if not taken.is_mine:
        return taken
    more = {"former": taken.former.holder} if taken.former else {}
    warnings = audit.record_quietly(
        state_path,
        "lease taken",
        wanted.by,
        format_utc(now()),
        holder=wanted.holder,
        purpose=wanted.purpose,
        expires=format_utc(taken.lease.expires),
        **more,
    )
    return Taken(True, taken.lease, taken.former, tuple(warnings))


def wait_and_take(state_path: Path, wanted: Wanted, wait_timeout_seconds: float, clock: Clock, dry_run: bool) -> Taken:
    """Return the first answer that is yes, or the last no once `wait_timeout_seconds` are over. Raises LeaseError."""
    begun = clock.monotonic()
    while True:
        taken = take(state_path, wanted, clock.now, dry_run)
        left = wait_timeout_seconds - (clock.monotonic() - begun)
        if taken.is_mine or left <= 0:
            return taken
        clock.sleep(min(INTERVAL_SECONDS, left))


def free(state_path: Path, wanted: Wanted, now: Callable[[], datetime]) -> tuple[bool, list[str]]:
    """Return whether this run's lease was freed, and warnings. One that another run has by now stays with it.

    Raises LeaseError where it could not be freed.
    """

    def free_it() -> Lease | None:
        with locked(state_path, LOCK):
            present = _read(state_path)
            if present and _is_of(present, wanted.holder):
                (state_path / LEASE_FILE).unlink()
                fsync_directory(state_path)
            return present

    present = _in_time(free_it, WRITE_SECONDS, "free", state_path)
    if present is None:
        return False, ["There was no lease any more: ended by hand, or over, and another run came and went."]
    if not _is_of(present, wanted.holder):
        return False, [f"It is not this run's any more and stays as it is. {describe(present, state_path)}."]
    return True, audit.record_quietly(state_path, "lease freed", wanted.by, format_utc(now()), holder=wanted.holder)


def ensure_held(
    state_path: Path, wanted: Wanted, wait_timeout_seconds: float, clock: Clock, dry_run: bool
) -> dict[str, Any]:
    """Return the module result of taking the lease; `locked` where another run has it."""
    if not wanted.holder or not 1 <= wanted.duration_seconds <= MAX_SECONDS:
        asked = f"{wanted.duration_seconds} s for {wanted.holder or 'no run'}"
        return _result("usage", f"A lease is of a run and lasts 1 to {MAX_SECONDS} s; asked: {asked}.")
    try:
        taken = wait_and_take(state_path, wanted, wait_timeout_seconds, clock, dry_run)
    except LeaseError as error:
        return _result("failed", str(error))
    if not taken.is_mine:
        return _result("locked", describe(taken.lease, state_path), lease=taken.lease)
    summary = f"lease until {_shown(taken.lease.expires)}"
    if taken.former:
        summary += f", taken over from {taken.former.holder}, whose own ended at {_shown(taken.former.expires)}"
    return _result("planned" if dry_run else "proven", summary, True, taken.lease, taken.warnings)


def ensure_freed(state_path: Path, wanted: Wanted, now: Callable[[], datetime], dry_run: bool) -> dict[str, Any]:
    """Return the module result of freeing the lease. It never fails: a lease left behind ends by itself.

    What ran under the lease has its own proof, and a start that is proven must not be reported as failed.
    """
    if dry_run:
        return _result("planned", "no lease was taken")
    try:
        freed, warnings = free(state_path, wanted, now)
    except LeaseError as error:
        freed, warnings = False, [f"{error} It ends by itself within {MAX_SECONDS} s."]
    return _result("proven", "lease freed" if freed else "no lease freed", freed, None, warnings)


def describe(lease: Lease, state_path: Path) -> str:
    """Return as text who holds the lease, for what, since when, until when, and how to end it by hand."""
    by_hand = f"sudo rm -r {state_path / LEASE_FILE}"
    if lease.damaged:
        return (
            f"The lease cannot be understood ({lease.damaged}) and counts as held until {_shown(lease.expires)}; "
            f"if no run is at work on this host: {by_hand}"
        )
    return (
        f"Held by {lease.holder} for {lease.purpose} since {_shown(lease.since)}, until {_shown(lease.expires)} at the "
        f"latest; if that run is dead: {by_hand}"
    )


def observe(state_path: Path, now: str) -> dict[str, Any]:
    """Return who holds the lease at `now` (the host's time, ISO 8601 UTC), with `held` and a `summary`; never raises.

    What cannot be read is held.
    """
    moment = datetime.fromisoformat(now)
    try:
        lease = bounded(lambda: _read(state_path), READ_SECONDS)
    except (OSError, ValueError, OverflowError) as error:
        lease = _damaged(f"unreadable: {error}", moment)
    if lease is None:
        return {"held": False, "holder": "", "purpose": "", "since": "", "expires": "", "summary": "no lease"}
    held = decide(lease, "", moment) == "held"
    ended = f"no lease; the one of {lease.holder} ended at {_shown(lease.expires)}"
    return {"held": held, **_fields(lease), "summary": describe(lease, state_path) if held else ended}


def _judge(present: Lease | None, wanted: Wanted, now: datetime) -> Taken:
    now = now.replace(microsecond=0)
    place = decide(present, wanted.holder, now)
    if present and place == "held":
        return Taken(False, present)
    since = present.since if present and place == "own" else now
    # A run that prolongs its lease keeps within MAX_SECONDS of its beginning, or the file would count as damaged.
    expires = min(now + timedelta(seconds=wanted.duration_seconds), since + timedelta(seconds=MAX_SECONDS))
    mine = Lease(wanted.holder, wanted.purpose, since, expires)
    return Taken(True, mine, former=present if place == "expired" else None)


def _read(state_path: Path) -> Lease | None:
    """Return the lease on disk, None where there is none. Raises OSError where not even its age can be seen."""
    path = state_path / LEASE_FILE
    try:
        modified = datetime.fromtimestamp(path.lstat().st_mtime, UTC)
    except FileNotFoundError:
        return None
    try:
        return parse_lease(path.read_text(encoding="utf-8"), modified)
    except FileNotFoundError:
        return None  # freed between the two calls; a link that leads nowhere is no lease either
    except (OSError, ValueError) as error:
        return _damaged(f"unreadable: {error}", modified)


def _write(state_path: Path, lease: Lease) -> None:
    path = state_path / LEASE_FILE
    if path.is_dir() and not path.is_symlink():
        path.rename(path.with_name(f"{LEASE_FILE}.damaged-{path.lstat().st_mtime_ns}"))
    write_durably(path, format_lease(lease))
    if _read(state_path) != lease:
        raise LeaseError(f"{path} does not hold what was written to it.")


def _make_directory(state_path: Path) -> None:
    if not state_path.is_dir():
        state_path.mkdir(parents=True, exist_ok=True)
        state_path.chmod(0o755)  # whatever the umask: bots read the halt latch in it under other users


def _is_of(lease: Lease, holder: str) -> bool:
    return lease.holder == holder and not lease.damaged


def _in_time(work: Callable[[], _T], timeout_seconds: float, what: str, state_path: Path) -> _T:
    try:
        return bounded(work, timeout_seconds)
    except (OSError, ValueError, LeaseError) as error:
        raise LeaseError(f"Could not {what} the lease {state_path / LEASE_FILE}: {error}") from error


def _damaged(why: str, modified: datetime) -> Lease:
    return Lease("unknown", "unknown", modified, modified + timedelta(seconds=MAX_SECONDS), damaged=why)


def _parse_moment(text: object) -> datetime:
    moment = datetime.fromisoformat(str(text))
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} does not say which zone it is of")
    return moment.astimezone(UTC)


def _printable(text: str) -> str:
    """Return people's text on one line, as a lease and the audit log can hold them."""
    return "".join(char for char in " ".join(text.split()) if char.isprintable()) or "not given"


def _shown(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _fields(lease: Lease) -> dict[str, str]:
    return {
        "holder": lease.holder,
        "purpose": lease.purpose,
        "since": format_utc(lease.since),
        "expires": format_utc(lease.expires),
    }


def _result(
    outcome: str, summary: str, changed: bool = False, lease: Lease | None = None, warnings: Sequence[str] = ()
) -> dict[str, Any]:
    fields = _fields(lease) if lease else {}
    return build_result(outcome, summary, changed=changed, lease=fields, warnings=list(warnings))
