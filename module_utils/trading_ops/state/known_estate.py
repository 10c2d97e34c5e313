"""The trading hosts as host_setup last recorded them on each of them: a host that an inventory lost is noticed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ..core.durable import bounded, write_durably
from ..core.result import build_result

ESTATE_FILE: Final = "estate.json"
READ_SECONDS: Final = 1
WRITE_SECONDS: Final = 5


def parse_known_hosts(text: str) -> list[str]:
    """Return the host names in `{"trading_hosts": [...], ...}`. Raises ValueError for anything else."""
    data = json.loads(text)
    names = data.get("trading_hosts") if isinstance(data, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise ValueError("it has no list of host names under trading_hosts")
    return sorted(names)


def read_known_hosts(state_path: Path) -> tuple[list[str], list[str]]:
    """Return the recorded hosts, empty where nothing was ever recorded, and a warning where a record is unreadable."""
    path = state_path / ESTATE_FILE
    try:
        return parse_known_hosts(bounded(lambda: path.read_text(encoding="utf-8"), READ_SECONDS)), []
    except FileNotFoundError:
        return [], []
    except (OSError, ValueError, RecursionError) as error:
        return [], [f"{path} cannot be understood: {error}. Record it again: ./runbook host_setup"]


def ensure_recorded(
    state_path: Path, trading_hosts: Sequence[str], forget_hosts: Sequence[str], by: str, now: str, dry_run: bool
) -> dict[str, Any]:
    """Return the module result of recording the trading hosts; refused where a known one is dropped without a word.

    A host that silently left the inventory would no longer be stopped, while its bots trade on.
    """
    known, warnings = read_known_hosts(state_path)
    wanted = sorted(set(trading_hosts))
    dropped = sorted(set(known) - set(wanted) - set(forget_hosts))
    if dropped or not wanted:
        again = json.dumps({"forget_hosts": dropped})
        summary = (
            f"{', '.join(dropped)} would no longer be stopped: the inventory has it no longer, and this host knows it"
        )
        return _recorded(
            "refused", summary, False, known, known, f"./runbook host_setup -e '{again}' (if that is meant)"
        )
    changed = known != wanted or bool(warnings)
    text = f"trading hosts {', '.join(wanted)}"
    if dry_run or not changed:
        return _recorded("planned" if dry_run else "proven", f"{text} on record", changed, known, wanted)
    entry = {"trading_hosts": wanted, "since": now, "by": by}

    def write() -> None:
        if not state_path.is_dir():
            state_path.mkdir(parents=True)
            state_path.chmod(0o755)  # whatever the umask: bots read the latch under other users
        write_durably(state_path / ESTATE_FILE, json.dumps(entry, ensure_ascii=False) + "\n")

    try:
        bounded(write, WRITE_SECONDS)
    except OSError as error:
        return _recorded("failed", f"{state_path / ESTATE_FILE} could not be written: {error}", False, known, known)
    if read_known_hosts(state_path)[0] != wanted:
        return _recorded("failed", f"{state_path / ESTATE_FILE} does not hold what was written", True, known, wanted)
    return _recorded("proven", f"{text} recorded", True, known, wanted)


def _recorded(
    outcome: str, summary: str, changed: bool, before: Sequence[str], after: Sequence[str], next_command: str = ""
) -> dict[str, Any]:
    diff = {"before": "".join(f"{name}\n" for name in before), "after": "".join(f"{name}\n" for name in after)}
    return build_result(outcome, summary, changed=changed, next_command=next_command, diff=diff)
