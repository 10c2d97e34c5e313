"""The record of shifts: who is on which alert, and whose shift it is."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from trading_ops.oncall.log import (
    ShiftLogError,
    build_entry,
    ensure_written,
    explained_until,
    keep,
    observe,
    select_new,
    shift_began,
)

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ALERT = {"fingerprint": "d059425acb157b72", "alertname": "Psi", "starts_at": "2026-11-21T05:30:00.000Z"}


def at(minute: int) -> str:
    return f"2026-11-21T05:{minute:02d}:00.000Z"


def taken(minute: int, by: str = "anna", **more: str):
    return build_entry("alert_taken", by, at(minute), {**ALERT, "next": "trains it", **more})


def entry(kind: str, minute: int, **facts: str):
    usual = {"outcome": "proven", "id": "HANDOVER-1", "since": at(0)}
    return build_entry(kind, "anna", at(minute), usual | facts)


@pytest.mark.parametrize(
    ("kind", "by", "facts"),
    [
        ("alert_taken", "anna", ALERT),
        ("alert_taken", "anna", {**ALERT, "next": " "}),
        ("alert_taken", " ", {**ALERT, "next": "x"}),
        ("handover_accepted", "bo", {}),
        ("shift_ended", "bo", {}),
    ],
)
def test_an_entry_that_says_too_little_is_none(kind, by, facts):
    with pytest.raises(ShiftLogError):
        build_entry(kind, by, at(1), facts)


def test_only_what_belongs_to_the_kind_is_kept():
    found = taken(1, annotations="long", labels="few")
    assert found.keys() == {*ALERT, "next", "labels", "at", "kind", "by"}


def test_the_same_take_again_says_nothing_new_and_a_return_to_it_does():
    first, again, other = taken(1), taken(2), taken(3, by="bo")
    assert select_new([first], [again]) == []
    assert select_new([first], [other]) == [other]
    assert select_new([first, other], [taken(4)]) != [], "anna takes it back from bo"
    assert select_new([first], [taken(2, starts_at=at(2))]) != [], "the alert came anew"


def test_a_shift_begins_each_time_it_is_started():
    assert select_new([entry("shift_started", 1)], [entry("shift_started", 2)]) != []


def test_a_shift_lasts_from_the_handover_that_was_accepted():
    began = [entry("shift_started", 1), entry("shift_started", 2)]
    accepted = [*began, entry("handover", 3), entry("handover_accepted", 4), entry("shift_started", 5)]
    assert shift_began([], NOW) == ""
    assert shift_began(accepted, NOW) == at(4)


def test_where_nobody_accepts_a_shift_lasts_from_the_last_begin_that_is_no_second_look():
    began = [started("2026-11-01T06:00:00.000Z"), started(EVENING), started("2026-11-21T11:55:00.000Z")]
    assert shift_began(began, NOW) == EVENING
    assert shift_began(began[2:], NOW) == "2026-11-21T11:55:00.000Z"


def started(at: str, **more: str):
    return build_entry("shift_started", "anna", at, {"outcome": "failed", **more})


EVENING, MORNING, AGAIN = "2026-11-20T22:00:00.000Z", "2026-11-21T06:00:00.000Z", "2026-11-21T06:05:00.000Z"


@pytest.mark.parametrize(
    ("entries", "now", "until"),
    [
        ([], "06:00", ""),
        ([started(MORNING)], "06:05", ""),
        ([started(EVENING)], "06:00", EVENING),
        ([started(EVENING), started(MORNING), started(AGAIN)], "06:10", EVENING),
        ([started(EVENING), started(MORNING), started(AGAIN)], "14:00", AGAIN),
        ([started(EVENING), started(AGAIN, since=MORNING)], "06:10", MORNING),
        ([started(EVENING), started(AGAIN, since="2026-11-20T10:00:00Z")], "06:10", EVENING),
        ([started(EVENING), started(AGAIN, since="2027-01-01T00:00:00Z")], "06:10", AGAIN),
        ([started(EVENING), started(AGAIN, since="")], "06:10", EVENING),
    ],
    ids=["none", "same shift", "last shift", "twice", "next shift", "said", "said earlier", "said later", "not said"],
)
def test_a_second_look_in_one_shift_explains_nothing_unless_somebody_says_so(entries, now, until):
    assert explained_until(entries, datetime.fromisoformat(f"2026-11-21T{now}:00+00:00")) == until


def test_a_handover_waits_until_it_is_accepted(tmp_path):
    assert observe(tmp_path, NOW)["waiting_handover"] == {}
    ensure_written(tmp_path, [entry("handover", 1, id="HANDOVER-1")], {}, False)
    assert observe(tmp_path, NOW)["waiting_handover"]["id"] == "HANDOVER-1"
    ensure_written(tmp_path, [entry("handover_accepted", 2, id="HANDOVER-1")], {}, False)
    assert observe(tmp_path, NOW)["waiting_handover"] == {}
    ensure_written(tmp_path, [entry("handover", 3, id="HANDOVER-2")], {}, False)
    assert observe(tmp_path, NOW)["waiting_handover"]["id"] == "HANDOVER-2"


def test_taking_over_means_the_handover_that_waits_and_is_refused_without_one(tmp_path):
    asked = {"kind": "handover_accepted", "by": "bo", "facts": [], "common": {}, "report": {}}
    nothing = keep(tmp_path, asked, at(1), False)
    assert (nothing["outcome"], nothing["changed"]) == ("refused", False)
    assert nothing["next_command"] == "./runbook handover"
    ensure_written(tmp_path, [entry("handover", 1, id="HANDOVER-1")], {}, False)
    assert keep(tmp_path, asked, at(2), True)["outcome"] == "planned"
    assert observe(tmp_path, NOW)["waiting_handover"]["id"] == "HANDOVER-1"
    taken = keep(tmp_path, asked, at(2), False)
    assert (taken["outcome"], "bo has taken over HANDOVER-1" in taken["summary"]) == ("proven", True)
    assert keep(tmp_path, asked, at(3), False)["outcome"] == "refused"


def test_check_run_check_run_writes_once(tmp_path):
    wanted = [taken(1)]
    seen = [ensure_written(tmp_path, wanted, {}, dry_run) for dry_run in (True, False, True, False)]
    assert [(each["outcome"], each["changed"]) for each in seen] == [
        ("planned", True),
        ("proven", True),
        ("planned", False),
        ("proven", False),
    ]
    assert len(observe(tmp_path, NOW)["takes"]) == 1


def test_a_line_that_was_cut_off_is_named_and_swallows_no_other(tmp_path):
    (tmp_path / "shift").mkdir()
    (tmp_path / "shift/log.jsonl").write_text('{"kind": "alert_ta')
    ensure_written(tmp_path, [taken(1)], {}, False)
    seen = observe(tmp_path, NOW)
    assert (seen["outcome"], len(seen["takes"])) == ("unknown", 1)
    assert "cannot be understood in line 1" in seen["summary"]


def test_words_that_somebody_pasted_end_no_line_of_the_log_of_shifts_or_of_releases(tmp_path):
    ensure_written(tmp_path, [taken(1, next="a\u2028b\u0085c")], {}, False)
    (tmp_path / "releases.jsonl").write_text('{"id": "REL-1", "result": "deployed", "why": "a\u2029b"}\n')
    seen = observe(tmp_path, NOW)
    assert "a\u2028b\u0085c" in seen["takes"][0].values()
    assert seen["releases"][0]["why"] == "a\u2029b"


def test_the_last_report_and_releases_are_read(tmp_path):
    ensure_written(tmp_path, [entry("shift_started", 1)], {"generated_at": "x", "findings": []}, False)
    (tmp_path / "releases.jsonl").write_text('{"id": "REL-1", "result": "deployed"}\n')
    seen = observe(tmp_path, NOW)
    assert (seen["last_report"]["generated_at"], seen["releases"][0]["id"]) == ("x", "REL-1")
    assert seen["explained_until"] == at(1), "that was more than six hours ago"
    (tmp_path / "shift/last_report.json").write_text("{")
    assert "last report cannot be read" in observe(tmp_path, NOW)["summary"]


def test_a_disk_that_takes_nothing_is_a_failure(tmp_path):
    (tmp_path / "shift").write_text("a file where the folder should be")
    seen = ensure_written(tmp_path, [taken(1)], {}, False)
    assert (seen["outcome"], seen["changed"]) == ("failed", False)


def test_a_pause_of_deploys_is_read_and_one_that_is_garbage_is_a_pause(tmp_path):
    assert observe(tmp_path, NOW)["pause"] == ""
    (tmp_path / "deploy_pause.json").write_text("garbage")
    assert observe(tmp_path, NOW)["pause"]
