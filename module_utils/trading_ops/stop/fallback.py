"""Stopping bots whatever has become of the engine: by its API, and where that fails through the kernel.

ping (3 s) -> API stop -> API kill -> SIGTERM and SIGKILL through the container's control group -> proof from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from ..core.bots import Bot
from ..core.clock import format_utc, uptime
from ..core.durable import bounded
from ..core.unexpected import Beyond
from ..host.cgroups import CgroupError, Cgroups
from ..host.engine import Engine, EngineError
from .by_engine import LOOKS, Stop, StoppedBot, stop_bots

ENGINE_SECONDS: Final = 15
"""What the engine may take beyond the grace period before the stop goes on without it."""

SHORT_GRACE_SECONDS: Final = 2
"""The grace of a bot whose own has passed while the engine was waited for."""

MAX_WAIT_SECONDS: Final = 20
KILLED_SECONDS: Final = 5
UNVERIFIED: Final = "UNVERIFIED"
INTERVAL_SECONDS: Final = 0.1


@dataclass(frozen=True)
class StopReport:
    """What became of each bot. `error` says why not all of the host could be observed, empty where it could.

    `engine_error` is set where the engine was of no use; the stop is proven all the same once the kernel proves it.
    `beyond` is what else runs, looked at after the stop.
    """

    bots: tuple[StoppedBot, ...]
    error: str = ""
    engine_error: str = ""
    beyond: Beyond = field(default_factory=Beyond)


def stop_with_fallback(
    connect: Callable[[], Engine],
    cgroups: Cgroups,
    stop: Stop,
    is_guarded: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> StopReport:
    """Return what became of each bot after everything was tried, within about 25 s beyond the grace period.

    `is_guarded`: a guard watches this host, so that a bot which a returning engine starts again is stopped again. Where
    none does, a bot that was ended behind its engine's back counts as stopped only if its restart policy is `no`.
    """
    begun = clock()
    try:
        bots = bounded(lambda: stop_bots(connect(), stop, clock), stop.grace_seconds + ENGINE_SECONDS)
    except (EngineError, TimeoutError) as error:
        bots, engine_error = [], str(error)
    else:
        engine_error = "; ".join(f"{bot.name}: {bot.error or bot.how}" for bot in bots if bot.outcome != "proven")
    if not engine_error:
        return StopReport(tuple(bots))
    # Where the engine has answered for the bots, their grace is over.
    left_seconds = SHORT_GRACE_SECONDS if bots else max(SHORT_GRACE_SECONDS, stop.grace_seconds - int(clock() - begun))
    try:
        host = _HostStop(cgroups, stop, clock, sleep)
        seen = host.plan() if stop.dry_run else host.stop(left_seconds)
        unexpected = host.unexpected()
    except CgroupError as error:
        return StopReport(tuple(bots), "" if bots else f"{engine_error} {error}", engine_error)
    held = seen if is_guarded() else [_unless_it_may_return(bot) for bot in seen]
    return StopReport(_merge(bots, held), unexpected, engine_error)


class _HostStop:
    """One stop through the control groups of one host."""

    def __init__(
        self, cgroups: Cgroups, stop: Stop, clock: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        self._cgroups = cgroups
        self._stop = stop
        self._first_wave = stop.first_wave
        self._clock = clock
        self._sleep = sleep
        self._begun = clock()
        self._seen: dict[str, StoppedBot] = {}

    def plan(self) -> list[StoppedBot]:
        """Return what a stop would find, without touching it."""
        alive = self._cgroups.processes()
        return [self._result(bot, "stopped" if bot.id in alive else "already stopped") for bot in self._bots()]

    def stop(self, grace_seconds: int) -> list[StoppedBot]:
        """Return each bot after its processes got SIGTERM, then SIGKILL, also one that comes up meanwhile."""
        for look in range(LOOKS):
            bots = self._bots()
            alive = self._cgroups.processes()
            for bot in bots:
                if bot.id not in alive and bot.id not in self._seen:
                    self._seen[bot.id] = self._found_stopped(bot)
            running = [bot for bot in bots if bot.id in alive]
            if not running:
                break
            self._end(running, SHORT_GRACE_SECONDS if look else grace_seconds)
        alive = self._cgroups.processes()
        return [
            replace(bot, how="running", error="Its processes outlived SIGKILL.") if bot.id in alive else bot
            for bot in self._seen.values()
        ]

    def unexpected(self) -> str:
        """Return as a sentence which containers run that no file of the engine describes; empty for none."""
        known = {str(summary["Id"]) for summary in self._cgroups.containers()}
        unknown = sorted(container_id[:12] for container_id in self._cgroups.processes() if container_id not in known)
        return f"Containers run here that no file of the engine describes: {', '.join(unknown)}." if unknown else ""

    def _bots(self) -> list[Bot]:
        return self._stop.select(self._cgroups.containers())

    def _end(self, running: Sequence[Bot], grace_seconds: int) -> None:
        errors: dict[str, str] = {}
        waits = {bot.id: self._first_wave.remaining_seconds(bot.id, uptime(), MAX_WAIT_SECONDS) for bot in running}
        for bot in running:
            if not waits[bot.id]:  # else it has its signal, and its deadline
                self._attempt(errors, bot, self._cgroups.terminate)
        ended = self._until_gone(list(waits), max(seconds or grace_seconds for seconds in waits.values()))
        for bot in running:
            if bot.id not in ended:
                self._attempt(errors, bot, self._cgroups.kill)
        gone = ended | self._until_gone([bot.id for bot in running if bot.id not in ended], KILLED_SECONDS)
        for bot in running:
            how = "stopped" if bot.id in ended else "killed" if bot.id in gone else "running"
            self._seen[bot.id] = self._result(bot, how, "" if bot.id in gone else errors.get(bot.id, ""))

    def _until_gone(self, ids: Sequence[str], limit_seconds: float) -> set[str]:
        """Return those of `ids` that have no process any more, as soon as all are, at the latest after the limit."""
        end = self._clock() + limit_seconds
        while True:
            gone = set(ids) - self._cgroups.processes().keys()
            if len(gone) == len(set(ids)) or self._clock() >= end:
                return gone
            self._sleep(INTERVAL_SECONDS)

    @staticmethod
    def _attempt(errors: dict[str, str], bot: Bot, act: Callable[[str], None]) -> None:
        """Do one step for one bot; an error with it never keeps another from being stopped."""
        try:
            act(bot.id)
        except CgroupError as error:
            errors[bot.id] = str(error)

    def _policy(self, bot: Bot) -> str:
        try:
            return self._cgroups.restart_policy(bot.id)
        except CgroupError:
            return "unknown"

    def _found_stopped(self, bot: Bot) -> StoppedBot:
        return self._result(bot, "stopped" if self._first_wave.has_stopped(bot.id) else "already stopped")

    def _result(self, bot: Bot, how: str, error: str = "") -> StoppedBot:
        acted = how in {"stopped", "killed"}
        return StoppedBot(
            id=bot.id,
            name=bot.name,
            project=bot.project,
            service=bot.service,
            mode=bot.mode,
            found_by=bot.found_by,
            was=bot.state,
            how=how,
            seconds=round(self._clock() - self._begun, 3) if acted else 0.0,
            exit_code=None,
            orders=UNVERIFIED,
            restart_policy=self._policy(bot),
            # Nobody recorded the time of death; now is never earlier than it.
            finished_at=format_utc(datetime.now(UTC)) if acted else "",
            error=error,
        )


def _unless_it_may_return(bot: StoppedBot) -> StoppedBot:
    """Return a proven bot as unknown where a returning engine would start it again."""
    if bot.outcome != "proven" or bot.restart_policy == "no":
        return bot
    text = f"Its processes are gone, but its restart policy is {bot.restart_policy!r} and no guard watches this host."
    return replace(bot, how="unknown", error=text)


def _merge(by_engine: Sequence[StoppedBot], by_kernel: Sequence[StoppedBot]) -> tuple[StoppedBot, ...]:
    """Return the engine's proofs, and the kernel's word for every bot that the engine could not prove."""
    proven = {bot.id for bot in by_engine if bot.outcome == "proven"}
    kernel = {bot.id: bot for bot in by_kernel if bot.id not in proven}
    merged = [kernel.pop(bot.id, bot) for bot in by_engine]
    return (*merged, *(bot for bot in kernel.values() if not by_engine or bot.how != "already stopped"))
