"""Whom to notify next of an incident: the estate's contacts in their order, less those who were notified already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.result import OperationError, build_result
from .folder import TIMELINE, UNSYNCED, FolderError, incident_path, read_timeline
from .timeline import Entry


@dataclass(frozen=True)
class Attempt:
    """One time that somebody was told of the incident. `outcome` is `proven` where every channel took it."""

    contact: str
    at: str
    outcome: str


def find_attempts(entries: Iterable[Entry]) -> tuple[Attempt, ...]:
    """Return who was told, oldest first, out of an incident's timeline."""
    notified = (
        (entry, str((entry.facts or {}).get("contact") or "")) for entry in entries if entry.kind == "notification"
    )
    return tuple(Attempt(contact, entry.at, entry.outcome) for entry, contact in notified if contact)


def select_contact(contacts: Sequence[str], attempts: Sequence[Attempt], wanted: str = "") -> str:
    """Return whom to tell: the wanted one, else the first whom nobody tried yet. Raises OperationError.

    One who was not reached is not tried again by itself: anyone who escalates needs somebody who answers.
    """
    if not contacts:
        raise OperationError("No contact is configured (trading_core_contacts), so there is nobody to notify.", "usage")
    if wanted:
        if wanted not in contacts:
            raise OperationError(f"{wanted!r} is no contact; there are: {', '.join(contacts)}.", "usage")
        return wanted
    tried = {attempt.contact for attempt in attempts}
    for contact in contacts:
        if contact not in tried:
            return contact
    raise OperationError(
        f"Every contact was notified already: {_describe(attempts)}. Name one to tell again: -e contact={contacts[0]}",
        "refused",
    )


def observe(incidents_path: Path, incident_id: str, contacts: Sequence[str], wanted: str) -> dict[str, Any]:
    """Return the module result: who is next, and who was told when. Never raises."""
    try:
        folder = incident_path(incidents_path, incident_id)
        known: dict[str, Entry] = {}
        for name in (TIMELINE, UNSYNCED):
            known |= {entry.id: entry for entry in read_timeline(folder, name).entries}
        attempts = find_attempts(known.values())
        contact = select_contact(contacts, attempts, wanted)
    except FolderError as error:
        return _result("failed", str(error))
    except OperationError as error:
        return _result(error.outcome, str(error), next_command=error.next_command)
    before = f"; notified before: {_describe(attempts)}" if attempts else ""
    summary = f"next is {contact} ({contacts.index(contact) + 1} of {len(contacts)}){before}"
    return _result("proven", summary, contact, contacts.index(contact), attempts)


def _describe(attempts: Sequence[Attempt]) -> str:
    return ", ".join(
        f"{item.contact} {item.at}" + ("" if item.outcome == "proven" else " (not on every channel)")
        for item in attempts
    )


def _result(
    outcome: str,
    summary: str,
    contact: str = "",
    index: int = 0,
    attempts: Sequence[Attempt] = (),
    next_command: str = "",
) -> dict[str, Any]:
    notified = [{"contact": item.contact, "at": item.at, "outcome": item.outcome} for item in attempts]
    return build_result(outcome, summary, next_command=next_command, contact=contact, index=index, told=notified)
