"""Names what starts a bot again that the guard has stopped twice. Only reads, and nothing before that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from ..core.bots import BotRules
from ..core.durable import bounded
from ..core.starters import POSSIBLE, PROBABLE, HostFiles, Starter, find_containers, find_in_files
from ..host.engine import Engine
from ..state.audit import GuardStops, read_guard_stops
from ..state.latch import Latch

OFTEN: Final = 2
"""So many stops of one bot are no slip of a hand: something starts it again."""

LOOK_SECONDS: Final = 5
"""For the engine's containers and their descriptions, beside the bound of the files."""

SHOWN: Final = 3
FOUND: Final = 20


def look_for_starters(
    connect: Callable[[], Engine],
    read_files: Callable[[], HostFiles],
    rules: BotRules,
    latch: Latch | None,
    state_path: Path,
) -> dict[str, Any]:
    """Return `starters` (C{what, why, hold_off}, most probable first) and `started_again` in words. Never raises.

    Both are empty where no halt is on, and where the guard has stopped no bot OFTEN since it is: then neither units nor
    containers are looked at.
    """
    stops = read_guard_stops(state_path, latch.since) if latch else []
    often = [each for each in stops if each.times >= OFTEN]
    if not often:
        return {"starters": [], "started_again": ""}
    found = _find(connect, read_files, rules, [each.name for each in often])
    starters = [{key: value for key, value in asdict(each).items() if key != "rank"} for each in found[:FOUND]]
    return {"starters": starters, "started_again": describe(often, found)}


def describe(often: Sequence[GuardStops], found: Sequence[Starter]) -> str:
    """Return in one sentence which bots were stopped how often, what probably starts them, and what holds it off."""
    said = ", ".join(f"{each.name[:80]} was stopped {each.times} times" for each in often[:SHOWN])
    said += f" and {len(often) - SHOWN} more bots" if len(often) > SHOWN else ""
    said += f" by the guard since {min(each.since for each in often)}"
    if not found:
        return f"{said}; what starts it was not found here: it may be another machine, see docker events"
    likely = [each for each in found if each.rank <= POSSIBLE]
    shown = (likely or found)[:SHOWN]
    word = "PROBABLY" if shown[0].rank == PROBABLE or len(likely) == 1 else "POSSIBLY"
    commands = "; ".join(each.hold_off for each in shown if each.hold_off)
    held = f". Hold it off: {commands} (on the host)" if commands else ""
    return f"{said}; {word} started by: {' or '.join(each.sentence() for each in shown)}{held}"


def _find(
    connect: Callable[[], Engine], read_files: Callable[[], HostFiles], rules: BotRules, names: Sequence[str]
) -> list[Starter]:
    def in_containers() -> list[Starter]:
        engine = connect()
        listed = engine.containers()
        described = {str(item["Id"]): engine.inspect(str(item["Id"])) for item in listed}
        return find_containers(listed, {key: seen for key, seen in described.items() if seen}, rules.others)

    found = _attempt(lambda: bounded(in_containers, LOOK_SECONDS)) + _attempt(
        lambda: find_in_files(read_files(), names)
    )
    return sorted(found, key=lambda each: each.rank)


def _attempt(look: Callable[[], list[Starter]]) -> list[Starter]:
    try:
        return look()
    except Exception:  # whatever an odd answer leads to: the stop has been, and its proof stands
        return []
