import math

import pytest
from trading_lab.performance import FEWEST_RETURNS, Performance


def test_drawdown_is_measured_from_the_peak_and_its_maximum_stays():
    performance = Performance(100.0)
    for time, equity in enumerate([110.0, 99.0, 108.0]):
        performance.mark(time, equity)
    assert performance.drawdown == pytest.approx(2 / 110)
    assert performance.max_drawdown == pytest.approx(11 / 110)


def test_day_pnl_starts_anew_at_midnight_utc():
    performance = Performance(100.0)
    performance.mark(86_399, 105.0)
    assert performance.day_pnl == pytest.approx(5.0)
    performance.mark(86_400, 104.0)
    assert performance.day_pnl == pytest.approx(-1.0)
    assert performance.day_pnl_ratio == pytest.approx(-1 / 105)


def run(performance, own, ideal):
    equity, backtest = 100.0, 100.0
    for own_return, ideal_return in zip(own, ideal, strict=True):
        before, equity, backtest = equity, equity * (1 + own_return), backtest * (1 + ideal_return)
        performance.mark(0, equity)
        performance.close_period(before, backtest)


def test_ratios_are_unknown_until_there_are_enough_returns():
    performance = Performance(100.0)
    run(performance, [0.01] * (FEWEST_RETURNS - 1), [0.01] * (FEWEST_RETURNS - 1))
    assert math.isnan(performance.sharpe) and math.isnan(performance.tracking_error)


def test_tracking_error_is_zero_beside_an_equal_backtest_and_grows_with_the_difference():
    same, other = Performance(100.0), Performance(100.0)
    own = [0.01, -0.01] * 10
    run(same, own, own)
    run(other, own, [0.0] * 20)
    assert same.tracking_error == pytest.approx(0.0, abs=1e-12)
    assert other.tracking_error == pytest.approx(0.01)


def test_sharpe_is_unknown_for_an_account_that_never_moved():
    performance = Performance(100.0)
    run(performance, [0.0] * 20, [0.0] * 20)
    assert math.isnan(performance.sharpe)


def test_sharpe_has_the_sign_of_the_mean_return():
    performance = Performance(100.0)
    run(performance, [0.02, -0.01] * 10, [0.0] * 20)
    assert performance.sharpe > 0
