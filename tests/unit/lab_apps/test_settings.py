import copy
from pathlib import Path

import pytest
import yaml
from trading_lab.settings import SettingsError, parse_settings, read_settings

SHIPPED = Path(__file__).parents[3] / "lab/ai_trading_core/config/trading.yml"


@pytest.fixture
def content():
    return yaml.safe_load(SHIPPED.read_text())


def test_the_shipped_file_lets_the_bot_enter():
    settings = read_settings(SHIPPED, "RefStrat_01")
    assert (settings.symbol, settings.may_enter) == ("BTCUSDT", True)


@pytest.mark.parametrize("path", [("venue",), ("symbols", "BTCUSDT"), ("strategies", "RefStrat_01")])
@pytest.mark.parametrize("value", [False, None, "yes", 1])
def test_anything_but_true_disables_entries(content, path, value):
    section = content
    for name in path:
        section = section[name]
    section["enabled"] = value
    assert not parse_settings(content, "RefStrat_01").may_enter


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("sizing", "position_ratio"), 0, "position_ratio"),
        (("sizing", "position_ratio"), True, "position_ratio"),
        (("sizing", "position_ratio"), float("nan"), "position_ratio"),
        (("risk_limits", "day_loss_ratio"), "2%", "day_loss_ratio"),
        (("risk_limits", "drawdown_ratio"), None, "drawdown_ratio"),
        (("strategies", "RefStrat_01", "ema_fast_bars"), 12, "ema_fast_bars"),
        (("strategies", "RefStrat_01", "symbol"), "DOGEUSDT", "DOGEUSDT"),
        (("risk_limits",), None, "risk_limits"),
    ],
)
def test_a_wrong_setting_is_named(content, path, value, named):
    changed = copy.deepcopy(content)
    section = changed
    for name in path[:-1]:
        section = section[name]
    section[path[-1]] = value
    with pytest.raises(SettingsError, match=named):
        parse_settings(changed, "RefStrat_01")


@pytest.mark.parametrize("text", ["", "[]", "venue: [", "just words"])
def test_a_file_that_is_no_settings_is_refused_with_its_name(tmp_path, text):
    path = tmp_path / "trading.yml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"trading\.yml"):
        read_settings(path, "RefStrat_01")


def test_a_file_from_before_there_was_a_rate_has_none(content):
    assert parse_settings(content, "RefStrat_01").orders_per_minute == content["load"]["orders_per_minute"]
    del content["load"]
    assert parse_settings(content, "RefStrat_01").orders_per_minute == float("inf")
