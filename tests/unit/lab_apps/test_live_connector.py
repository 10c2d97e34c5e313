import itertools
import json
import math

import pytest
from trading_lab import market
from trading_lab.faults import FaultBoard
from trading_lab.live_connector import FAULTS, Feed, FeedMetrics, Source, bar_as_json, build_routes
from trading_lab.web import dispatch

SYMBOLS = ("BTCUSDT", "ETHUSDT")
START = 1_790_000_000.0


class Connector:
    """A feed whose clock the test turns, in steps as short as the real loop's."""

    def __init__(self):
        self.faults, self.metrics = FaultBoard(FAULTS), FeedMetrics(SYMBOLS)
        self.feed = Feed(Source(SYMBOLS, 1.0, 60, lambda: 0.03), self.faults, self.metrics, START)
        self.routes = build_routes(self.feed, self.faults, self.metrics)
        self.now = START

    def run(self, seconds):
        end = self.now + seconds
        while self.now < end:
            self.feed.step(self.now)
            self.now += 0.02

    def value(self, name, symbol="BTCUSDT"):
        return self.metrics.registry.get_sample_value(name, {"symbol": symbol})

    def get(self, path):
        return dispatch(self.routes, "GET", path, b"")

    def post_faults(self, **faults):
        assert dispatch(self.routes, "POST", "/admin/faults", json.dumps(faults).encode()).status == 200


@pytest.fixture
def connector():
    return Connector()


def test_history_is_there_at_the_start_and_ends_now(connector):
    bars = connector.feed.bars("BTCUSDT", 100)
    assert len(bars) == 60
    assert bars[-1].open_time == START - 1


def test_a_sound_feed_brings_each_bar_once_and_on_time(connector):
    connector.run(10.5)
    assert connector.value("feed_bars_total") == 10
    assert connector.value("gaps_total") == connector.value("nan_records_total") == 0
    assert connector.value("feed_reconnects_total") == 0
    assert 0 < connector.value("feed_bar_close_lag_ms") < 60
    assert [bar.open_time for bar in connector.feed.bars("ETHUSDT", 10)] == [START + at for at in range(10)]


def test_bars_are_the_markets(connector):
    connector.run(2.5)
    assert connector.feed.bars("BTCUSDT", 1) == [market.bar("BTCUSDT", START + 1, 1.0)]


def test_step_says_when_the_next_thing_is_due(connector):
    assert connector.feed.step(START) == pytest.approx(START + 0.1, abs=1e-6)
    assert connector.feed.step(START + 0.11) == pytest.approx(START + 0.13, abs=1e-6)


def test_latency_delays_messages_and_bars(connector):
    connector.post_faults(latency={"milliseconds": 900})
    connector.run(10.5)
    below = connector.metrics.registry.get_sample_value(
        "feed_transport_latency_ms_bucket", {"symbol": "BTCUSDT", "le": "500.0"}
    )
    assert below == 0
    assert connector.value("feed_bar_close_lag_ms") > 900
    assert connector.value("feed_bars_total") == 9


def test_a_silent_symbol_stops_and_the_other_goes_on(connector):
    connector.post_faults(silent_symbol={"symbol": "ETHUSDT"})
    connector.run(5.5)
    assert (connector.value("feed_bars_total"), connector.value("feed_bars_total", "ETHUSDT")) == (5, 0)
    connector.post_faults(silent_symbol=False)
    connector.run(2.0)
    assert connector.value("gaps_total", "ETHUSDT") == 5


def test_gaps_are_missing_bars_and_counted(connector):
    connector.post_faults(gaps={"every": 5})
    connector.run(10.5)
    assert connector.value("feed_bars_total") == 8
    assert connector.value("gaps_total") >= 1
    times = [bar.open_time for bar in connector.feed.bars("BTCUSDT", 8)]
    assert any(later - earlier == 2 for earlier, later in itertools.pairwise(times))


def test_nan_records_are_counted_and_served_as_null(connector):
    connector.post_faults(nan_records={"every": 1})
    connector.run(3.5)
    assert connector.value("nan_records_total") == 3
    bars = json.loads(connector.get("/bars?symbol=BTCUSDT&limit=3").content)["bars"]
    assert [bar["close"] for bar in bars] == [None] * 3
    assert all(bar["open"] > 0 for bar in bars)


def test_wicks_are_served_in_each_third_bar_of_the_past_too_and_go_when_they_are_off(connector):
    before = connector.get("/bars?symbol=BTCUSDT&limit=6").payload["bars"]
    connector.post_faults(wicks={"every": 3, "percent": 50})
    served = connector.get("/bars?symbol=BTCUSDT&limit=6").payload["bars"]
    higher = [bar["high"] / sound["high"] for bar, sound in zip(served, before, strict=True)]
    assert sorted(higher) == [1, 1, 1, 1, 1.5, 1.5]
    assert [bar["close"] for bar in served] == [bar["close"] for bar in before]
    connector.post_faults(wicks=False)
    assert connector.get("/bars?symbol=BTCUSDT&limit=6").payload["bars"] == before


def test_a_reconnect_storm_counts_and_loses_what_was_on_the_way(connector):
    connector.post_faults(reconnect_storm={"every_seconds": 0.5})
    connector.run(10.0)
    assert 15 <= connector.value("feed_reconnects_total") <= 20


def test_a_frozen_process_reconnects_and_counts_what_it_missed(connector):
    connector.run(2.5)
    connector.now += 60
    connector.run(2.5)
    assert connector.value("feed_reconnects_total") == 1
    assert connector.value("gaps_total") >= 58


def test_frozen_metrics_stand_still_while_the_feed_goes_on(connector):
    connector.run(2.5)
    connector.post_faults(frozen_metrics=True)
    first = connector.get("/metrics").content
    connector.run(3.0)
    assert connector.get("/metrics").content == first
    assert connector.value("feed_bars_total") == 5
    connector.post_faults(frozen_metrics=False)
    assert connector.get("/metrics").content != first


def test_a_gone_exporter_gives_no_answer_at_all(connector):
    connector.post_faults(exporter_gone=True)
    assert connector.get("/metrics").status is None
    assert connector.get("/bars?symbol=BTCUSDT").status == 200


@pytest.mark.parametrize("query", ["", "symbol=DOGEUSDT", "symbol=BTCUSDT&limit=0", "symbol=BTCUSDT&limit=x"])
def test_bars_asked_for_wrongly_are_refused(connector, query):
    assert connector.get(f"/bars?{query}").status == 400


def test_no_bar_is_served_with_a_value_json_does_not_have():
    served = bar_as_json(market.Bar(0.0, math.nan, math.inf, -math.inf, 1.0, 1.0))
    assert json.loads(json.dumps(served, allow_nan=False))["high"] is None
