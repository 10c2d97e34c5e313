"""A Prometheus with behaviour: it answers the queries of checks with healthy samples, or what a test puts there."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from trading_ops.checks.catalogue import Check, parse_checks
from trading_ops.checks.evaluate import queries_of
from trading_ops.checks.results import Tools

from tests.unit.compose_world import FakeTime

Sample = dict[str, Any]
Reply = Callable[[list[Sample]], tuple[int, bytes]]
"""Makes status and body of an answer, bad or odd, from the samples of a healthy one; or raises."""


def catalogue_item(**more: Any) -> dict[str, Any]:
    """Return one check of a catalogue, sound as it is: bars of two symbols."""
    sound = {
        "id": "feed_bars",
        "title": "Bars arrive for every symbol",
        "section": "LiveFeed_Runbook 6",
        "group": "feed",
        "query": "sum by (symbol) (rate(feed_bars_total[60s]))",
        "unit": "bars/s",
        "condition": ">",
        "threshold": 0,
        "window_seconds": 60,
        "labels": ["symbol"],
        "expected": [{"symbol": "BTCUSDT"}, {"symbol": "ETHUSDT"}],
        "source": "feed_bars_total",
        "is_counter": True,
        "severity": "critical",
        "action": "stop_bots",
        "for_seconds": 30,
        "gates": ["feed", "watch"],
        "no_data": "The feed is not scraped.",
        "basis": "owner",
    }
    return sound | more


LATENCY = catalogue_item(
    id="feed_latency",
    query="histogram_quantile(0.99, sum by (le) (rate(feed_transport_latency_ms_bucket[60s])))",
    unit="ms",
    condition="<",
    threshold=500,
    labels=[],
    expected=[{}],
    source="feed_transport_latency_ms_count",
    is_counter=False,
)


def sample(labels: dict[str, str], value: object, at: float) -> Sample:
    return {"metric": labels, "value": [at, value]}


def answer(samples: list[Sample], **more: Any) -> tuple[int, bytes]:
    """Return the answer that holds `samples`."""
    whole = {"status": "success", "data": {"resultType": "vector", "result": samples}}
    return 200, json.dumps(whole | more).encode()


class FakePrometheus:
    """`values` holds what to say of a query and its series; `replies` maps a query to another answer.

    clock_offset_seconds: how far its clock is ahead. asked: every query, in the order they came.
    """

    def __init__(self, time: FakeTime, *items: dict[str, Any]) -> None:
        self.time, self.items = time, items
        self.checks: tuple[Check, ...] = parse_checks(items)
        self.values: dict[str, list[tuple[dict[str, str], str]]] = {}
        self.replies: dict[str, Reply] = {}
        self.clock_offset_seconds = 0.0
        self.asked: list[str] = []
        healthy = {"age": "1.5", "resets": "0"}
        for check in self.checks:
            good = {"<": -1, "<=": 0, "==": 0, ">=": 0, ">": 1}[check.condition] + check.threshold
            for name, query in queries_of(check).items():
                self.values[query] = [(dict(series), healthy.get(name, str(good))) for series in check.expected]

    def fetch(self, query: str) -> tuple[int, bytes]:
        self.asked.append(query)
        at = self.time.now().timestamp() + self.clock_offset_seconds
        samples = [sample(labels, value, at) for labels, value in self.values[query]]
        return self.replies.get(query, answer)(samples)

    @property
    def tools(self) -> Tools:
        return Tools(self.fetch, lambda: self.time.now().timestamp(), self.time.clock, self.time.sleep)

    def params(self, **more: Any) -> dict[str, Any]:
        """Return the parameters of a module call over its checks."""
        usual: dict[str, Any] = {
            "checks": list(self.items),
            "select": {},
            "prometheus_url": "http://127.0.0.1:9090",
            "query_timeout_seconds": 5.0,
            "scrape_interval_seconds": 5.0,
            "clock_offset_seconds": 2.0,
            "controller_epoch": None,
            "catalogue_text": None,
            "stable_seconds": 60.0,
            "interval_seconds": 5.0,
            "timeout_seconds": 300.0,
            "fail_fast": False,
            "settle_seconds": 0,
        }
        return usual | more
