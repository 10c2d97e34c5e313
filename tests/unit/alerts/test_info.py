"""What fires, and silences that end by themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from trading_ops.alerts.info import describe_labels, ensure_expired, ensure_silenced, observe

from tests.unit.fake_alertmanager import ALERT, SILENCE, FakeAlertmanager, alert

NOW = datetime(2026, 11, 21, 18, 50, tzinfo=UTC)
ASKED = {
    "matchers": {"host": "lab1", "alertname": "psi"},
    "minutes": 60,
    "incident_id": "INC-20261121-185000-psi",
    "reason": "training runs",
    "by": "anna",
    "check_ids": ["psi", "backup_age", "feed_latency_p99"],
}


def ask(fake: FakeAlertmanager, dry_run: bool = False, **more):
    return ensure_silenced(fake.client, ASKED | more, lambda: NOW, dry_run)


def test_what_fires_is_listed_and_the_watchdog_is_no_alert():
    fake = FakeAlertmanager(ALERT, alert("Watchdog", severity="none"))
    fake.silences = [SILENCE]
    seen = observe(fake.client)
    assert (seen["outcome"], seen["summary"]) == ("proven", "1 alerts fire (1 critical), 1 silences")
    assert len(seen["alerts"]) == 2, "the watchdog is told all the same"
    assert [line.split()[0] for line in seen["lines"]] == ["CRITICAL", "SILENCE"]


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"alertname": "x", "host": "lab1", "instance": "a:9100", "job": "node"}, "host=lab1"),
        ({"alertname": "x", "instance": "a:9100", "job": "node"}, "instance=a:9100"),
        ({"alertname": "x"}, ""),
    ],
)
def test_what_tells_alerts_of_one_name_apart_is_the_host_or_else_the_instance(labels, words):
    assert describe_labels(labels) == words


def test_an_alertmanager_that_is_away_is_unknown_and_not_silent():
    fake = FakeAlertmanager(ALERT)
    fake.is_away = True
    assert observe(fake.client)["outcome"] == "unknown"


def test_an_alert_that_does_not_fire_is_refused():
    assert observe(FakeAlertmanager(ALERT).client, "psi")["outcome"] == "refused"
    assert (
        observe(FakeAlertmanager(ALERT).client, "feed_latency_p99")["matching"][0]["fingerprint"] == "d059425acb157b72"
    )


def test_check_run_check_run_makes_one_silence():
    fake = FakeAlertmanager()
    planned = ask(fake, dry_run=True)
    assert (planned["outcome"], planned["changed"], fake.silences) == ("planned", True, [])
    made = ask(fake)
    assert (made["outcome"], made["changed"], made["silence"]["ends_at"]) == (
        "proven",
        True,
        "2026-11-21T19:50:00.000Z",
    )
    assert made["silence"]["comment"] == "INC-20261121-185000-psi: training runs"
    for dry_run in (True, False):
        again = ask(fake, dry_run)
        assert (again["changed"], again["outcome"]) == (False, "planned" if dry_run else "proven")
    assert len(fake.silences) == 1


def test_a_silence_that_is_asked_to_last_longer_does_and_one_is_left():
    fake = FakeAlertmanager()
    ask(fake)
    later = NOW + timedelta(minutes=50)
    planned = ensure_silenced(fake.client, ASKED, lambda: later, True)
    assert (planned["outcome"], planned["changed"]) == ("planned", True)
    made = ensure_silenced(fake.client, ASKED, lambda: later, False)
    assert (made["outcome"], made["changed"]) == ("proven", True)
    assert made["silence"]["ends_at"] == "2026-11-21T20:40:00.000Z"
    assert [each["status"]["state"] for each in fake.silences] == ["expired", "active"]
    again = ensure_silenced(fake.client, ASKED, lambda: later + timedelta(minutes=1), False)
    assert (again["outcome"], again["changed"], len(fake.silences)) == ("proven", False, 2)


def test_a_longer_silence_stays_where_a_shorter_one_is_asked_for():
    fake = FakeAlertmanager()
    ask(fake)
    again = ask(fake, minutes=10)
    assert (again["changed"], again["silence"]["ends_at"]) == (False, "2026-11-21T19:50:00.000Z")


def named(name: str, **more: str) -> dict[str, dict[str, str]]:
    return {"matchers": {"alertname": name, **more}}


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (named("Psi"), "it covers 2 alerts that fire now"),
        (named("Psi", host="lab1"), "it covers 1 alert that fires now"),
        (
            named("Psi", host="homelab9"),
            "it covers NO ALERT that fires now; Psi fires for host=lab1 and for host=lab2",
        ),
        (named("BackupAge"), "it covers NO ALERT that fires now"),
        (named("psi"), "it covers NO ALERT that fires now; 'psi' neither fires nor is a check's alert, Psi is"),
        (
            named("backup_age"),
            "it covers NO ALERT that fires now; 'backup_age' neither fires nor is a check's alert, BackupAge is",
        ),
        (
            named("OwnAlerts"),
            "it covers NO ALERT that fires now; 'OwnAlerts' neither fires nor is a check's alert, OwnAlert is",
        ),
        (named("zzz"), "it covers NO ALERT that fires now; 'zzz' neither fires nor is a check's alert"),
    ],
    ids=str,
)
def test_a_silence_says_whether_it_covers_an_alert_that_fires_and_is_made_all_the_same(asked, words):
    fake = FakeAlertmanager(alert("Psi", host="lab1"), alert("Psi", host="lab2"), alert("OwnAlert"))
    for dry_run in (True, False, False, True):
        result = ask(fake, dry_run, **asked)
        assert (result["outcome"], result["summary"].partition("; ")[2]) == ("planned" if dry_run else "proven", words)
    assert len(fake.silences) == 1


def test_alerts_that_cannot_be_read_keep_no_silence_from_being_made():
    fake = FakeAlertmanager()
    fake.replies["/api/v2/alerts"] = (500, b"no")
    made = ask(fake)
    assert (made["outcome"], "whether it covers an alert is not known: " in made["summary"]) == ("proven", True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"minutes": None},
        {"minutes": 0},
        {"minutes": 1441},
        {"matchers": {}},
        {"by": " "},
        {"reason": ""},
        {"incident_id": ""},
    ],
    ids=str,
)
def test_a_silence_without_end_owner_reason_or_incident_is_wrong_usage(wrong):
    fake = FakeAlertmanager()
    assert ask(fake, **wrong)["outcome"] == "usage"
    assert fake.asked == []


def test_a_silence_that_is_not_there_afterwards_is_a_failure():
    fake = FakeAlertmanager()
    fake.is_deaf = True
    assert ask(fake)["outcome"] == "failed"


def test_a_silence_ends_once_and_one_that_stays_is_a_failure():
    fake = FakeAlertmanager()
    name = ask(fake)["silence"]["id"]
    assert ensure_expired(fake.client, name, True)["changed"] is True
    fake.is_deaf = True
    assert ensure_expired(fake.client, name, False)["outcome"] == "failed"
    fake.is_deaf = False
    results = [ensure_expired(fake.client, name, False) for _ in range(2)]
    assert [(each["outcome"], each["changed"]) for each in results] == [("proven", True), ("proven", False)]
    assert ensure_expired(fake.client, "", False)["outcome"] == "usage"


ID = "9b7a372d-7920-481c-ad3f-4b8fd1066c56"
OTHER_ID = "9b7a37ff-7920-481c-ad3f-4b8fd1066c56"


def silenced(*ids: str, state: str = "active") -> FakeAlertmanager:
    fake = FakeAlertmanager()
    fake.silences = [{**SILENCE, "id": name, "status": {"state": state}} for name in ids]
    return fake


@pytest.mark.parametrize("beginning", ["9b7a372d", "9b7a37", "9B7A372D", " 9b7a372d-7920 "])
def test_a_silence_ends_by_the_beginning_of_its_id(beginning):
    fake = silenced(ID, "00000000-7920-481c-ad3f-4b8fd1066c56")
    planned = ensure_expired(fake.client, beginning, True)
    assert (planned["outcome"], planned["silence"]["id"]) == ("planned", ID)
    ended = ensure_expired(fake.client, beginning, False)
    assert (ended["outcome"], ended["changed"], ended["silence"]["id"]) == ("proven", True, ID)
    assert [each["status"]["state"] for each in fake.silences] == ["expired", "active"]
    again = ensure_expired(fake.client, beginning, False)
    assert (again["outcome"], again["changed"], "has ended" in again["summary"]) == ("proven", False, True)


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_beginning_of_several_silences_is_refused_and_they_are_named(dry_run):
    fake = silenced(ID, OTHER_ID)
    refused = ensure_expired(fake.client, "9b7a37", dry_run)
    assert (refused["outcome"], refused["next_command"]) == ("refused", "./runbook alerts")
    assert f"{ID}, {OTHER_ID}" in refused["summary"]
    assert not any(method == "DELETE" for method, _ in fake.asked)


def test_a_beginning_that_an_ended_silence_shares_is_that_of_the_one_that_lives():
    fake = silenced(ID, OTHER_ID)
    fake.silences[1]["status"] = {"state": "expired"}
    assert ensure_expired(fake.client, "9b7a37", False)["silence"]["id"] == ID


@pytest.mark.parametrize("wrong", ["9b7a372e", "9b7a3", "psi", "a7920-481c"])
@pytest.mark.parametrize("dry_run", [False, True])
def test_an_id_that_alertmanager_does_not_know_is_refused_with_those_that_there_are(wrong, dry_run):
    fake = silenced(ID)
    refused = ensure_expired(fake.client, wrong, dry_run)
    assert (refused["outcome"], refused["changed"], wrong in refused["summary"]) == ("refused", False, True)
    assert f"there are: {ID}" in refused["summary"]
    assert "there is none" in ensure_expired(FakeAlertmanager().client, wrong, dry_run)["summary"]


def test_a_whole_id_that_alertmanager_forgot_is_no_silence_any_more():
    forgotten = ensure_expired(silenced(ID).client, OTHER_ID, False)
    assert (forgotten["outcome"], forgotten["changed"]) == ("proven", False)
    assert "Alertmanager does not know it (any more)" in forgotten["summary"]
