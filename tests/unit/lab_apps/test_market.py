import pytest
from trading_lab import market


def test_price_depends_on_symbol_and_time_alone():
    assert market.price("BTCUSDT", 1_790_000_000.25) == market.price("BTCUSDT", 1_790_000_000.25)
    assert market.price("BTCUSDT", 1_790_000_000) != market.price("ETHUSDT", 1_790_000_000)


def test_price_stays_within_a_few_per_cent_of_its_base():
    prices = [market.price("BTCUSDT", 1_790_000_000 + second) for second in range(0, 50_000, 50)]
    assert min(prices) > 58_000 and max(prices) < 62_000


def test_bar_covers_its_open_and_close():
    bar = market.bar("BTCUSDT", 1_790_000_000, 1.0)
    assert bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high


def test_bars_join_without_a_jump():
    first, second = (market.bar("BTCUSDT", 1_790_000_000 + at, 1.0) for at in (0, 1))
    assert first.close == pytest.approx(second.open)


@pytest.mark.parametrize(("now", "expected"), [(100.0, 99.0), (100.9, 99.0), (101.0, 100.0)])
def test_last_open_time_is_that_of_a_closed_bar(now, expected):
    assert market.last_open_time(now, 1.0) == expected
