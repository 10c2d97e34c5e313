"""Out-of-sample KPIs of the lab's first model: earned on bars that the training never saw."""

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from trading_lab.market import Bar
from trading_lab.model import FEATURES, Model
from trading_lab.performance import BARS_PER_YEAR
from trading_lab.register_model import format_tags, market_bars, out_of_sample_kpis, train_and_measure
from trading_lab.settings import RiskLimits, StrategySettings, TradingSettings

ROOT = Path(__file__).parents[3]
STRATEGY = StrategySettings(2, 4, 3, 3.0, 3.0)
SETTINGS = TradingSettings("BTCUSDT", True, 0.5, STRATEGY, RiskLimits(1.0, 1.0, 1.0))
FULL = Model(1e9, dict.fromkeys(FEATURES, 0.0), {key: [0.0] for key in FEATURES})


def bars(closes):
    """Bars of an hour; each opens where the one before closed."""
    opens = [closes[0], *closes[:-1]]
    return [
        Bar(3600.0 * at, first, max(first, last) + 1, min(first, last) - 1, last, 1.0)
        for at, (first, last) in enumerate(zip(opens, closes, strict=True))
    ]


def swing(count, first=1000.0):
    """Closes that rise for 20 bars and fall for 20, again and again."""
    return [first + 10 * (at % 40 if at % 40 < 20 else 40 - at % 40) for at in range(count)]


def test_what_went_before_the_period_earns_nothing_in_it():
    kpis = out_of_sample_kpis(bars(swing(200) + [1000.0] * 300), 400, SETTINGS, FULL)
    assert (kpis["oos_trades"], kpis["oos_max_drawdown_ratio"]) == (0, 0.0)
    assert math.isnan(kpis["oos_sharpe_ratio"]), "an account that never moved has no Sharpe ratio"


def test_training_sees_no_bar_of_the_period_it_is_measured_on():
    series = bars(swing(400))
    other = [*series[:300], *(replace(bar, close=bar.close * 2) for bar in series[300:])]
    (model, kpis), (same_model, other_kpis) = (train_and_measure(each, 300, SETTINGS) for each in (series, other))
    assert (model == same_model, kpis == other_kpis) == (True, False)


def test_a_trend_that_is_followed_earns_and_each_fill_counts():
    kpis = out_of_sample_kpis(bars(swing(400)), 200, SETTINGS, FULL)
    assert kpis["oos_sharpe_ratio"] > 0
    assert kpis["oos_trades"] == 10, "in and out once for each of five swings"
    assert kpis["oos_period_days"] == pytest.approx(200 / 24)


def test_a_decision_is_filled_at_its_own_bars_close_and_earns_from_the_next_bar_on():
    closes = [100.0] * 50 + [110.0, 110.0, 55.0]
    kpis = out_of_sample_kpis(bars(closes), 50, SETTINGS, FULL)
    # Half of the account was bought at 110, and halved at 55 with it; the rise to 110 came before.
    assert kpis["oos_max_drawdown_ratio"] == pytest.approx(0.25, abs=1e-3)


def test_the_sharpe_ratio_is_that_of_the_whole_period_and_not_of_a_window():
    calm_then_swinging = bars([1000.0 + 0.001 * at for at in range(1200)] + swing(600))
    whole = out_of_sample_kpis(calm_then_swinging, 100, SETTINGS, FULL)["oos_sharpe_ratio"]
    end = out_of_sample_kpis(calm_then_swinging, 1300, SETTINGS, FULL)["oos_sharpe_ratio"]
    assert 0 < whole < end
    assert end < math.sqrt(BARS_PER_YEAR)


def test_the_risk_limit_bounds_the_position_as_it_does_in_the_bot():
    small = replace(SETTINGS, limits=RiskLimits(1.0, 1.0, 0.05))
    closes = bars([100.0] * 50 + [110.0, 110.0, 55.0])
    drawdown = out_of_sample_kpis(closes, 50, small, FULL)["oos_max_drawdown_ratio"]
    assert drawdown == pytest.approx(0.025, abs=1e-3)


def test_the_labs_market_gives_kpis_that_the_labs_limits_accept():
    limits = yaml.safe_load((ROOT / "inventories/lab/group_vars/all/estate.yml").read_text())["trading_core_oos_limits"]
    series = market_bars("BTCUSDT", 1.0, 5, 1_790_000_000.0, 1200)
    strategy = StrategySettings(4, 12, 10, 3.0, 3.0)
    _, kpis = train_and_measure(series, 200, replace(SETTINGS, position_ratio=0.1, strategy=strategy))
    tags = format_tags(kpis)
    assert tags.keys() == limits.keys()
    for name, limit in limits.items():
        condition, number = limit.split()
        assert (float(tags[name]) >= float(number)) == (condition == ">="), name


def test_tags_are_text_that_reads_as_the_number_it_was():
    assert format_tags({"a": 1.25, "b": 80, "c": 1.5e-7}) == {"a": "1.25", "b": "80", "c": "1.5e-07"}


def test_the_table_of_the_readme_names_the_tags_that_are_written():
    section = (ROOT / "lab/README.md").read_text().split("\n### The model's out-of-sample KPIs\n", 1)[1].split("\n#")[0]
    written = out_of_sample_kpis(bars(swing(60)), 40, SETTINGS, FULL)
    assert re.findall(r"^\| `(\w+)`", section, re.MULTILINE) == list(written)
