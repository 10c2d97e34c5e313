"""The list of incidents: which are open, and what of them is damaged."""

from __future__ import annotations

import pytest
from trading_ops.incident.info import category_of, observe, severity_of
from trading_ops.incident.record import merge
from trading_ops.incident.timeline import as_dict

from tests.unit.incident.test_record import ID, NOW, bring, entry


@pytest.fixture
def primary(tmp_path):
    return tmp_path / "primary"


def test_what_a_person_has_set_holds_and_what_was_computed_stays():
    record = merge({"category": {"computed": {"letter": "A"}}}, {"severity": {"computed": {"level": "critical"}}})
    assert (category_of(record), severity_of(record)) == ("A", "critical")
    record = merge(record, {"category": {"set": {"letter": "E", "reason": "x"}}})
    assert (category_of(record), record["category"]["computed"]) == ("E", {"letter": "A"})
    assert (category_of({}), severity_of({"severity": "garbage"})) == ("", "")


def test_a_list_of_incidents_names_the_open_ones_and_what_is_damaged(primary):
    assert observe(primary, "")["summary"] == "no open incident"
    bring(primary, [as_dict(entry(1, "detection", facts={"record": {"reason": "gaps"}}))])
    seen = observe(primary, "")
    assert (seen["outcome"], seen["open"]) == ("proven", [ID])
    assert seen["lines"] == [f"OPEN  {ID}  since {NOW}  detection, severity not known, no category  gaps"]
    bring(primary, [as_dict(entry(2, "closing", facts={"record": {"state": "closed"}}))])
    assert (observe(primary, "")["open"], observe(primary, ID)["incidents"][0]["state"]) == ([], "closed")
    (primary / ID / "timeline.jsonl").write_bytes(b"garbage\n")
    assert (observe(primary, "")["outcome"], observe(primary, "INC-none")["outcome"]) == ("unknown", "unknown")


def test_a_rehearsal_is_no_open_incident_and_is_seen_by_its_name(primary):
    name = "incident_test_20261121-013000"
    (primary / name).mkdir(parents=True)
    assert (observe(primary, "")["summary"], observe(primary, "")["incidents"]) == ("no open incident", [])
    assert observe(primary, name)["incidents"][0]["id"] == name


def test_a_manifest_that_the_timeline_vouches_for_is_listed(primary):
    bring(primary, [as_dict(entry(1, "evidence", facts={"manifests": {"lab1": "ab"}}))])
    assert observe(primary, ID)["incidents"][0]["manifests"] == {"lab1": "ab"}
