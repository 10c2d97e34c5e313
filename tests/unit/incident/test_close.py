"""Closing: what is demanded, and a draft in which every text stays text."""

from __future__ import annotations

from dataclasses import replace

import pytest
from trading_ops.incident.close import Action, Request, ensure_closed, parse_actions
from trading_ops.incident.folder import read_timeline
from trading_ops.incident.info import observe
from trading_ops.incident.record import SyncRequest, ensure_synced
from trading_ops.incident.timeline import Entry, as_dict

ID = "INC-20261121-080000-gaps"
NOW = "2026-11-21T10:00:00.000Z"
BEGUN = "2026-11-21T08:00:00.000Z"


@pytest.fixture
def request_(tmp_path):
    entries = [
        Entry("run-1", BEGUN, BEGUN, "detection", text="Noticed: gaps", facts={"record": {"reason": "gaps"}}),
        Entry("run-2", BEGUN, BEGUN, "step", "4.1 Stop", "failsafe_stop", "proven", facts={"stopped": True}),
        Entry(
            "run-3",
            BEGUN,
            BEGUN,
            "severity",
            facts={
                "record": {
                    "severity": {"computed": {"level": "critical", "reasons": ["data corruption was said"]}},
                    "category": {"computed": {"letter": "A", "why": "gaps: 3"}},
                    "measured": {"loss_percent": 0.5, "checks_failed": ["gaps: 3, must be < 2"]},
                }
            },
        ),
        Entry("run-4", BEGUN, BEGUN, "evidence", facts={"manifests": {"lab1": "ab"}}),
    ]
    ensure_synced(SyncRequest(tmp_path, ID, [*map(as_dict, entries)], {}, "", "reno", "reno@laptop"), BEGUN, False)
    return Request(
        incidents_path=tmp_path,
        incident_id=ID,
        cause="the venue dropped its stream",
        actions="reno: reconnect on silence; anna: alert on gaps",
        updates="Incident_Handling 4.2; ",
        documentation_due=["sizing.position_ratio"],
        tracker_url="https://tracker/new?title={title}&body={body}",
        trading_hours=["always"],
        by="reno",
        origin="reno@laptop",
    )


def test_it_is_closed_with_a_draft_of_everything_that_is_known(request_):
    done = ensure_closed(request_, NOW, False)
    assert (done["outcome"], done["changed"]) == ("proven", True)
    draft = done["post_mortem"]
    assert (draft["downtime"], draft["loss"], draft["evidence"]) == (
        "120.0 min in trading hours",
        "0.5 %",
        ["lab1"],
    )
    assert (draft["category"], draft["severity"], draft["closed_at"]) == ("A, feed", "critical", NOW)
    assert draft["updates_due"] == ["Incident\\_Handling 4.2", "strategy documentation, for sizing.position\\_ratio"]
    assert draft["backlog"][0]["url"].startswith(
        "https://tracker/new?title=reconnect%20on%20silence&body=Owner%3A%20reno"
    )
    assert "backlog: - [ ] alert on gaps (anna, " in done["lines"][-1]
    seen = observe(request_.incidents_path, ID)["incidents"][0]
    assert (seen["state"], seen["phase"], seen["record"]["actions"][1]["owner"]) == ("closed", "learning", "anna")
    again = ensure_closed(replace(request_, cause="another"), NOW, False)
    assert (again["outcome"], again["changed"], "is closed since" in again["summary"]) == ("proven", False, True)
    assert read_timeline(request_.incidents_path / ID).defects == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cause": " "}, "nobody has said the cause"),
        ({"actions": ""}, "there is no action"),
        ({"actions": "reconnect on silence"}, "does not say who does it"),
        ({"actions": "reno:"}, "does not say who does it"),
        ({"actions": ": fix it"}, "does not say who does it"),
        ({"incident_id": "INC-none"}, "Nothing is on record"),
    ],
    ids=str,
)
def test_without_cause_action_or_owner_it_stays_open(request_, change, words):
    done = ensure_closed(replace(request_, **change), NOW, False)
    assert (done["outcome"], words in done["summary"], bool(done["next_command"])) == ("refused", True, True)
    assert observe(request_.incidents_path, "")["open"] == [ID]


def test_without_category_and_severity_it_stays_open(request_, tmp_path):
    path = tmp_path / "other"
    ensure_synced(SyncRequest(path, ID, [as_dict(Entry("run-1", BEGUN, BEGUN, "note"))], {}, "", "", ""), BEGUN, False)
    done = ensure_closed(replace(request_, incidents_path=path), NOW, False)
    assert done["outcome"] == "refused"
    assert "no category" in done["summary"]
    assert "severity is not known" in done["summary"]
    assert done["next_command"] == f"./runbook incident_classify -e incident_id={ID}"


def test_a_dry_run_closes_nothing(request_):
    assert ensure_closed(request_, NOW, True)["outcome"] == "planned"
    assert observe(request_.incidents_path, "")["open"] == [ID]


def test_actions_are_read_with_their_owners():
    assert parse_actions(" reno: a: b ;anna:c; ") == (Action("reno", "a: b"), Action("anna", "c"))


def test_text_in_the_draft_is_no_markdown_no_html_and_one_line(request_):
    nasty = "a|b\n# c <script>x</script> [l](javascript:1) *d* `e` \x1b[31m {{ f }}"
    draft = ensure_closed(replace(request_, cause=nasty), NOW, False)["post_mortem"]
    assert draft["cause"] == (
        "a\\|b \\# c &lt;script&gt;x&lt;/script&gt; \\[l\\](javascript:1) \\*d\\* \\`e\\` \\[31m {{ f }}"
    )
