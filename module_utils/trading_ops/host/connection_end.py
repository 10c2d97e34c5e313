"""The end of the connection that a module runs for: its caller was killed or went away, and nothing waits any more.

sshd ends a session without telling the programs that run under sudo in it, so the session's own process is watched.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

POLL_SECONDS: Final = 1.0
_SIGNALS: Final = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
_SESSIONS: Final = frozenset({"sshd", "sshd-session"})


class Interrupted(BaseException):
    """Told to end. Not an Exception: nothing that handles those may take it for one of its own."""


def find_session(pid: int, proc: Path = Path("/proc")) -> tuple[int, str] | None:
    """Return id and start time of the process that stands for the caller: sshd's, or else the outermost before init.

    None where a process on the way cannot be read.
    """
    found = None
    while pid > 1:
        try:
            name, parent, started = parse_stat((proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace"))
        except (OSError, ValueError):
            return None
        found = (pid, started)
        if name in _SESSIONS:
            return found
        pid = parent
    return found


def parse_stat(text: str) -> tuple[str, int, str]:
    """Return name, parent and start time of a process, from proc_pid_stat(5). ValueError for anything else."""
    # The name may hold blanks and parentheses; the last one closes it.
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    if len(fields) < 20:
        raise ValueError("not a process")
    return head.partition("(")[2], int(fields[1]), fields[19]


def is_there(session: tuple[int, str], proc: Path = Path("/proc")) -> bool:
    """Return whether that very process still runs."""
    pid, started = session
    try:
        return parse_stat((proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace"))[2] == started
    except (OSError, ValueError):
        return False


@contextmanager
def interrupted_with_connection(find: Callable[[int], tuple[int, str] | None] = find_session) -> Iterator[None]:
    """Raise Interrupted inside, once, at SIGTERM, SIGHUP or SIGINT, and when the caller's process is gone."""
    over, session = threading.Event(), find(os.getppid())

    def interrupt(number: int, _frame: Any) -> None:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_IGN)  # what is removed now is removed to the end
        raise Interrupted(f"told to end by {signal.Signals(number).name}")

    def watch() -> None:
        while session and not over.wait(POLL_SECONDS):
            if not is_there(session):
                os.kill(os.getpid(), signal.SIGTERM)
                return

    before = {each: signal.signal(each, interrupt) for each in _SIGNALS}
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
        for each, handler in before.items():
            signal.signal(each, handler)
