"""RefStrat_01's trading: decisions into orders, and never an order past the halt latch.

A stop or limit order always rests at the venue and is replaced on every feed bar, as a market-making
or trailing-stop bot would: about one order a second, and something open to cancel at any time.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trading_lab.bot_metrics import BotMetrics
from trading_lab.http_json import CallFailed
from trading_lab.journal import Journal
from trading_lab.latch import Latch
from trading_lab.market import Bar
from trading_lab.model import FEATURES, Model, features_at, population_stability_index
from trading_lab.performance import Performance
from trading_lab.settings import TradingSettings
from trading_lab.strategy import aggregate, atr, decide, warm_up_bars
from trading_lab.venue import OrderState, Venue

STARTING_EQUITY = 10_000.0
FEE_RATIO = 0.00001
_KEPT_BARS = 600
_PSI_SAMPLE_BARS = 500
_RATE_SECONDS = 60.0


@dataclass(frozen=True)
class Identity:
    """Who the bot is, at the venue and in the database."""

    client: str
    mode: str
    bar_seconds: float
    bars_each: int


@dataclass
class Position:
    """Money and holdings: the account's, or those of the backtest beside it."""

    cash: float = STARTING_EQUITY
    quantity: float = 0.0

    @property
    def is_long(self) -> bool:
        return self.quantity > 0

    def value(self, price: float) -> float:
        return self.cash + self.quantity * price

    def fill(self, side: str, quantity: float, price: float, fee: float) -> None:
        signed = quantity if side == "buy" else -quantity
        self.quantity = 0.0 if abs(self.quantity + signed) < 1e-12 else self.quantity + signed
        self.cash -= signed * price + fee


@dataclass(frozen=True)
class Sent:
    """An order that the venue took."""

    order_id: str
    symbol: str
    side: str
    quantity: float


class Trader:
    """One bot's orders and results. Everything it talks to is handed in."""

    def __init__(
        self,
        identity: Identity,
        venue: Venue,
        journal: Journal,
        metrics: BotMetrics,
        read_latch: Callable[[], Latch],
        clock: Callable[[], float],
    ) -> None:
        self._identity, self._venue, self._journal = identity, venue, journal
        self._metrics, self._read_latch, self._clock = metrics, read_latch, clock
        self.orders_sent = 0
        self._account, self._backtest = Position(), Position()
        self._performance = Performance(STARTING_EQUITY)
        self._period_equity = STARTING_EQUITY
        self._resting: Sent | None = None
        self._sent_at: deque[float] = deque()
        # True from the moment a call to the venue may have worked without us knowing.
        self._is_uncertain = True
        self._feed_bars: deque[Bar] = deque(maxlen=4 * identity.bars_each)
        self._bars: deque[Bar] = deque(maxlen=_KEPT_BARS)
        self._samples: dict[str, deque[float]] = {name: deque(maxlen=_PSI_SAMPLE_BARS) for name in FEATURES}

    def warm_up(self, bars: Sequence[Bar], settings: TradingSettings, model: Model) -> None:
        """Take in history: indicators and drift samples, no orders."""
        for closed in aggregate(bars, self._identity.bars_each, self._identity.bar_seconds):
            self._take_period(closed, settings)
        self._feed_bars.extend(bars[-self._identity.bars_each :])
        self._measure_drift(model)

    def on_bar(self, bar: Bar, settings: TradingSettings, model: Model) -> None:
        """Take in one feed bar and do what follows from it. CallFailed where the venue did not answer."""
        self._metrics.bars.inc()
        self._metrics.last_bar.set(bar.open_time + self._identity.bar_seconds)
        self._feed_bars.append(bar)
        closed = self._closed_period()
        if closed is not None:
            self._take_period(closed, settings)
            self._measure_drift(model)
        if not bar.is_finite:
            # A damaged bar is no ground for an order; what rests stays until a sound one comes.
            self._metrics.damaged_bars.inc()
            return
        decision = self._decide(closed, settings)
        try:
            if self._may_go_on_resting(decision, settings):
                return
            self.withdraw()
            if not self._is_halted():
                self._act(decision, bar, settings, model)
                self._rest(bar, settings, model)
        except CallFailed:
            # An order may be open now whose id we never saw.
            self._is_uncertain = True
            self._metrics.order_errors.inc()
            raise
        finally:
            self._mark(bar, closed, decision, settings, model)

    def withdraw(self) -> None:
        """Cancel what rests. After an unclear answer: everything of this client, whatever its id."""
        resting = self._resting
        if resting is not None:
            state = self._venue.cancel(resting.order_id)
            self._resting = None
            self._metrics.open_orders.set(0)
            if state.status == "filled":
                self._book(resting, state.price)
        if self._is_uncertain:
            self._venue.cancel_all()
            self._is_uncertain = False

    def withdraw_for_good(self, seconds: float, sleep: Callable[[float], None]) -> bool:
        """Whether the venue confirmed, within this time, that nothing of this client is open."""
        deadline = self._clock() + seconds
        while True:
            try:
                self._venue.cancel_all()
                if not self._venue.open_order_ids():
                    self._metrics.open_orders.set(0)
                    return True
            except CallFailed as error:
                print(f"bot: cancelling: {error}", flush=True)
            if self._clock() >= deadline:
                return False
            sleep(0.2)

    def _is_halted(self) -> bool:
        halted = self._read_latch().halts(self._identity.mode)
        self._metrics.halted.set(halted)
        return halted

    def _may_go_on_resting(self, decision: str, settings: TradingSettings) -> bool:
        """Whether no order may be sent now for the rate's sake, and the one that rests is still wanted."""
        if self._has_room(settings) or self._resting is None or self._is_uncertain or decision == "exit":
            return False
        return not self._is_halted() and (self._resting.side == "sell" or self._may_enter(settings))

    def _has_room(self, settings: TradingSettings) -> bool:
        while self._sent_at and self._clock() - self._sent_at[0] >= _RATE_SECONDS:
            self._sent_at.popleft()
        return len(self._sent_at) < settings.orders_per_minute

    def _closed_period(self) -> Bar | None:
        """The aggregated bar that the last feed bar has closed, if it has closed one."""
        closed = aggregate(tuple(self._feed_bars), self._identity.bars_each, self._identity.bar_seconds)
        known = self._bars[-1].open_time if self._bars else -math.inf
        return closed[-1] if closed and closed[-1].open_time > known else None

    def _take_period(self, closed: Bar, settings: TradingSettings) -> None:
        self._bars.append(closed)
        self._journal.add(
            "bars",
            *(closed.open_time, self._identity.mode, settings.symbol),
            *(closed.open, closed.high, closed.low, closed.close, closed.volume),
        )
        if len(self._bars) >= warm_up_bars(settings.strategy):
            features = self._features(settings)
            if all(math.isfinite(value) for value in features.values()):
                for name, value in features.items():
                    self._samples[name].append(value)

    def _features(self, settings: TradingSettings) -> dict[str, float]:
        window = 11 * settings.strategy.ema_slow_bars
        return features_at(tuple(self._bars)[-window:], settings.strategy)

    def _measure_drift(self, model: Model) -> None:
        for name, sample in self._samples.items():
            self._metrics.set_psi(name, population_stability_index(sample, model.bin_edges[name]), len(sample))

    def _decide(self, closed: Bar | None, settings: TradingSettings) -> str:
        if closed is None:
            return "hold"
        return decide(tuple(self._bars), self._account.is_long, settings.strategy)

    def _act(self, decision: str, bar: Bar, settings: TradingSettings, model: Model) -> None:
        if decision == "enter" and self._may_buy(settings):
            self._send(settings.symbol, "buy", "market", self._size(bar, settings, model), bar.close)
        elif decision == "exit" and self._account.is_long:
            self._send(settings.symbol, "sell", "market", self._account.quantity, bar.close)

    def _rest(self, bar: Bar, settings: TradingSettings, model: Model) -> None:
        if len(self._bars) < warm_up_bars(settings.strategy):
            return
        distance = atr(tuple(self._bars), settings.strategy.atr_bars)
        if self._account.is_long:
            price = bar.close - settings.strategy.stop_distance_atr * distance
            self._send(settings.symbol, "sell", "stop", self._account.quantity, price)
        elif self._may_buy(settings):
            price = bar.close - settings.strategy.entry_distance_atr * distance
            self._send(settings.symbol, "buy", "limit", self._size(bar, settings, model), price)

    def _may_enter(self, settings: TradingSettings) -> bool:
        limits = settings.limits
        is_broken = (
            self._performance.day_pnl_ratio < -limits.day_loss_ratio
            or self._performance.drawdown > limits.drawdown_ratio
        )
        self._metrics.limit_broken.set(is_broken)
        return settings.may_enter and not is_broken and not self._account.is_long

    def _may_buy(self, settings: TradingSettings) -> bool:
        return self._may_enter(settings) and self._has_room(settings)

    def _size(self, bar: Bar, settings: TradingSettings, model: Model) -> float:
        scale = model.position_scale(self._features(settings))
        ratio = min(settings.position_ratio, settings.limits.position_ratio)
        return max(round(self._account.value(bar.close) * ratio * scale / bar.close, 6), 1e-6)

    def _send(self, symbol: str, side: str, kind: str, quantity: float, price: float) -> None:
        """The only way to the venue for a new order: past the latch, each time."""
        if self._is_halted():
            return
        order = self._venue.place(symbol, side, kind, quantity, round(price, 2))
        self.orders_sent += 1
        self._sent_at.append(self._clock())
        self._metrics.orders.inc()
        self._record_order(order, symbol, side, kind, quantity)
        sent = Sent(order.order_id, symbol, side, quantity)
        if order.status == "filled":
            self._book(sent, order.price)
        elif order.status == "open":
            self._resting = sent
            self._metrics.open_orders.set(1)

    def _record_order(self, order: OrderState, symbol: str, side: str, kind: str, quantity: float) -> None:
        self._journal.add(
            "orders",
            *(self._clock(), self._identity.mode, self._identity.client, order.order_id, symbol),
            *(side, kind, quantity, order.price, order.status),
        )

    def _book(self, order: Sent, price: float) -> None:
        fee = order.quantity * price * FEE_RATIO
        self._account.fill(order.side, order.quantity, price, fee)
        self._metrics.trades.inc()
        self._metrics.position.set(self._account.quantity)
        self._journal.add(
            "trades",
            *(self._clock(), self._identity.mode, self._identity.client, order.order_id, order.symbol),
            *(order.side, order.quantity, price, fee),
        )

    def _mark(self, bar: Bar, closed: Bar | None, decision: str, settings: TradingSettings, model: Model) -> None:
        performance, metrics = self._performance, self._metrics
        now = bar.open_time + self._identity.bar_seconds
        performance.mark(now, self._account.value(bar.close))
        if closed is not None:
            self._run_backtest(bar, settings, model)
            performance.close_period(self._period_equity, self._backtest.value(bar.close))
            self._period_equity = performance.equity
            self._journal.add(
                "equity",
                *(now, self._identity.mode, self._identity.client),
                *(performance.equity, self._account.quantity, performance.drawdown),
            )
        metrics.equity.set(performance.equity)
        metrics.day_pnl.set(performance.day_pnl)
        metrics.drawdown.set(performance.drawdown)
        metrics.max_drawdown.set(performance.max_drawdown)
        metrics.sharpe.set(performance.sharpe)
        metrics.tracking_error.set(performance.tracking_error)

    def _run_backtest(self, bar: Bar, settings: TradingSettings, model: Model) -> None:
        decision = decide(tuple(self._bars), self._backtest.is_long, settings.strategy)
        if decision == "enter":
            self._backtest.fill("buy", self._size(bar, settings, model), bar.close, 0.0)
        elif decision == "exit":
            self._backtest.fill("sell", self._backtest.quantity, bar.close, 0.0)
