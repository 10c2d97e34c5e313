import math
from dataclasses import replace

import pytest
from trading_lab.market import Bar
from trading_lab.settings import StrategySettings
from trading_lab.strategy import aggregate, atr, decide, ema, warm_up_bars

SETTINGS = StrategySettings(2, 4, 3, 3.0, 3.0)


def bar(open_time, close=100.0, high=None, low=None):
    return Bar(open_time, close, high or close + 1, low or close - 1, close, 1.0)


def test_ema_of_a_constant_is_that_constant():
    assert ema([5.0] * 20, 7) == 5.0


def test_ema_follows_recent_values_more_when_short():
    assert ema([1.0] * 10 + [2.0], 2) > ema([1.0] * 10 + [2.0], 8)


def test_atr_counts_a_gap_between_bars():
    assert atr([bar(0, 100), bar(1, 110)], 1) == pytest.approx(11.0)


def test_atr_of_one_bar_is_zero():
    assert atr([bar(0)], 3) == 0.0


def test_aggregate_makes_complete_bars_on_the_clocks_grid():
    merged = aggregate([bar(at, 100 + at) for at in range(3, 12)], 5, 1.0)
    assert [entry.open_time for entry in merged] == [0, 5]
    assert (merged[1].open, merged[1].close, merged[1].high, merged[1].low) == (105, 109, 110, 104)


def test_aggregate_leaves_out_damaged_bars_and_whole_damaged_groups():
    damaged = [replace(bar(at), close=math.nan) for at in range(5)]
    merged = aggregate([*damaged, bar(5), replace(bar(6), high=math.inf), bar(9, 103)], 5, 1.0)
    assert [(entry.open_time, entry.high) for entry in merged] == [(5, 104)]


def test_aggregate_closes_a_group_with_gaps_once_a_younger_bar_came():
    assert aggregate([bar(0), bar(1)], 5, 1.0) == []
    assert [entry.open_time for entry in aggregate([bar(0), bar(1), bar(7)], 5, 1.0)] == [0]


def test_aggregate_of_nothing_is_nothing():
    assert aggregate([], 5, 1.0) == []


@pytest.mark.parametrize(
    ("closes", "is_long", "expected"),
    [
        ([100 + at for at in range(20)], False, "enter"),
        ([100 + at for at in range(20)], True, "hold"),
        ([100 - at for at in range(20)], True, "exit"),
        ([100 - at for at in range(20)], False, "hold"),
        ([100.0] * 20, False, "hold"),
    ],
)
def test_the_cross_decides(closes, is_long, expected):
    assert decide([bar(at, close) for at, close in enumerate(closes)], is_long, SETTINGS) == expected


def test_no_decision_before_the_indicators_are_warm():
    rising = [bar(at, 100 + at) for at in range(warm_up_bars(SETTINGS) - 1)]
    assert decide(rising, False, SETTINGS) == "hold"
