"""LiveFeed: receives the lab's market with a real delay, builds bars, serves and measures them."""

from __future__ import annotations

import heapq
import math
import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from trading_lab import market
from trading_lab.faults import FaultBoard, fault_routes
from trading_lab.market import Bar
from trading_lab.replay import read_replay
from trading_lab.timestamps import iso_utc
from trading_lab.web import BadRequest, Request, Response, Route, start_server, stop_signal

FAULTS: Mapping[str, Mapping[str, Any]] = {
    "latency": {"milliseconds": 900.0},
    "silent_symbol": {"symbol": "ETHUSDT"},
    "gaps": {"every": 5},
    "nan_records": {"every": 3},
    "reconnect_storm": {"every_seconds": 0.5},
    "frozen_metrics": {},
    "exporter_gone": {},
    "wicks": {"every": 3, "percent": 1.0},
}
MESSAGES_PER_BAR = 10
BarAt = Callable[[str, float, float], Bar]
"""The bar of a symbol that opens at a time, of so many seconds."""

_STALL_BARS = 5
_LARGEST_LIMIT = 5000


class FeedMetrics:
    """The feed's own numbers, named as the runbooks name them; one series per symbol from the start."""

    def __init__(self, symbols: Sequence[str]) -> None:
        disable_created_metrics()
        self.registry = CollectorRegistry()
        label = ["symbol"]
        self.transport_latency_ms = Histogram(
            "feed_transport_latency_ms",
            "Milliseconds from a message leaving the venue to its arrival here",
            label,
            registry=self.registry,
            buckets=(5, 10, 25, 50, 75, 100, 150, 200, 300, 400, 500, 750, 1000, 2000, 5000),
        )
        self.bar_close_lag_ms = Gauge(
            "feed_bar_close_lag_ms",
            "Milliseconds from the close of the last bar to when it could be served",
            label,
            registry=self.registry,
        )
        self.bars = Counter("feed_bars_total", "Bars received", label, registry=self.registry)
        self.reconnects = Counter(
            "feed_reconnects_total", "Times the connection to the venue was made again", label, registry=self.registry
        )
        self.gaps = Counter("gaps_total", "Bars that never came", label, registry=self.registry)
        self.nan_records = Counter(
            "nan_records_total", "Bars that came with a value that is no number", label, registry=self.registry
        )
        for symbol in symbols:
            for metric in (
                self.transport_latency_ms,
                self.bar_close_lag_ms,
                self.bars,
                self.reconnects,
                self.gaps,
                self.nan_records,
            ):
                metric.labels(symbol)


@dataclass(frozen=True, order=True)
class Message:
    """Something on its way from the venue; the bar is None for all but the last one of a bar."""

    deliver_at: float
    sent_at: float
    symbol: str
    bar: Bar | None


@dataclass(frozen=True)
class Source:
    """What comes from the venue: bars of these symbols, the last `history_bars` of them at once, each with a delay."""

    symbols: tuple[str, ...]
    bar_seconds: float
    history_bars: int
    transport_seconds: Callable[[], float]
    bar_at: BarAt = market.bar


class Feed:
    """The connection to the venue and the bars it has brought.

    step() does everything that is due by a given time, so a test needs no clock and no sleep.
    """

    def __init__(self, source: Source, faults: FaultBoard, metrics: FeedMetrics, now: float) -> None:
        self.symbols, bar_seconds, history_bars = source.symbols, source.bar_seconds, source.history_bars
        self.bar_seconds, self._bar_at, self._transport_seconds = bar_seconds, source.bar_at, source.transport_seconds
        self._faults, self._metrics = faults, metrics
        self._interval = bar_seconds / MESSAGES_PER_BAR
        last = market.last_open_time(now, bar_seconds)
        self._next_message = round((last + bar_seconds) / self._interval) + 1
        self._on_the_way: list[Message] = []
        self._reconnected_at = now
        self._lock = threading.Lock()
        self._bars: dict[str, deque[Bar]] = {
            symbol: deque(
                (self._bar_at(symbol, last - bar_seconds * age, bar_seconds) for age in reversed(range(history_bars))),
                maxlen=max(history_bars, 1),
            )
            for symbol in self.symbols
        }

    def bars(self, symbol: str, limit: int) -> list[Bar]:
        """The youngest bars of a symbol, oldest first."""
        with self._lock:
            return list(self._bars[symbol])[-limit:]

    def step(self, now: float) -> float:
        """Do what is due by now; returns when the next thing is."""
        if now - self._next_message * self._interval > _STALL_BARS * self.bar_seconds:
            # The process was frozen: the venue has hung up, what it sent meanwhile is lost.
            self._reconnect(now)
            self._next_message = math.ceil(now / self._interval)
        storm = self._faults.parameters("reconnect_storm")
        if storm and now - self._reconnected_at >= storm["every_seconds"]:
            self._reconnect(now)
        while self._next_message * self._interval <= now:
            self._send(self._next_message)
            self._next_message += 1
        while self._on_the_way and self._on_the_way[0].deliver_at <= now:
            self._receive(heapq.heappop(self._on_the_way), now)
        following = self._next_message * self._interval
        return min(following, self._on_the_way[0].deliver_at) if self._on_the_way else following

    def _reconnect(self, now: float) -> None:
        self._on_the_way.clear()
        self._reconnected_at = now
        for symbol in self.symbols:
            self._metrics.reconnects.labels(symbol).inc()

    def _send(self, number: int) -> None:
        sent_at = number * self._interval
        silent, slow = self._faults.parameters("silent_symbol"), self._faults.parameters("latency")
        delay = slow["milliseconds"] / 1000 if slow else 0.0
        for symbol in self.symbols:
            if silent and silent["symbol"] == symbol:
                continue
            closed = self._closed_bar(symbol, number) if number % MESSAGES_PER_BAR == 0 else None
            message = Message(sent_at + self._transport_seconds() + delay, sent_at, symbol, closed)
            heapq.heappush(self._on_the_way, message)

    def _closed_bar(self, symbol: str, number: int) -> Bar | None:
        ordinal = number // MESSAGES_PER_BAR
        bar = self._bar_at(symbol, (ordinal - 1) * self.bar_seconds, self.bar_seconds)
        gaps, damaged = self._faults.parameters("gaps"), self._faults.parameters("nan_records")
        if gaps and ordinal % int(gaps["every"]) == 0:
            return None
        return replace(bar, close=math.nan) if damaged and ordinal % int(damaged["every"]) == 0 else bar

    def _receive(self, message: Message, now: float) -> None:
        self._metrics.transport_latency_ms.labels(message.symbol).observe((now - message.sent_at) * 1000)
        if message.bar is None:
            return
        with self._lock:
            kept = self._bars[message.symbol]
            missing = round((message.bar.open_time - kept[-1].open_time) / self.bar_seconds) - 1 if kept else 0
            if missing < 0:
                return
            kept.append(message.bar)
        closed_at = message.bar.open_time + self.bar_seconds
        self._metrics.gaps.labels(message.symbol).inc(missing)
        self._metrics.bars.labels(message.symbol).inc()
        self._metrics.bar_close_lag_ms.labels(message.symbol).set((now - closed_at) * 1000)
        if not message.bar.is_finite:
            self._metrics.nan_records.labels(message.symbol).inc()


def with_wick(bar: Bar, bar_seconds: float, faults: FaultBoard) -> Bar:
    """A bar as the fault has it: each so many, also of the past, with a higher high. What a model learned drifts."""
    wicks = faults.parameters("wicks")
    if not wicks or round(bar.open_time / bar_seconds) % int(wicks["every"]):
        return bar
    return replace(bar, high=bar.high * (1 + wicks["percent"] / 100))


def bar_as_json(bar: Bar) -> dict[str, Any]:
    """A bar as served: a value that is no number becomes null, as JSON has no NaN."""
    values = {"open": bar.open, "high": bar.high, "low": bar.low, "close": bar.close, "volume": bar.volume}
    return {
        "open_time": bar.open_time,
        "open_time_utc": iso_utc(bar.open_time),
        **{name: value if math.isfinite(value) else None for name, value in values.items()},
    }


def build_routes(feed: Feed, faults: FaultBoard, metrics: FeedMetrics) -> list[Route]:
    """The connector's HTTP interface."""
    frozen: list[bytes] = []

    def serve_bars(request: Request) -> Response:
        symbol, limit = request.query.get("symbol", ""), request.query.get("limit", "100")
        if symbol not in feed.symbols:
            raise BadRequest(f"no symbol {symbol!r}; there are: {', '.join(feed.symbols)}")
        if not limit.isdigit() or not 1 <= int(limit) <= _LARGEST_LIMIT:
            raise BadRequest(f"limit is a number from 1 to {_LARGEST_LIMIT}")
        bars = [bar_as_json(with_wick(bar, feed.bar_seconds, faults)) for bar in feed.bars(symbol, int(limit))]
        return Response({"symbol": symbol, "bar_seconds": feed.bar_seconds, "bars": bars})

    def serve_metrics(_: Request) -> Response:
        if faults.parameters("exporter_gone") is not None:
            return Response(status=None)
        if faults.parameters("frozen_metrics") is None:
            frozen[:] = []
        elif not frozen:
            frozen.append(generate_latest(metrics.registry))
        return Response(
            frozen[0] if frozen else generate_latest(metrics.registry), content_type=CONTENT_TYPE_PLAIN_0_0_4
        )

    return [
        Route("GET", "/health", lambda _: Response({"symbols": feed.symbols})),
        Route("GET", "/bars", serve_bars),
        Route("GET", "/metrics", serve_metrics),
        *fault_routes(faults),
    ]


def main() -> None:
    stopping = stop_signal()
    symbols: Sequence[str] = os.environ.get("SYMBOLS", "BTCUSDT,ETHUSDT").split(",")
    bar_at: BarAt = market.bar
    if database_url := os.environ.get("REPLAY_DATABASE_URL"):
        replay = read_replay(database_url)
        symbols, bar_at = replay.symbols, replay.bar
        if not symbols:
            raise SystemExit("live_connector: the database holds no bars to play again")
    faults, metrics = FaultBoard(FAULTS), FeedMetrics(symbols)
    source = Source(
        tuple(symbols),
        float(os.environ.get("BAR_SECONDS", "1")),
        int(os.environ.get("HISTORY_BARS", "3600")),
        transport_seconds=lambda: random.lognormvariate(math.log(0.025), 0.5),
        bar_at=bar_at,
    )
    feed = Feed(source, faults, metrics, time.time())
    server = start_server(int(os.environ.get("PORT", "8000")), build_routes(feed, faults, metrics))
    print(f"live_connector: {', '.join(symbols)}, a bar every {feed.bar_seconds:g} s", flush=True)
    due = time.time()
    while not stopping.wait(max(0.0, due - time.time())):
        due = feed.step(time.time())
    server.shutdown()
    print("live_connector: stopped", flush=True)


if __name__ == "__main__":
    main()
