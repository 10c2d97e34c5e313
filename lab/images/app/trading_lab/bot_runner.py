"""Runs one bot: reads its configuration, waits for its model, follows the feed, cancels when it stops."""

from __future__ import annotations

import json
import math
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from trading_lab.bot_metrics import BotMetrics
from trading_lab.http_json import CallFailed, call, understood
from trading_lab.journal import DatabaseJournal
from trading_lab.latch import RELEASED, read_latch
from trading_lab.log import ChangedLines
from trading_lab.market import Bar
from trading_lab.registry import MODEL_NAME, Champion, champion_version, load_champion
from trading_lab.settings import SettingsError, TradingSettings, read_settings
from trading_lab.timestamps import iso_utc
from trading_lab.trader import Identity, Trader
from trading_lab.venue import HttpVenue
from trading_lab.web import Request, Response, Route, start_server

EXIT_CANCELLED, EXIT_CRASHED, EXIT_CONFIGURATION, EXIT_UNVERIFIED = 0, 1, 2, 3
MODES = frozenset({"paper", "live"})
_HISTORY_BARS = 3600
_FEED_BARS = 30
_STALE_SECONDS = 10.0
# With both calls of a last attempt timing out (2 s each) this ends within the 10 s a stop allows.
_WITHDRAW_SECONDS = 5.0
_MODEL_CHECK_SECONDS = 30.0


class ConfigurationError(Exception):
    """Which variable is missing or wrong."""


@dataclass(frozen=True)
class BotConfiguration:
    """What the container's environment says."""

    mode: str
    client: str
    feed_url: str
    venue_url: str
    database_url: str
    tracking_uri: str
    settings_path: Path
    latch_path: Path
    bars_each: int
    metrics_port: int
    ignores_latch: bool
    crash_loops: bool


def parse_configuration(environment: Mapping[str, str], hostname: str) -> BotConfiguration:
    """The configuration; ConfigurationError for a missing variable or a mode that is not known."""

    def required(name: str) -> str:
        value = environment.get(name, "")
        if not value:
            raise ConfigurationError(f"{name} is not set")
        return value

    mode = required("TRADING_MODE")
    if mode not in MODES:
        raise ConfigurationError(f"TRADING_MODE is paper or live, not {mode!r}")
    project = environment.get("TRADING_PROJECT") or f"trading-{mode}"
    return BotConfiguration(
        mode=mode,
        # The host name is the container's id: two bots of one project never cancel each other's orders.
        client=f"{project}/{environment.get('BOT_NAME') or hostname}",
        feed_url=required("FEED_URL"),
        venue_url=required("VENUE_URL"),
        database_url=required("DATABASE_URL"),
        tracking_uri=required("MLFLOW_TRACKING_URI"),
        settings_path=Path(environment.get("CONFIG_PATH", "/config/trading.yml")),
        latch_path=Path(environment.get("LATCH_PATH", "/run/trading-core/halt.json")),
        bars_each=int(environment.get("AGGREGATE_BARS", "5")),
        metrics_port=int(environment.get("BOT_METRICS_PORT", "9200")),
        ignores_latch=environment.get("IGNORE_LATCH") == "1",
        crash_loops=environment.get("CRASH_LOOP") == "1",
    )


class SettingsFile:
    """trading.yml, read again when it changes. A broken edit keeps the last good one, with no entries."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changed_ns: int | None = None
        self._settings = read_settings(path, MODEL_NAME)

    def current(self) -> TradingSettings:
        try:
            changed_ns = self._path.stat().st_mtime_ns
            if changed_ns != self._changed_ns:
                self._settings = read_settings(self._path, MODEL_NAME)
                self._changed_ns = changed_ns
                print(f"bot: settings read: {self._settings}", flush=True)
        except (OSError, SettingsError) as error:
            print(f"bot: no entries until the settings can be read: {error}", flush=True)
            return replace(self._settings, may_enter=False)
        return self._settings


class FeedReader:
    """The feed's bars, each handed out once."""

    def __init__(self, url: str, symbol: str) -> None:
        self._url, self.symbol = url, symbol
        self._last = -math.inf
        self.bar_seconds = 1.0

    def new_bars(self, limit: int) -> list[Bar]:
        """Bars that came since the last call. CallFailed where the feed gives no usable answer."""
        answer = call("GET", f"{self._url}/bars?symbol={self.symbol}&limit={limit}")
        with understood(self._url):
            self.bar_seconds = float(answer["bar_seconds"])
            bars = [bar for bar in map(_parse_bar, answer["bars"]) if bar.open_time > self._last]
        if bars:
            self._last = bars[-1].open_time
        return bars


def _parse_bar(content: Mapping[str, Any]) -> Bar:
    values = (content[name] for name in ("open", "high", "low", "close", "volume"))
    return Bar(float(content["open_time"]), *(math.nan if value is None else float(value) for value in values))


@dataclass
class State:
    """What the bot's health and state pages show; the loop writes it."""

    phase: str = "starting"
    last_bar_at: float = 0.0

    @property
    def is_healthy(self) -> bool:
        return self.phase == "trading" and time.monotonic() - self.last_bar_at < _STALE_SECONDS


def build_routes(configuration: BotConfiguration, metrics: BotMetrics, state: State) -> list[Route]:
    """The bot's metrics, health and state."""

    def serve_state(_: Request) -> Response:
        values = {
            sample.name: sample.value
            for family in metrics.registry.collect()
            for sample in family.samples
            if "feature" not in sample.labels and math.isfinite(sample.value)
        }
        about = {"client": configuration.client, "mode": configuration.mode, "phase": state.phase}
        return Response({**about, "time": iso_utc(time.time()), **values})

    def serve_health(_: Request) -> Response:
        return Response({"phase": state.phase}, 200 if state.is_healthy else 503)

    return [
        Route("GET", "/health", serve_health),
        Route("GET", "/state", serve_state),
        Route(
            "GET",
            "/metrics",
            lambda _: Response(generate_latest(metrics.registry), content_type=CONTENT_TYPE_PLAIN_0_0_4),
        ),
    ]


def wait_for_champion(tracking_uri: str, stopping: threading.Event) -> Champion | None:
    """The champion model as soon as the registry has it; None where the stop came first."""
    log = ChangedLines()
    while not stopping.is_set():
        try:
            return load_champion(tracking_uri)
        except CallFailed as error:
            log.say(f"bot: no model, no orders: {error}")
            stopping.wait(1.0)
    return None


def run(environment: Mapping[str, str], stopping: threading.Event) -> int:
    """Run the bot until it is asked to stop; returns its exit code."""
    try:
        configuration = parse_configuration(environment, socket.gethostname())
        settings_file = SettingsFile(configuration.settings_path)
    except (ConfigurationError, SettingsError, ValueError) as error:
        print(f"bot: refuses to start: {error}", flush=True)
        return EXIT_CONFIGURATION
    metrics = BotMetrics({"bot": configuration.client, "mode": configuration.mode, "strategy": MODEL_NAME})
    state = State()
    start_server(configuration.metrics_port, build_routes(configuration, metrics, state))
    journal = DatabaseJournal(
        configuration.database_url, metrics.last_write.set_to_current_time, metrics.rows_dropped.inc
    )
    journal.start()
    print(f"bot: {configuration.client}, mode {configuration.mode}", flush=True)

    symbol = settings_file.current().symbol
    venue = HttpVenue(configuration.venue_url, configuration.client, configuration.mode)
    reader = FeedReader(configuration.feed_url, symbol)
    champion = wait_for_champion(configuration.tracking_uri, stopping)
    history = _wait_for_history(reader, stopping)
    trader = Trader(
        Identity(configuration.client, configuration.mode, reader.bar_seconds, configuration.bars_each),
        venue,
        journal,
        metrics,
        (lambda: RELEASED) if configuration.ignores_latch else (lambda: read_latch(configuration.latch_path)),
        time.time,
    )
    if champion is not None and history:
        trader.warm_up(history, settings_file.current(), champion.model)
        _Loop(configuration, settings_file, reader, trader, metrics, state).run(champion, stopping)
        if not stopping.is_set():
            print("bot: crashes (CRASH_LOOP=1)", flush=True)
            return EXIT_CRASHED
    state.phase = "stopping"
    return _withdraw(trader, journal)


def _withdraw(trader: Trader, journal: DatabaseJournal) -> int:
    """Cancel what is open at the venue; returns the exit code for what the venue confirms."""
    is_flat = trader.withdraw_for_good(_WITHDRAW_SECONDS, time.sleep)
    journal.close(0.5)
    if not is_flat:
        print("bot: stopped, and the venue did NOT confirm that no order is open", flush=True)
        return EXIT_UNVERIFIED
    print("bot: stopped, the venue confirms 0 open orders", flush=True)
    return EXIT_CANCELLED


class _Loop:
    """Follows the feed until the stop, or, with CRASH_LOOP=1, until shortly after the first order."""

    def __init__(
        self,
        configuration: BotConfiguration,
        settings_file: SettingsFile,
        reader: FeedReader,
        trader: Trader,
        metrics: BotMetrics,
        state: State,
    ) -> None:
        self._configuration, self._settings_file, self._reader = configuration, settings_file, reader
        self._trader, self._metrics, self._state = trader, metrics, state

    def run(self, champion: Champion, stopping: threading.Event) -> None:
        self._use(champion)
        self._model_checked_at = time.monotonic()
        self._state.phase, self._state.last_bar_at = "trading", time.monotonic()
        poll_seconds, log = self._reader.bar_seconds / 2, ChangedLines()
        while not stopping.wait(poll_seconds):
            try:
                self._follow(stopping)
            except CallFailed as error:
                log.say(f"bot: {error}")
            self._check_model()
            if self._configuration.crash_loops and self._trader.orders_sent:
                stopping.wait(1.0)
                return

    def _follow(self, stopping: threading.Event) -> None:
        """Take in what the feed has; withdraw where it has had nothing for too long."""
        try:
            for bar in self._reader.new_bars(_FEED_BARS):
                if stopping.is_set():
                    return
                self._state.last_bar_at = time.monotonic()
                self._trader.on_bar(bar, self._settings_file.current(), self._champion.model)
        finally:
            if time.monotonic() - self._state.last_bar_at > _STALE_SECONDS:
                self._trader.withdraw()

    def _check_model(self) -> None:
        if time.monotonic() - self._model_checked_at < _MODEL_CHECK_SECONDS:
            return
        self._model_checked_at = time.monotonic()
        try:
            if champion_version(self._configuration.tracking_uri) != self._champion.version:
                self._use(load_champion(self._configuration.tracking_uri))
                self._metrics.retrain_events.inc()
        except CallFailed as error:
            print(f"bot: keeps model version {self._champion.version}: {error}", flush=True)

    def _use(self, champion: Champion) -> None:
        self._champion = champion
        self._metrics.model_version.set(float(champion.version))
        print(json.dumps({"model": MODEL_NAME, "version": champion.version}), flush=True)


def _wait_for_history(reader: FeedReader, stopping: threading.Event) -> list[Bar]:
    log = ChangedLines()
    while not stopping.is_set():
        try:
            return reader.new_bars(_HISTORY_BARS)
        except CallFailed as error:
            log.say(f"bot: no feed, no orders: {error}")
            stopping.wait(1.0)
    return []
