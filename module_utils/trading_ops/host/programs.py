"""Programs of this host: run to their end, streamed, or talked to; none outlives the one time limit they share."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

KEPT_VARIABLES: Final = ("PATH", "HOME", "LANG", "TMPDIR")
_PIECE_BYTES: Final = 1 << 20
_ERROR_BYTES: Final = 4000


class ProgramError(Exception):
    """A program could not be run, failed or did not end in time. The text is a sentence."""


@dataclass(frozen=True)
class Ended:
    """How a program ended: `code` is negative for a signal; `stderr` is the end of its errors."""

    code: int
    stdout: str
    stderr: str


class Conversation(Protocol):
    """A program that answers line by line."""

    def ask(self, text: str, mark: str) -> list[str]:
        """Send `text`, return the lines up to the line `mark`. Raises ProgramError where it ends before."""

    def end(self) -> None:
        """End the program, whatever it is doing."""


class Programs(Protocol):
    """What a backup needs of the host it runs on. Every method may raise ProgramError."""

    def run(
        self, argv: Sequence[str], *, environment: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> Ended:
        """Return how the program ended, with all it printed."""

    def stream(self, argv: Sequence[str], take: Callable[[bytes], None]) -> Ended:
        """Return how the program ended; its output went to `take`, whose OSError ends the program and is raised."""

    def feed(self, argv: Sequence[str], source: Path) -> Ended:
        """Return how the program ended that read the file `source`."""

    def talk(self, argv: Sequence[str]) -> Any:
        """Return a context manager that gives a Conversation, and ends it."""


def said(ended: Ended) -> str:
    """Return the last line with which a program explained itself."""
    lines = [line.strip() for line in (ended.stderr or ended.stdout).splitlines() if line.strip()]
    return lines[-1] if lines else "without a word"


def checked(what: str, ended: Ended) -> Ended:
    """Return what was given. ProgramError where the program did not end with 0."""
    if ended.code != 0:
        raise ProgramError(f"{what} ended with {ended.code}: {said(ended)}")
    return ended


class LocalPrograms:
    """Programs over subprocess, as `user` where one is named (root only).

    `environment` is given to all, on top of a few names of this process' own; `popen` starts each.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        clock: Callable[[], float],
        timeout_seconds: float,
        user: str = "",
        popen: Callable[..., Any] = subprocess.Popen,
    ) -> None:
        self._popen = popen
        kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        self._environment = kept | dict(environment)
        self._user = user
        self._clock = clock
        self._timeout_seconds = timeout_seconds
        self._ends_at = clock() + timeout_seconds

    def run(
        self, argv: Sequence[str], *, environment: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> Ended:
        pieces: list[bytes] = []
        ended = self._drain(argv, pieces.append, environment, cwd)
        return Ended(ended.code, b"".join(pieces).decode("utf-8", "replace"), ended.stderr)

    def stream(self, argv: Sequence[str], take: Callable[[bytes], None]) -> Ended:
        return self._drain(argv, take)

    def feed(self, argv: Sequence[str], source: Path) -> Ended:
        pieces: list[bytes] = []
        with open(source, "rb") as file:
            ended = self._drain(argv, pieces.append, stdin=file.fileno())
        return Ended(ended.code, b"".join(pieces).decode("utf-8", "replace"), ended.stderr)

    @contextmanager
    def talk(self, argv: Sequence[str]) -> Iterator[Conversation]:
        with self._running(argv, stdin=subprocess.PIPE) as (process, read_errors, is_late):
            yield _Talk(process, read_errors, is_late, argv[0])

    def _drain(
        self,
        argv: Sequence[str],
        take: Callable[[bytes], None],
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: int = subprocess.DEVNULL,
    ) -> Ended:
        with self._running(argv, stdin, environment, cwd) as (process, read_errors, is_late):
            while piece := os.read(process.stdout.fileno(), _PIECE_BYTES):
                take(piece)
            code = process.wait()
            if is_late.is_set():
                raise ProgramError(f"{argv[0]} did not end within the run's {self._timeout_seconds:g} s.")
            return Ended(code, "", read_errors())

    @contextmanager
    def _running(
        self,
        argv: Sequence[str],
        stdin: int,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Iterator[tuple[Any, Callable[[], str], threading.Event]]:
        """Give the process, what reads the end of its errors, and whether the limit ended it; it is gone afterwards."""
        is_late = threading.Event()
        # A file and no pipe, which would have to be read while it is written.
        with tempfile.TemporaryFile() as errors:
            env = self._environment | dict(environment or {})
            process = self._start(list(argv), stdin=stdin, stderr=errors, env=env, cwd=cwd)

            def too_late() -> None:
                is_late.set()
                _kill(process)

            timer = threading.Timer(max(0.0, self._ends_at - self._clock()), too_late)
            timer.daemon = True
            timer.start()
            try:
                yield process, lambda: _end_of(errors), is_late
            finally:
                timer.cancel()
                _kill(process)
                for pipe in (process.stdin, process.stdout):
                    if pipe:
                        with suppress(OSError):
                            pipe.close()
                process.wait()

    def _start(self, argv: list[str], **files: Any) -> Any:
        try:
            return self._popen(
                argv,
                stdout=subprocess.PIPE,
                start_new_session=True,  # what it starts ends with it
                user=self._user or None,
                group=pwd.getpwnam(self._user).pw_gid if self._user else None,
                extra_groups=[] if self._user else None,
                **files,
            )
        except (OSError, ValueError, LookupError) as error:
            raise ProgramError(f"{argv[0]} could not be run on this host: {error}.") from error


class _Talk:
    """A conversation over pipes."""

    def __init__(self, process: Any, read_errors: Callable[[], str], is_late: threading.Event, name: str) -> None:
        self._process, self._read_errors, self._is_late, self._name = process, read_errors, is_late, name

    def ask(self, text: str, mark: str) -> list[str]:
        lines: list[str] = []
        with suppress(BrokenPipeError):
            self._process.stdin.write(text.encode())
            self._process.stdin.flush()
            while raw := self._process.stdout.readline():
                line = raw.decode("utf-8", "replace").rstrip("\n")
                if line == mark:
                    return lines
                lines.append(line)
        if self._is_late.is_set():
            raise ProgramError(f"{self._name} was asked something and did not answer within the run's time limit.")
        raise ProgramError(f"{self._name} ended in the middle of an answer: {said(Ended(0, '', self._read_errors()))}")

    def end(self) -> None:
        _kill(self._process)


def _kill(process: Any) -> None:
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _end_of(errors: Any) -> str:
    """Return the end of a program's errors, in whole lines where there are any."""
    start = max(0, errors.seek(0, os.SEEK_END) - _ERROR_BYTES)
    errors.seek(start)
    text = bytes(errors.read()).decode("utf-8", "replace")
    return text.partition("\n")[2] or text if start else text
