"""The handover: everything that happened stands in it, and what is nobody's stands first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from trading_ops.oncall.handover import HEADS, write_handover

from tests.unit.shift_world import INCIDENT, NOW, alert, check, estate, incident, silence, take

OWNED = {"owner": "anna", "next_step": "asks the venue"}
HOSTILE = "<b>x</b> [a](http://b) `c` $x$ \x1b[31m"


def shift(**more):
    """Return the parameters of a handover of a shift in which nothing happened."""
    keys = ("hosts", "checks", "alerts", "incidents", "shift", "by", "estate")
    params = {key: value for key, value in estate().items() if key in keys}
    history = {"lab1": {"outcome": "proven", "alerts": []}}
    return {**params, "since": "2026-11-20T22:00:00.000Z", "history": history, **more}


def hand_over(path: Path, params, dry_run=False):
    return write_handover({**params, "reports_path": str(path)}, NOW, dry_run)


def tables(path):
    (file,) = path.glob("*/handover.json")
    return json.loads(file.read_text())["tables"]


def test_a_quiet_shift_is_complete_in_three_formats(tmp_path):
    result = hand_over(tmp_path, shift())
    assert (result["outcome"], result["next_command"]) == ("proven", "")
    assert result["summary"].startswith("complete; 0 incidents, 0 alerts, 0 changes; handover: ")
    assert result["record"]["id"] == "HANDOVER-20261121-060000"
    (folder,) = tmp_path.iterdir()
    for name in ("handover.md", "handover.html"):
        text = (folder / name).read_text()
        assert [title for title, _ in HEADS.values() if title not in text.replace("&#x27;", "'")] == []


def test_a_dry_run_writes_nothing(tmp_path):
    assert hand_over(tmp_path, shift(), dry_run=True)["report_path"] == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("record", "missing"),
    [({}, "an owner and a next step"), ({"owner": "anna"}, "a next step"), ({"next_step": "asks"}, "an owner")],
)
def test_an_open_incident_that_is_nobodys_stands_first_with_the_command_that_changes_it(tmp_path, record, missing):
    params = shift()
    params["incidents"]["incidents"] = [incident(**record)]
    result = hand_over(tmp_path, params)
    assert result["outcome"] == "failed"
    assert result["summary"].startswith(f"NOT COMPLETE: {INCIDENT} has not {missing}")
    assert result["next_command"].startswith(f"./runbook incident_note -e incident_id={INCIDENT} -e owner=")
    assert result["lines"][0].startswith("Open, and nobody's")


def halted(*ids, damaged=""):
    return {"scope": "all", "incident_ids": ids, "since": "x", "by": "anna", "reason": "bars", "damaged": damaged}


def test_a_halt_for_an_incident_that_the_control_host_does_not_know_is_open(tmp_path):
    params = shift()
    params["hosts"]["lab1"]["latch"] = params["hosts"]["lab2"]["latch"] = halted(INCIDENT)
    result = hand_over(tmp_path, params)
    assert result["outcome"] == "failed"
    assert result["next_command"] == f"./runbook incident_info -e incident_id={INCIDENT}"
    (row,) = tables(tmp_path)["open"]
    assert row[:2] == [INCIDENT, "a record on the control host, and lab1 is halted for it"]
    params["incidents"]["incidents"] = [incident(**OWNED)]
    assert hand_over(tmp_path, params)["outcome"] == "proven"
    params["incidents"] = {"msg": "Connection refused"}
    assert hand_over(tmp_path, params)["outcome"] == "unknown", "nobody knows what is on record"


def test_a_halt_that_cannot_be_understood_is_not_known(tmp_path):
    params = shift()
    params["hosts"]["lab1"]["latch"] = halted(damaged="empty")
    result = hand_over(tmp_path, params)
    assert (result["outcome"], "lab1: halt is not known: empty" in result["summary"]) == ("unknown", True)


def test_an_incident_with_owner_and_next_step_is_handed_over_and_an_old_one_is_not_told(tmp_path):
    params = shift()
    closed = incident(state="closed", closed_at="2026-11-20T21:00:00.000Z") | {"opened_at": "2026-11-20T20:00:00.000Z"}
    params["incidents"]["incidents"] = [incident(**OWNED), closed]
    assert hand_over(tmp_path, params)["outcome"] == "proven"
    (row,) = tables(tmp_path)["incidents"]
    assert row == [
        INCIDENT,
        "2026-11-21T01:30:00.000Z",
        "open, stabilisation",
        *OWNED.values(),
        "major: bars look wrong",
    ]


def test_a_critical_alert_that_nobody_took_is_open_and_a_warning_is_told(tmp_path):
    params = shift()
    params["alerts"]["lab1"]["alerts"] += [alert("Psi"), alert("HostDisk", "warning", "e1e1e1e1e1e1e1e1")]
    result = hand_over(tmp_path, params)
    assert (result["outcome"], "alert Psi has not somebody on it" in result["summary"]) == ("failed", True)
    assert [row[0] for row in tables(tmp_path)["alerts"]] == ["Psi", "HostDisk"]
    params["shift"]["takes"] = [take()]
    assert hand_over(tmp_path, params)["outcome"] == "proven"
    assert tables(tmp_path)["alerts"][0][2:4] == ["anna", "trains the model anew"]
    params["shift"]["takes"] = [take() | {"fingerprint": "another"}]
    assert hand_over(tmp_path, params)["outcome"] == "failed", "somebody is on another alert"


def test_an_alert_that_is_over_is_told_and_one_that_fires_is_not_among_them(tmp_path):
    known = {"severity": "critical", "about": "host=h1", "from": "a", "until": "b"}
    over, fires = {**known, "alertname": "Psi", "fires": False}, {**known, "alertname": "HostDisk", "fires": True}
    params = shift(history={"lab1": {"outcome": "proven", "alerts": [over, fires]}})
    assert hand_over(tmp_path, params)["outcome"] == "proven"
    assert tables(tmp_path)["resolved"] == [["Psi host=h1", "a", "b"]]


def test_incident_mitigation_and_silence_are_listed_with_their_times(tmp_path):
    params = shift()
    done = {"at": "2026-11-21T02:00:00.000Z", "by": "anna", "text": "venue mock disabled"}
    params["incidents"]["incidents"] = [
        incident(**OWNED) | {"mitigations": [done, {**done, "at": "2026-11-20T01:00:00Z"}]}
    ]
    params["alerts"]["lab1"]["silences"] = [
        silence("2026-11-21T07:00:00.000Z", ("alertname", "Psi")),
        silence("2026-11-21T19:00:00.000Z", ("alertname", "HostDisk")),
    ]
    assert hand_over(tmp_path, params)["outcome"] == "proven"
    seen = tables(tmp_path)
    assert seen["changes"] == [["2026-11-21T02:00:00.000Z", INCIDENT, "anna", "mitigation: venue mock disabled"]]
    assert [(row[1], row[4]) for row in seen["silences"]] == [
        ("2026-11-21T07:00:00.000Z", "ENDS IN THE NEXT SHIFT"),
        ("2026-11-21T19:00:00.000Z", ""),
    ]


def test_a_silence_says_what_it_does_not_cover_and_whether_it_covers_what_stops_trading(tmp_path):
    params = shift()
    found = silence("2026-11-21T19:00:00.000Z", ("severity", "critical"), ("alertname", "Disk.*"))
    found["matchers"][0]["is_equal"] = False
    found["matchers"][1]["is_regex"] = True
    all_of_them = silence("2026-11-21T07:00:00.000Z", ("alertname", ".+"))
    all_of_them["matchers"][0]["is_regex"] = True
    params["alerts"]["lab1"]["silences"] = [found, all_of_them]
    hand_over(tmp_path, params)
    rows = tables(tmp_path)["silences"]
    assert [row[0] for row in rows] == ['severity!="critical", alertname=~"Disk.*"', 'alertname=~".+"']
    assert rows[0][4] == ""
    assert rows[1][4].startswith("ENDS IN THE NEXT SHIFT, SILENCES WHAT STOPS TRADING: ")


def test_changes_of_all_hosts_stand_in_the_order_of_time(tmp_path):
    params = shift()
    taken = {"event": "lease taken", "by": "anna", "purpose": "start feed", "time": "2026-11-21T03:00:00.000Z"}
    params["hosts"]["lab1"]["audit"] = [
        taken,
        {**taken, "event": "lease freed"},
        {**taken, "time": "2026-11-20T03:00:00Z"},
    ]
    line = {"time": "2026-11-21T01:00:00.000Z", "by": "bo", "key": "sizing", "before": 1, "after": 0.5, "why": "calm"}
    params["hosts"]["lab2"]["drift"] = [line]
    release = {"id": "REL-1", "at": "2026-11-21T02:00:00.000Z", "by": "bo", "result": "deployed", "revision": "abc"}
    params["shift"]["releases"] = [{**release, "hosts": ["lab1"]}]
    hand_over(tmp_path, params)
    assert [row[3] for row in tables(tmp_path)["changes"]] == [
        "sizing 1 -> 0.5: calm",
        "REL-1 deployed: abc",
        "lease taken: start feed",
    ]


def test_what_was_closed_leaves_its_updates_and_backlog_and_what_is_open_an_issue_to_create(tmp_path):
    params = shift()
    closed = incident(
        state="closed",
        closed_at="2026-11-21T04:00:00.000Z",
        updates_due=["LiveFeed_Runbook 6"],
        actions=[{"owner": "bo", "what": "alert earlier"}],
    )
    params["incidents"]["incidents"] = [closed, incident(**OWNED) | {"id": "INC-2"}]
    params["hosts"]["lab1"]["documentation_due"] = "documentation due: RefStrat_01.md for sizing 1 -> 0.5"
    params["shift"]["pause"] = "Deploys are paused."
    hand_over(tmp_path, params)
    seen = tables(tmp_path)
    assert len(seen["updates"]) == 2
    assert seen["backlog"] == [
        ["- [ ] find the cause, then lift the pause: Deploys are paused."],
        [f"- [ ] alert earlier (bo, {INCIDENT})"],
        ["- [ ] bars look wrong (anna, INC-2)"],
    ]


def test_status_of_feed_and_bots_has_pnl_drawdown_and_halt(tmp_path):
    params = shift()
    failing = check(
        "tracking_error", "strategy", "Paper_And_Live_Bots 5", 0.002, outcome="fail", reason="0.002, must be"
    )
    params["checks"]["lab1"]["checks"].append(failing)
    params["hosts"]["lab2"]["latch"] = halted(INCIDENT)
    hand_over(tmp_path, params)
    seen = dict(tables(tmp_path)["status"])
    assert seen["checks of the feed"] == "2 of 2 checks pass"
    assert seen["checks of the bots"] == "1 of 2 checks pass; tracking_error fail: 0.002, must be"
    assert {"Live pnl day", "Tracking error", "lab2: halt", "lab1: trading-paper/bot"} <= seen.keys()


@pytest.mark.parametrize("gone", ["checks", "alerts", "history", "incidents", "shift"])
def test_what_gave_no_result_is_not_known_and_the_handover_not_complete(tmp_path, gone):
    params = shift()
    nothing = {"unreachable": True, "msg": "Connection refused"}
    params[gone] = nothing if gone in {"incidents", "shift"} else {"lab1": nothing}
    result = hand_over(tmp_path, params)
    assert (result["outcome"], "Connection refused" in result["summary"]) == ("unknown", True)


def test_a_host_that_did_not_answer_is_named(tmp_path):
    params = shift()
    params["hosts"]["lab2"] = {"msg": "timed out"}
    assert "lab2 is not known: it did not answer: timed out" in hand_over(tmp_path, params)["summary"]


def test_a_begin_that_is_no_time_is_wrong_usage(tmp_path):
    assert hand_over(tmp_path, shift(since="yesterday"))["outcome"] == "usage"


def test_text_from_elsewhere_stays_text(tmp_path):
    params = shift(by=HOSTILE, estate=HOSTILE)
    params["incidents"]["incidents"] = [incident(owner=HOSTILE) | {"reason": HOSTILE}]
    params["alerts"]["lab1"]["alerts"].append({**alert(HOSTILE), "annotations": {"summary": HOSTILE}})
    result = hand_over(tmp_path, params)
    (folder,) = tmp_path.iterdir()
    page, markdown = (folder / "handover.html").read_text(), (folder / "handover.md").read_text()
    assert "<b>" not in page
    assert "<b>" not in markdown
    assert "[a](" not in markdown
    assert "\x1b" not in "".join([page, markdown, *result["lines"]])
