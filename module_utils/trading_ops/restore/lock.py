"""One restore test at a time on a host: a lock that the kernel frees with the last process of the run that holds it.

Not the lease: a test takes longer than a start should have to wait, and a lease outlives a run that was killed.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from ..core.locks import opened_lock

LOCK: Final = "restore_test"
_HOLDER_BYTES: Final = 4096

_LEASHED: Final = ("setpriv", "--pdeathsig", "TERM", "--", "sh", "-c", '[ "$PPID" = "$0" ] && exec "$@"')
"""A program ends with the run that began it, also where that run is killed. The shell checks whether that was before
the kernel knew of this; its `$0` is the run's process."""


class RestoreTestLocked(Exception):
    """Another restore test runs on this host. The text says whose."""


@contextmanager
def hold(state_path: Path, holder: str) -> Iterator[int]:
    """Give the lock's descriptor; `holder` says who holds it. Raises RestoreTestLocked, OSError."""
    state_path.mkdir(parents=True, exist_ok=True)
    with opened_lock(state_path, LOCK) as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holding = os.pread(descriptor, _HOLDER_BYTES, 0).decode("utf-8", "replace").strip()
            raise RestoreTestLocked(holding or "a run that has not named itself yet") from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{holder}\n".encode(), 0)
        yield descriptor


def leashed(descriptor: int) -> Callable[..., Any]:
    """Return a Popen whose programs hold the lock too: who gets it next finds nothing of this run still at work."""

    def popen(argv: Sequence[str], **options: Any) -> Any:
        return subprocess.Popen([*_LEASHED, str(os.getpid()), *argv], pass_fds=(descriptor,), **options)

    return popen
