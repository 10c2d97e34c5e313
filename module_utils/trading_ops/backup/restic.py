"""A restic repository: its command lines, its exit codes, and what it prints. Unknown is a failure.

Exit codes of restic 0.17 and newer: https://restic.readthedocs.io/en/stable/075_scripting.html#exit-codes
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from ..core.clock import parse_utc
from ..core.strict_json import parse_json
from ..host.private_files import ExposedError, account_id, demand_private
from ..host.programs import Ended, Programs, said
from .manifest import MANIFEST_FILE, is_id

TAG: Final = "trading-core"
SET_TAG: Final = "set="
LOCK_WAIT: Final = "2m"
EXIT_MEANINGS: Final[Mapping[int, str]] = {
    3: "could not read all of its source",
    10: "there is no repository at that address",
    11: "another run holds the repository's lock",
    12: "the password is wrong",
}
LOCKED: Final = 11
NO_REPOSITORY: Final = 10
WRONG_PASSWORD: Final = 12
_LONGEST_LINE: Final = 120

REPOSITORY_ARGUMENTS: Final[dict[str, dict[str, Any]]] = {
    "repository": {"type": "str", "required": True},
    "password_path": {"type": "path", "required": True, "no_log": False},
    "credentials_path": {"type": "str", "default": ""},
}
"""Options of a module that opens a repository, documented in playbooks/doc_fragments/backup_repository.py."""


class ResticError(Exception):
    """restic did not do what was asked. The text is a sentence; `code` its exit code."""

    def __init__(self, sentence: str, code: int) -> None:
        super().__init__(sentence)
        self.code = code

    @property
    def outcome(self) -> str:
        return "locked" if self.code == LOCKED else "failed"


@dataclass(frozen=True)
class Repository:
    """Where the sets are, as one host reaches it. `environment` may hold secrets and is never shown.

    Without a `cache_path` restic leaves nothing on this host.
    """

    address: str
    password_path: Path
    environment: Mapping[str, str]
    cache_path: Path | None

    @property
    def shown(self) -> str:
        """Return the address without a password that was written into it."""
        scheme, separator, rest = self.address.partition("://")
        return f"{scheme}{separator}{rest.rpartition('@')[2]}" if separator else self.address


@dataclass(frozen=True)
class BackupSet:
    """A set as the repository lists it: `bytes` is what was backed up, 0 where restic did not say."""

    id: str
    snapshot_id: str
    at: datetime
    host: str
    bytes: int


def build_repository(
    address: str, password_path: Path, credentials_path: Path | None, cache_path: Path | None, user: str = ""
) -> Repository:
    """Return the repository with what its files say. ValueError where one is missing, or others may read it.

    user: the account that runs restic, which reads the password; empty for this process' own.
    """
    if not address:
        raise ValueError("no repository is named (trading_core_backup_repository)")
    reader = account_id(user)
    demand_private(password_path, [reader])
    environment = {}
    if credentials_path:
        demand_private(credentials_path, sorted({os.geteuid(), reader}))  # read here, and handed over
        try:
            environment = parse_environment(credentials_path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{credentials_path}: {error}") from error
    return Repository(address, password_path, environment, cache_path)


def repository_of(params: Mapping[str, Any], cache_path: Path | None = None) -> Repository:
    """Return the repository that the options `REPOSITORY_ARGUMENTS` name, for the account `user` where there is one.

    ValueError, OSError as build_repository.
    """
    credentials_path = Path(params["credentials_path"]) if params["credentials_path"] else None
    path, user = Path(params["password_path"]), params.get("user", "")
    return build_repository(params["repository"], path, credentials_path, cache_path, user)


def next_after(error: Exception) -> str:
    """Return what to type after `repository_of` could not give a repository."""
    is_there = isinstance(error, ExposedError) and not error.is_missing
    return "runbooks/Backup_And_Restore.md 3.1" if is_there else "./runbook backup_setup"


def restic_argv(repository: Repository, argv: Sequence[str]) -> list[str]:
    """Return a command on the repository. It waits a little for another run's lock, and removes none."""
    where = [f"--repo={repository.address}", f"--password-file={repository.password_path}"]
    where += [f"--cache-dir={repository.cache_path}" if repository.cache_path else "--no-cache"]
    return ["restic", *where, f"--retry-lock={LOCK_WAIT}", *argv]


def ask_restic(programs: Programs, repository: Repository, argv: Sequence[str], cwd: Path | None = None) -> Ended:
    """Return how restic ended with 0. Raises ResticError for every other end, ProgramError where it did not run."""
    ended = programs.run(restic_argv(repository, argv), environment=repository.environment, cwd=cwd)
    check_end(repository, argv[0], ended)
    return ended


def check_end(repository: Repository, what: str, ended: Ended) -> None:
    """Raise ResticError for any exit code but 0."""
    if ended.code != 0:
        meaning = EXIT_MEANINGS.get(ended.code, "")
        text = f"restic {what} on {repository.shown} ended with {ended.code}: {meaning}"
        raise ResticError(f"{text}{' — ' if meaning else ''}{_explained(ended)}.", ended.code)


def remove_stale_locks(programs: Programs, repository: Repository) -> None:
    """Have restic remove the locks of runs that are dead; one that is alive, or may be, stays.

    restic calls a lock stale when it was not refreshed for 30 minutes, or when its process is gone from this very host
    (restic internal/restic/lock.go).
    """
    ask_restic(programs, repository, ["unlock"])


def backup_argv(set_id: str, host: str) -> list[str]:
    """Return the command that stores the working directory as one snapshot."""
    return ["backup", "--json", f"--host={host}", f"--tag={TAG}", f"--tag={SET_TAG}{set_id}", "."]


def parse_summary(stdout: str) -> str:
    """Return the id of the snapshot that a backup made. ValueError where the last line does not name one."""
    lines = stdout.splitlines()
    summary = parse_json(lines[-1]) if lines else {}
    if not isinstance(summary, dict) or summary.get("message_type") != "summary" or not summary.get("snapshot_id"):
        raise ValueError("restic ended without naming the snapshot it made")
    return str(summary["snapshot_id"])


def list_sets(programs: Programs, repository: Repository) -> tuple[BackupSet, ...]:
    """Return the sets of the repository, oldest first. Raises ResticError, ProgramError, ValueError."""
    return parse_sets(ask_restic(programs, repository, ["snapshots", "--json", f"--tag={TAG}"]).stdout)


def parse_sets(stdout: str) -> tuple[BackupSet, ...]:
    """Return the sets in a list of snapshots, oldest first. ValueError where a snapshot is not understood.

    A snapshot that carries the tag and no set's id is no set of ours, and an error: something else writes there.
    """
    listed = parse_json(stdout)
    if not isinstance(listed, list):
        raise ValueError("restic's list of snapshots is no list")
    try:
        return tuple(sorted((_parse_set(item) for item in listed), key=lambda item: (item.at, item.id)))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"restic lists a snapshot that was not understood: {type(error).__name__}: {error}") from error


def parse_files(stdout: str) -> dict[str, int]:
    """Return the size of each file of a snapshot, by its path there, from `ls --json`. ValueError for anything else."""
    found = {}
    try:
        for line in stdout.splitlines():
            item = parse_json(line)
            if item.get("message_type", item.get("struct_type")) == "node" and item["type"] == "file":
                found[str(item["path"]).lstrip("/")] = int(item.get("size", 0))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"restic lists a file that was not understood: {type(error).__name__}: {error}") from error
    return found


def parse_forgotten(stdout: str) -> list[str]:
    """Return the ids of the snapshots that `forget --dry-run --json` would remove. ValueError for anything else."""
    try:
        groups = parse_json(stdout or "[]")  # it prints nothing where there is no snapshot
        if not isinstance(groups, list):
            raise TypeError("no list")
        return [str(item["id"]) for group in groups for item in group["remove"] or ()]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"restic's plan was not understood: {type(error).__name__}: {error}") from error


def newest_set(sets: Sequence[BackupSet], wanted: str = "") -> BackupSet:
    """Return the set named `wanted`, else the newest. ValueError where there is none."""
    found = [item for item in sets if not wanted or item.id == wanted]
    if not found:
        raise ValueError(f"there is no set {wanted}" if wanted else "there is no set")
    return found[-1]


def read_manifest(programs: Programs, repository: Repository, snapshot_id: str) -> str:
    """Return the text of a set's manifest, from the repository itself."""
    return ask_restic(programs, repository, ["dump", snapshot_id, MANIFEST_FILE]).stdout


def restore_set_argv(snapshot_id: str, target: Path) -> list[str]:
    """Return the command that lays a set into an empty directory and reads again what it wrote."""
    return ["restore", snapshot_id, f"--target={target}", "--verify"]


def parse_environment(text: str) -> dict[str, str]:
    """Return the variables of a credentials file: `NAME=value` lines, `#` comments. ValueError names a bad line."""
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, separator, value = line.partition("=")
        if not separator or not name.strip().isidentifier():
            raise ValueError(f"line {number} is not NAME=value")
        found[name.strip()] = value.strip()
    return found


def _parse_set(item: Mapping[str, Any]) -> BackupSet:
    ids = [tag.removeprefix(SET_TAG) for tag in item.get("tags") or () if tag.startswith(SET_TAG)]
    if len(ids) != 1 or not is_id(ids[0]):
        raise ValueError(f"snapshot {item['short_id']} is tagged {TAG} and is no backup set")
    summary = item.get("summary") or {}
    size = int(summary.get("total_bytes_processed", 0))
    return BackupSet(ids[0], str(item["id"]), _moment(str(item["time"])), str(item["hostname"]), size)


def _moment(text: str) -> datetime:
    """Return the time of a snapshot: Go writes up to nine digits of a second, and any zone."""
    if text.endswith("Z"):
        return parse_utc(text)
    head, _, tail = text.partition(".")
    zone = tail[-6:] if tail else text[-6:]
    return datetime.fromisoformat(f"{head if tail else text[:-6]}{zone}")


def _explained(ended: Ended) -> str:
    """Return restic's own explanation: how it ended, and the first thing it complained of, which names the file."""
    lines = [_plain(line.strip()) for line in ended.stderr.splitlines() if line.strip()]
    ends = [line for line in lines if line.startswith("Fatal: ")]
    end = ends[-1].removeprefix("Fatal: ") if ends else said(ended)
    first = lines[0] if lines and lines[0] not in ends else ""
    if len(first) > _LONGEST_LINE:
        first = f"{first[: _LONGEST_LINE // 2]} … {first[-_LONGEST_LINE // 2 :]}"  # the file, and the cause
    return f"{end.rstrip('.')} ({first})" if first and first != end else end.rstrip(".")


def _plain(line: str) -> str:
    """Return a line of stderr as text: with --json it is an object."""
    try:
        fields = parse_json(line)
        message = fields.get("message") or fields["error"]["message"]
    except (ValueError, AttributeError, KeyError, TypeError):
        return line
    return str(message).strip()
