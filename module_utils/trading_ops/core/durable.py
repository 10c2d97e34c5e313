"""Writing to a disk that may be full, read-only or dead: it lasts, or it fails, and it never takes forever."""

from __future__ import annotations

import os
import secrets
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

_T = TypeVar("_T")

_ANEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_APPEND: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


def bounded(work: Callable[[], _T], timeout_seconds: float) -> _T:
    """Return what `work` returns, or raise what it raises; TimeoutError when neither came in time.

    A daemon thread, because neither a write to a dead disk nor a lock held by a stuck writer can be interrupted.
    """
    results: list[_T] = []
    failures: list[Exception] = []

    def run() -> None:
        try:
            results.append(work())
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(timeout_seconds)
    if failures:
        raise failures[0]
    if not results:
        raise TimeoutError(f"no answer from lock or disk within {timeout_seconds:g} s")
    return results[0]


def write_durably(path: Path, text: str, like: os.stat_result | None = None) -> None:
    """Replace the file at `path` in one step; when this returns, the text survives a power cut.

    The file is its writer's and everybody may read it, or it has the owner and mode of `like`. It is written beside
    under a name that no one can have laid there first: the folder may be another user's.
    """
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    descriptor = os.open(temporary, _ANEW, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            if like:
                os.fchown(file.fileno(), like.st_uid, like.st_gid)
            # Without a `like`: bots and the guard read it under other users.
            os.fchmod(file.fileno(), stat.S_IMODE(like.st_mode) if like else 0o644)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    fsync_directory(path.parent)


def append_durably(path: Path, text: str) -> None:
    """Append `text` to the file at `path`, which is no link; when this returns, it survives a power cut."""
    with open(os.open(path, _APPEND, 0o644), "a", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fsync_directory(path.parent)


def fsync_directory(directory: Path) -> None:
    """Make a rename or removal in `directory` survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
