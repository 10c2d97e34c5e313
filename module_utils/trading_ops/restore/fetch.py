"""A backup set brought onto the restore host: out of the repository, or from a directory that holds one."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ..backup.restic import Repository, ResticError, ask_restic, list_sets, newest_set, restore_set_argv
from ..host.programs import Programs
from .faults import RestoreFault, fault

Fetch = Callable[[Programs, str, Path], None]
"""Lays a set (by id, empty for the newest) into an empty directory. May raise RestoreFault, ProgramError, OSError."""

_BY_CODE: Final = {10: "repository_missing", 11: "repository_locked", 12: "wrong_password"}

_BY_TEXT: Final = (
    ("no_room", re.compile(r"no space left|disk quota exceeded", re.IGNORECASE)),
    ("repository_away", re.compile(r"connection refused|no route to host|no such host|i/o timeout|unreachable", re.I)),
    ("pack_missing", re.compile(r"does not exist|no such file|not found|404", re.IGNORECASE)),
)
"""restic has one exit code for all of these; what none of them names is a repository that cannot be read."""


def fetch_from_repository(repository: Repository, free_bytes: Callable[[Path], int]) -> Fetch:
    """Return what fetches from a restic repository, reading again all that it wrote."""

    def fetch(programs: Programs, wanted: str, folder: Path) -> None:
        try:
            found = newest_set(list_sets(programs, repository), wanted)
        except ValueError as error:
            raise fault("no_set", f"{repository.shown}: {error}") from error
        except ResticError as error:
            raise repository_fault(error) from error
        if not free_bytes(folder) >= found.bytes:
            raise fault("no_room", f"{found.id} has {found.bytes} bytes, and fewer are free at {folder}")
        try:
            ask_restic(programs, repository, restore_set_argv(found.snapshot_id, folder))
        except ResticError as error:
            raise repository_fault(error) from error

    return fetch


def fetch_from_folder(source: Path) -> Fetch:
    """Return what copies a set that lies in a directory of this host, unchanged."""

    def fetch(programs: Programs, wanted: str, folder: Path) -> None:
        if not source.is_dir():
            raise fault("no_set", f"{source} is no directory")
        shutil.copytree(source, folder, symlinks=True, dirs_exist_ok=True)

    return fetch


def repository_fault(error: ResticError) -> RestoreFault:
    """Return the fault that an end of restic stands for."""
    text = str(error)
    by_text = next((name for name, pattern in _BY_TEXT if pattern.search(text)), "repository_damaged")
    return fault(_BY_CODE.get(error.code, by_text), text)
