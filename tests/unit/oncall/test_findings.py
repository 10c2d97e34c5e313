"""The start of a shift: for each thing that can be wrong, the section that names it, and never green."""

from __future__ import annotations

from datetime import timedelta

import pytest
from trading_ops.core.clock import format_utc
from trading_ops.oncall.findings import compare, outcome_of
from trading_ops.oncall.seen import Finding

from tests.unit.shift_world import INCIDENT, NOW, bad, check, estate, host, incident, only, points


def test_a_healthy_estate_is_green_and_every_section_has_points():
    found = points(estate())
    assert [each for each in found if each.outcome != "pass"] == []
    assert outcome_of(found) == "proven"
    assert {each.section for each in found} == {"2.1", "2.2", "2.3", "2.4", "2.5", "2.8"}


def test_nothing_at_all_is_unknown_and_not_green():
    assert outcome_of([]) == "unknown"


def test_a_pause_of_deploys_is_told_and_no_fault():
    params = estate()
    params["shift"]["pause"] = "Deploys are paused since x by anna: parity is off."
    assert bad(params) == []
    assert any(each.subject == "deploys" and "parity is off" in each.text for each in points(params))


@pytest.mark.parametrize(
    ("name", "section"),
    [
        ("feed_latency_p99", "2.2"),
        ("nan_records", "2.2"),
        ("live_pnl_day", "2.3"),
        ("psi", "2.4"),
        ("backup_age", "2.8"),
    ],
)
def test_a_check_that_fails_is_named_in_its_section(name, section):
    params = estate()
    for each in params["checks"]["lab1"]["checks"]:
        if each["id"] == name:
            each |= {"outcome": "fail", "value": 700.0, "reason": "700, must be < 500 (ms)"}
    only(params, section, "fail", name, "700, must be < 500")


def test_without_prometheus_the_other_sections_are_there_and_the_checks_unknown():
    params = estate()
    for each in params["checks"]["lab1"]["checks"]:
        each |= {"outcome": "unknown", "value": None, "reason": "no answer: Connection refused"}
    found = points(params)
    assert outcome_of(found) == "unknown"
    assert any(each.outcome == "pass" and "live_connector" in each.subject for each in found)
    assert any(each.outcome == "pass" and each.subject.startswith("Alertmanager") for each in found)


def test_checks_that_were_never_evaluated_are_unknown_in_every_section():
    params = estate()
    params["checks"]["lab1"] = {}
    assert {each.section for each in bad(params)} == {"2.1", "2.2", "2.3", "2.4", "2.5", "2.8"}
    assert {each.outcome for each in bad(params)} == {"unknown"}


def test_an_outcome_nobody_knows_is_not_a_pass():
    params = estate()
    params["checks"]["lab1"]["checks"] = [check("psi", "drift", "Oncall_Checkliste 2.4", outcome="fine")]
    assert [each.outcome for each in bad(params)] == ["unknown"]


def test_a_halt_is_red_and_says_who_and_why():
    params = estate()
    latch = {"scope": "all", "incident_ids": [INCIDENT], "since": "x", "by": "anna", "reason": "bars", "damaged": ""}
    host(params)["latch"] = latch
    params["incidents"]["incidents"] = [incident(state="closed")]
    only(params, "2.8", "fail", "lab1: halt", "by anna: bars", INCIDENT)


@pytest.mark.parametrize(("minutes", "words"), [(5, "until "), (-5, "ran out at ")])
def test_a_feed_gate_says_whether_it_still_counts_and_is_no_fault(minutes, words):
    params = estate()
    gate = {
        "passed_at": format_utc(NOW - timedelta(hours=1)),
        "expires_at": format_utc(NOW + timedelta(minutes=minutes)),
    }
    host(params)["gate"] = gate | {"by": "anna"}
    (found,) = [each for each in points(params) if each.subject == "lab1: feed gate"]
    assert (found.outcome, f"{words}{gate['expires_at']}" in found.text) == ("pass", True)


def test_where_a_host_is_halted_for_an_incident_that_is_not_on_record_none_is_open_is_not_said():
    params = estate()
    latch = {"scope": "all", "incident_ids": [INCIDENT], "since": "x", "by": "anna", "reason": "bars", "damaged": ""}
    host(params)["latch"] = latch
    found = [each for each in bad(params) if each.subject == INCIDENT]
    assert [(each.section, each.outcome) for each in found] == [("2.8", "fail")]
    assert found[0].fix == f"./runbook incident_info -e incident_id={INCIDENT}"
    assert not any(each.text == "none is open" for each in points(params))


def test_an_open_incident_is_red_and_a_closed_one_is_not():
    params = estate()
    params["incidents"]["incidents"] = [incident(owner="anna"), incident(state="closed")]
    only(params, "2.8", "fail", INCIDENT, "anna is on it", "bars look wrong")


def test_incidents_and_records_that_nobody_read_are_unknown():
    params = estate()
    params["incidents"] = {"unreachable": True, "msg": "Connection refused"}
    params["shift"]["trouble"] = ["log.jsonl cannot be understood in line 3"]
    assert [each.outcome for each in bad(params)] == ["unknown", "unknown"]


def test_only_what_changed_is_told():
    was = [
        {"section": "2.1", "subject": "disk", "outcome": "pass"},
        {"section": "2.1", "subject": "clock", "outcome": "fail"},
        {"section": "2.5", "subject": "alert", "outcome": "fail"},
        {"section": "2.5", "subject": "silence", "outcome": "pass"},
    ]
    now = [
        Finding("2.1", "disk", "fail", ""),
        Finding("2.1", "clock", "fail", ""),
        Finding("2.4", "psi", "unknown", ""),
        Finding("2.4", "load", "pass", ""),
    ]
    assert compare(was, now) == [
        ("2.1", "disk", "pass", "fail"),
        ("2.4", "psi", "new", "unknown"),
        ("2.5", "alert", "fail", "gone"),
    ]
