import math
from dataclasses import replace

import pytest
from trading_lab.bot_metrics import BotMetrics
from trading_lab.http_json import CallFailed
from trading_lab.journal import COLUMNS
from trading_lab.latch import RELEASED, Latch
from trading_lab.market import Bar
from trading_lab.model import FEATURES, Model
from trading_lab.settings import RiskLimits, StrategySettings, TradingSettings
from trading_lab.trader import Identity, Trader

from tests.unit.lab_apps.fakes import FakeJournal, FakeVenue

SETTINGS = TradingSettings("BTCUSDT", True, 0.1, StrategySettings(2, 4, 3, 3.0, 3.0), RiskLimits(0.02, 0.05, 0.2))
MODEL = Model(0.0, dict.fromkeys(FEATURES, 0.0), {key: [0.0] for key in FEATURES})
ENGAGED = Latch(engaged=True, scope="all", reason="test")
LABELS = {"bot": "trading-paper/test", "mode": "paper", "strategy": "RefStrat_01"}
HISTORY_BARS = 100


def bar(open_time, close):
    return Bar(float(open_time), close - 0.5, close + 1, close - 1, close, 1.0)


class Desk:
    """A trader on a falling market (so it starts flat), with everything around it in reach of the test."""

    def __init__(self, mode="paper"):
        self.venue, self.journal, self.metrics = FakeVenue(), FakeJournal(), BotMetrics(LABELS)
        self.latch, self.now, self.settings = RELEASED, 0.0, SETTINGS
        identity = Identity("trading-paper/test", mode, 1.0, 5)
        self.trader = Trader(identity, self.venue, self.journal, self.metrics, lambda: self.latch, lambda: self.now)
        self.price = 2000.0
        self.trader.warm_up([self._next(at, -1.0) for at in range(HISTORY_BARS)], SETTINGS, MODEL)
        self.at = HISTORY_BARS

    def _next(self, at, step):
        self.price += step
        return bar(at, self.price)

    def bars(self, count, step=-1.0, change=lambda bar: bar):
        for _ in range(count):
            self.trader.on_bar(change(self._next(self.at, step)), self.settings, MODEL)
            self.at += 1

    def value(self, name):
        return self.metrics.registry.get_sample_value(name, LABELS)

    def sleep(self, seconds):
        self.now += seconds


def test_a_flat_bot_replaces_its_resting_limit_order_on_every_bar():
    desk = Desk()
    desk.bars(5)
    assert desk.venue.orders == [("limit", "buy")] * 5
    assert len(desk.venue.open) == 1
    assert desk.value("bot_orders_total") == 5


def test_a_first_order_is_preceded_by_cancelling_what_an_earlier_run_left():
    desk = Desk()
    desk.bars(1)
    assert [call[0] for call in desk.venue.calls] == ["cancel_all", "limit"]


def test_a_cross_up_enters_and_rests_a_stop_instead():
    desk = Desk()
    desk.bars(1)
    desk.bars(15, step=+10.0)
    assert ("market", "buy") in desk.venue.orders
    assert desk.venue.orders[-1] == ("stop", "sell")
    assert desk.value("bot_position_base") > 0


def test_a_cross_down_exits():
    desk = Desk()
    desk.bars(15, step=+10.0)
    desk.bars(20, step=-10.0)
    assert ("market", "sell") in desk.venue.orders
    assert desk.value("bot_position_base") == 0.0
    assert desk.value("bot_trades_total") == 2


def test_a_stop_that_filled_at_the_venue_leaves_the_bot_flat():
    desk = Desk()
    desk.bars(15, step=+10.0)
    desk.venue.fill_open()
    desk.bars(1, step=+10.0)
    assert desk.value("bot_position_base") == 0.0
    assert desk.venue.orders[-1] == ("limit", "buy")


def test_the_latch_withdraws_what_rests_and_stops_all_orders():
    desk = Desk()
    desk.bars(3)
    desk.latch = ENGAGED
    desk.bars(20, step=+10.0)
    assert desk.venue.orders == [("limit", "buy")] * 3
    assert desk.venue.open == {}
    assert desk.value("bot_halted") == 1
    assert desk.value("bot_open_orders") == 0


def test_scope_live_halts_a_live_bot_and_no_paper_bot():
    paper, live = Desk("paper"), Desk("live")
    for desk in (paper, live):
        desk.latch = Latch(engaged=True, scope="live", reason="test")
        desk.bars(3)
    assert (len(paper.venue.orders), len(live.venue.orders)) == (3, 0)


def test_the_latch_is_read_before_each_order_not_once_per_bar():
    desk = Desk()
    desk.bars(14, step=+10.0)
    readings = iter([RELEASED, RELEASED])
    desk.trader._read_latch = lambda: next(readings, ENGAGED)
    before = len(desk.venue.orders)
    desk.bars(20, step=-10.0)
    assert len(desk.venue.orders) == before + 1


def test_a_released_latch_lets_the_bot_go_on():
    desk = Desk()
    desk.latch = ENGAGED
    desk.bars(2)
    desk.latch = RELEASED
    desk.bars(2)
    assert len(desk.venue.orders) == 2
    assert desk.value("bot_halted") == 0


@pytest.mark.parametrize("when", ["before", "after"])
def test_after_an_unclear_answer_everything_of_this_client_is_cancelled_first(when):
    desk = Desk()
    desk.bars(2)
    desk.venue.failure = when
    with pytest.raises(CallFailed):
        desk.bars(1)
    desk.venue.failure = None
    desk.venue.calls.clear()
    desk.bars(1)
    assert ("cancel_all", "") in desk.venue.calls
    assert desk.venue.calls[-1] == ("limit", "buy")
    assert len(desk.venue.open) == 1
    assert desk.value("bot_order_errors_total") == 1


def test_an_order_whose_answer_was_lost_is_found_and_cancelled():
    desk = Desk()
    desk.bars(1)
    cancel = desk.venue.cancel

    def cancel_then_break(order_id):
        state = cancel(order_id)
        desk.venue.failure = "after"
        return state

    desk.venue.cancel = cancel_then_break
    with pytest.raises(CallFailed):
        desk.bars(1)
    assert len(desk.venue.open) == 1
    desk.venue.failure, desk.venue.cancel = None, cancel
    desk.bars(1)
    assert len(desk.venue.open) == 1


@pytest.mark.parametrize("damage", [{"close": math.nan}, {"high": math.inf}, {"volume": math.nan}])
def test_a_damaged_bar_leads_to_no_order(damage):
    desk = Desk()
    desk.bars(3, change=lambda sound: replace(sound, **damage))
    assert desk.venue.orders == []
    assert desk.value("bot_damaged_bars_total") == 3
    assert math.isfinite(desk.value("bot_equity_usdt"))


def test_disabled_means_no_entry_but_an_open_position_is_still_closed():
    desk = Desk()
    desk.bars(15, step=+10.0)
    desk.settings = replace(SETTINGS, may_enter=False)
    desk.bars(20, step=-10.0)
    assert desk.venue.orders[-1] == ("market", "sell")
    desk.bars(30, step=+10.0)
    assert desk.venue.orders[-1] == ("market", "sell")
    assert desk.venue.open == {}


def test_a_broken_drawdown_limit_ends_entries():
    desk = Desk()
    desk.settings = replace(SETTINGS, position_ratio=5.0, limits=RiskLimits(0.001, 0.001, 5.0))
    desk.bars(15, step=+10.0)
    desk.bars(20, step=-20.0)
    assert desk.value("bot_risk_limit_broken") == 1
    assert desk.venue.open == {}


def test_sizing_never_exceeds_the_risk_limit():
    generous = Desk()
    generous.settings = replace(SETTINGS, position_ratio=9.0)
    generous.bars(1)
    quantity = generous.journal.table("orders")[0][7]
    assert quantity * generous.price <= 0.2 * 10_000


def test_withdraw_for_good_is_true_only_when_the_venue_says_nothing_is_open():
    desk = Desk()
    desk.bars(2)
    assert desk.trader.withdraw_for_good(5.0, desk.sleep)
    assert desk.venue.open == {}


def test_withdraw_for_good_does_not_take_the_cancellations_word_for_it():
    desk = Desk()
    desk.bars(2)
    desk.venue.cancel_all = lambda: None
    assert not desk.trader.withdraw_for_good(5.0, desk.sleep)


def test_withdraw_for_good_gives_up_at_its_time_limit():
    desk = Desk()
    desk.bars(2)
    desk.venue.failure = "before"
    assert not desk.trader.withdraw_for_good(5.0, desk.sleep)
    assert 5.0 <= desk.now < 6.0


def test_withdraw_for_good_tries_again_after_a_failure():
    desk = Desk()
    desk.bars(2)
    desk.venue.failure = "before"

    def sleep_and_fix(seconds):
        desk.sleep(seconds)
        desk.venue.failure = None

    assert desk.trader.withdraw_for_good(5.0, sleep_and_fix)


def test_every_row_fits_its_table():
    desk = Desk()
    desk.bars(15, step=+10.0)
    desk.bars(20, step=-10.0)
    for table, columns in COLUMNS.items():
        rows = desk.journal.table(table)
        assert rows and {len(row) for row in rows} == {columns}


def test_a_rate_holds_back_new_orders_and_leaves_what_rests_where_it_is():
    desk = Desk()
    desk.settings = replace(SETTINGS, orders_per_minute=2)
    desk.bars(10)
    assert desk.venue.orders == [("limit", "buy")] * 2
    assert len(desk.venue.open) == 1
    desk.now += 60
    desk.bars(10)
    assert len(desk.venue.orders) == 4


def test_a_rate_never_holds_back_what_gets_out_of_a_position():
    desk = Desk()
    desk.bars(15, step=+10.0)
    desk.settings = replace(SETTINGS, orders_per_minute=1)
    desk.bars(20, step=-10.0)
    assert ("market", "sell") in desk.venue.orders
    assert desk.value("bot_position_base") == 0.0


def test_what_rests_is_withdrawn_though_the_rate_is_spent_where_entries_are_switched_off_or_halted():
    for change in ({"settings": replace(SETTINGS, orders_per_minute=1, may_enter=False)}, {"latch": ENGAGED}):
        desk = Desk()
        desk.settings = replace(SETTINGS, orders_per_minute=1)
        desk.bars(3)
        assert len(desk.venue.open) == 1
        for name, value in change.items():
            setattr(desk, name, value)
        desk.bars(1)
        assert desk.venue.open == {}
