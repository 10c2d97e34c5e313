"""The processes of a run, found by a variable that all of them inherit, whatever session they went into.

ansible-runner ends a process group; Ansible's workers and their ssh are in sessions of their own and live on.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

RUN_VARIABLE = "TRADING_CORE_JOB_RUN"
_ROUNDS = 50
_INTERVAL_SECONDS = 0.1


def end_processes(
    run_id: str,
    proc: Path = Path("/proc"),
    kill: Callable[[int, int], None] = os.kill,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """End every process of the run; return whether none is left after a few seconds.

    Looked for again after each round: a process may have forked while it was being ended.
    """
    for _ in range(_ROUNDS):
        found = list(_processes(run_id, proc))
        if not found:
            return True
        for pid in found:
            try:
                kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        sleep(_INTERVAL_SECONDS)
    return False


def _processes(run_id: str, proc: Path) -> Iterator[int]:
    wanted = f"{RUN_VARIABLE}={run_id}".encode()
    for entry in proc.iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            settings = (entry / "environ").read_bytes()
        except OSError:
            continue  # it ended meanwhile, or is somebody else's
        # A zombie has no environment any more, so it is not waited for.
        if wanted in settings.split(b"\0"):
            yield int(entry.name)
