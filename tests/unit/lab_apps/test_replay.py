import itertools
import math

import pytest
from trading_lab.exchange import feed_price
from trading_lab.faults import FaultBoard
from trading_lab.http_json import CallFailed
from trading_lab.live_connector import FAULTS, Feed, FeedMetrics, Source
from trading_lab.market import Bar
from trading_lab.replay import Replay, collect

START = 1_790_000_000.0
HISTORY = [Bar(float(at), 10.0 + at, 12.0 + at, 9.0 + at, 11.0 + at, 1.0) for at in range(3)]
REPLAY = Replay({"BTCUSDT": HISTORY, "LONELY": HISTORY[:1]})


def test_history_is_played_forwards_and_then_backwards_without_a_jump():
    bars = [REPLAY.bar("BTCUSDT", float(at), 1.0) for at in range(12)]
    assert [bar.close for bar in bars[:6]] == [11.0, 12.0, 13.0, 12.0, 11.0, 10.0]
    assert all(math.isclose(before.close, bar.open) for before, bar in itertools.pairwise(bars))
    assert [bar.open_time for bar in bars] == [float(at) for at in range(12)]


def test_a_symbol_with_hardly_any_history_is_not_in_the_feed():
    assert REPLAY.symbols == ("BTCUSDT",)


def test_a_feed_of_the_replay_serves_it_as_if_it_came_now():
    metrics = FeedMetrics(REPLAY.symbols)
    feed = Feed(Source(REPLAY.symbols, 1.0, 60, lambda: 0.03, REPLAY.bar), FaultBoard(FAULTS), metrics, START)
    now = START
    while now < START + 5:
        feed.step(now)
        now += 0.02
    bars = feed.bars("BTCUSDT", 100)
    assert bars == [REPLAY.bar("BTCUSDT", bar.open_time, 1.0) for bar in bars]
    assert bars[-1].open_time > START
    assert metrics.registry.get_sample_value("gaps_total", {"symbol": "BTCUSDT"}) == 0


def test_rows_of_a_database_are_bars_by_symbol():
    rows = [("A", 1.0, 2, 3, 1, 2.5, 9), ("B", 1.0, 2, 3, 1, 2.5, 9), ("A", 2.0, 2, 3, 1, 2.5, 9)]
    assert [bar.open_time for bar in collect(rows)["A"]] == [1.0, 2.0]


def test_a_venue_beside_a_replay_has_the_prices_of_its_feed(monkeypatch):
    def answers(content):
        monkeypatch.setattr("trading_lab.exchange.call", lambda method, url: content)

    answers({"bars": [{"close": 41.5}]})
    assert feed_price("http://feed")("BTCUSDT", START) == 41.5
    for nothing in ({"bars": []}, {"bars": [{"close": None}]}, {}):
        answers(nothing)
        with pytest.raises((CallFailed, IndexError)):
            feed_price("http://feed")("BTCUSDT", START)
