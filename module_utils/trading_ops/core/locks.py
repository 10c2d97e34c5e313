"""Locks between this project's processes on one machine, where no less trusted party can open them.

Who can open a file for reading can hold its lock: a container that mounts the state directory, or any local user.
So root's locks stand in a folder of root's alone. A folder that another user has laid in its place is moved away.
Without root there is no such place; who then may write the state is one user, and the lock stands beside it, mode 0600.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

FOLDER: Path = Path("/run/lock/trading-core")
"""Also in breakglass/trading-halt and in the line for systemd-tmpfiles that host_setup installs. A reboot clears it."""

_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_ATTEMPTS: Final = 100
_NAME_CHARACTERS: Final = 200


def lock_name(guarded: Path, name: str) -> str:
    """Return the file name of the lock `name` of the folder `guarded`; trading-halt makes the latch's the same way."""
    return f"{str(guarded).strip('/').replace('/', '-')}.{name}"[-_NAME_CHARACTERS:]


@contextmanager
def opened_lock(guarded: Path, name: str) -> Iterator[int]:
    """Give the descriptor of the lock `name` of the folder `guarded`, which nothing holds yet. Raises OSError."""
    if os.geteuid() == 0:
        folder = _open_folder()
        try:
            descriptor = os.open(lock_name(guarded, name), _FLAGS, 0o600, dir_fd=folder)
        finally:
            os.close(folder)
    else:
        descriptor = os.open(guarded / f".{name}.lock", _FLAGS, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def locked(guarded: Path, name: str) -> Iterator[None]:
    """Hold the lock `name` of the folder `guarded` inside; waits for it without a bound. Raises OSError."""
    with opened_lock(guarded, name) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


def _open_folder() -> int:
    """Return a descriptor of the folder, which is root's alone. Raises OSError."""
    FOLDER.parent.mkdir(parents=True, exist_ok=True)
    for _ in range(_ATTEMPTS):
        try:
            FOLDER.mkdir(mode=0o700)
        except FileExistsError:
            pass
        if (descriptor := _open_ours()) is not None:
            return descriptor
        _move_away()
    raise PermissionError(f"{FOLDER} is another user's, again and again")


def _open_ours() -> int | None:
    try:
        descriptor = os.open(FOLDER, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    seen = os.fstat(descriptor)
    if seen.st_uid != os.geteuid():
        os.close(descriptor)
        return None
    if stat.S_IMODE(seen.st_mode) != 0o700:
        os.fchmod(descriptor, 0o700)
    return descriptor


def _move_away() -> None:
    """Move away what another user laid there, one process at a time: the second would move the first one's folder."""
    descriptor = os.open(FOLDER.parent.parent / "trading-core.lock", _FLAGS, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        ours = _open_ours()
        if ours is not None:
            os.close(ours)
            return
        try:
            FOLDER.rename(FOLDER.with_name(f".{FOLDER.name}.{secrets.token_hex(8)}"))
            FOLDER.mkdir(mode=0o700)
        except (FileNotFoundError, FileExistsError):
            pass  # its owner was faster; the next attempt sees what is there now
    finally:
        os.close(descriptor)
