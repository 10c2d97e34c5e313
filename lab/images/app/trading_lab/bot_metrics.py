"""The bot's metrics, named here and in the table of lab/README.md, and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics

COMMON_LABELS = ("bot", "mode", "strategy")


class BotMetrics:
    """One attribute per metric, its common labels already set."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        disable_created_metrics()
        self.registry = CollectorRegistry()
        self._labels = dict(labels)
        self.equity = self._gauge("bot_equity_usdt", "Cash plus position at the last close")
        self.day_pnl = self._gauge("bot_pnl_day_usdt", "Equity won since midnight UTC")
        self.drawdown = self._gauge("bot_drawdown_ratio", "Equity below its highest since the start")
        self.max_drawdown = self._gauge("bot_drawdown_max_ratio", "The largest drawdown since the start")
        self.sharpe = self._gauge("bot_sharpe_rolling_ratio", "Rolling Sharpe ratio, annualised; NaN at first")
        self.tracking_error = self._gauge(
            "bot_tracking_error_ratio", "Deviation of returns from the backtest, per bar; NaN at first"
        )
        self.position = self._gauge("bot_position_base", "Position held, in the base currency")
        self.open_orders = self._gauge("bot_open_orders", "Orders the bot believes to be open")
        self.trades = self._counter("bot_trades_total", "Fills")
        self.orders = self._counter("bot_orders_total", "Orders sent")
        self.order_errors = self._counter("bot_order_errors_total", "Calls to the venue without a usable answer")
        self.bars = self._counter("bot_bars_total", "Feed bars taken in")
        self.damaged_bars = self._counter("bot_damaged_bars_total", "Feed bars with a value that is no number")
        self.last_bar = self._gauge("bot_last_bar_timestamp_seconds", "When the last feed bar closed")
        self.halted = self._gauge("bot_halted", "1 while the halt latch keeps the bot from trading")
        self.limit_broken = self._gauge("bot_risk_limit_broken", "1 while a risk limit keeps it from entering")
        self.last_write = self._gauge(
            "bot_database_last_write_timestamp_seconds", "When rows last reached the database; 0 for never"
        )
        self.rows_dropped = self._counter("bot_database_rows_dropped_total", "Rows given up in a long outage")
        self.model_version = self._gauge("model_version", "Version of the champion model in use; 0 for none")
        self.retrain_events = self._counter("model_retrain_events_total", "New champion versions seen")
        self.psi = Gauge(
            "model_psi_ratio", "Population stability index", [*COMMON_LABELS, "feature"], registry=self.registry
        )
        self.psi_sample_size = Gauge(
            "model_psi_sample_size", "Bars behind the PSI", [*COMMON_LABELS, "feature"], registry=self.registry
        )

    def set_psi(self, feature: str, psi: float, sample_size: int) -> None:
        """The drift of one feature and how many bars it was measured on."""
        self.psi.labels(**self._labels, feature=feature).set(psi)
        self.psi_sample_size.labels(**self._labels, feature=feature).set(sample_size)

    def _gauge(self, name: str, meaning: str) -> Gauge:
        return Gauge(name, meaning, COMMON_LABELS, registry=self.registry).labels(**self._labels)

    def _counter(self, name: str, meaning: str) -> Counter:
        return Counter(name, meaning, COMMON_LABELS, registry=self.registry).labels(**self._labels)
