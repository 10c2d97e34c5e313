"""Files of this project on a host: judged by their consumer's own checker, put in place, then read back."""

from __future__ import annotations

import ctypes
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..core.durable import fsync_directory

_AT_FDCWD: Final = -100
_EXCHANGE: Final = 2


class HostFileError(Exception):
    """A file is not what it should be, or could not be written. The text is a sentence."""


@dataclass(frozen=True)
class HostFile:
    """What a file has to be. `validate` is the command of its consumer's checker, with `%s` for the file.

    gid: the group that may read it too, where that is not its writer's own.
    """

    path: Path
    content: str
    mode: int = 0o644
    validate: tuple[str, ...] = ()
    gid: int | None = None

    @property
    def owner(self) -> tuple[int, int]:
        """Whose it is: user and group."""
        return os.geteuid(), os.getegid() if self.gid is None else self.gid


def differs(wanted: HostFile) -> bool:
    """Return whether the host has something else at the path, or nothing."""
    try:
        seen = wanted.path.lstat()
        return (
            not stat.S_ISREG(seen.st_mode)
            or stat.S_IMODE(seen.st_mode) != wanted.mode
            or (seen.st_uid, seen.st_gid) != wanted.owner
            or wanted.path.read_bytes() != wanted.content.encode()
        )
    except (FileNotFoundError, NotADirectoryError):
        return True


def read_text(path: Path) -> str:
    """Return the file's text for a diff, empty where there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def check_content(wanted: HostFile, run: Callable[[Sequence[str]], tuple[int, str]]) -> None:
    """Raise HostFileError where the consumer's checker does not take the content. `run` gives exit code and output.

    The checker sees a file of the same name: systemd-analyze judges a unit by it.
    """
    if not wanted.validate:
        return
    with tempfile.TemporaryDirectory(prefix="trading-core-") as scratch:
        path = Path(scratch) / wanted.path.name
        path.write_text(wanted.content, encoding="utf-8")
        path.chmod(wanted.mode)
        argv = [word.replace("%s", str(path)) for word in wanted.validate]
        code, output = run(argv)
    if code != 0:
        raise HostFileError(f"{wanted.path} was not written, {argv[0]} refuses it ({code}): {output.strip()}")


def ensure_file(wanted: HostFile) -> None:
    """Put the file in its place in one step, durably, and read it back. Raises HostFileError."""
    try:
        wanted.path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=wanted.path.parent, prefix=".trading-core-")
        try:
            with open(descriptor, "wb") as file:
                file.write(wanted.content.encode())
                os.fchown(file.fileno(), *wanted.owner)
                os.fchmod(file.fileno(), wanted.mode)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(wanted.path)
        finally:
            Path(temporary).unlink(missing_ok=True)
        fsync_directory(wanted.path.parent)
    except OSError as error:
        raise HostFileError(f"{wanted.path} could not be written: {error}") from error
    if differs(wanted):
        raise HostFileError(f"{wanted.path} does not hold what was written to it.")


def unexpected(directory: Path, names: Container[str]) -> list[Path]:
    """Return the files below `directory` whose path from there is not in `names`, what Python compiled left out."""
    files = (path for path in directory.rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted(
        path for path in files if "__pycache__" not in path.parts and str(path.relative_to(directory)) not in names
    )


def exchange(new: Path, old: Path) -> None:
    """Put the folder `new` in the place of `old`, which then stands at `new`. Raises HostFileError.

    In one step where the file system can (Linux 3.15, `renameat2` in glibc 2.28); else with a moment in which `old`
    is missing.
    """
    try:
        if not old.is_dir() or old.is_symlink():
            remove(old)
            new.rename(old)
        elif not _renamed_at_once(new, old):
            aside = old.with_name(f".{old.name}.old")
            remove(aside)
            old.rename(aside)
            try:
                new.rename(old)
            except OSError:
                aside.rename(old)
                raise
            aside.rename(new)
        fsync_directory(old.parent)
    except OSError as error:
        raise HostFileError(f"{old} could not be replaced: {error}") from error


def _renamed_at_once(new: Path, old: Path) -> bool:
    libc: Any = ctypes.CDLL(None)
    return (
        hasattr(libc, "renameat2")
        and libc.renameat2(_AT_FDCWD, os.fsencode(new), _AT_FDCWD, os.fsencode(old), _EXCHANGE) == 0
    )


def remove(path: Path) -> None:
    """Remove a file or a directory with all in it. Raises HostFileError."""
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise HostFileError(f"{path} could not be removed: {error}") from error
