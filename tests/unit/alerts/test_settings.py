from __future__ import annotations

from dataclasses import replace

import pytest
from trading_ops.alerts.alertmanager import Matcher, Silence
from trading_ops.alerts.settings import (
    SettingsError,
    build_settings,
    describe_silences,
    parse_settings,
    render_settings,
)

from tests.unit.checks.test_rules import CHECK

PARAMS = {
    "alertmanager_url": "http://lab1:9093",
    "alertmanager_username": "",
    "alertmanager_password": "",
    "alertmanager_token_path": "",
    "alertmanager_ca_path": "",
    "alertmanager_validate_certs": True,
    "silence_limit_seconds": 180.0,
    "heartbeat_url_path": "",
}
WARNING = replace(CHECK, id="host_disk", action="none", group="hosts")
SETTINGS = build_settings([CHECK, WARNING], 5, PARAMS)


def silence(*matchers, state="active"):
    return Silence("s1", matchers, "kim", "noise", "2026-11-21T00:00:00.000Z", "2026-11-21T04:00:00.000Z", state)


def covered(*matchers, **more):
    return describe_silences([silence(*matchers, **more)], SETTINGS.watched)


def test_settings_read_back_as_they_were_written():
    assert parse_settings(render_settings(SETTINGS)) == SETTINGS
    assert SETTINGS.actions == {"FeedLatencyP99": "stop_bots", "HostDisk": "none"}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"actions": 5}'])
def test_what_is_no_settings_is_refused(text):
    with pytest.raises(SettingsError):
        parse_settings(text)


def test_a_silence_over_an_alert_that_stops_bots_is_told_with_who_until_when_and_what():
    assert covered(Matcher("alertname", "FeedLatencyP99")) == {
        "s1": "kim has silenced alerts that stop bots until 2026-11-21T04:00:00.000Z: FeedLatencyP99 "
        '(alertname="FeedLatencyP99"; noise)'
    }


@pytest.mark.parametrize(
    "matcher",
    [
        Matcher("severity", "critical"),
        Matcher("action", "stop.*", is_regex=True),
        Matcher("symbol", "BTCUSDT"),
        Matcher("alertname", "HostDisk", is_equal=False),
        Matcher("alertname", "Watchdog"),
        Matcher("estate", "ai_trading_core"),  # a label that Prometheus adds to all
        Matcher("alertname", "(?i:feed.*)((", is_regex=True),  # no expression that Python reads
    ],
    ids=Matcher.describe,
)
def test_a_silence_that_may_cover_one_is_told(matcher):
    assert covered(matcher)
    assert covered(matcher, state="pending")


@pytest.mark.parametrize(
    "matcher",
    [Matcher("alertname", "HostDisk"), Matcher("symbol", "XRPUSDT"), Matcher("group", "hosts")],
    ids=Matcher.describe,
)
def test_a_silence_over_others_is_not(matcher):
    assert covered(matcher) == {}


def test_an_expired_one_is_not():
    assert covered(Matcher("severity", "critical"), state="expired") == {}
