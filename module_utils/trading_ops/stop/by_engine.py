"""Stop bots and prove it: observe, act on all at once, observe again until nothing new is seen."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ..core.bots import BEING_REMOVED, NOT_RUNNING, Bot, BotRules, select_bots
from ..core.clock import format_utc, parse_utc, uptime
from ..core.containers import odd_words
from ..host.engine import ContainerGone, Engine, EngineError
from .first_wave import FirstWave

IN_FLIGHT: Final = 16
"""Calls to one engine at a time: a hundred bots must not exhaust its descriptors or ours."""

LOOKS: Final = 3
"""A bot that starts during the stop is met by the next look; one that starts forever is reported as running."""

KILL_WAIT_SECONDS: Final = 5

_NEVER: Final = "0001-"
"""The year in which an engine puts what never was."""

HOW: Final = frozenset({"already stopped", "never started", "stopped", "killed", "gone", "running", "unknown"})
ORDERS: Final = frozenset({"cancelled", "none", "UNVERIFIED"})


@dataclass(frozen=True)
class Stop:
    """What a stop is to do: end the bots among those of `rules` that `wanted` names, each within `grace_seconds`.

    A bot that `first_wave` has signalled already is waited for instead. With `dry_run` nothing is touched.
    With `strays` it ends these, which no rule matches, and no others.
    """

    rules: BotRules
    wanted: Callable[[Bot], bool]
    grace_seconds: int
    dry_run: bool = False
    first_wave: FirstWave = field(default_factory=FirstWave)
    strays: tuple[Bot, ...] = ()

    def select(self, containers: Iterable[Mapping[str, Any]]) -> list[Bot]:
        """Return the bots to stop among the engine's container summaries."""
        if self.strays:
            states = {str(item["Id"]): str(item.get("State", "")) for item in containers}
            return [replace(bot, state=states[bot.id]) for bot in self.strays if bot.id in states and self.wanted(bot)]
        return [bot for bot in select_bots(containers, self.rules) if self.wanted(bot)]


@dataclass(frozen=True)
class StoppedBot:
    """What became of one bot.

    `how` is one of HOW (`planned` actions of a dry run use the word a real run is expected to end with);
    `seconds` is the time this stop took; `restart_policy` is the policy it was found with;
    `finished_at` is the engine's own time of death. `error` is empty where nothing went wrong; a bot that is proven
    stopped all the same can have one.
    """

    id: str
    name: str
    project: str
    service: str
    mode: str
    found_by: str
    was: str
    how: str
    seconds: float
    exit_code: int | None
    orders: str
    restart_policy: str
    finished_at: str
    error: str = ""

    @property
    def changed(self) -> bool:
        """Return whether the stop had (or in a dry run: would have) something to do."""
        return self.how in {"stopped", "killed", "running", "unknown"} or self.restart_policy not in {"no", ""}

    @property
    def outcome(self) -> str:
        """Return the outcome word this bot alone leads to."""
        return self.how if self.how in {"running", "unknown"} else "proven"


def is_proven_stopped(state: dict[str, Any]) -> bool:
    """Return whether the engine's `State` object says, in every one of its ways, that no process is left.

    A missing key proves nothing. A container in restart back-off says Running or Restarting.
    """
    return (
        state.get("Status") in NOT_RUNNING
        and state.get("Running") is False
        and state.get("Paused") is False
        and state.get("Restarting") is False
        and type(state.get("Pid")) is int
        and state["Pid"] == 0
    )


def orders_of(bot: Bot, was_started: bool, exit_code: int | None) -> str:
    """Return what is known of the bot's open orders from the way it ended.

    Only an image that promises it (label `trading-core.cancels-orders`) and exit code 0 together mean that the
    orders were cancelled; a killed bot (137) proves nothing.
    """
    if not was_started:
        return "none"
    return "cancelled" if bot.cancels_orders and exit_code == 0 else "UNVERIFIED"


def stop_bots(engine: Engine, stop: Stop, clock: Callable[[], float] = time.monotonic) -> list[StoppedBot]:
    """Return one StoppedBot per wanted bot container, in any state, after all are stopped as far as possible.

    The restart policy goes to `no` first, so that neither a crash nor a reboot brings a bot back; then SIGTERM, and
    SIGKILL after the grace period, all bots at the same time. An error with one bot never keeps another from being
    stopped. Raises EngineError only where the engine cannot even list its containers at first.
    """
    results: dict[str, StoppedBot] = {}
    met: dict[str, Bot] = {}
    with ThreadPoolExecutor(max_workers=IN_FLIGHT) as pool:
        for _ in range(1 if stop.dry_run else LOOKS):
            try:
                listed = stop.select(engine.containers())
            except EngineError as error:
                if not results:
                    raise
                return [
                    replace(seen, how="unknown", error=f"The second look failed: {error}") for seen in results.values()
                ]
            pending = [bot for bot in listed if not _settled(results.get(bot.id), bot)]
            if not pending:
                break
            met |= {bot.id: bot for bot in pending}
            stopped = pool.map(lambda bot: _stop_one(engine, bot, stop, clock), pending)
            for bot, result in zip(pending, stopped, strict=True):
                results[bot.id] = _merge(results.get(bot.id), result)
        if stop.dry_run:
            return list(results.values())
        return list(pool.map(lambda seen: _prove(engine, met[seen.id], seen), results.values()))


def _settled(result: StoppedBot | None, bot: Bot) -> bool:
    return result is not None and result.outcome == "proven" and bot.state in NOT_RUNNING


def _merge(before: StoppedBot | None, now: StoppedBot) -> StoppedBot:
    """Keep how a bot was found at first, when it had to be stopped more than once."""
    return now if before is None else replace(now, was=before.was, restart_policy=before.restart_policy)


def _stop_one(engine: Engine, bot: Bot, stop: Stop, clock: Callable[[], float]) -> StoppedBot:
    begun = clock()
    errors: list[str] = []
    before = _inspect(engine, bot, errors)
    if before is None and not errors:
        return _result(bot, None, "gone", 0.0, errors)
    state = before["State"] if before else {}
    if before and is_proven_stopped(state):
        if not stop.dry_run and restart_policy(before) != "no" and state["Status"] not in BEING_REMOVED:
            _attempt(errors, engine.set_restart_policy, bot.id, "no")
        if stop.first_wave.has_stopped(bot.id):
            return _result(bot, before, _how(before, errors), 0.0, errors)
        return _result(bot, before, "already stopped" if _was_started(state) else "never started", 0.0, errors)
    if stop.dry_run:
        return _result(bot, before, "unknown" if errors else "stopped", 0.0, errors)
    _attempt(errors, engine.set_restart_policy, bot.id, "no")
    remaining_seconds = stop.first_wave.remaining_seconds(bot.id, uptime(), stop.grace_seconds)
    if not _ended_by_first_wave(engine, bot, remaining_seconds):
        _attempt(errors, engine.stop, bot.id, stop.grace_seconds)
    after = _inspect(engine, bot, errors)
    if after is not None and not is_proven_stopped(after["State"]):
        _attempt(errors, engine.kill, bot.id, "SIGKILL")
        _attempt(errors, engine.wait, bot.id, KILL_WAIT_SECONDS)
        after = _inspect(engine, bot, errors)
    how = _how(after, errors)
    result = _result(bot, after, how, clock() - begun, errors)
    return replace(result, restart_policy=restart_policy(before) if before else "")


def _ended_by_first_wave(engine: Engine, bot: Bot, remaining_seconds: float) -> bool:
    """Wait for a bot that has its signal; False where it was not signalled, or did not end. The next look proves."""
    if not remaining_seconds:
        return False
    try:
        engine.wait(bot.id, math.ceil(remaining_seconds) + 1)
    except EngineError:
        return False
    return True


def _prove(engine: Engine, bot: Bot, seen: StoppedBot) -> StoppedBot:
    """Return the result as the last look of all confirms it, or what that look says instead."""
    try:
        now = engine.inspect(seen.id)
    except EngineError as error:
        return replace(seen, how="unknown", error=str(error)) if seen.outcome == "proven" else seen
    if now is None:
        return replace(seen, how="gone", error="")
    state = now["State"] if isinstance(now.get("State"), dict) else {}
    if not is_proven_stopped(state):
        again = replace(seen, how="running", error="It was stopped and is running again.")
        return again if seen.outcome == "proven" else seen
    if restart_policy(now) != "no" and state["Status"] not in BEING_REMOVED:
        return replace(seen, how="unknown", error=f"Its restart policy is still {restart_policy(now)!r}.")
    return seen if seen.outcome == "proven" else _merge(seen, _result(bot, now, _how(now, ()), seen.seconds, ()))


def _how(after: dict[str, Any] | None, errors: Sequence[str]) -> str:
    if after is None:
        return "unknown" if errors else "gone"
    state = after["State"]
    if is_proven_stopped(state):
        return "killed" if state.get("ExitCode") == 137 else "stopped"
    return "running" if state.get("Running") is True else "unknown"


def _result(bot: Bot, seen: dict[str, Any] | None, how: str, seconds: float, errors: Sequence[str]) -> StoppedBot:
    state = seen["State"] if seen else {}
    exit_code = state.get("ExitCode") if seen and is_proven_stopped(state) else None
    return StoppedBot(
        id=bot.id,
        name=bot.name,
        project=bot.project,
        service=bot.service,
        mode=bot.mode,
        found_by=bot.found_by,
        was=bot.state,
        how=how,
        seconds=round(seconds, 3),
        exit_code=exit_code if how != "never started" else None,
        orders=orders_of(bot, how != "never started", exit_code),
        restart_policy=restart_policy(seen) if seen else "",
        finished_at=_finished_at(state, how),
        error=" ".join([*(errors if how not in {"stopped", "killed", "gone"} else ()), *_odd(seen)]),
    )


def _odd(seen: Mapping[str, Any] | None) -> list[str]:
    words = odd_words(seen or {})
    return [f"{words[0].upper()}{words[1:]}."] if words else []


def _inspect(engine: Engine, bot: Bot, errors: list[str]) -> dict[str, Any] | None:
    """Return the bot's description; None and no new error means that the engine has no such container."""
    try:
        seen = engine.inspect(bot.id)
    except EngineError as error:
        errors.append(str(error))
        return None
    if seen is not None and not isinstance(seen.get("State"), dict):
        errors.append("The engine described the container without its state.")
        return None
    return seen


def _attempt(errors: list[str], act: Callable[..., object], *arguments: object) -> None:
    """Do one step of a stop; a failure is kept and never ends the stop."""
    try:
        act(*arguments)
    except ContainerGone:
        pass  # the next look decides
    except EngineError as error:
        errors.append(str(error))


def restart_policy(seen: dict[str, Any]) -> str:
    """Return the restart policy in an engine's description of a container."""
    policy = ((seen.get("HostConfig") or {}).get("RestartPolicy") or {}).get("Name")
    return str(policy or "no")  # the engine reports an unset policy as an empty name


def _was_started(state: dict[str, Any]) -> bool:
    """Return whether a process of it has ever run; a time that is missing does not say that none has."""
    return state.get("Status") != "created" and not str(state.get("StartedAt") or "").startswith(_NEVER)


def _finished_at(state: Mapping[str, Any], how: str) -> str:
    """Return the engine's time of death, empty for never. Of a bot that this stop ended, now is never earlier."""
    moment = str(state.get("FinishedAt") or "")
    if not moment and how in {"stopped", "killed"}:
        return format_utc(datetime.now(UTC))
    return "" if moment.startswith(_NEVER) else moment


def last_finished(bots: Sequence[StoppedBot]) -> str:
    """Return the newest time of death the engine reported, ISO 8601 UTC with milliseconds; empty for none.

    Rounded up, so that nothing the bot did can be later than what is reported.
    """
    moments = [parse_utc(bot.finished_at) for bot in bots if bot.finished_at]
    return format_utc(max(moments) + timedelta(microseconds=999)) if moments else ""
