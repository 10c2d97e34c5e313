import json
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trading_ops.core.locks import locked
from trading_ops.state import desired as desired_state
from trading_ops.state.desired import (
    Desired,
    DesiredStateError,
    format_desired,
    merge,
    parse_desired,
    read,
    read_quietly,
    record,
    record_quietly,
)

FIRST, LATER = "2026-11-21T01:30:00.000Z", "2026-11-21T02:30:00.000Z"
STARTED = Desired("started", "reno", FIRST, "shift")


def test_entry_stays_as_it_was_when_the_state_is_the_same():
    assert merge({"p/bot": STARTED}, {"p/bot": "started"}, "anna", "again", LATER) == {"p/bot": STARTED}


def test_other_state_gets_its_own_person_time_and_reason():
    merged = merge({"p/bot": STARTED, "p/db": STARTED}, {"p/bot": "stopped"}, "anna", "halt", LATER)
    assert merged == {"p/bot": Desired("stopped", "anna", LATER, "halt"), "p/db": STARTED}


names = st.text(min_size=1, max_size=20)
entries = st.builds(Desired, st.sampled_from(sorted(desired_state.STATES)), names, names, names)


@settings(max_examples=30)
@given(st.dictionaries(names, entries, max_size=4))
def test_what_is_written_is_what_is_read(services):
    assert parse_desired(format_desired(services)) == services


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"services": []}',
        '{"services": {"p/bot": "started"}}',
        '{"services": {"p/bot": {"state": "started"}}}',
        '{"services": {"p/bot": {"state": "up", "by": "", "since": "", "why": ""}}}',
        '{"services": {"p/bot": {"state": "started", "by": "", "since": "", "why": "", "more": 1}}}',
        "[" * 100_000,
    ],
)
def test_what_is_not_a_desired_state_is_an_error(text):
    with pytest.raises(DesiredStateError):
        parse_desired(text)


def test_missing_file_means_that_nothing_was_ever_wanted(tmp_path: Path):
    assert read(tmp_path) == {}
    assert read_quietly(tmp_path / "no such directory") == ({}, "")


def test_record_writes_only_where_a_state_differs(tmp_path: Path):
    path = tmp_path / "state" / "desired.json"
    assert record(tmp_path / "state", {"p/bot": "started"}, "reno", "shift", FIRST) == ""
    before = path.stat()
    assert record(tmp_path / "state", {"p/bot": "started"}, "anna", "again", LATER) == ""
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert record(tmp_path / "state", {"p/bot": "stopped"}, "anna", "halt", LATER) == ""
    assert json.loads(path.read_text(encoding="utf-8"))["services"]["p/bot"] == {
        "state": "stopped",
        "by": "anna",
        "since": LATER,
        "why": "halt",
    }


def test_others_can_read_what_was_written(tmp_path: Path):
    record(tmp_path, {"p/bot": "started"}, "reno", "shift", FIRST)
    assert (tmp_path / "desired.json").stat().st_mode & 0o777 == 0o644


def test_file_that_nobody_understands_is_kept_beside_the_new_one(tmp_path: Path):
    (tmp_path / "desired.json").write_text("{garbage", encoding="utf-8")
    assert "cannot be understood" in read_quietly(tmp_path)[1]
    said = record_quietly(tmp_path, {"p/bot": "stopped"}, "reno", "halt", FIRST)
    kept = [path for path in tmp_path.iterdir() if "damaged" in path.name]
    assert [path.read_text(encoding="utf-8") for path in kept] == ["{garbage"]
    assert len(said) == 1
    assert str(kept[0]) in said[0]
    assert read(tmp_path)["p/bot"].state == "stopped"


def test_directory_in_place_of_the_file_is_kept_too(tmp_path: Path):
    (tmp_path / "desired.json").mkdir()
    assert "could not be read" in read_quietly(tmp_path)[1]
    assert record(tmp_path, {"p/bot": "stopped"}, "reno", "halt", FIRST)
    assert read(tmp_path)["p/bot"].state == "stopped"


def test_place_that_cannot_be_written_is_a_warning_where_a_stop_has_happened(tmp_path: Path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    said = record_quietly(tmp_path / "file", {"p/bot": "stopped"}, "reno", "halt", FIRST)
    assert len(said) == 1
    assert "could not be written" in said[0]


def test_stuck_writer_is_not_waited_for_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(desired_state, "WRITE_SECONDS", 0.05)
    with locked(tmp_path, "desired"):
        with pytest.raises(DesiredStateError, match="no answer from lock or disk"):
            record(tmp_path, {"p/bot": "stopped"}, "reno", "halt", FIRST)
        assert not (tmp_path / "desired.json").exists()


def test_disk_that_does_not_keep_what_was_written_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(desired_state, "write_durably", lambda path, text: None)
    with pytest.raises(DesiredStateError, match="does not hold what was written"):
        record(tmp_path, {"p/bot": "stopped"}, "reno", "halt", FIRST)


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path):
    def write(number: int) -> None:
        record(tmp_path, {f"p/{number}": "started"}, "reno", "shift", FIRST)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(read(tmp_path)) == {f"p/{number}" for number in range(8)}
