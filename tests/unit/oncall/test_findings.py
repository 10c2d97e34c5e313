"""The start of a shift: for each thing that can be wrong, the section that names it, and never green."""

from __future__ import annotations

from datetime import timedelta

import pytest
from trading_ops.core.clock import format_utc
from trading_ops.oncall.findings import Finding, compare, judge, outcome_of, who_has
from trading_ops.oncall.report import parse_seen

from tests.unit.shift_world import INCIDENT, NOW, alert, check, container, disk, errors, estate, incident, silence, take


def points(params):
    return judge(parse_seen(params, NOW))


def bad(params):
    return [each for each in points(params) if each.outcome != "pass"]


def host(params, name="lab1"):
    return params["hosts"][name]


def only(params, section, outcome, *words):
    """Assert that one point alone is not good, in this section, and that it says these words."""
    (found,) = bad(params)
    assert (found.section, found.outcome) == (section, outcome)
    for word in words:
        assert word in f"{found.subject}: {found.text}"
    assert found.fix
    return found


def test_a_healthy_estate_is_green_and_every_section_has_points():
    found = points(estate())
    assert [each for each in found if each.outcome != "pass"] == []
    assert outcome_of(found) == "proven"
    assert {each.section for each in found} == {"2.1", "2.2", "2.3", "2.4", "2.5", "2.8"}


def test_nothing_at_all_is_unknown_and_not_green():
    assert outcome_of([]) == "unknown"


def test_a_stopped_connector_is_named_with_the_command_that_starts_it():
    params = estate()
    host(params)["containers"][0] |= {"state": "exited", "exit_code": 1, "health": ""}
    found = only(params, "2.1", "fail", "live_connector", "exited (1)", "started by reno")
    assert found.fix == "./runbook feed_start"


def test_a_connector_that_is_not_there_at_all_is_named():
    params = estate()
    del host(params)["containers"][0]
    host(params)["desired"] = {}
    assert any("live_connector" in each.subject and "no container" in each.text for each in bad(params))


def test_a_feed_that_was_stopped_on_purpose_is_shown_so_with_person_and_time():
    params = estate()
    host(params)["containers"][0] |= {"state": "exited", "exit_code": 0, "health": ""}
    stopped = {"state": "stopped", "by": "anna", "since": "2026-11-21T05:00:00.000Z", "why": "venue maintenance"}
    host(params)["desired"]["ai_trading_core/live_connector"] = stopped
    assert bad(params) == []
    (found,) = [each for each in points(params) if each.subject == "lab1: ai_trading_core/live_connector"]
    assert found.text == "stopped on purpose by anna since 2026-11-21T05:00:00.000Z: venue maintenance"


def test_what_runs_although_it_was_stopped_is_red():
    params = estate()
    host(params)["desired"]["trading-paper/bot"]["state"] = "stopped"
    only(params, "2.1", "fail", "trading-paper/bot", "runs, and was stopped on purpose")


@pytest.mark.parametrize(
    "seen",
    [
        {"health": "unhealthy"},
        {"health": "starting"},
        {"state": "restarting", "health": ""},
        {"state": "paused", "health": ""},
        {"state": "created", "health": ""},
        {"state": "dead", "health": ""},
    ],
    ids=str,
)
def test_a_container_that_is_not_simply_running_is_red(seen):
    params = estate()
    host(params)["containers"][1] |= seen
    only(params, "2.1", "fail", "prometheus")


def test_a_service_that_runs_to_its_end_has_to_have_ended_well():
    params = estate()
    init = container("am_init", state="exited", health="")
    host(params)["containers"].append(init)
    host(params)["desired"]["ai_trading_core/am_init"] = {
        **host(params)["desired"]["trading-paper/bot"],
        "state": "completed",
    }
    assert bad(params) == []
    init["exit_code"] = 1
    only(params, "2.1", "fail", "am_init", "exited (1)")


def test_a_container_nobody_recorded_is_listed_and_red_when_it_is_sick():
    params = estate()
    stray = container("debug", health="")
    host(params)["containers"].append(stray)
    assert any("nobody has recorded a start" in each.text for each in points(params) if "debug" in each.subject)
    assert bad(params) == []
    stray |= {"health": "unhealthy"}
    only(params, "2.1", "fail", "debug", "running, unhealthy")
    stray |= {"state": "exited", "exit_code": 139, "health": ""}
    only(params, "2.1", "fail", "debug", "exited (139)")


def test_a_restarted_container_is_red_until_somebody_says_why():
    params = estate()
    host(params)["containers"][0] |= {"started_at": "2026-11-21T03:00:00.123456789Z"}
    only(params, "2.1", "fail", "restart of live_connector", "2026-11-21T03:00:00.123Z", "nobody says why")
    lease = {"event": "lease taken", "by": "anna", "purpose": "controlled restart", "holder": "run 7"}
    host(params)["audit"] = [{**lease, "time": "2026-11-21T02:59:00.000Z", "expires": "2026-11-21T03:10:00.000Z"}]
    assert bad(params) == []
    assert any(each.text.startswith("restarted by anna") for each in points(params))
    freed = {"event": "lease freed", "by": "anna", "holder": "run 7", "time": "2026-11-21T02:59:30.000Z"}
    host(params)["audit"].append(freed)
    assert len(bad(params)) == 1, "the restart came after the run had ended"


def test_what_the_engine_restarted_is_explained_by_no_start_and_no_lease():
    params = estate()
    host(params)["containers"][0] |= {"started_at": "2026-11-21T03:00:00Z", "restarts": 3}
    host(params)["desired"]["ai_trading_core/live_connector"]["since"] = "2026-11-21T02:59:00.000Z"
    lease = {"event": "lease taken", "by": "anna", "purpose": "backup", "holder": "run 7"}
    host(params)["audit"] = [{**lease, "time": "2026-11-21T02:59:00.000Z", "expires": "2026-11-21T03:10:00.000Z"}]
    only(params, "2.1", "fail", "restart of live_connector", "by the engine itself", "3 times")


def test_a_start_on_record_with_a_damaged_time_explains_nothing():
    params = estate()
    host(params)["containers"][0]["started_at"] = "2026-11-21T03:00:00Z"
    host(params)["desired"]["ai_trading_core/live_connector"]["since"] = "last night"
    only(params, "2.1", "fail", "restart of live_connector", "nobody says why")


def test_a_start_on_record_explains_itself_and_one_before_the_last_shift_needs_no_word():
    params = estate()
    host(params)["containers"][0]["started_at"] = "2026-11-21T03:00:00Z"
    host(params)["desired"]["ai_trading_core/live_connector"]["since"] = "2026-11-21T03:00:05.000Z"
    assert bad(params) == []
    host(params)["containers"][0]["started_at"] = "2026-11-20T21:59:59Z"
    assert not any("restart" in each.subject for each in points(params))


def test_an_image_that_was_not_deployed_is_red():
    params = estate()
    digest = "sha256:" + "a" * 64
    deployed = f"registry:5000/live_connector:2@{digest}"
    params["shift"]["releases"] = [
        {"result": "deployed", "images": {"ai_trading_core/live_connector": deployed}},
        {"result": "failed", "images": {"ai_trading_core/live_connector": "other@sha256:" + "b" * 64}},
    ]
    only(params, "2.1", "fail", "image of live_connector", deployed)
    host(params)["containers"][0]["digests"] = [f"registry:5000/live_connector@{digest}"]
    assert bad(params) == []
    host(params)["containers"][0] |= {"digests": [], "image_id": digest}
    assert bad(params) == [], "an image that was built here has no other digest than its id"


def test_a_pause_of_deploys_is_told_and_no_fault():
    params = estate()
    params["shift"]["pause"] = "Deploys are paused since x by anna: parity is off."
    assert bad(params) == []
    assert any(each.subject == "deploys" and "parity is off" in each.text for each in points(params))


@pytest.mark.parametrize("full", [disk("/srv", used=0.95), disk("/srv", inodes_used=0.95)], ids=["bytes", "inodes"])
def test_a_full_disk_is_red(full):
    params = estate()
    host(params)["filesystems"].append(full)
    only(params, "2.1", "fail", "disk /srv", "95 %")


def test_a_full_memory_is_red():
    params = estate()
    host(params)["machine"]["memory_available_bytes"] = 1_000_000_000
    only(params, "2.1", "fail", "memory", "94 %")


def test_a_file_system_of_inodes_it_does_not_count_is_judged_by_its_bytes():
    params = estate()
    host(params)["filesystems"].append({**disk("/srv"), "inodes": 0, "inodes_free": 0})
    assert bad(params) == []


@pytest.mark.parametrize(("ahead", "is_good"), [(0, True), (-2.5, False), (29, True), (40, False)])
def test_a_clock_that_is_off_is_red(ahead, is_good):
    params = estate()
    host(params)["host_epoch"] = host(params)["controller_epoch"] + ahead
    if is_good:
        assert bad(params) == []
    else:
        only(params, "2.1", "fail", "clock", f"{ahead:+.1f} s")


@pytest.mark.parametrize(
    ("days", "outcome", "word"), [(-1, "fail", "EXPIRED"), (13, "fail", "good until"), (15, "pass", "good until")]
)
def test_a_certificate_is_red_before_it_ends(days, outcome, word):
    params = estate()
    end = format_utc(NOW + timedelta(days=days))
    host(params)["certificates"] = [{"path": "/etc/trading-core/tls.crt", "expires_at": end, "trouble": ""}]
    (found,) = [each for each in points(params) if "certificate" in each.subject]
    assert (found.outcome, word in found.text) == (outcome, True)


def test_a_certificate_that_cannot_be_read_is_unknown():
    params = estate()
    host(params)["certificates"] = [{"path": "/etc/x.crt", "expires_at": "", "trouble": "no certificate in it"}]
    only(params, "2.1", "unknown", "/etc/x.crt", "no certificate in it")


@pytest.mark.parametrize(
    ("recent", "before", "outcome"),
    [(19, 0.0, "pass"), (20, 6.0, "fail"), (20, 7.0, "pass"), (20, None, "fail"), (5000, 4000.0, "pass")],
)
def test_errors_are_a_spike_against_the_days_before(recent, before, outcome):
    params = estate()
    host(params)["errors"][0] = errors("live_connector", recent, before)
    (found,) = [each for each in points(params) if each.subject == "lab1: errors of live_connector"]
    assert found.outcome == outcome


def test_what_metrics_counted_before_the_last_shift_is_not_new():
    params = estate()
    points = [[NOW.timestamp() - 1800, 9], [NOW.timestamp() - 60, 0]]
    shown = check("gaps", "data_quality", "LiveFeed_Runbook 6", threshold=2.0, unit="bars")
    params["curves"] = {"checks": [{**shown, "series": [{"labels": {}, "points": points}]}]}
    assert len(bad(params)) == 1
    params["since"] = "2026-11-21T05:50:00.000Z"
    assert bad(params) == []


@pytest.mark.parametrize(
    ("before", "recent", "is_spike"),
    [(0, 3, True), (0, 1, False), (2, 3, False), (1, 4, True), (None, 3, True)],
)
def test_errors_that_metrics_count_are_a_spike_beyond_their_limit_and_the_hours_before(before, recent, is_spike):
    params = estate()
    at = NOW.timestamp()
    points = [[at - 5000, before], [at - 4000, before], [at - 900, recent], [at - 300, recent]]
    shown = check("gaps", "data_quality", "LiveFeed_Runbook 6", threshold=2.0, unit="bars")
    series = [{"labels": {"symbol": "BTCUSDT"}, "points": points}]
    params["curves"] = {"checks": [{**shown, "series": series}, {**shown, "id": "psi", "series": series}]}
    (found,) = [each for each in judge(parse_seen(params, NOW)) if each.subject == "errors by gaps symbol=BTCUSDT"]
    assert (found.outcome == "fail", bool(found.fix)) == (is_spike, is_spike)


def test_a_curve_without_a_point_since_then_says_nothing_good():
    params = estate()
    shown = check("gaps", "data_quality", "LiveFeed_Runbook 6", threshold=2.0, unit="bars")
    points = [[NOW.timestamp() - 5000, 9], [NOW.timestamp() - 300, None]]
    params["curves"] = {"checks": [{**shown, "series": [{"labels": {}, "points": points}]}]}
    assert not any(each.subject == "errors by gaps" for each in judge(parse_seen(params, NOW)))


def test_errors_that_the_last_shift_has_seen_are_not_new():
    params = estate()
    host(params)["errors"][0] = errors("live_connector", 20, 100.0)
    assert bad(params) == []
    host(params)["errors_since"] = "2026-11-21T05:57:00.000Z"
    only(params, "2.1", "fail", "20 since 2026-11-21T05:57:00.000Z, before it 100 an hour")


def test_a_log_that_cannot_be_read_is_unknown():
    params = estate()
    host(params)["errors"][0] = {**errors("live_connector", None, None), "trouble": "log driver none"}
    only(params, "2.1", "unknown", "log driver none")


def test_a_host_that_did_not_answer_is_unknown_and_the_others_are_there():
    params = estate()
    params["hosts"]["lab2"] = {"unreachable": True, "msg": "Connection timed out"}
    found = only(params, "2.1", "unknown", "lab2", "Connection timed out")
    assert found.fix == "./runbook oncall_access"
    assert len([each for each in points(params) if each.subject.startswith("lab1")]) > 5


def test_what_a_host_could_not_read_is_unknown():
    params = estate()
    host(params)["trouble"] = ["The engine could not answer: timed out."]
    host(params)["containers"] = []
    assert "unknown" in {each.outcome for each in bad(params) if "engine could not answer" in each.text}
    assert outcome_of(points(params)) == "failed", "live_connector is recorded as started and was not seen"


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


def alerts(params):
    return params["alerts"]["lab1"]


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
