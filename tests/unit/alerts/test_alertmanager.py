"""Alertmanager's answers, read strictly."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from trading_ops.alerts.alertmanager import AlertmanagerError, Matcher, Silence, select_alerts

from tests.unit.fake_alertmanager import ALERT, SILENCE, FakeAlertmanager, alert

NOW = datetime(2026, 11, 21, 18, 50, tzinfo=UTC)


def silence(*matchers: Matcher, state: str = "active") -> Silence:
    return Silence("id", matchers, "anna", "why", "2026-11-21T18:50:00.000Z", "2026-11-21T19:50:00.000Z", state)


def test_a_recorded_answer_is_read_with_all_that_counts():
    fake = FakeAlertmanager(ALERT, alert("Watchdog", severity="none"))
    fake.silences = [SILENCE, {**SILENCE, "status": {"state": "expired"}}]
    watchdog, latency = fake.client.alerts()
    assert (watchdog.name, latency.name) == ("Watchdog", "feed_latency_p99")
    assert latency.annotations["summary"] == "p99 <b>700</b> ms"
    assert (latency.starts_at, latency.state) == ("2026-11-21T18:50:23.251Z", "active")
    assert latency.receivers == ("on-call",)
    (only,) = fake.client.silences()
    assert (only.describe(), only.created_by, only.ends_at) == ('alertname="psi"', "anna", "2026-11-21T19:50:23.256Z")
    assert fake.client.status().version == "0.25.0"


def test_a_time_in_another_zone_is_told_in_utc():
    fake = FakeAlertmanager({**ALERT, "startsAt": "2026-11-21T19:50:23.123456789+01:00"})
    assert fake.client.alerts()[0].starts_at == "2026-11-21T18:50:23.123Z"


@pytest.mark.parametrize(
    "reply",
    [
        (200, b"{}"),
        (200, b"<html>login</html>"),
        (200, b"[1]"),
        (200, b"[NaN]"),
        (200, json.dumps([{**ALERT, "startsAt": "2026-11-21T18:50:23"}]).encode()),
        (200, json.dumps([{**ALERT, "status": {"state": "resolved", "silencedBy": []}}]).encode()),
        (200, json.dumps([{**ALERT, "labels": {"alertname": 1}}]).encode()),
        (200, b"[" + b" " * 1024 * 1024 + b"]"),
        (401, b"Unauthorized"),
        (302, b""),
    ],
    ids=["object", "page", "number", "NaN", "no zone", "state", "label", "long", "refused", "redirect"],
)
def test_what_is_no_list_of_alerts_is_an_error_and_never_no_alerts(reply):
    fake = FakeAlertmanager()
    fake.replies["/api/v2/alerts"] = reply
    with pytest.raises(AlertmanagerError):
        fake.client.alerts()


def test_no_connection_is_an_error_that_names_the_address():
    fake = FakeAlertmanager()
    fake.is_away = True
    with pytest.raises(AlertmanagerError, match=r"http://127.0.0.1:9093: no answer: connection refused\."):
        fake.client.silences()


def test_a_silence_is_made_and_ended():
    fake = FakeAlertmanager()
    made = fake.client.silence([Matcher("alertname", "psi")], NOW, NOW + timedelta(hours=1), "anna", "why")
    assert [each.id for each in fake.client.silences()] == [made]
    fake.client.expire(made)
    assert fake.client.silences() == ()
    with pytest.raises(AlertmanagerError, match="silence not found"):
        fake.client.expire("nobody's")


@pytest.mark.parametrize(
    ("matcher", "is_covered"),
    [
        (Matcher("alertname", "psi"), True),
        (Matcher("alertname", "ps"), False),
        (Matcher("alertname", "ps.", is_regex=True), True),
        (Matcher("alertname", "ps", is_regex=True), False),
        (Matcher("alertname", "psi", is_equal=False), False),
        (Matcher("alertname", "feed.*", is_regex=True, is_equal=False), True),
        (Matcher("missing", ""), True),
        (Matcher("alertname", r"\pL+(", is_regex=True), True),
    ],
)
def test_a_silence_covers_what_all_its_matchers_hold_for(matcher, is_covered):
    labels = {"alertname": "psi", "host": "lab1"}
    assert silence(matcher).covers(labels) is is_covered
    assert silence(matcher, Matcher("host", "lab2")).covers(labels) is False
    assert silence(matcher, state="expired").covers(labels) is False


def test_an_alert_is_named_by_its_rule_or_by_the_begin_of_its_fingerprint():
    fake = FakeAlertmanager(ALERT, alert("psi", "aaaaaa1111111111"), alert("psi", "aaaaaa2222222222"))
    alerts = fake.client.alerts()
    assert [each.name for each in select_alerts(alerts, "d05942")] == ["feed_latency_p99"]
    assert len(select_alerts(alerts, "psi")) == 2
    assert select_alerts(alerts, "d0594") == ()
    assert select_alerts(alerts, "") == ()
