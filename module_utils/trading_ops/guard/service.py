"""The guard of one trading host: while it is halted no bot stays up, and a bot never has a restart policy.

It runs as a service of its own, follows the engine's events and observes every POLL_SECONDS whatever they say. It stops
with the code of the kill switch.
"""

from __future__ import annotations

import json
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from ..core.bots import MODES, Bot, BotRules, select_bots
from ..core.clock import uptime, utc_now
from ..core.durable import write_durably
from ..core.unexpected import Beyond
from ..host.cgroups import CgroupError
from ..host.engine import ContainerGone, Engine, EngineError, docker_engine, follow_starts
from ..state import audit
from ..state.latch import Latch, LatchError, read_latch, settle
from ..stop.beyond import describe_beyond
from ..stop.by_engine import IN_FLIGHT, Stop, restart_policy
from ..stop.fallback import stop_with_fallback
from ..stop.kill_switch import TradingHost, parse_stop_request
from .installed import HEARTBEAT_PATH, digest, installed_sources
from .plan import SeenBot, Step, plan_guard
from .this_host import this_host

POLL_SECONDS: Final = 2
LOOK_SECONDS: Final = 3
"""For one answer of the engine within a look; a hung engine must not make the guard look stale."""

WITHIN_LOOK_SECONDS: Final = 6
SETTLE_SECONDS: Final = 2
BETWEEN_LOOKS_SECONDS: Final = 0.2
"""At least: a crash-looping container sends an event every few milliseconds."""

BY: Final = "guard"


@dataclass(frozen=True)
class Settings:
    """What the service takes from its environment file."""

    rules: BotRules
    grace_seconds: int
    state_path: Path
    docker_url: str


def parse_settings(environ: Mapping[str, str]) -> tuple[Settings, list[str]]:
    """Return the settings and a warning for each that makes no sense: the guard runs whatever stands there."""
    params = {
        "bot_services": environ.get("TRADING_CORE_BOT_SERVICES", "").split(),
        "bot_projects": environ.get("TRADING_CORE_BOT_PROJECTS", "").split(),
        "bot_images": environ.get("TRADING_CORE_BOT_IMAGES", "").split(),
        "other_services": _words(environ.get("TRADING_CORE_OTHER_SERVICES")),
        "stop_unexpected": environ.get("TRADING_CORE_STOP_UNEXPECTED"),
        "grace_period_seconds": environ.get("TRADING_CORE_GRACE_PERIOD_SECONDS"),
    }
    request, warnings = parse_stop_request(params, utc_now())
    state_path = Path(environ.get("TRADING_CORE_STATE_PATH") or "/var/lib/trading-core")
    docker_url = environ.get("TRADING_CORE_DOCKER_URL") or "unix:///var/run/docker.sock"
    return Settings(request.rules, request.grace_seconds, state_path, docker_url), warnings


def _words(text: str | None) -> list[str] | None:
    return None if text is None else text.split()


def start_thread(work: Callable[[], None]) -> None:
    """Begin `work` beside everything else; it ends with the process."""
    threading.Thread(target=work, daemon=True).start()


def say_to_journal(text: str) -> None:
    """Print one line; systemd gives it to the journal. A journal that is gone stops no guard."""
    try:
        print(text, flush=True)
    except OSError:
        pass


@dataclass(frozen=True)
class Tools:
    """All I/O of a guard beside engine and host. `run` begins work beside the look, so that no bot delays another."""

    say: Callable[[str], None] = say_to_journal
    run: Callable[[Callable[[], None]], None] = start_thread
    now: Callable[[], str] = utc_now
    clock: Callable[[], float] = time.monotonic


class Guard:
    """Observes and acts, once per call of `run_once`.

    `connect` gives an engine that answers fast or fails; `host` is what a stop works on.
    """

    def __init__(
        self,
        settings: Settings,
        host: TradingHost,
        connect: Callable[[], Engine],
        tools: Tools | None = None,
    ) -> None:
        tools = tools or Tools()
        self._settings = settings
        self._host = host
        self._connect = connect
        self._say, self._run, self._now, self._clock = tools.say, tools.run, tools.now, tools.clock
        self._slots = threading.Semaphore(IN_FLIGHT)
        self._in_flight: set[str] = set()
        self._last_free: dict[str, str] = {}
        self._reported: dict[str, str] = {}
        self._described: dict[str, Mapping[str, Any]] = {}
        self._named: set[str] = set()

    def run_once(self) -> bool:
        """Return whether the bots could be seen, once everything that has to be done about them has begun."""
        begun = self._now()
        latch = read_latch(self._host.state_path)
        seen, error = self._observe(latch)
        self._report("the engine", error)
        self._begin(latch, seen or [])
        self._begin(latch, self._look_beyond(latch))  # nothing comes before the bots that the rules match
        self._settle()
        self._last_free |= {mode: begun for mode in MODES if not (latch and latch.blocks(mode))}
        return seen is not None

    def _settle(self) -> None:
        """Keep the latch's two places alike: what an older version wrote or lifted knows one of them alone."""
        error = ""
        try:
            if settle(self._host.state_path, SETTLE_SECONDS):
                text = "The halt latch stood in one of its places, or otherwise there: now it is in both."
                self._say(text)
                for warning in audit.record_quietly(
                    self._host.state_path, "latch brought to both places", BY, self._now()
                ):
                    self._say(warning)
        except LatchError as failure:
            error = str(failure)
        self._report("the latch's places", error)

    def _begin(self, latch: Latch | None, seen: list[SeenBot]) -> None:
        for step in plan_guard(latch, self._last_free, seen, self._now(), self._settings.grace_seconds):
            if step.seen.bot.id not in self._in_flight:
                self._in_flight.add(step.seen.bot.id)
                self._run(partial(self._act, step))

    def _observe(self, latch: Latch | None) -> tuple[list[SeenBot] | None, str]:
        """Return the bots (None: they cannot be observed), and why the engine could not be used.

        Without the engine only a halt is held, through the kernel: a restart policy is the engine's to change.
        """
        end = self._clock() + WITHIN_LOOK_SECONDS
        try:
            engine = self._connect()
            bots = select_bots(engine.containers(), self._settings.rules)
        except EngineError as error:
            return self._observe_without_engine(str(error)) if latch else ([], str(error))
        return [self._describe(engine, bot, end) for bot in bots], ""

    def _look_beyond(self, latch: Latch | None) -> list[SeenBot]:
        """Return what looks like a bot, no rule matches and a halt holds, where the estate says that it is stopped.

        Each is named once, whatever the estate says.
        """
        rules, source = self._settings.rules, None
        try:
            source = self._connect()
            beyond = describe_beyond(source, rules, self._described, LOOK_SECONDS)
        except Exception:  # whatever a container's description leads to: it must not end the guard
            try:
                beyond = describe_beyond(self._host.cgroups, rules, self._described, LOOK_SECONDS)
            except Exception:
                return []  # the look at the bots has said why
        self._name(beyond)
        if latch is None or not rules.stop_unexpected:
            return []
        held = [bot for found in beyond.unexpected if latch.blocks((bot := found.as_bot()).mode)]
        end = self._clock() + LOOK_SECONDS
        return [self._describe(source, bot, end) if source else SeenBot(bot, "", "") for bot in held]

    def _name(self, beyond: Beyond) -> None:
        for found in beyond.unexpected:
            if found.id not in self._named:
                self._named.add(found.id)
                record = partial(self._record, "unexpected bot seen", found.as_bot(), why=found.why, image=found.image)
                self._run(record)
        for name in beyond.mislabelled:
            self._report(f"label of {name}", f"{name} bears the label of a restore test and is of none: it is a bot")

    def _describe(self, engine: Engine, bot: Bot, end: float) -> SeenBot:
        try:
            seen = engine.inspect(bot.id) if self._clock() < end else None
            if seen is None:
                return SeenBot(bot, "", "")
            return SeenBot(bot, str((seen.get("State") or {}).get("StartedAt") or ""), restart_policy(seen))
        except EngineError:
            return SeenBot(bot, "", "")

    def _observe_without_engine(self, engine_error: str) -> tuple[list[SeenBot] | None, str]:
        try:
            bots = select_bots(self._host.cgroups.containers(), self._settings.rules)
        except CgroupError as error:
            return None, f"{engine_error} {error}"
        return [SeenBot(bot, "", "") for bot in bots], engine_error

    def _act(self, step: Step) -> None:
        try:
            with self._slots:
                self._stop(step) if step.why else self._neutralise(step.seen)
        finally:
            self._in_flight.discard(step.seen.bot.id)

    def _neutralise(self, seen: SeenBot) -> None:
        try:
            engine = self._connect()
            engine.set_restart_policy(seen.bot.id, "no")
            after = engine.inspect(seen.bot.id)
            reason = "" if after is None or restart_policy(after) == "no" else "The engine did not take it."
        except ContainerGone:
            return
        except EngineError as error:
            reason = str(error)
        self._report(seen.bot.id, f"{seen.bot.name} keeps its restart policy: {reason}" if reason else "")
        if reason:
            return
        self._record("restart policy neutralised", seen.bot, was=seen.restart_policy)

    def _stop(self, step: Step) -> None:
        bot = step.seen.bot
        strays = (bot,) if bot.found_by == "unexpected" else ()
        stop = Stop(self._settings.rules, lambda other: other.id == bot.id, step.grace_seconds, strays=strays)
        report = stop_with_fallback(self._host.connect, self._host.cgroups, stop, is_guarded=lambda: True)
        error = next((item.error or item.how for item in report.bots if item.outcome != "proven"), "")
        if not report.bots:
            error = report.error
        # A bot that could not be stopped runs on, and the next look meets it again.
        self._report(bot.id, f"{bot.name} could not be stopped ({step.why}): {error}" if error else "")
        if error:
            return
        how = report.bots[0].how if report.bots else "gone"
        self._record("stopped while halted", bot, why=step.why, started_at=step.seen.started_at, how=how)

    def _record(self, event: str, bot: Bot, **fields: str) -> None:
        """Tell the journal first: it has the line also where the disk is full."""
        text = ", ".join(f"{key} {value}" for key, value in fields.items() if value)
        self._say(f"{event}: {bot.name} ({bot.mode}, project {bot.project or 'none'}): {text}")
        names: dict[str, Any] = {"container": bot.name, "id": bot.id, "project": bot.project, "mode": bot.mode}
        for warning in audit.record_quietly(self._host.state_path, event, BY, self._now(), **names, **fields):
            self._say(warning)

    def _report(self, about: str, error: str) -> None:
        """Say what is wrong once, not at every look."""
        if error and error != self._reported.get(about):
            self._say(error)
        self._reported[about] = error


def beat(path: Path, package_digest: str, seconds: float) -> None:
    """Leave a sign of life: `{"uptime", "digest"}`. Raises OSError.

    Cut off, never rounded up: who reads it at once must not meet a moment that is still to come.
    """
    write_durably(path, json.dumps({"uptime": math.floor(seconds * 100) / 100, "digest": package_digest}) + "\n")


def main() -> None:
    """Guard until SIGTERM."""
    settings, warnings = parse_settings(os.environ)
    package_digest = digest(installed_sources(Path(__file__).parents[1]))
    host = this_host(settings.docker_url, settings.state_path)
    guard = Guard(settings, host, lambda: docker_engine(settings.docker_url, LOOK_SECONDS))
    ended, wake = threading.Event(), threading.Event()

    def end(_number: int, _frame: object) -> None:
        ended.set()
        wake.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    start_thread(partial(follow_forever, lambda: follow_starts(settings.docker_url, wake.set), wake.set))
    for text in [*warnings, f"guarding {settings.state_path}, package {package_digest[:12]}"]:
        say_to_journal(text)
    while not ended.is_set():
        if guard.run_once():
            try:
                beat(HEARTBEAT_PATH, package_digest, uptime())
            except OSError as error:
                say_to_journal(f"{HEARTBEAT_PATH} could not be written: {error}")
        ended.wait(BETWEEN_LOOKS_SECONDS)
        wake.wait(POLL_SECONDS)
        wake.clear()


def follow_forever(follow: Callable[[], None], wake: Callable[[], None]) -> None:
    """Follow the engine's events; where they end the engine is going or coming, which is worth a look as well."""
    while True:
        try:
            follow()
        except EngineError:
            pass  # the looks say it
        wake()
        time.sleep(1)
