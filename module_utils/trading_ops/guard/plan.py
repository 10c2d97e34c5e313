"""What the guard has to do about the bots it sees. Pure: the guard's own file observes and acts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ..core.bots import BEING_REMOVED, NOT_RUNNING, Bot
from ..core.clock import parse_utc
from ..state.latch import Latch

SHORT_GRACE_SECONDS: Final = 2
"""For a bot that was started while halted: it had no time to trade, and is to be gone 5 s after its start."""

UNFINISHED_SECONDS: Final = 25
"""How long a stop may take for the bots it found: the longest grace period, and what the engine needs beside it."""

CLOCK_STEP_SECONDS: Final = 2
"""What time synchronisation may set a clock back by without anything being wrong."""

STARTED_WHILE_HALTED: Final = "started while halted"
LEFT_RUNNING: Final = "the stop did not finish"
UNCLEAR_HALT: Final = "it is not known since when it is halted"


@dataclass(frozen=True)
class SeenBot:
    """A bot as it was found. `started_at` (UTC) and `restart_policy` are empty where they could not be learnt."""

    bot: Bot
    started_at: str
    restart_policy: str


@dataclass(frozen=True)
class Step:
    """One thing to do: stop the bot because of `why`, or with an empty `why` only take its restart policy away."""

    seen: SeenBot
    why: str = ""
    grace_seconds: int = 0


def plan_guard(
    latch: Latch | None, last_free: Mapping[str, str], seen: Sequence[SeenBot], now: str, grace_seconds: int
) -> list[Step]:
    """Return what to do about the bots that were `seen` at `now` (UTC), at most one step for each.

    `last_free` tells by mode when the guard last saw that it may trade: a halt that was widened from live to all has
    held paper bots only since then, whatever the latch says.
    """
    steps = []
    for item in seen:
        why = ""
        if item.bot.state not in NOT_RUNNING and latch and latch.blocks(item.bot.mode):
            why = _why_to_stop(item, _held_since(latch, last_free.get(item.bot.mode, "")), now)
        if why:
            steps.append(Step(item, why, SHORT_GRACE_SECONDS if why == STARTED_WHILE_HALTED else grace_seconds))
        elif item.restart_policy not in {"", "no"} and item.bot.state not in BEING_REMOVED:
            steps.append(Step(item))
    return steps


def _held_since(latch: Latch, last_free: str) -> datetime | None:
    """Return since when bots of a mode are held, None where that is not known, as with a damaged latch."""
    try:
        since = parse_utc(latch.since)
        return max(since, parse_utc(last_free)) if last_free else since
    except ValueError:
        return None


def _why_to_stop(seen: SeenBot, since: datetime | None, now: str) -> str:
    """Return why a running bot has to be stopped now; empty while the stop itself is at it."""
    # A halt that begins in the future means that the clock was set back: no time can be relied on.
    if since is None or (since - parse_utc(now)).total_seconds() > CLOCK_STEP_SECONDS:
        return UNCLEAR_HALT
    try:
        if parse_utc(seen.started_at) > since:
            return STARTED_WHILE_HALTED
    except ValueError:
        pass  # an unknown start is no reason to cut the time short in which it cancels its orders
    return LEFT_RUNNING if (parse_utc(now) - since).total_seconds() > UNFINISHED_SECONDS else ""
