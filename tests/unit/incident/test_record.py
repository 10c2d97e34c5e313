"""The record: one home, copies beside it, entries that come home late, phases that follow from what was done."""

from __future__ import annotations

import threading

import pytest
import yaml
from trading_ops.incident.folder import PENDING, FolderError, append, incident_path, read_timeline
from trading_ops.incident.info import category_of, observe, severity_of
from trading_ops.incident.record import Bringing, bring_home, merge, project, refresh_copy, with_phases
from trading_ops.incident.timeline import Entry, as_dict

ID = "INC-20261121-080000-gaps"
NOW = "2026-11-21T08:00:00.000Z"


def entry(number, kind="note", **more):
    return Entry(id=f"run-{number}", at=NOW, recorded_at=NOW, kind=kind, **more)


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def copies(tmp_path):
    return tmp_path / "copies"


def bring(home, entries=(), facts=None, post_mortem="", dry_run=False):
    return bring_home(Bringing(home, ID, entries, facts or {}, post_mortem, "reno", "reno@laptop"), NOW, dry_run)


def pending(copies):
    return observe(copies, "")["pending"].get(ID, [])


def take_home(home, copies):
    """Do what the role does: bring home what waits, then refresh the copy."""
    brought = bring(home, pending(copies))
    return brought, refresh_copy(copies, ID, brought, False)


def test_what_was_noted_in_the_checkout_comes_home_once_and_the_copy_reads_as_the_home(home, copies):
    append(copies / ID, PENDING, [entry(1), entry(2)])
    brought, copied = take_home(home, copies)
    assert (brought["outcome"], brought["added"], copied["outcome"]) == ("proven", 2, "proven")
    for name in ("timeline.jsonl", "incident.yml"):
        assert (copies / ID / name).read_bytes() == (home / ID / name).read_bytes()
    assert not (copies / ID / PENDING).exists()
    again, copied = take_home(home, copies)
    assert (again["added"], again["changed"], copied["changed"]) == (0, False, False)


def test_an_entry_noted_while_the_others_went_home_is_kept_for_the_next_run(home, copies):
    append(copies / ID, PENDING, [entry(1)])
    brought = bring(home, pending(copies))
    append(copies / ID, PENDING, [entry(2)])
    copied = refresh_copy(copies, ID, brought, False)
    assert "1 entry is still to be brought home" in copied["summary"]
    assert [item["id"] for item in pending(copies)] == ["run-2"]
    assert read_timeline(copies / ID, PENDING).defects == ()
    take_home(home, copies)
    assert [item.id for item in read_timeline(home / ID).entries] == ["run-1", "run-2"]


def test_two_operators_write_at_the_same_time_and_no_line_is_lost(home):
    threads = [threading.Thread(target=bring, args=(home, [as_dict(entry(number))])) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    timeline = read_timeline(home / ID)
    assert (len(timeline.entries), timeline.defects) == (8, ())


def test_a_copy_that_is_no_beginning_of_the_home_is_left_as_it_is_and_named(home, copies):
    append(copies / ID, PENDING, [entry(1)])
    take_home(home, copies)
    kept = (copies / ID / "timeline.jsonl").read_bytes()
    (home / ID / "timeline.jsonl").unlink()
    brought = bring(home, [as_dict(entry(9))])
    copied = refresh_copy(copies, ID, brought, False)
    assert (copied["outcome"], "one of them was rewritten" in copied["summary"]) == ("failed", True)
    assert (copies / ID / "timeline.jsonl").read_bytes() == kept


def test_a_damaged_line_at_home_is_named_and_keeps_nothing_from_being_recorded(home):
    bring(home, [as_dict(entry(1))])
    with open(home / ID / "timeline.jsonl", "ab") as file:
        file.write(b"garbage\n")
    brought = bring(home, [as_dict(entry(2))])
    assert (brought["outcome"], brought["added"], "DAMAGED: line 2" in brought["summary"]) == ("proven", 1, True)


def test_a_dry_run_and_an_id_that_is_not_on_record_leave_nothing(home, copies):
    append(copies / ID, PENDING, [entry(1)])
    before = sorted(copies.rglob("*"))
    brought = bring(home, pending(copies), dry_run=True)
    assert (brought["outcome"], home.exists()) == ("planned", False)
    assert refresh_copy(copies, ID, brought, True)["outcome"] == "planned"
    assert sorted(copies.rglob("*")) == before
    assert (bring(home)["outcome"], home.exists()) == ("proven", False)
    assert refresh_copy(copies.parent / "none", ID, bring(home), False)["outcome"] == "proven"
    assert not (copies.parent / "none").exists()


def test_only_its_owner_may_look_into_an_incident(home, copies):
    append(copies / ID, PENDING, [entry(1)])
    take_home(home, copies)
    for folder in (home / ID, copies / ID):
        assert folder.stat().st_mode & 0o777 == 0o700
        assert (folder / "timeline.jsonl").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/etc", "INC 1", "INC\n1", "-e", "a" * 200])
def test_an_id_that_leads_elsewhere_is_none(home, name):
    with pytest.raises(FolderError):
        incident_path(home, name)


def test_facts_become_part_of_the_record_with_an_entry_that_says_so_once(home):
    assert bring(home, facts={"a": {"b": 1}})["added"] == 1
    assert bring(home, facts={"a": {"b": 1}})["added"] == 0
    assert bring(home, facts={"a": {"c": 2}})["record"]["a"] == {"b": 1, "c": 2}
    assert bring(home, facts={"a": {"b": 3}})["added"] == 1
    assert bring(home, facts={"a": {"b": 1}})["record"]["a"]["b"] == 1, "set back, which is another entry"
    record = yaml.safe_load((home / ID / "incident.yml").read_text())
    assert record == project(ID, read_timeline(home / ID).entries)


def test_a_post_mortem_that_people_have_edited_is_never_overwritten(home, copies):
    first = bring(home, [as_dict(entry(1))], post_mortem="draft\n")
    refresh_copy(copies, ID, first, False)
    (copies / ID / "post_mortem.md").write_text("mine\n")
    (home / ID / "post_mortem.md").write_text("edited at home\n")
    again = bring(home, post_mortem="mine\n")
    refresh_copy(copies, ID, again, False)
    assert (again["post_mortem"], (copies / ID / "post_mortem.md").read_text()) == ("edited at home\n", "mine\n")


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


def test_what_a_person_has_set_holds_and_what_was_computed_stays():
    record = merge({"category": {"computed": {"letter": "A"}}}, {"severity": {"computed": {"level": "critical"}}})
    assert (category_of(record), severity_of(record)) == ("A", "critical")
    record = merge(record, {"category": {"set": {"letter": "E", "reason": "x"}}})
    assert (category_of(record), record["category"]["computed"]) == ("E", {"letter": "A"})
    assert (category_of({}), severity_of({"severity": "garbage"})) == ("", "")


def test_a_list_of_incidents_names_the_open_ones_and_what_is_damaged(home):
    assert observe(home, "")["summary"] == "no open incident"
    bring(home, [as_dict(entry(1, "detection", facts={"record": {"reason": "gaps"}}))])
    seen = observe(home, "")
    assert (seen["outcome"], seen["open"]) == ("proven", [ID])
    assert seen["lines"] == [f"OPEN  {ID}  since {NOW}  detection, severity not known, no category  gaps"]
    bring(home, [as_dict(entry(2, "closing", facts={"record": {"state": "closed"}}))])
    assert (observe(home, "")["open"], observe(home, ID)["incidents"][0]["state"]) == ([], "closed")
    (home / ID / "timeline.jsonl").write_bytes(b"garbage\n")
    assert (observe(home, "")["outcome"], observe(home, "INC-none")["outcome"]) == ("unknown", "unknown")


def test_a_manifest_that_the_timeline_vouches_for_is_listed(home):
    bring(home, [as_dict(entry(1, "evidence", facts={"manifests": {"lab1": "ab"}}))])
    assert observe(home, ID)["incidents"][0]["manifests"] == {"lab1": "ab"}
