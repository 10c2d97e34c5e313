"""The lab's market: a price that is a function of time alone.

Feed, venue and model training ask the same function, so they agree without talking, a restarted feed
goes on where it was, and any stretch of history can be computed again. Prices are value noise in
octaves: the longer the period, the larger the swing, as in a random walk, but bounded.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass

BASE_PRICES = {"BTCUSDT": 60_000.0, "ETHUSDT": 3_000.0}
_OTHER_BASE_PRICE = 100.0
_PERIODS_SECONDS = (1, 4, 16, 64)
"""None is longer: where prices fall for minutes, a bot has no first trade and no KPIs for as long."""
_SWING_PER_ROOT_SECOND = 0.0002
_SAMPLES_PER_BAR = 5
_MASK = (1 << 64) - 1


@dataclass(frozen=True)
class Bar:
    """One closed bar: prices in the quote currency, times in UTC seconds since 1970."""

    open_time: float
    open: float
    high: float
    low: float
    close: float
    volume: float

    @property
    def is_finite(self) -> bool:
        return all(math.isfinite(value) for value in (self.open, self.high, self.low, self.close, self.volume))


def _noise(seed: int, index: int) -> float:
    """A number in [-1, 1) that depends on its arguments only (splitmix64)."""
    value = (seed * 0x9E3779B97F4A7C15 + index * 0xBF58476D1CE4E5B9 + 0x94D049BB133111EB) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return float(((value ^ (value >> 31)) >> 11) / (1 << 52) - 1.0)


def price(symbol: str, time: float) -> float:
    """The symbol's price at a time."""
    seed = zlib.crc32(symbol.encode())
    deviation = 0.0
    for octave, period in enumerate(_PERIODS_SECONDS):
        index, fraction = divmod(time / period, 1.0)
        left, right = _noise(seed + octave, int(index)), _noise(seed + octave, int(index) + 1)
        deviation += _SWING_PER_ROOT_SECOND * math.sqrt(period) * (left + (right - left) * fraction)
    return BASE_PRICES.get(symbol, _OTHER_BASE_PRICE) * (1.0 + deviation)


def bar(symbol: str, open_time: float, bar_seconds: float) -> Bar:
    """The bar that opens at a time, as it is once it has closed."""
    prices = [
        price(symbol, open_time + bar_seconds * sample / _SAMPLES_PER_BAR) for sample in range(_SAMPLES_PER_BAR + 1)
    ]
    volume = 1.0 + _noise(zlib.crc32(symbol.encode()) + 99, int(open_time / bar_seconds)) ** 2
    return Bar(open_time, prices[0], max(prices), min(prices), prices[-1], volume)


def last_open_time(now: float, bar_seconds: float) -> float:
    """When the youngest bar that has closed by now opened."""
    return (now // bar_seconds - 1) * bar_seconds
