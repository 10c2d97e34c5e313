"""What the services of a host are meant to be, so that "deliberately stopped" is a fact and not a guess.

`{"services": {"<project>/<service>": {"state": "started" | "stopped" | "completed", "by", "since", "why"}}}`
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from ..core.durable import bounded, write_durably
from ..core.locks import locked

DESIRED_FILE: Final = "desired.json"
LOCK: Final = "desired"
STATES: Final = frozenset({"started", "stopped", "completed"})

WRITE_SECONDS: Final = 5
"""How long a write may wait for another writer and for the disk."""


class DesiredStateError(Exception):
    """The desired state could not be read or written. The text is a sentence."""


@dataclass(frozen=True)
class Desired:
    """What one service is meant to be: `state` (one of STATES), for whom, since when (ISO 8601 UTC) and why."""

    state: str
    by: str
    since: str
    why: str


def parse_desired(text: str) -> dict[str, Desired]:
    """Return the desired state that a file's text holds, by `<project>/<service>`. Raises DesiredStateError."""
    try:
        entries = json.loads(text)["services"]
        services = {str(name): Desired(**entry) for name, entry in entries.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DesiredStateError(f"It is not a desired state: {type(error).__name__}: {error}") from error
    wrong = [name for name, item in services.items() if item.state not in STATES]
    if wrong:
        raise DesiredStateError(f"It names an unknown state for {', '.join(sorted(wrong))}.")
    return services


def format_desired(services: Mapping[str, Desired]) -> str:
    """Return the file's text, sorted by service."""
    return json.dumps({"services": {name: asdict(services[name]) for name in sorted(services)}}, indent=1) + "\n"


def merge(present: Mapping[str, Desired], states: Mapping[str, str], by: str, why: str, now: str) -> dict[str, Desired]:
    """Return `present` with the wanted `states` in it; a service that was meant to be so already keeps its entry."""
    unchanged = {name for name, item in present.items() if states.get(name) == item.state}
    return dict(present) | {name: Desired(states[name], by, now, why) for name in states if name not in unchanged}


def read(state_path: Path) -> dict[str, Desired]:
    """Return the desired state of the host, empty where none was ever written. Raises DesiredStateError."""
    path = state_path / DESIRED_FILE
    try:
        return parse_desired(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DesiredStateError(f"{path} could not be read: {error}") from error
    except DesiredStateError as error:
        raise DesiredStateError(f"{path} cannot be understood. {error}") from error


def read_quietly(state_path: Path) -> tuple[dict[str, dict[str, str]], str]:
    """Return the desired state as plain values, and why it is not known (empty: it is)."""
    try:
        return {name: asdict(item) for name, item in read(state_path).items()}, ""
    except DesiredStateError as error:
        return {}, str(error)


def record(state_path: Path, states: Mapping[str, str], by: str, why: str, now: str) -> str:
    """Return a warning about a file that was kept aside (empty: none) once `states` are on disk.

    Writes only where a state differs. A file that cannot be understood is kept beside the new one, never dropped.
    Raises DesiredStateError where the states are not on disk within WRITE_SECONDS.
    """
    try:
        return bounded(lambda: _write(state_path, states, by, why, now), WRITE_SECONDS)
    except (OSError, ValueError, DesiredStateError) as error:
        raise DesiredStateError(f"The desired state could not be written to {state_path}: {error}") from error


def record_quietly(state_path: Path, states: Mapping[str, str], by: str, why: str, now: str) -> list[str]:
    """Return warnings instead of raising: a stop has happened, whether it can be written down or not."""
    try:
        warning = record(state_path, states, by, why, now)
    except DesiredStateError as error:
        return [str(error)]
    return [warning] if warning else []


def _write(state_path: Path, states: Mapping[str, str], by: str, why: str, now: str) -> str:
    state_path.mkdir(mode=0o755, parents=True, exist_ok=True)
    path = state_path / DESIRED_FILE
    with locked(state_path, LOCK):
        try:
            present, warning = read(state_path), ""
        except DesiredStateError as error:
            aside = path.rename(path.with_name(f"{DESIRED_FILE}.damaged-{path.lstat().st_mtime_ns}"))
            present, warning = {}, f"{error} It was kept as {aside} and a new one was begun."
        wanted = merge(present, states, by, why, now)
        if wanted != present:
            write_durably(path, format_desired(wanted))
        if any(read(state_path).get(name) != wanted[name] for name in states):
            raise DesiredStateError("it does not hold what was written to it")
        return warning
