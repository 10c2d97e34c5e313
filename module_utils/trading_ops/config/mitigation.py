"""Temporary fixes: what an operator asks for, as an edit of `config/trading.yml` that can be undone to the byte.

Before a change the file's text is kept under the id of the fix, `<state path>/mitigations/<id>.json`. An undo puts it
back, as long as nobody has changed the file since; being an edit itself, it can be undone too.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from ..core.durable import bounded, write_durably
from ..core.strict_json import parse_json
from .trading import (
    FILE_SECONDS,
    Change,
    ConfigError,
    Edit,
    Planned,
    Request,
    compare,
    ensure_changed,
    plan,
    read_settings,
)

ACTIONS: Final = ("disable", "enable", "scale_sizing", "orders_per_minute", "changes", "config_commit", "undo")
"""What can be asked for, one at a time."""

FOLDER: Final = "mitigations"
GIT_SECONDS: Final = 10

_ID: Final = re.compile(r"MIT-[0-9]{8}-[0-9]{6}-[0-9]{1,10}")
_COMMIT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/~^-]{0,99}")
_SWITCHED: Final = ("strategies", "symbols")
"""Sections whose members have a switch of their own, as the venue has."""

ReadCommit = Callable[[str], str]
"""A commit -> the text of the configuration in it. Raises ConfigError."""


@dataclass(frozen=True)
class Fix:
    """What is asked for, and the id under which it can be undone."""

    action: str
    value: Any
    id: str


def parse_fix(params: Mapping[str, Any], run_id: str) -> Fix:
    """Return the one fix that is asked for; `run_id` is `<yyyymmdd-hhmmss>.<process>`. Raises ConfigError."""
    asked = [action for action in ACTIONS if params.get(action) not in (None, "", {})]
    if len(asked) != 1:
        seen = ", ".join(asked) or "none"
        raise ConfigError(
            f"One fix at a time, so that it can be undone: -e with one of {', '.join(ACTIONS)}, not {seen}."
        )
    own_id = f"MIT-{run_id.replace('.', '-')}"
    if not _ID.fullmatch(own_id):
        raise ConfigError(f"{run_id!r} names no run, so the fix could not be undone.")
    return Fix(asked[0], params[asked[0]], own_id)


def build_edit(fix: Fix, state_path: Path, read_commit: ReadCommit) -> Edit:
    """Return what the fix does to the text of the configuration. The edit raises ConfigError."""
    match fix.action:
        case "disable" | "enable":
            return lambda text: plan(text, {find_switch(text, str(fix.value)): fix.action == "enable"})
        case "scale_sizing":
            return lambda text: plan(text, scale_sizing(text, fix.value))
        case "orders_per_minute":
            return lambda text: plan(text, {"load.orders_per_minute": str(fix.value)})
        case "changes":
            return lambda text: plan(text, fix.value)
        case "config_commit":
            return lambda text: _replaced(text, read_commit(str(fix.value)))
    return lambda text: _replaced(text, _text_before(state_path, str(fix.value), text))


def find_switch(text: str, name: str) -> str:
    """Return the key that switches a venue, strategy or symbol: `venue`, its name, or `strategies.NAME`.

    Raises ConfigError unless exactly one thing is meant.
    """
    content = read_settings(text)
    venue = content.get("venue")
    switches = {"venue": "venue.enabled"} | (
        {str(venue.get("name")): "venue.enabled"} if isinstance(venue, dict) else {}
    )
    found = [switches[name]] if name in switches else []
    known = list(switches)
    for section in _SWITCHED:
        members = content.get(section)
        for member in members if isinstance(members, dict) else ():
            known.append(str(member))
            if name in (str(member), f"{section}.{member}"):
                found.append(f"{section}.{member}.enabled")
    if len(found) != 1:
        trouble = f"is more than one thing ({', '.join(found)})" if found else f"is none of {', '.join(known)}"
        raise ConfigError(f"{name!r} {trouble}.")
    return found[0]


def scale_sizing(text: str, factor: object) -> dict[str, float]:
    """Return every number of `sizing` times `factor`, by key. Raises ConfigError.

    It only ever gets smaller: asked for twice, it scales twice, which is safe in this direction alone.
    """
    try:
        times = float(str(factor))
    except ValueError:
        times = 0.0
    if not 0 < times < 1:
        raise ConfigError(f"scale_sizing is a number between 0 and 1, as in 0.5, not {factor!r}; undo takes it back.")
    sizing = read_settings(text).get("sizing")
    numbers = sizing.items() if isinstance(sizing, dict) else ()
    # Twelve digits: 0.15 * 0.7 is not to be written as 0.10499999999999998.
    scaled = {f"sizing.{name}": float(f"{value * times:.12g}") for name, value in numbers if _is_number(value)}
    if not scaled:
        raise ConfigError("The configuration has no number under sizing that could be scaled.", "failed")
    return scaled


def git_reader(root_path: Path, config_file: str) -> ReadCommit:
    """Return what reads the configuration out of a commit of the checkout on this host."""

    def read_commit(commit: str) -> str:
        if not _COMMIT.fullmatch(commit):
            raise ConfigError(f"{commit!r} is no commit.")
        # cat-file runs nothing that the checkout configures; safe.directory, since the checkout is not root's.
        argv = ["git", "-c", "safe.directory=*", "-C", str(root_path), "cat-file", "blob", f"{commit}:./{config_file}"]
        try:
            ended = subprocess.run(argv, capture_output=True, timeout=GIT_SECONDS, check=False)
            text = ended.stdout.decode("utf-8")
        except (OSError, subprocess.TimeoutExpired, ValueError) as error:
            raise ConfigError(f"{config_file} of {commit} could not be read: {error}.", "failed") from error
        if ended.returncode:
            words = " ".join(ended.stderr.decode(errors="replace").split())
            shown = f"git -C {root_path} log --oneline -- {config_file}"
            raise ConfigError(
                f"{root_path} has no {config_file} of {commit} ({words}).", "usage", f"{shown} (on the host)"
            )
        return text

    return read_commit


def mitigate(
    fix: Fix, request: Request, read_commit: ReadCommit, undo_command: str, now: Callable[[], str], dry_run: bool
) -> dict[str, Any]:
    """Return the module result of a fix; `<id>` in `undo_command` stands for its id. Never raises."""
    asked = replace(request, edit=build_edit(fix, request.state_path, read_commit))

    def keep(planned: Planned) -> None:
        _keep(request.state_path, fix.id, request.path, planned)

    result = ensure_changed(asked, now, dry_run, keep)
    undo = undo_command.replace("<id>", fix.id) if result["changed"] and result["outcome"] == "proven" else ""
    if undo:
        result["summary"] = f"{result['summary']}; undo: {undo}"
    return result | {"undo": undo, "is_known": is_known(fix, request.state_path)}


def is_known(fix: Fix, state_path: Path) -> bool:
    """Return whether this host has done what is to be undone; true for every other fix."""
    return fix.action != "undo" or _record_path(state_path, str(fix.value)).exists()


def _replaced(text: str, wanted: str) -> tuple[tuple[Change, ...], str]:
    return compare(text, wanted), wanted


def _text_before(state_path: Path, fix_id: str, text: str) -> str:
    """Return what the file held before a fix; the present text where this host has not done that fix."""
    if not _ID.fullmatch(fix_id):
        raise ConfigError(
            f"{fix_id!r} is no id of a fix; the line that told of it has one, as in MIT-20261121-013000-4242."
        )
    path = _record_path(state_path, fix_id)
    if not path.exists():
        return text
    try:
        kept = parse_json(bounded(path.read_bytes, FILE_SECONDS).decode("utf-8"))
        before, after_sha256 = str(kept["before"]), str(kept["after_sha256"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} cannot be understood: {error!r}.", "failed", f"cat {path} (on the host)") from error
    if text != before and _digest(text) != after_sha256:
        raise ConfigError(
            f"The configuration was changed again since {fix_id}. Undo the later change first, or set single values.",
            "refused",
            "./runbook drift_log",
        )
    return before


def _keep(state_path: Path, fix_id: str, path: Path, planned: Planned) -> None:
    """Write down what undoes a fix. Raises OSError."""
    kept = {"id": fix_id, "path": str(path), "before": planned.before, "after_sha256": _digest(planned.after)}
    record = _record_path(state_path, fix_id)

    def write() -> None:
        record.parent.mkdir(mode=0o755, exist_ok=True)
        # Readable for whom the configuration is.
        write_durably(record, json.dumps(kept, ensure_ascii=False) + "\n", like=planned.seen)

    bounded(write, FILE_SECONDS)


def _record_path(state_path: Path, fix_id: str) -> Path:
    return state_path / FOLDER / f"{fix_id}.json"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
