"""Hosts at the start of a shift: what is expected of each, and what was seen."""

from __future__ import annotations

from datetime import timedelta

import pytest
from trading_ops.core.clock import format_utc
from trading_ops.oncall.findings import judge, outcome_of
from trading_ops.oncall.seen import parse_seen

from tests.unit.shift_world import NOW, bad, check, container, disk, errors, estate, host, only, points


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


def test_unexpected_bot_is_red():
    params = estate()
    why = "it has TRADING_MODE in its environment"
    host(params)["unexpected"] = [{"name": "stray", "why": why, "state": "running", "image": "foo:1"}]
    found = only(params, "2.1", "fail", "unexpected bot stray", why)
    assert found.fix == "./runbook host_setup --check"


def test_what_the_estate_exempts_is_listed_and_good():
    params = estate()
    host(params)["exempted"] = ["web (ui/web/freqtradeorg/freqtrade:stable)"]
    assert bad(params) == []
    assert any("ui/web/freqtradeorg/freqtrade:stable" in each.subject for each in points(params))


def test_feed_that_the_owners_own_command_started_is_the_feed():
    params = estate()
    for each in host(params)["containers"]:
        each["project"] = "compose" if each["project"] == params["feed_project_name"] else each["project"]
    host(params)["desired"] = {}
    subjects = [each.subject for each in points(params) if each.outcome == "fail"]
    assert not any("live_connector" in subject for subject in subjects)
