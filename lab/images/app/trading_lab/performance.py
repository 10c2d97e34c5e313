"""What the bot's results add up to: PnL of the day, drawdown, rolling Sharpe, tracking error."""

from __future__ import annotations

import math
import statistics
from collections import deque

# RefStrat_01 is a 1h strategy: one aggregated bar, however short the lab makes it, stands for an hour.
BARS_PER_DAY = 24
BARS_PER_YEAR = 365 * BARS_PER_DAY
FEWEST_RETURNS = 10
_WINDOW_BARS = 500
_DAY_SECONDS = 86_400


class Performance:
    """Results of an account beside its backtest: the same decisions, filled at the bar's close, no fee."""

    def __init__(self, starting_equity: float, window_bars: int = _WINDOW_BARS) -> None:
        self.equity = self._backtest = self._peak = self._day_start = starting_equity
        self._day: float | None = None
        self.max_drawdown = 0.0
        self._returns: deque[float] = deque(maxlen=window_bars)
        self._differences: deque[float] = deque(maxlen=window_bars)

    def mark(self, time: float, equity: float) -> None:
        """Take the equity at a feed bar's close."""
        if time // _DAY_SECONDS != self._day:
            self._day, self._day_start = time // _DAY_SECONDS, self.equity
        self.equity = equity
        self._peak = max(self._peak, equity)
        self.max_drawdown = max(self.max_drawdown, self.drawdown)

    def close_period(self, before: float, backtest: float) -> None:
        """Close an aggregated bar that began at equity `before`, with the backtest's equity beside it."""
        own, ideal = self.equity / before - 1.0, backtest / self._backtest - 1.0
        self._backtest = backtest
        self._returns.append(own)
        self._differences.append(own - ideal)

    @property
    def drawdown(self) -> float:
        """How far equity is below its highest, as a ratio of that."""
        return 1.0 - self.equity / self._peak

    @property
    def day_pnl(self) -> float:
        """Equity won since midnight UTC, or since the start where that was later."""
        return self.equity - self._day_start

    @property
    def day_pnl_ratio(self) -> float:
        """The day's PnL as a ratio of the equity it began with."""
        return self.day_pnl / self._day_start

    @property
    def sharpe(self) -> float:
        """The rolling Sharpe ratio, annualised; NaN until there are enough returns that differ."""
        if len(self._returns) < FEWEST_RETURNS:
            return math.nan
        deviation = statistics.pstdev(self._returns)
        return statistics.fmean(self._returns) / deviation * math.sqrt(BARS_PER_YEAR) if deviation else math.nan

    @property
    def tracking_error(self) -> float:
        """The deviation of own returns minus the backtest's, per bar; NaN until there are enough."""
        if len(self._differences) < FEWEST_RETURNS:
            return math.nan
        return statistics.pstdev(self._differences)
