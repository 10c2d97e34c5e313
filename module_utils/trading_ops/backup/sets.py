"""The sets of a repository: which there are and how old, whether their data can be read, and which are kept."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ..core.clock import format_utc
from ..core.result import build_result
from ..host.programs import LocalPrograms, ProgramError, Programs
from . import restic
from .restic import BackupSet, Repository, ResticError

KEEP_WITHIN: Final = re.compile(r"(?:[0-9]+[ymdh])+")
LATEST_CLOCK: Final = timedelta(hours=1)
"""How far a snapshot may seem to be from the future before it is no honest one."""

LIST_SECONDS: Final = 300
_SHOWN: Final = 10


def list_backups(params: Mapping[str, Any], dry_run: bool) -> dict[str, Any]:
    """Return the result of the module `backup_info`. Never raises."""

    def observe(repository: Repository, programs: Programs) -> dict[str, Any]:
        return observe_sets(repository, programs, datetime.now(UTC), params["age_limit_seconds"])

    return _with_repository(params, LIST_SECONDS, observe)


def check_backups(params: Mapping[str, Any], dry_run: bool) -> dict[str, Any]:
    """Return the result of the module `backup_check_info`. Never raises."""

    def observe(repository: Repository, programs: Programs) -> dict[str, Any]:
        return check_data(repository, programs, datetime.now(UTC), params["subsets"], time.monotonic, dry_run)

    return _with_repository(params, params["timeout_seconds"], observe)


def prune_backups(params: Mapping[str, Any], dry_run: bool) -> dict[str, Any]:
    """Return the result of the module `backup_prune`. Never raises."""

    def act(repository: Repository, programs: Programs) -> dict[str, Any]:
        return ensure_pruned(repository, programs, datetime.now(UTC), params["keep_within"], dry_run)

    return _with_repository(params, params["timeout_seconds"], act)


def _with_repository(
    params: Mapping[str, Any], timeout_seconds: float, work: Callable[[Repository, Programs], dict[str, Any]]
) -> dict[str, Any]:
    try:
        # Without a cache: what is checked is the repository itself, and another account leaves nothing behind.
        repository = restic.repository_of(params)
    except (ValueError, OSError) as error:
        return _result("refused", f"{error}.", next_command=restic.next_after(error))
    return work(repository, LocalPrograms({}, time.monotonic, timeout_seconds, params["user"]))


def observe_sets(repository: Repository, programs: Programs, now: datetime, age_limit_seconds: float) -> dict[str, Any]:
    """Return the module result of listing the sets: proven where the newest is no older than the limit. Never raises.

    With a limit of 0 a repository that opens is enough, also one that has no set yet.
    """
    try:
        sets = restic.list_sets(programs, repository)
    except (ResticError, ProgramError, ValueError) as error:
        return _result(_outcome_of(error), f"{str(error).rstrip('.')}.")
    if not sets:
        text = f"{repository.shown} opens and has no set"
        return _result("failed" if age_limit_seconds else "proven", text, next_command="./runbook backup")
    age = (now - sets[-1].at).total_seconds()
    text = f"{_number(len(sets))} in {repository.shown}, the newest {sets[-1].id}, {_hours(age)} old"
    if not age_limit_seconds or -LATEST_CLOCK.total_seconds() <= age <= age_limit_seconds:
        return _result("proven", text, sets, age=age)
    return _result(
        "failed", f"{text}, where at most {_hours(age_limit_seconds)} are allowed", sets, "./runbook backup", age=age
    )


def check_data(
    repository: Repository, programs: Programs, now: datetime, subsets: int, clock: Callable[[], float], dry_run: bool
) -> dict[str, Any]:
    """Return the module result of checking the repository, reading one of `subsets` parts of its data. Never raises.

    The part follows the week, so that after that many weeks all of it was read.
    """
    part = now.isocalendar().week % subsets + 1
    begun = clock()
    try:
        if not dry_run:
            restic.remove_stale_locks(programs, repository)
        restic.ask_restic(programs, repository, ["check", f"--read-data-subset={part}/{subsets}"])
        sets = restic.list_sets(programs, repository)
    except (ResticError, ProgramError, ValueError) as error:
        fix = "runbooks/Backup_And_Restore.md 3.4" if isinstance(error, ResticError) and error.code == 1 else ""
        return _result(_outcome_of(error), f"{str(error).rstrip('.')}.", next_command=fix)
    took = f"{clock() - begun:.1f} s"
    text = f"{repository.shown} is whole: {_number(len(sets))}, data part {part} of {subsets} read in {took}"
    return _result("proven", text, sets)


def ensure_pruned(
    repository: Repository, programs: Programs, now: datetime, keep_within: str, dry_run: bool
) -> dict[str, Any]:
    """Return the module result of forgetting sets older than `keep_within` (as in 90d) and freeing their data.

    restic counts from the newest snapshot of a host: where backups have stopped, nothing is forgotten. A snapshot from
    the future would make every other one old, so such a repository is left alone; and what is forgotten is named, so
    that one that is added meanwhile changes nothing. Never raises.
    """
    if not KEEP_WITHIN.fullmatch(keep_within) or not re.search("[1-9]", keep_within):
        return _result("usage", f"How long to keep is a time like 90d, not {keep_within!r}.")
    try:
        before = restic.list_sets(programs, repository)
        future = [item for item in before if item.at > now + LATEST_CLOCK]
        if future:
            text = f"{future[-1].id} of {future[-1].host} is from the future ({format_utc(future[-1].at)})"
            return _result("refused", f"Nothing was forgotten: {text}.", before, "runbooks/Backup_And_Restore.md 3.5")
        old = _plan(repository, programs, keep_within)
        if unexpected := set(old) - _may_go(before):
            names = ", ".join(sorted(unexpected))
            text = f"restic would forget {names}: the newest set of a host, or none of those listed"
            return _result("refused", f"Nothing was forgotten: {text}.", before, "./runbook backup_info")
        if dry_run:
            text = f"would forget {len(old)} of {_number(len(before))} ({keep_within} before the newest of each host)"
            return _result("planned", text, before, changed=bool(old))
        if old:
            restic.remove_stale_locks(programs, repository)
            restic.ask_restic(programs, repository, ["forget", *old, "--prune"])
        after = restic.list_sets(programs, repository)
    except (ResticError, ProgramError, ValueError) as error:
        return _result(_outcome_of(error), f"{str(error).rstrip('.')}.", next_command="./runbook backup_check")
    return _pruned(before, after, old, keep_within)


def _pruned(
    before: Sequence[BackupSet], after: Sequence[BackupSet], old: Sequence[str], keep_within: str
) -> dict[str, Any]:
    """Return the module result of what is left in the repository after `old` were forgotten."""
    left = {item.snapshot_id for item in after}
    if lost := [item.id for item in _newest_by_host(before) if item.snapshot_id not in left]:
        return _result("failed", f"The newest set of a host is gone: {', '.join(lost)}.", after)
    # restic 0.18 ends with 0 also where the repository did not let it remove a snapshot.
    if stayed := left & set(old):
        return _result("failed", f"{_number(len(stayed))} too old and could not be removed.", after)
    gone = len(before) - len(after)
    text = f"{_number(len(after))} kept, {gone} forgotten ({keep_within} before the newest of each host)"
    return _result("proven", text, after, changed=gone > 0)


def _plan(repository: Repository, programs: Programs, keep_within: str) -> list[str]:
    """Return the ids of what is too old. By host, and not by path as restic has it: each set has a path of its own."""
    argv = ["forget", f"--tag={restic.TAG}", "--group-by=host", f"--keep-within={keep_within}", "--dry-run", "--json"]
    return restic.parse_forgotten(restic.ask_restic(programs, repository, argv).stdout)


def _may_go(sets: Sequence[BackupSet]) -> set[str]:
    return {item.snapshot_id for item in sets} - {item.snapshot_id for item in _newest_by_host(sets)}


def _newest_by_host(sets: Sequence[BackupSet]) -> list[BackupSet]:
    return list({item.host: item for item in sets}.values())


def _outcome_of(error: Exception) -> str:
    return error.outcome if isinstance(error, ResticError) else "failed"


def _number(sets: int) -> str:
    return f"{sets} set{'s' * (sets != 1)}"


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h"


def _result(
    outcome: str,
    summary: str,
    sets: Sequence[BackupSet] = (),
    next_command: str = "",
    age: float | None = None,
    changed: bool = False,
) -> dict[str, Any]:
    return build_result(
        outcome,
        summary,
        changed=changed,
        next_command=next_command,
        sets=[asdict(item) | {"at": format_utc(item.at)} for item in sets],
        newest_age_seconds=age,
        lines=[f"{item.id}  {item.host}  {item.bytes / 1_000_000:.1f} MB" for item in sets[-_SHOWN:]],
    )
