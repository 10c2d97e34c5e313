"""The pause of deploys: what cannot be understood is one, the first one's words stay, only a reason lifts it."""

from __future__ import annotations

import json

import pytest
from trading_ops.release import pause as deploy_pause
from trading_ops.release.pause import PAUSE_FILE, Pause, backlog_item, ensure_paused, ensure_resumed, read, read_pause

NOW = "2026-11-21T08:00:00.000Z"
FIRST = Pause(NOW, "alertmanager", "tracking error 0.004", "alert:tracking_error")


def pause(tmp_path, wanted=FIRST, dry_run=False):
    return ensure_paused(tmp_path, wanted, "", dry_run)


def resume(tmp_path, reason="found and fixed", dry_run=False):
    return ensure_resumed(tmp_path, reason, "reno", NOW, dry_run)


def audited(tmp_path):
    path = tmp_path / "audit.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [(entry["event"], entry["reason"]) for entry in map(json.loads, lines)]


def test_no_file_is_the_only_sign_of_no_pause(tmp_path):
    assert read(None) is None
    assert read_pause(tmp_path) is None


@pytest.mark.parametrize(
    "text",
    ["", " ", "{", "[]", "null", "{}", '{"since": "x", "by": "", "reason": "x", "source": "x"}', "[" * 100_000],
)
def test_what_cannot_be_understood_is_a_pause(tmp_path, text):
    (tmp_path / PAUSE_FILE).write_text(text)
    assert read_pause(tmp_path).damaged
    assert "counts as one" in read_pause(tmp_path).sentence()


def test_a_folder_in_its_place_is_a_pause(tmp_path):
    (tmp_path / PAUSE_FILE).mkdir()
    assert read_pause(tmp_path).damaged


def test_the_first_ones_words_stay_and_another_reason_is_on_record_once(tmp_path):
    assert pause(tmp_path)["changed"] is True
    for _ in range(3):
        assert pause(tmp_path)["changed"] is False
    later = pause(tmp_path, Pause(NOW, "reno", "parity looks odd", "person"))
    assert (later["changed"], later["pause"]["reason"]) == (False, FIRST.reason)
    assert read_pause(tmp_path) == FIRST
    assert audited(tmp_path) == [("deploys paused", FIRST.reason), ("deploys paused", "parity looks odd")]


def test_a_damaged_pause_is_replaced_by_one_that_says_why(tmp_path):
    (tmp_path / PAUSE_FILE).write_text("garbage")
    assert pause(tmp_path)["outcome"] == "proven"
    assert read_pause(tmp_path) == FIRST


def test_an_audit_log_that_cannot_be_written_does_not_keep_deploys_going(tmp_path):
    (tmp_path / "audit.jsonl").mkdir()
    paused = pause(tmp_path)
    assert (paused["outcome"], bool(paused["warnings"])) == ("proven", True)
    assert read_pause(tmp_path) == FIRST


def test_it_is_lifted_with_a_reason_only_and_that_is_on_record_first(tmp_path):
    pause(tmp_path)
    assert resume(tmp_path, " ")["outcome"] == "usage"
    assert read_pause(tmp_path) == FIRST
    lifted = resume(tmp_path)
    assert (lifted["outcome"], lifted["changed"]) == ("proven", True)
    assert read_pause(tmp_path) is None
    assert audited(tmp_path)[-1] == ("deploys resumed", "found and fixed")
    assert resume(tmp_path)["changed"] is False


def test_it_stays_where_lifting_it_cannot_be_put_on_record(tmp_path):
    pause(tmp_path)
    (tmp_path / "audit.jsonl").unlink()
    (tmp_path / "audit.jsonl").mkdir()
    assert resume(tmp_path)["outcome"] == "failed"
    assert read_pause(tmp_path) == FIRST


def test_a_dry_run_writes_nothing_not_even_a_lock(tmp_path):
    planned = pause(tmp_path, dry_run=True)
    assert (planned["outcome"], planned["changed"]) == ("planned", True)
    assert list(tmp_path.iterdir()) == []
    pause(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert resume(tmp_path, dry_run=True)["changed"] is True
    assert pause(tmp_path, dry_run=True)["changed"] is False
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_backlog_item_names_what_is_analysed_again_and_the_command_that_lifts_the_pause():
    text = "\n".join(backlog_item(FIRST, ""))
    for word in ("Fill engine", "Strategy", "Feed", "./runbook deploy_resume", FIRST.reason):
        assert word in text
    last = backlog_item(FIRST, "https://tracker.lan/new?title={title}&body={body}")[-1]
    assert "title=Analyse%20fill%20engine" in last
    assert "{" not in last


def test_what_is_told_of_a_lifted_pause_is_what_was_lifted(tmp_path, monkeypatch):
    pause(tmp_path)
    later = Pause(NOW, "alertmanager", "tracking error 0.009", "alert:tracking_error")
    locked = deploy_pause.locked

    def late(state_path, name):
        monkeypatch.setattr(deploy_pause, "locked", locked)
        (tmp_path / PAUSE_FILE).unlink()
        pause(tmp_path, later)
        return locked(state_path, name)

    monkeypatch.setattr(deploy_pause, "locked", late)
    assert later.reason in resume(tmp_path)["summary"]
    assert later.reason in json.loads((tmp_path / "audit.jsonl").read_text().splitlines()[-1])["was"]
