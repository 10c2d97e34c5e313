"""One backup or restore by this project's own code, for benchmarks/restore.py: prints seconds by part as JSON.

Run inside the bench's tool container, where Ansible would run the modules `backup` and `restore`.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "module_utils"))

from trading_ops.backup import take as backup
from trading_ops.host.programs import Conversation, Ended, LocalPrograms
from trading_ops.restore import real as restore

TIMEOUT_SECONDS = 3600


class TimedPrograms(LocalPrograms):
    """Programs of this host, with the seconds each took, by what it is. Those that run side by side both count."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.seconds: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        begun = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] += time.monotonic() - begun

    def run(
        self, argv: Sequence[str], *, environment: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> Ended:
        with self.timed(program_of(argv)):
            return super().run(argv, environment=environment, cwd=cwd)

    def stream(self, argv: Sequence[str], take: Callable[[bytes], None]) -> Ended:
        with self.timed(program_of(argv)):
            return super().stream(argv, take)

    def feed(self, argv: Sequence[str], source: Path) -> Ended:
        with self.timed(program_of(argv)):
            return super().feed(argv, source)

    @contextmanager
    def talk(self, argv: Sequence[str]) -> Iterator[Conversation]:
        with super().talk(argv) as conversation:
            yield _TimedTalk(conversation, self)


class _TimedTalk:
    """A session with a database, its questions counted by their first word and whether they sum checksums."""

    def __init__(self, conversation: Conversation, programs: TimedPrograms) -> None:
        self._conversation, self._programs = conversation, programs

    def ask(self, text: str, mark: str) -> list[str]:
        with self._programs.timed("checksums" if "hash_record_extended" in text else f"SQL {text.split()[0]}"):
            return self._conversation.ask(text, mark)

    def end(self) -> None:
        self._conversation.end()


def program_of(argv: Sequence[str]) -> str:
    """Return what a command is called in the profile."""
    if argv[0] == "restic":
        return f"restic {next(word for word in argv[1:] if not word.startswith('-'))}"
    if list(argv[:2]) == ["docker", "exec"]:
        name = argv[4] if argv[2] == "--interactive" else argv[3]
        return f"{name} --list" if "--list" in argv else name
    return " ".join(argv[:2])


def main() -> int:
    """Do what the parameters on stdin say; the last line is a JSON object."""
    params = json.load(sys.stdin)
    programs = TimedPrograms({}, time.monotonic, TIMEOUT_SECONDS)
    module: Any = {"backup": backup, "restore": restore}[sys.argv[1]]
    module.LocalPrograms = lambda *_, **__: programs
    begun = time.monotonic()
    if sys.argv[1] == "backup":
        result = backup.back_up_this_host(params, dry_run=False)
    else:
        result = restore.restore_this_host(params, dry_run=False)
    seconds = time.monotonic() - begun
    parts = {name: round(value, 3) for name, value in programs.seconds.items()}
    facts = {key: result.get(key) for key in ("outcome", "summary", "phases", "set")}
    print(json.dumps({**facts, "seconds": round(seconds, 3), "parts": parts}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
