"""Alerts at the start of a shift: who is on them, and what is silenced."""

from __future__ import annotations

import pytest
from trading_ops.oncall.alert_findings import who_has

from tests.unit.shift_world import INCIDENT, alert, alerts, bad, estate, only, points, silence, take


def test_a_critical_alert_nobody_took_is_red_and_a_warning_is_listed():
    params = estate()
    alerts(params)["alerts"] += [alert("Psi", host="lab2"), alert("HostDisk", "warning", "e1e1e1e1e1e1e1e1")]
    found = only(params, "2.5", "fail", "alert Psi host=lab2", "nobody is on it")
    assert found.fix == './runbook alert_take -e alert=d059425a -e next_step="what you do about it"'


def test_an_alert_of_no_known_severity_is_taken_for_critical():
    params = estate()
    alerts(params)["alerts"].append(alert("Odd", "page"))
    only(params, "2.5", "fail", "alert Odd")


def test_an_alert_that_somebody_took_is_shown_with_person_and_next_action():
    params = estate()
    alerts(params)["alerts"].append(alert("Psi"))
    params["shift"]["takes"] = [take()]
    assert bad(params) == []
    assert any("anna is on it" in each.text and "trains the model anew" in each.text for each in points(params))


def test_an_alert_that_went_and_came_back_is_nobodys():
    params = estate()
    alerts(params)["alerts"].append(alert("Psi"))
    params["shift"]["takes"] = [take(at="2026-11-21T05:29:59.000Z")]
    assert bad(params) == [], "clocks differ, and it is the one that was taken"
    params["shift"]["takes"][0]["starts_at"] = "2026-11-21T05:00:00.000Z"
    only(params, "2.5", "fail", "nobody is on it")


def test_who_took_it_last_has_it():
    takes = [take(), take("bo", "2026-11-21T05:50:00.000Z")]
    assert who_has(alert("Psi"), takes)["by"] == "bo"
    assert who_has(alert("Psi", fingerprint="another"), takes) == {}


def test_without_the_control_host_nobody_knows_who_is_on_an_alert():
    params = estate()
    alerts(params)["alerts"].append(alert("Psi"))
    params["shift"] = {"unreachable": True, "msg": "Connection refused"}
    assert [(each.section, each.outcome) for each in bad(params)] == [("2.5", "unknown"), ("2.8", "unknown")]


def test_an_alertmanager_that_is_away_is_unknown():
    params = estate()
    params["alerts"]["lab1"] = {"outcome": "unknown", "summary": "no answer: Connection refused."}
    only(params, "2.5", "unknown", "Connection refused")


def test_alerts_that_would_not_be_carried_out_are_red():
    params = estate()
    params["alert_path"] |= {"outcome": "unknown", "summary": "no heartbeat ever came"}
    only(params, "2.5", "fail", "alerts that stop trading", "no heartbeat ever came")


@pytest.mark.parametrize("seen", [{"unreachable": True, "msg": "Connection refused"}, {"msg": "no result"}], ids=str)
def test_alerts_of_whose_way_nothing_was_said_are_unknown(seen):
    params = estate()
    params["alert_path"] = seen
    only(params, "2.5", "unknown", "alerts that stop trading", seen["msg"])


@pytest.mark.parametrize("seen", [None, {"outcome": "unknown", "is_set_up": False, "summary": "none was set up"}])
def test_an_estate_that_was_never_promised_the_way_of_its_alerts_says_nothing_of_it(seen):
    params = estate()
    params["alert_path"] = seen
    assert bad(params) == []


def test_a_watchdog_that_does_not_arrive_is_red():
    params = estate()
    alerts(params)["alerts"] = []
    only(params, "2.5", "fail", "path of alerts")


def test_a_silence_that_ends_soon_is_red_and_a_long_one_is_listed():
    params = estate()
    alerts(params)["silences"] = [silence("2026-11-21T07:00:00.000Z", ("alertname", "Psi"))]
    only(params, "2.5", "fail", 'silence alertname="Psi"', "it ends in 60 min", "by anna", INCIDENT)
    alerts(params)["silences"] = [silence("2026-11-21T09:00:00.000Z", ("alertname", "Psi"))]
    assert bad(params) == []


@pytest.mark.parametrize(
    "matcher",
    [("alertname", "FeedLatencyP99"), ("action", "stop_live"), ("check", "live_pnl_day"), ("severity", "critical")],
)
def test_a_silence_over_what_stops_trading_is_red_however_it_is_written(matcher):
    params = estate()
    alerts(params)["silences"] = [silence("2026-11-22T05:00:00.000Z", matcher)]
    found = only(params, "2.5", "fail", "it silences what stops trading")
    assert found.fix == "./runbook silence_end -e id=9b7a372d"
