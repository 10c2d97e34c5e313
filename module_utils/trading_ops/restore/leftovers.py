"""What restore tests have left on a host, and its removal. Only what carries both label and name of one goes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..core.bots import PROJECT_LABEL, RESTORE_TEST_LABEL
from ..host.programs import ProgramError
from .faults import fault
from .isolation import PROJECT, Present

REMOVE_SECONDS: Final = 120

Docker = Callable[[Sequence[str]], str]
"""Runs `docker` with these arguments and returns what it printed. May raise ProgramError."""

KINDS: Final = ("container", "volume", "network")
"""In the order of removal: what uses another goes first."""

_AS_JSON: Final = ("--format", "{{json .}}")  # the word `json` alone is only known from Docker 23 on
_LIST: Final = {
    "container": ("ps", "--all", "--no-trunc", *_AS_JSON),
    "volume": ("volume", "ls", *_AS_JSON),
    "network": ("network", "ls", "--no-trunc", *_AS_JSON),
}
_REMOVE: Final = {
    "container": ("rm", "--force", "--volumes"),
    "volume": ("volume", "rm", "--force"),
    "network": ("network", "rm"),
}


@dataclass(frozen=True)
class Thing:
    """A container, volume or network of the engine. `key` is what the engine takes for removing it."""

    kind: str
    key: str
    name: str
    project: str
    is_of_a_test: bool

    @property
    def is_leftover(self) -> bool:
        """Return whether it is a restore test's by label and by name: one alone may be a mistake."""
        return self.is_of_a_test and bool(PROJECT.fullmatch(self.project))


def parse_things(kind: str, text: str) -> list[Thing]:
    """Return what one of the engine's lists shows, a JSON object a line. ValueError for anything else."""
    return [_parse_thing(kind, json.loads(line)) for line in text.splitlines() if line.strip()]


def _parse_thing(kind: str, item: Mapping[str, Any]) -> Thing:
    labels = dict(pair.partition("=")[::2] for pair in str(item["Labels"]).split(","))
    name = str(item["Names"] if kind == "container" else item["Name"])
    key = str(item["Name"] if kind == "volume" else item["ID"])
    return Thing(kind, key, name, labels.get(PROJECT_LABEL, ""), labels.get(RESTORE_TEST_LABEL) == "true")


def observe_things(docker: Docker) -> list[Thing]:
    """Return every container, volume and network of the engine. Raises RestoreFault, ProgramError."""
    try:
        return [thing for kind in KINDS for thing in parse_things(kind, docker(_LIST[kind]))]
    except (ValueError, KeyError, TypeError) as error:
        raise fault("engine_away", f"the engine's lists were not understood: {error!r}") from error


def present_of(things: Sequence[Thing]) -> Present:
    """Return the names that a new project must not meet."""
    return Present(
        frozenset(thing.project for thing in things if thing.project),
        frozenset(thing.name for thing in things if thing.kind == "volume"),
        frozenset(thing.name for thing in things if thing.kind == "network"),
    )


def remove_all(docker: Docker, scratch_root: Path) -> list[str]:
    """Remove what restore tests have left on engine and disk, prove that nothing is left, and return what was removed.

    Raises RestoreFault (`left_behind`) for what is there afterwards, ProgramError. Runs under the lock of the restore
    test, so whatever is found belongs to a run that is over.
    """
    removed, refusals = [], []
    for thing in [thing for thing in observe_things(docker) if thing.is_leftover]:
        try:
            docker((*_REMOVE[thing.kind], thing.key))
        except ProgramError as error:  # one that stays is no reason to leave the others; the check below names it
            refusals.append(str(error))
            continue
        removed.append(f"{thing.kind} {thing.name}")
    for path in scratch_of(scratch_root):
        shutil.rmtree(path, ignore_errors=True)
        removed.append(str(path))
    left = [f"{thing.kind} {thing.name}" for thing in observe_things(docker) if thing.is_leftover]
    left += map(str, scratch_of(scratch_root))
    if left:
        why = "".join(f" ({refusal})" for refusal in refusals)
        raise fault("left_behind", f"still there after it was removed: {', '.join(left)}{why}")
    return removed


def scratch_of(scratch_root: Path) -> list[Path]:
    """Return the directories of earlier tests."""
    try:
        return sorted(path for path in scratch_root.iterdir() if PROJECT.fullmatch(path.name))
    except FileNotFoundError:
        return []
