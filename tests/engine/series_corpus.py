"""Series of a healthy estate and of many that are not, as text that Prometheus takes in.

The corpus is a row of segments with nothing between them. In each, a third of the metrics suffers one kind of damage.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

SCRAPE_SECONDS = 5
START = 1_767_225_600  # 2026-01-01, a whole multiple of every range
SCRAPES = 44
HEALTHY_FROM = 28
"""From this scrape on every window of the lab's catalogue is full."""
DAMAGED_FROM = 34
PAUSED_SCRAPES = 30
PAUSE_SECONDS = 440
"""Longer than Prometheus looks back (300 s) and the longest window (120 s) together."""
SEGMENT_SECONDS = SCRAPES * SCRAPE_SECONDS + PAUSE_SECONDS

Series = tuple[str, tuple[tuple[str, str], ...]]
Values = dict[int, float]
"""Value by the number of the scrape."""

BOTS = [("lab1", "paper"), ("lab2", "live")]
HOSTS = ["lab1", "lab2", "lab-restore", "lab-control"]


@dataclass(frozen=True)
class Metric:
    """One metric of a healthy estate: its series and how each grows. `stranger` is a label set nobody expects."""

    name: str
    series: tuple[Mapping[str, str], ...]
    value: Callable[[int], float]
    stranger: Mapping[str, str]

    @property
    def is_counter(self) -> bool:
        return self.name.endswith(("_total", "_count", "_bucket"))


def steady(value: float) -> Callable[[int], float]:
    return lambda scrape: value


def growing(per_scrape: float) -> Callable[[int], float]:
    return lambda scrape: 100 + per_scrape * scrape


def metrics(start: float) -> list[Metric]:
    """Return every metric of a healthy estate whose first scrape is at `start`."""
    feed = [{"job": "live_connector", "symbol": symbol} for symbol in ("BTCUSDT", "ETHUSDT")]
    bots = [{"job": "bot", "host": host, "mode": mode, "bot": f"trading-{mode}/1"} for host, mode in BOTS]
    nodes = [{"job": "node", "host": host} for host in HOSTS]
    features = [{**bot, "feature": name} for bot in bots for name in ("ema_spread_atr", "return_atr", "range_atr")]
    disks = [{**node, "mountpoint": path, "fstype": "ext4"} for node in nodes for path in ("/", "/var/lib/docker")]
    stranger = {"symbol": "XRPUSDT", "host": "stranger", "mode": "paper", "feature": "new", "job": "live_connector"}

    def clock(scrape: int) -> float:
        return start + SCRAPE_SECONDS * scrape

    def of(labels: list[dict[str, str]], **values: Callable[[int], float]) -> list[Metric]:
        own = {key: value for key, value in stranger.items() if key in labels[0]}
        return [Metric(name, tuple(labels), value, {**labels[0], **own}) for name, value in values.items()]

    buckets = [
        Metric(
            "feed_transport_latency_ms_bucket",
            tuple({**each, "le": le} for each in feed for le in ("100", "500", "1000", "+Inf")),
            growing(10),
            {"job": "live_connector", "symbol": "XRPUSDT", "le": "+Inf"},
        )
    ]
    jobs = [{"job": "live_connector"}, {"job": "prometheus"}, {"job": "alertmanager"}, *nodes]
    return [
        *of(jobs, up=steady(1)),
        *buckets,
        *of(
            feed,
            feed_transport_latency_ms_count=growing(10),
            feed_bar_close_lag_ms=steady(40),
            feed_bars_total=growing(5),
            feed_reconnects_total=steady(2),
            gaps_total=steady(1),
            nan_records_total=steady(1),
        ),
        *of(
            bots,
            bot_equity_usdt=steady(10_000),
            bot_pnl_day_usdt=steady(-20),
            bot_drawdown_max_ratio=steady(0.01),
            bot_risk_limit_broken=steady(0),
            bot_sharpe_rolling_ratio=steady(1.5),
            bot_tracking_error_ratio=steady(0.0001),
            bot_trades_total=growing(1),
            bot_order_errors_total=steady(1),
            bot_last_bar_timestamp_seconds=clock,
            bot_database_last_write_timestamp_seconds=clock,
            model_version=steady(3),
            model_retrain_events_total=steady(1),
        ),
        *of(features, model_psi_ratio=steady(0.05), model_psi_sample_size=steady(500)),
        *of([{**node, "cpu": "0", "mode": "idle"} for node in nodes], node_cpu_seconds_total=growing(0.8)),
        *of(
            nodes,
            node_memory_MemAvailable_bytes=steady(8e9),
            node_memory_MemTotal_bytes=steady(16e9),
            node_time_seconds=clock,
        ),
        *of(disks, node_filesystem_avail_bytes=steady(5e10), node_filesystem_size_bytes=steady(1e11)),
        *of(
            nodes[-1:],
            trading_core_backup_last_success_timestamp_seconds=lambda scrape: start - 40_000,
            trading_core_restore_test_last_success_timestamp_seconds=lambda scrape: start - 1_000_000,
        ),
        *of([{"rule_group": "any"}], prometheus_rule_evaluation_failures_total=steady(0)),
        Metric(
            "ALERTS",
            ({"alertname": "Watchdog", "alertstate": "firing", "severity": "none", "group": "watchdog"},),
            steady(1),
            {"alertname": "Other", "alertstate": "firing", "severity": "critical", "group": "feed"},
        ),
    ]


Damage = Callable[[Metric, dict[Series, Values]], None]


def _late(change: Callable[[float], float], last: int = SCRAPES) -> Damage:
    """Every series has another value from the damage on, up to scrape `last`."""

    def damage(metric: Metric, found: dict[Series, Values]) -> None:
        for values in found.values():
            values.update({n: change(value) for n, value in values.items() if DAMAGED_FROM <= n < last})

    return damage


def _only_first(damage: Damage) -> Damage:
    """Only one series of the metric is damaged."""
    return lambda metric, found: damage(metric, dict([next(iter(found.items()))]))


def _drop(from_scrape: int) -> Damage:
    def damage(metric: Metric, found: dict[Series, Values]) -> None:
        for values in found.values():
            for scrape in [n for n in values if n >= from_scrape]:
                del values[scrape]

    return damage


def _begin_late(metric: Metric, found: dict[Series, Values]) -> None:
    for values in found.values():
        for scrape in range(DAMAGED_FROM):
            del values[scrape]


def _pause(metric: Metric, found: dict[Series, Values]) -> None:
    """Prometheus itself was away, so nothing marks the series as gone."""
    for values in found.values():
        for scrape in range(DAMAGED_FROM - PAUSED_SCRAPES, DAMAGED_FROM):
            del values[scrape]


def _shorten(metric: Metric, found: dict[Series, Values]) -> None:
    """The histogram ends where the trouble begins."""
    for name, labels in list(found):
        if dict(labels).get("le") in {"500", "1000"}:
            del found[name, labels]


def _freeze(metric: Metric, found: dict[Series, Values]) -> None:
    for values in found.values():
        values.update({n: values[DAMAGED_FROM] for n in values if n > DAMAGED_FROM})


def _reset(metric: Metric, found: dict[Series, Values]) -> None:
    if metric.is_counter:
        for values in found.values():
            values.update({n: value - values[DAMAGED_FROM] for n, value in values.items() if n >= DAMAGED_FROM})


def _stranger(metric: Metric, found: dict[Series, Values]) -> None:
    found[_series(metric.name, metric.stranger)] = {n: metric.value(n) for n in range(DAMAGED_FROM, SCRAPES)}


def _twin(metric: Metric, found: dict[Series, Values]) -> None:
    """The same thing is scraped twice, and the second is far off."""
    twin = {**metric.series[0], "instance": "second"}
    found[_series(metric.name, twin)] = {n: 50 * metric.value(n) for n in range(DAMAGED_FROM, SCRAPES)}


DAMAGES: dict[str, Damage] = {
    "healthy": lambda metric, found: None,
    "not a number": _late(lambda value: math.nan),
    "one not a number": _only_first(_late(lambda value: math.nan)),
    "infinite": _late(lambda value: math.inf),
    "infinite below": _late(lambda value: -math.inf),
    "zero": _late(lambda value: 0.0),
    "far above": _late(lambda value: 1000 * value + 1000),
    "far below": _late(lambda value: -1000 * value - 1000),
    "one far above": _only_first(_late(lambda value: 1000 * value + 1000)),
    "one bad scrape": _late(lambda value: 1000 * value + 1000, DAMAGED_FROM + 1),
    "missing": _drop(0),
    "one missing": _only_first(_drop(0)),
    "ends early": _drop(DAMAGED_FROM),
    "one ends early": _only_first(_drop(DAMAGED_FROM)),
    "begins late": _begin_late,
    "paused": _pause,
    "short buckets": _shorten,
    "frozen": _freeze,
    "reset": _reset,
    "stranger": _stranger,
    "twin": _twin,
}
PARTS = 3
SEGMENTS = [(name, part) for name in DAMAGES for part in range(PARTS) if name != "healthy" or part == 0]


def segment_start(number: int) -> int:
    return START + number * SEGMENT_SECONDS


def open_metrics() -> str:
    """Return the whole corpus."""
    samples: dict[Series, list[str]] = {}
    for number, (name, part) in enumerate(SEGMENTS):
        begin = segment_start(number)
        for place, metric in enumerate(metrics(begin)):
            found = {
                _series(metric.name, labels): {n: value(metric, labels, n) for n in range(SCRAPES)}
                for labels in metric.series
            }
            if place % PARTS == part:
                DAMAGES[name](metric, found)
            for series, values in found.items():
                samples.setdefault(series, []).extend(
                    f"{_words(series)} {_number(value)} {begin + n * SCRAPE_SECONDS}"
                    for n, value in sorted(values.items())
                )
    lines = [line for series in sorted(samples) for line in samples[series]]
    return "\n".join([*lines, "# EOF\n"])


def healthy_moments() -> Iterator[int]:
    """Yield the moments of the first segment at which every window is full and the last scrape is fresh."""
    return (START + n * SCRAPE_SECONDS for n in range(HEALTHY_FROM, SCRAPES))


def value(metric: Metric, labels: Mapping[str, str], scrape: int) -> float:
    """Return what a healthy series has at a scrape."""
    found = metric.value(scrape)
    # All messages but one in a hundred arrive within 100 ms.
    return 0.985 * found if labels.get("le") == "100" else found


def _series(name: str, labels: Mapping[str, str]) -> Series:
    return name, tuple(sorted(labels.items()))


def _words(series: Series) -> str:
    name, labels = series
    return name + "{" + ",".join(f'{key}="{value}"' for key, value in labels) + "}"


def _number(value: float) -> str:
    return {math.inf: "+Inf", -math.inf: "-Inf"}.get(value, "NaN" if math.isnan(value) else repr(float(value)))
