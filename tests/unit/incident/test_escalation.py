"""Whom to tell next: in the inventory's order, each once, unless somebody is named."""

from __future__ import annotations

import pytest
from trading_ops.core.result import OperationError
from trading_ops.incident.escalation import Attempt, observe, select_contact
from trading_ops.incident.folder import TIMELINE, UNSYNCED, append
from trading_ops.incident.timeline import Entry

CONTACTS = ["Anna", "Bo", "Cy"]


def told(contact: str, outcome: str = "proven", minute: int = 0) -> Attempt:
    return Attempt(contact, f"2026-11-21T08:{minute:02}:00.000Z", outcome)


def entry(number: int, contact: str, outcome: str = "proven", kind: str = "notification") -> Entry:
    at = f"2026-11-21T08:{number:02}:00.000Z"
    facts = {"contact": contact}
    return Entry(
        id=f"e-{number}", at=at, recorded_at=at, kind=kind, text="x", by="r", origin="r@x", outcome=outcome, facts=facts
    )


@pytest.mark.parametrize(
    ("attempts", "expected"),
    [
        ([], "Anna"),
        ([told("Anna")], "Bo"),
        ([told("Anna", "failed")], "Bo"),
        ([told("Bo")], "Anna"),
        ([told("Anna"), told("Bo"), told("Dorthe")], "Cy"),
    ],
)
def test_the_first_whom_nobody_tried_yet_is_next(attempts, expected):
    assert select_contact(CONTACTS, attempts) == expected


def test_somebody_in_particular_is_told_again():
    assert select_contact(CONTACTS, [told("Anna")], "Anna") == "Anna"


@pytest.mark.parametrize(
    ("contacts", "attempts", "wanted", "outcome", "why"),
    [
        ([], [], "", "usage", "No contact is configured"),
        (CONTACTS, [], "Dorthe", "usage", "'Dorthe' is no contact; there are: Anna, Bo, Cy"),
        (["Anna"], [told("Anna", "failed")], "", "refused", "Anna 2026-11-21T08:00:00.000Z .not on every channel."),
    ],
)
def test_nobody_left_or_nobody_known_is_said_with_who_was_told_when(contacts, attempts, wanted, outcome, why):
    with pytest.raises(OperationError, match=why) as refused:
        select_contact(contacts, attempts, wanted)
    assert refused.value.outcome == outcome


def test_who_was_told_is_read_from_home_and_from_what_waits_here(tmp_path):
    folder = tmp_path / "INC-1"
    append(folder, TIMELINE, [entry(1, "Anna"), entry(2, "", "failed"), entry(3, "Bo", kind="note")])
    append(folder, UNSYNCED, [entry(1, "Anna"), entry(4, "Bo", "failed")])
    seen = observe(tmp_path, "INC-1", CONTACTS, "")
    assert (seen["outcome"], seen["contact"], seen["index"]) == ("proven", "Cy", 2)
    assert [item["contact"] for item in seen["told"]] == ["Anna", "Bo"]
    assert seen["summary"] == (
        "next is Cy (3 of 3); notified before: Anna 2026-11-21T08:01:00.000Z, "
        "Bo 2026-11-21T08:04:00.000Z (not on every channel)"
    )


def test_an_incident_that_nobody_noted_anything_of_begins_with_the_first_contact(tmp_path):
    assert observe(tmp_path, "INC-2", CONTACTS, "")["contact"] == "Anna"


def test_an_id_that_is_none_is_a_failure(tmp_path):
    assert observe(tmp_path, "../x", CONTACTS, "")["outcome"] == "failed"
