"""The trading hosts as host_setup last recorded them on each of them: a host that an inventory lost is noticed.

Beside the names stands which machine each of them is, so that a name which leads to another machine is noticed too.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ..core.durable import bounded, write_durably
from ..core.machine import parse_recorded
from ..core.result import build_result

ESTATE_FILE: Final = "estate.json"
READ_SECONDS: Final = 1
WRITE_SECONDS: Final = 5


@dataclass(frozen=True)
class KnownEstate:
    """The trading hosts, and the machine id of those of which it is known."""

    hosts: tuple[str, ...] = ()
    machines: Mapping[str, str] = field(default_factory=dict)


def parse_known_estate(text: str) -> KnownEstate:
    """Return what `{"trading_hosts": [...], "machines": {...}, ...}` says. Raises ValueError for anything else.

    A record of before has no `machines`.
    """
    data = json.loads(text)
    names = data.get("trading_hosts") if isinstance(data, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise ValueError("it has no list of host names under trading_hosts")
    return KnownEstate(tuple(sorted(names)), parse_recorded(data.get("machines")))


def read_known_estate(state_path: Path) -> tuple[KnownEstate, list[str]]:
    """Return the record, empty where nothing was ever recorded, and a warning where it is unreadable."""
    path = state_path / ESTATE_FILE
    try:
        return parse_known_estate(bounded(lambda: path.read_text(encoding="utf-8"), READ_SECONDS)), []
    except FileNotFoundError:
        return KnownEstate(), []
    except (OSError, ValueError, RecursionError) as error:
        return KnownEstate(), [f"{path} cannot be understood: {error}. Record it again: ./runbook host_setup"]


def ensure_recorded(
    state_path: Path, seen: KnownEstate, forget_hosts: Sequence[str], by: str, now: str, dry_run: bool
) -> dict[str, Any]:
    """Return the module result of recording the estate as it was `seen`.

    Refused where a known host is dropped, or is another machine than it was, without a word: a host that silently left
    the inventory would no longer be stopped, and one behind whose name another machine answers neither.
    """
    known, warnings = read_known_estate(state_path)
    wanted = merge(known, seen, forget_hosts)
    if refusal := _refusal(known, seen, forget_hosts):
        return _recorded("refused", refusal[0], False, known, known, refusal[1])
    changed = known != wanted or bool(warnings)
    text = f"trading hosts {', '.join(wanted.hosts)}"
    if dry_run or not changed:
        return _recorded("planned" if dry_run else "proven", f"{text} on record", changed, known, wanted)
    entry = {"trading_hosts": list(wanted.hosts), "machines": dict(wanted.machines), "since": now, "by": by}

    def write() -> None:
        if not state_path.is_dir():
            state_path.mkdir(parents=True)
            state_path.chmod(0o755)  # whatever the umask: bots read the latch under other users
        write_durably(state_path / ESTATE_FILE, json.dumps(entry, ensure_ascii=False) + "\n")

    try:
        bounded(write, WRITE_SECONDS)
    except OSError as error:
        return _recorded("failed", f"{state_path / ESTATE_FILE} could not be written: {error}", False, known, known)
    if read_known_estate(state_path)[0] != wanted:
        return _recorded("failed", f"{state_path / ESTATE_FILE} does not hold what was written", True, known, wanted)
    return _recorded("proven", f"{text} recorded", True, known, wanted)


def merge(known: KnownEstate, seen: KnownEstate, forget_hosts: Sequence[str]) -> KnownEstate:
    """Return what is on record afterwards: a machine that was not seen stays as it was.

    An id that two names have names no machine, and is left out: the verdict says so, and how to fix it.
    """
    hosts = tuple(sorted(set(seen.hosts)))
    before = {name: machine for name, machine in known.machines.items() if name not in forget_hosts}
    both = {name: seen.machines.get(name) or before.get(name, "") for name in hosts}
    times = Counter(both.values())
    return KnownEstate(hosts, {name: machine for name, machine in both.items() if machine and times[machine] == 1})


def _refusal(known: KnownEstate, seen: KnownEstate, forget_hosts: Sequence[str]) -> tuple[str, str] | None:
    """Return why the record stays as it is and what to type where that is meant, None where nothing speaks against."""
    dropped = sorted(set(known.hosts) - set(seen.hosts) - set(forget_hosts))
    others = sorted(
        name
        for name, machine in seen.machines.items()
        if name not in forget_hosts and known.machines.get(name, machine) != machine
    )
    text = ""
    if dropped:
        text = (
            f"{', '.join(dropped)} would no longer be stopped: the inventory has it no longer, and this host knows it"
        )
    elif others:
        text = f"{', '.join(others)} is another machine than the one on record here: look where the inventory leads"
    elif not seen.hosts:
        text = "the inventory has no trading host"
    again = json.dumps({"forget_hosts": dropped or others})
    return (text, f"./runbook host_setup -e '{again}' (if that is meant)") if text else None


def _recorded(
    outcome: str, summary: str, changed: bool, before: KnownEstate, after: KnownEstate, next_command: str = ""
) -> dict[str, Any]:
    diff = {"before": _lines(before), "after": _lines(after)}
    known = dict(after.machines)
    return build_result(outcome, summary, changed=changed, next_command=next_command, diff=diff, known_machines=known)


def _lines(estate: KnownEstate) -> str:
    return "".join(f"{name} {estate.machines.get(name, '')}".rstrip() + "\n" for name in estate.hosts)
