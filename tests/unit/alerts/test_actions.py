"""What an alert may do: its name is looked up, everything else is text."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from trading_ops.alerts.actions import (
    AGAIN_SECONDS,
    Act,
    Alert,
    Drive,
    RequestError,
    actions_of,
    detection_of,
    drive,
    due,
    is_over,
    is_wider,
    parse_request,
    pause_arguments,
    plan,
    silence_of_path,
    stop_arguments,
)
from trading_ops.incident.timeline import Entry

from tests.unit.checks.test_rules import CHECK

ACTIONS = {
    "Gaps": "stop_bots",
    "LiveDrawdown": "stop_live",
    "LivePnlDay": "stop_live",
    "TrackingError": "pause_deploys",
}
ACTIONS |= {"HostDisk": "none"}
NOW = "2026-11-21T01:30:00.000Z"


def request(*names, at=100, status="firing", **more):
    alerts = [{"status": status, "labels": {"alertname": name}, "annotations": {}, **more} for name in names]
    return parse_request(f"{at}000000000-aa.json", json.dumps({"alerts": alerts}).encode())


def acts(*requests):
    return [(act.action, act.reason) for act in plan(requests, ACTIONS).acts]


def what(*requests):
    return [record["what"] for record in plan(requests, ACTIONS).records]


def test_an_alert_does_what_the_catalogue_says_of_its_name():
    assert acts(request("Gaps")) == [("stop_bots", "alert Gaps")]
    assert acts(request("LiveDrawdown")) == [("stop_live", "alert LiveDrawdown")]
    assert acts(request("TrackingError")) == [("pause_deploys", "alert TrackingError")]


def test_one_stop_at_most_the_widest_and_before_anything_else():
    found = acts(request("TrackingError", "LiveDrawdown"), request("Gaps"), request("Gaps", "LiveDrawdown"))
    assert found == [("stop_bots", "alert Gaps, LiveDrawdown"), ("pause_deploys", "alert TrackingError")]


@pytest.mark.parametrize(
    ("status", "name", "said"),
    [
        ("resolved", "Gaps", "recorded: resolved"),
        ("firing", "Unknown", "recorded: no alert of the catalogue"),
        ("firing", "HostDisk", "recorded: asks for nothing"),
        ("pending", "Gaps", "recorded: its status is unknown"),
        ("FIRING", "Gaps", "recorded: its status is unknown"),
    ],
)
def test_what_is_no_call_to_act_is_recorded(status, name, said):
    found = request(name, status=status)
    assert (acts(found), what(found)) == ([], [said])


def test_a_payload_chooses_no_action_host_play_or_variable():
    body = {
        "status": "firing",
        "commonLabels": {"alertname": "Gaps", "action": "stop_bots"},
        "alerts": [
            {
                "status": "firing",
                "labels": {
                    "alertname": "HostDisk",
                    "action": "stop_bots",
                    "host": "lab2",
                    "instance": "lab2; reboot",
                    "playbook": "halt_release",
                },
                "annotations": {"next_command": "./runbook halt_release", "summary": "{{ lookup('pipe', 'id') }}"},
            }
        ],
    }
    found = plan([parse_request("1-a.json", json.dumps(body).encode())], ACTIONS)
    assert found.acts == ()
    body["alerts"][0]["labels"]["alertname"] = "LiveDrawdown"
    (act,) = plan([parse_request("1-a.json", json.dumps(body).encode())], ACTIONS).acts
    words = " ".join(stop_arguments(drive(None, act, False, NOW), act))
    assert words == (
        "incident -e scope=live -e incident_id=INC-20261121-013000-alert-livedrawdown -e reason=alert LiveDrawdown"
    )


def test_a_thousand_times_the_same_alert_is_one_act_and_one_record_with_its_number():
    requests = [request("Gaps", at=100 + number) for number in range(1000)]
    found = plan(requests, ACTIONS)
    assert [act.reason for act in found.acts] == ["alert Gaps"]
    assert [record["count"] for record in found.records] == [1000]


def test_a_heartbeat_counts_from_when_it_came_and_is_not_recorded():
    found = plan([request("Watchdog", at=100), request("Watchdog", at=300), request("Watchdog", at=200)], ACTIONS)
    assert (found.heartbeat_at, found.acts, found.records) == (300, (), ())
    assert plan([request("Watchdog", status="resolved")], ACTIONS).heartbeat_at == 0


@pytest.mark.parametrize(
    "name",
    ["x-a.json", "-a.json", "", "1e9-a.json", "\u00b2-a.json", "\u0663-a.json", f"{'9' * 21}-a.json", "1\n-a.json"],
)
def test_a_file_of_another_name_is_no_order(name):
    with pytest.raises(RequestError):
        parse_request(name, b'{"alerts": [{"status": "firing", "labels": {"alertname": "Gaps"}}]}')


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"[]", b'{"alerts": 5}', b'{"alerts": [5]}', b'{"alerts": [{"labels": {}}]}', b"[" * 99999]
)
def test_a_body_that_is_none_is_no_order(body):
    with pytest.raises(RequestError):
        parse_request("1-a.json", body)


def test_text_of_others_is_kept_short_and_on_one_line():
    found = request("Gaps", annotations={"summary": "a\n\x1b[31m" + "b" * 500}, startsAt="x" * 999).alerts[0]
    assert (found.summary[:7], len(found.summary), len(found.starts_at)) == ("a  [31m", 200, 200)


def test_a_status_is_text_of_others_too():
    found = request("Gaps", status="\ud800" + "x" * 999).alerts[0]
    assert (found.status[:2], len(found.status)) == (" x", 200)


GAPS = Act("stop_bots", (Alert("Gaps", "firing", summary="gaps: 5"),))
LIVE = Act("stop_live", (Alert("LiveDrawdown", "firing"),))
FIRST = Drive("INC-20261121-013000-alert-gaps", "all")


def test_the_first_stop_is_a_whole_incident_of_its_own():
    assert drive(None, GAPS, False, NOW) == FIRST
    assert stop_arguments(FIRST, GAPS)[:3] == ["incident", "-e", "scope=all"]


def test_a_duplicate_drives_the_same_incident_again_by_its_stop_alone():
    opened = replace(FIRST, is_opened=True)
    again = drive(opened, GAPS, False, "2026-11-21T02:00:00.000Z")
    assert again == opened
    assert stop_arguments(again, GAPS) == [
        *("failsafe_stop", "-e", "scope=all", "-e", f"incident_id={FIRST.incident_id}", "-e", "reason=alert Gaps"),
    ]


def test_what_is_narrower_never_narrows_the_stop_that_lasts():
    opened = replace(FIRST, is_opened=True)
    assert drive(opened, LIVE, False, NOW) == opened


def test_what_is_wider_widens_it_as_a_whole_incident_under_the_same_id():
    opened = Drive("INC-1", "live", is_opened=True, tries=2)
    assert drive(opened, GAPS, False, NOW) == Drive("INC-1", "all")


def test_after_a_release_or_a_close_an_alert_is_an_incident_of_its_own():
    assert drive(replace(FIRST, incident_id="INC-1", is_opened=True), GAPS, True, NOW) == FIRST


@pytest.mark.parametrize(
    ("came", "running", "is_ended"),
    [
        ("Gaps", "LiveDrawdown", True),
        ("Gaps", "TrackingError", True),
        ("LiveDrawdown", "TrackingError", True),
        ("Gaps", "Gaps", False),
        ("LivePnlDay", "LiveDrawdown", False),
        ("LiveDrawdown", "Gaps", False),
        ("TrackingError", "LiveDrawdown", False),
        ("TrackingError", "TrackingError", False),
        ("HostDisk", "TrackingError", False),
    ],
)
def test_only_what_stops_more_ends_a_run(came, running, is_ended):
    (act,) = plan([request(running)], ACTIONS).acts
    assert is_wider(plan([request(came)], ACTIONS), act) is is_ended


def entry(procedure="halt_release", outcome="proven", kind="step"):
    return Entry("1", NOW, NOW, kind, "4.8", procedure, outcome, "", "kim", "kim@desk", {})


@pytest.mark.parametrize(
    ("state", "entries", "over"),
    [
        ("open", [], False),
        ("open", [entry("failsafe_stop")], False),
        ("open", [entry(outcome="refused")], False),
        ("open", [entry(kind="note")], False),
        ("open", [entry()], True),
        ("closed", [], True),
    ],
)
def test_an_incident_is_over_once_it_was_released_or_closed(state, entries, over):
    assert is_over(state, entries) is over


def test_the_record_says_which_alert_it_was_noticed_by():
    found = detection_of(FIRST, GAPS, NOW, "root@lab-control")
    assert (found.kind, found.by, found.text) == ("detection", "alertmanager", "Noticed by alert Gaps: gaps: 5")
    assert found.facts["record"] == {"reason": "alert Gaps"}
    assert found.facts["alerts"][0]["name"] == "Gaps"


def test_a_pause_of_deploys_names_its_alert():
    act = Act("pause_deploys", (Alert("TrackingError", "firing"),))
    assert pause_arguments(act) == [
        *("deploy_pause", "-e", "reason=alert TrackingError", "-e", "source=alert:TrackingError"),
    ]


def test_an_alert_that_acts_without_three_evaluations_in_a_row_is_refused():
    assert actions_of([CHECK], 5) == {"FeedLatencyP99": "stop_bots"}
    with pytest.raises(ValueError, match=r"feed_latency_p99: .* for 10 s, 3 evaluations in a row, not for 9 s"):
        actions_of([replace(CHECK, for_seconds=9)], 5)
    assert actions_of([replace(CHECK, for_seconds=0, action="none")], 5) == {"FeedLatencyP99": "none"}


@pytest.mark.parametrize(
    ("heartbeat_at", "since", "now", "silent"),
    [
        (1000, 0, 1180, False),
        (1000, 0, 1181, True),
        (0, 1000, 1180, False),
        (0, 1000, 1181, True),
        (1100, 0, 1000, False),
        (2000, 0, 1000, True),
    ],
)
def test_the_path_is_silent_once_the_last_heartbeat_is_older_than_the_limit(heartbeat_at, since, now, silent):
    assert bool(silence_of_path(heartbeat_at, since, now, 180)) is silent


def test_what_is_wrong_is_told_once_and_again_after_an_hour():
    wrong = {"path": "silent", "new": "also"}
    assert due(wrong, {"path": 1000}, 1001) == ["new"]
    assert due(wrong, {"path": 1000, "new": 1000}, 1000 + AGAIN_SECONDS) == ["path", "new"]
    # A clock that was set back must not keep it quiet for as long.
    assert due({"path": "silent"}, {"path": 9_000_000}, 1000) == ["path"]
