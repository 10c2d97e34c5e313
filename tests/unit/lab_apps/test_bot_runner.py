import json
import math
import threading
import time

import pytest
from trading_lab.bot_metrics import BotMetrics
from trading_lab.bot_runner import (
    ConfigurationError,
    FeedReader,
    SettingsFile,
    State,
    build_routes,
    parse_configuration,
    run,
)
from trading_lab.web import Response, Route, dispatch, start_server

from tests.unit.lab_apps.test_settings import SHIPPED

ENVIRONMENT = {
    "TRADING_MODE": "paper",
    "FEED_URL": "http://feed",
    "VENUE_URL": "http://venue",
    "DATABASE_URL": "postgresql://db",
    "MLFLOW_TRACKING_URI": "http://mlflow",
}


def test_the_client_is_project_and_container():
    assert parse_configuration(ENVIRONMENT, "3f2a").client == "trading-paper/3f2a"
    named = {**ENVIRONMENT, "TRADING_PROJECT": "other", "BOT_NAME": "one"}
    assert parse_configuration(named, "3f2a").client == "other/one"


@pytest.mark.parametrize("mode", ["", "Paper", "LIVE", "stage", "paper "])
def test_a_mode_that_is_not_known_is_refused(mode):
    with pytest.raises(ConfigurationError, match="TRADING_MODE"):
        parse_configuration({**ENVIRONMENT, "TRADING_MODE": mode}, "x")


@pytest.mark.parametrize("name", sorted(ENVIRONMENT))
def test_a_missing_variable_is_named(name):
    with pytest.raises(ConfigurationError, match=name):
        parse_configuration({key: value for key, value in ENVIRONMENT.items() if key != name}, "x")


def test_faults_are_off_unless_switched_on_with_1():
    configuration = parse_configuration({**ENVIRONMENT, "IGNORE_LATCH": "true", "CRASH_LOOP": "1"}, "x")
    assert (configuration.ignores_latch, configuration.crash_loops) == (False, True)


def test_a_bot_without_a_mode_exits_2_and_does_nothing(capsys):
    assert run({}, threading.Event()) == 2
    assert "TRADING_MODE is not set" in capsys.readouterr().out


def test_a_bot_with_broken_settings_exits_2(tmp_path, capsys):
    assert run({**ENVIRONMENT, "CONFIG_PATH": str(tmp_path / "none.yml")}, threading.Event()) == 2
    assert "none.yml" in capsys.readouterr().out


def test_settings_are_read_again_when_they_change(tmp_path):
    path = tmp_path / "trading.yml"
    path.write_text(SHIPPED.read_text())
    settings = SettingsFile(path)
    assert settings.current().may_enter
    path.write_text(SHIPPED.read_text().replace("enabled: true", "enabled: false"))
    assert not settings.current().may_enter


@pytest.mark.parametrize("broken", ["venue: [", None])
def test_settings_that_cannot_be_read_allow_no_entry_until_they_can(tmp_path, broken):
    path = tmp_path / "trading.yml"
    path.write_text(SHIPPED.read_text())
    settings = SettingsFile(path)
    if broken is None:
        path.unlink()
    else:
        path.write_text(broken)
    assert not settings.current().may_enter
    assert not settings.current().may_enter
    path.write_text(SHIPPED.read_text())
    assert settings.current().may_enter


def test_each_bar_is_handed_out_once_and_null_becomes_no_number():
    served = [{"open_time": at, "open": 1, "high": 1, "low": 1, "close": None, "volume": 1} for at in (1.0, 2.0)]
    routes = [Route("GET", "/bars", lambda _: Response({"bar_seconds": 1.0, "bars": served}))]
    server = start_server(0, routes)
    reader = FeedReader(f"http://127.0.0.1:{server.server_port}", "BTCUSDT")
    first, again = reader.new_bars(10), reader.new_bars(10)
    served.append({**served[0], "open_time": 3.0})
    last = reader.new_bars(10)
    server.shutdown()
    server.server_close()
    assert ([bar.open_time for bar in first], again, [bar.open_time for bar in last]) == ([1.0, 2.0], [], [3.0])
    assert math.isnan(first[0].close)


def health(state):
    configuration = parse_configuration(ENVIRONMENT, "x")
    metrics = BotMetrics({"bot": "x", "mode": "paper", "strategy": "RefStrat_01"})
    return dispatch(build_routes(configuration, metrics, state), "GET", "/health", b"").status


@pytest.mark.parametrize(
    ("phase", "age_seconds", "status"), [("trading", 0, 200), ("trading", 30, 503), ("starting", 0, 503)]
)
def test_healthy_means_trading_on_fresh_bars(phase, age_seconds, status):
    assert health(State(phase, time.monotonic() - age_seconds)) == status


def test_the_state_page_is_json_without_values_json_does_not_have():
    metrics = BotMetrics({"bot": "x", "mode": "paper", "strategy": "RefStrat_01"})
    metrics.sharpe.set(math.nan)
    routes = build_routes(parse_configuration(ENVIRONMENT, "x"), metrics, State())
    content = json.loads(dispatch(routes, "GET", "/state", b"").content)
    assert (content["mode"], content["phase"]) == ("paper", "starting")
    assert "bot_sharpe_rolling_ratio" not in content
