"""The record: one primary, copies beside it, entries that come primary late, phases that follow from what was done."""

from __future__ import annotations

import threading

import pytest
import yaml
from trading_ops.incident.folder import UNSYNCED, append, read_timeline
from trading_ops.incident.info import observe
from trading_ops.incident.record import SyncRequest, ensure_local_copy, ensure_synced, project, with_phases
from trading_ops.incident.timeline import Entry, as_dict

ID = "INC-20261121-080000-gaps"
NOW = "2026-11-21T08:00:00.000Z"


def entry(number, kind="note", **more):
    return Entry(id=f"run-{number}", at=NOW, recorded_at=NOW, kind=kind, **more)


@pytest.fixture
def primary(tmp_path):
    return tmp_path / "primary"


@pytest.fixture
def copies(tmp_path):
    return tmp_path / "copies"


def bring(primary, entries=(), facts=None, post_mortem="", dry_run=False):
    return ensure_synced(
        SyncRequest(primary, ID, entries, facts or {}, post_mortem, "reno", "reno@laptop"), NOW, dry_run
    )


def unsynced(copies):
    return observe(copies, "")["pending"].get(ID, [])


def sync(primary, copies):
    """Do what the role does: bring primary what waits, then refresh the copy."""
    brought = bring(primary, unsynced(copies))
    return brought, ensure_local_copy(copies, ID, brought, False)


def test_what_was_noted_in_the_checkout_comes_home_once_and_the_copy_reads_as_the_home(primary, copies):
    append(copies / ID, UNSYNCED, [entry(1), entry(2)])
    brought, copied = sync(primary, copies)
    assert (brought["outcome"], brought["added"], copied["outcome"]) == ("proven", 2, "proven")
    for name in ("timeline.jsonl", "incident.yml"):
        assert (copies / ID / name).read_bytes() == (primary / ID / name).read_bytes()
    assert not (copies / ID / UNSYNCED).exists()
    again, copied = sync(primary, copies)
    assert (again["added"], again["changed"], copied["changed"]) == (0, False, False)


def test_an_entry_noted_while_the_others_went_home_is_kept_for_the_next_run(primary, copies):
    append(copies / ID, UNSYNCED, [entry(1)])
    brought = bring(primary, unsynced(copies))
    append(copies / ID, UNSYNCED, [entry(2)])
    copied = ensure_local_copy(copies, ID, brought, False)
    assert "1 entry is still to be synced to the control host" in copied["summary"]
    assert [item["id"] for item in unsynced(copies)] == ["run-2"]
    assert read_timeline(copies / ID, UNSYNCED).defects == ()
    sync(primary, copies)
    assert [item.id for item in read_timeline(primary / ID).entries] == ["run-1", "run-2"]


def test_two_operators_write_at_the_same_time_and_no_line_is_lost(primary):
    threads = [threading.Thread(target=bring, args=(primary, [as_dict(entry(number))])) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    timeline = read_timeline(primary / ID)
    assert (len(timeline.entries), timeline.defects) == (8, ())


def test_a_copy_that_is_no_beginning_of_the_home_is_left_as_it_is_and_named(primary, copies):
    append(copies / ID, UNSYNCED, [entry(1)])
    sync(primary, copies)
    kept = (copies / ID / "timeline.jsonl").read_bytes()
    (primary / ID / "timeline.jsonl").unlink()
    brought = bring(primary, [as_dict(entry(9))])
    copied = ensure_local_copy(copies, ID, brought, False)
    assert (copied["outcome"], "one of them was rewritten" in copied["summary"]) == ("failed", True)
    assert (copies / ID / "timeline.jsonl").read_bytes() == kept


def test_a_damaged_line_at_home_is_named_and_keeps_nothing_from_being_recorded(primary):
    bring(primary, [as_dict(entry(1))])
    with open(primary / ID / "timeline.jsonl", "ab") as file:
        file.write(b"garbage\n")
    brought = bring(primary, [as_dict(entry(2))])
    assert (brought["outcome"], brought["added"], "DAMAGED: line 2" in brought["summary"]) == ("proven", 1, True)


def test_a_dry_run_and_an_id_that_is_not_on_record_leave_nothing(primary, copies):
    append(copies / ID, UNSYNCED, [entry(1)])
    before = sorted(copies.rglob("*"))
    brought = bring(primary, unsynced(copies), dry_run=True)
    assert (brought["outcome"], primary.exists()) == ("planned", False)
    assert ensure_local_copy(copies, ID, brought, True)["outcome"] == "planned"
    assert sorted(copies.rglob("*")) == before
    assert (bring(primary)["outcome"], primary.exists()) == ("proven", False)
    assert ensure_local_copy(copies.parent / "none", ID, bring(primary), False)["outcome"] == "proven"
    assert not (copies.parent / "none").exists()


def test_only_its_owner_may_look_into_an_incident(primary, copies):
    append(copies / ID, UNSYNCED, [entry(1)])
    sync(primary, copies)
    for folder in (primary / ID, copies / ID):
        assert folder.stat().st_mode & 0o777 == 0o700
        assert (folder / "timeline.jsonl").stat().st_mode & 0o777 == 0o600


def test_facts_become_part_of_the_record_with_an_entry_that_says_so_once(primary):
    assert bring(primary, facts={"a": {"b": 1}})["added"] == 1
    assert bring(primary, facts={"a": {"b": 1}})["added"] == 0
    assert bring(primary, facts={"a": {"c": 2}})["record"]["a"] == {"b": 1, "c": 2}
    assert bring(primary, facts={"a": {"b": 3}})["added"] == 1
    assert bring(primary, facts={"a": {"b": 1}})["record"]["a"]["b"] == 1, "set back, which is another entry"
    record = yaml.safe_load((primary / ID / "incident.yml").read_text())
    assert record == project(ID, read_timeline(primary / ID).entries)


def test_a_post_mortem_that_people_have_edited_is_never_overwritten(primary, copies):
    first = bring(primary, [as_dict(entry(1))], post_mortem="draft\n")
    ensure_local_copy(copies, ID, first, False)
    (copies / ID / "post_mortem.md").write_text("mine\n")
    (primary / ID / "post_mortem.md").write_text("edited on the control host\n")
    again = bring(primary, post_mortem="mine\n")
    ensure_local_copy(copies, ID, again, False)
    assert (again["post_mortem"], (copies / ID / "post_mortem.md").read_text()) == (
        "edited on the control host\n",
        "mine\n",
    )


@pytest.mark.parametrize(
    ("entries", "phases"),
    [
        ([entry(1, "detection"), entry(2, "step", procedure="failsafe_stop")], ["detection", "stabilisation"]),
        ([entry(1, "evidence"), entry(2, "step", procedure="failsafe_stop")], ["analysis"]),
        ([entry(1, "step", procedure="status"), entry(2)], []),
        ([entry(1, "mitigation"), entry(2, "closing")], ["analysis", "learning"]),
        (
            [entry(1, "step", procedure="incident", step="4.1 Stop"), entry(2, "evidence")],
            ["stabilisation", "analysis"],
        ),
        ([entry(1, "step", procedure="incident", step="4.3 Inform")], []),
        ([entry(1, "phase", facts={"record": {"phase": "analysis"}}), entry(2, "evidence")], []),
    ],
    ids=[
        "a stop",
        "never backwards",
        "no phase",
        "to the end",
        "the first minute",
        "a best-effort play",
        "set by hand",
    ],
)
def test_a_phase_begins_with_the_first_entry_of_it_and_once(entries, phases):
    found = with_phases([], entries)
    assert [item.text.removeprefix("Phase: ") for item in found if item.id.startswith("phase-")] == phases
    assert [item for item in found if not item.id.startswith("phase-")] == entries
    assert with_phases(found, entries) == []
    assert with_phases(found, [entry(99, "evidence")])[-1] == entry(99, "evidence")
