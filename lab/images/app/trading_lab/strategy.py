"""RefStrat_01: long when the fast EMA crosses above the slow one, out on the cross back or an ATR stop."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from trading_lab.market import Bar
from trading_lab.settings import StrategySettings


def aggregate(bars: Sequence[Bar], bars_each: int, bar_seconds: float) -> list[Bar]:
    """Complete bars of bars_each feed bars, on the clock's grid, oldest first.

    Damaged and missing feed bars are left out of theirs; a group is complete once its last feed bar
    or a younger one has come.
    """
    span = bars_each * bar_seconds
    groups: dict[float, list[Bar]] = {}
    for bar in bars:
        groups.setdefault(bar.open_time // span * span, []).append(bar)
    youngest = bars[-1].open_time + bar_seconds if bars else 0.0
    return [
        _merge(start, sound)
        for start, group in groups.items()
        if start + span <= youngest and (sound := [bar for bar in group if bar.is_finite])
    ]


def ema(values: Sequence[float], period: int) -> float:
    """The exponential moving average at the last value."""
    weight = 2.0 / (period + 1)
    average = values[0]
    for value in values[1:]:
        average += weight * (value - average)
    return average


def atr(bars: Sequence[Bar], period: int) -> float:
    """The mean true range of the last period bars."""
    recent = bars[-(period + 1) :]
    ranges = [max(bar.high, before.close) - min(bar.low, before.close) for before, bar in pairwise(recent)]
    return sum(ranges) / len(ranges) if ranges else 0.0


def warm_up_bars(settings: StrategySettings) -> int:
    """How many aggregated bars the indicators need before they mean something."""
    return 3 * max(settings.ema_slow_bars, settings.atr_bars)


def decide(bars: Sequence[Bar], is_long: bool, settings: StrategySettings) -> str:
    """enter, exit or hold at the close of the last aggregated bar."""
    if len(bars) < warm_up_bars(settings):
        return "hold"
    closes = [bar.close for bar in bars[-10 * settings.ema_slow_bars :]]
    rising = ema(closes, settings.ema_fast_bars) > ema(closes, settings.ema_slow_bars)
    if rising and not is_long:
        return "enter"
    return "exit" if is_long and not rising else "hold"


def _merge(start: float, bars: Sequence[Bar]) -> Bar:
    return Bar(
        start,
        bars[0].open,
        max(bar.high for bar in bars),
        min(bar.low for bar in bars),
        bars[-1].close,
        sum(bar.volume for bar in bars),
    )
