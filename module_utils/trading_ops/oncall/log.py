"""What happened from shift to shift, kept on the control host: begins, alerts taken, handovers. Append only.

`<state path>/shift/log.jsonl`, one JSON object a line with `at` (ISO 8601 UTC), `kind`, `by` and what belongs to the
kind; and beside it the points of the last report, to compare the next one with.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from ..core.clock import format_utc, parse_utc
from ..core.durable import append_durably, bounded, write_durably
from ..core.locks import locked
from ..core.result import build_result
from ..core.strict_json import object_lines, parse_json
from ..release.pause import read_pause

FOLDER: Final = "shift"
LOG_FILE: Final = "log.jsonl"
REPORT_FILE: Final = "last_report.json"
RELEASES_FILE: Final = "releases.jsonl"

KINDS: Final = {
    "shift_started": frozenset({"outcome"}),
    "alert_taken": frozenset({"fingerprint", "alertname", "starts_at", "next"}),
    "handover": frozenset({"id", "since", "outcome"}),
    "handover_accepted": frozenset({"id"}),
}
"""What each kind of entry has to say besides when and by whom."""

MORE: Final = frozenset({"labels", "summary", "since"})
"""What an entry keeps too where it is given. The rest of an alert or a report is not kept here."""

SAME_SHIFT: Final = timedelta(hours=6)
"""A shift that began no longer ago than this is still the present one: a second look explains nothing."""

READ_SECONDS: Final = 2
WRITE_SECONDS: Final = 5


class ShiftLogError(Exception):
    """An entry that cannot be written down. The text is a sentence."""


def parse_lines(text: str) -> tuple[list[dict[str, Any]], list[int]]:
    """Return the objects of a file with one a line, and the numbers of lines that are none. Never raises."""
    found, damaged = [], []
    for number, line in enumerate(object_lines(text), 1):
        try:
            entry = parse_json(line)
            if not isinstance(entry, dict):
                raise ValueError("no object")
            found.append(entry)
        except ValueError:
            damaged.append(number)
    return found, damaged


def build_entry(kind: str, by: str, at: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry. Raises ShiftLogError for one that says too little."""
    if kind not in KINDS:
        raise ShiftLogError(f"{kind!r} is no kind of entry: {', '.join(sorted(KINDS))}.")
    if not by.strip():
        raise ShiftLogError("An entry names a person.")
    missing = sorted(name for name in KINDS[kind] if not str(facts.get(name, "")).strip())
    if missing:
        raise ShiftLogError(f"An entry of the kind {kind} says {', '.join(missing)}.")
    kept = {name: value for name, value in facts.items() if name in KINDS[kind] | MORE}
    return {**kept, "at": at, "kind": kind, "by": by}


def last(entries: Sequence[Mapping[str, Any]], kind: str) -> Mapping[str, Any]:
    """Return the last entry of a kind; empty for none."""
    return next((entry for entry in reversed(entries) if entry.get("kind") == kind), {})


def shift_began(entries: Sequence[Mapping[str, Any]], now: datetime) -> str:
    """Return when the shift began that a handover tells of; empty where nothing says so.

    That is when the last handover was accepted. Where none ever was it is the last begin that is no second look.
    """
    if accepted := last(entries, "handover_accepted"):
        return str(accepted.get("at", ""))
    first = next((entry for entry in entries if entry.get("kind") == "shift_started"), {})
    return max(_begins(entries, now), default=str(first.get("at", "")))


def explained_until(entries: Sequence[Mapping[str, Any]], now: datetime) -> str:
    """Return until when restarts need no explanation any more; empty where nothing says so.

    That is the begin of the shift before this one, or later what somebody said with `since` at a begin.
    """
    began = [entry for entry in entries if entry.get("kind") == "shift_started"]
    # Nobody knows beforehand what will restart.
    given = [min(str(entry["since"]), str(entry.get("at", ""))) for entry in began if entry.get("since")]
    return max([*_begins(entries, now), *given], default="")


def _begins(entries: Sequence[Mapping[str, Any]], now: datetime) -> list[str]:
    times = [str(entry.get("at", "")) for entry in entries if entry.get("kind") == "shift_started"]
    return [time for time in times if time < format_utc(now - SAME_SHIFT)]


def select_new(known: Sequence[Mapping[str, Any]], entries: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the entries that say something new: who took an alert, or a shift, has done so once."""
    return [entry for entry in entries if _essence(entry) not in [_essence(each) for each in _of_same(known, entry)]]


def _of_same(known: Sequence[Mapping[str, Any]], entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what an entry could repeat: of an alert only who took it last, of a handover who accepted it."""
    same = [each for each in known if each.get("kind") == entry["kind"]]
    if entry["kind"] != "alert_taken":
        return same
    return [each for each in same if each.get("fingerprint") == entry["fingerprint"]][-1:]


def _essence(entry: Mapping[str, Any]) -> dict[str, Any]:
    is_once = entry.get("kind") in {"alert_taken", "handover_accepted"}
    return {name: value for name, value in entry.items() if not (is_once and name == "at")}


def observe(state_path: Path, now: datetime) -> dict[str, Any]:
    """Return the module result: all entries, what they add up to, and the releases. Never raises."""
    problems: list[str] = []
    entries = _read(state_path / FOLDER / LOG_FILE, problems)
    releases = _read(state_path / RELEASES_FILE, problems)
    try:
        text = bounded((state_path / FOLDER / REPORT_FILE).read_text, READ_SECONDS)
        report = parse_json(text)
    except FileNotFoundError:
        report = {}
    except (OSError, ValueError) as error:
        report = {}
        problems.append(f"The last report cannot be read: {error}")
    handover, accepted = last(entries, "handover"), last(entries, "handover_accepted")
    began = last(entries, "shift_started")
    summary = f"last shift began {began['at']} by {began['by']}" if began else "no shift is on record"
    return build_result(
        "unknown" if problems else "proven",
        "; ".join([summary, *problems]),
        trouble=problems,
        entries=entries,
        takes=[entry for entry in entries if entry.get("kind") == "alert_taken"],
        shift_began=shift_began(entries, now),
        explained_until=explained_until(entries, now),
        waiting_handover=dict(handover) if handover and handover.get("id") != accepted.get("id") else {},
        last_report=report if isinstance(report, dict) else {},
        releases=releases,
        pause=pause.sentence() if (pause := read_pause(state_path)) else "",
    )


def keep(state_path: Path, params: Mapping[str, Any], now: str, dry_run: bool) -> dict[str, Any]:
    """Return the module result of keeping what a module's parameters say. Never raises."""
    common, facts = params["common"], params["facts"]
    if params["kind"] == "handover_accepted" and not facts:
        facts = [observe(state_path, parse_utc(now))["waiting_handover"]]
        if "id" not in facts[0]:
            return build_result("refused", "No handover waits for anybody.", next_command="./runbook handover")
    try:
        entries = [build_entry(params["kind"], params["by"], now, {**each, **common}) for each in facts]
    except ShiftLogError as error:
        return build_result("usage", str(error))
    return ensure_written(state_path, entries, params["report"], dry_run)


def ensure_written(
    state_path: Path, entries: Sequence[Mapping[str, Any]], report: Mapping[str, Any], dry_run: bool
) -> dict[str, Any]:
    """Return the module result: the entries are on record, and `report` (empty: none) is the last one. Never raises.

    What was said before is not written again.
    """
    folder = state_path / FOLDER

    def write() -> int:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        with locked(folder, "log"):
            text = _text(folder / LOG_FILE)
            new = select_new(parse_lines(text)[0], entries)
            if new:
                # A line that a crash cut off must not swallow the next one.
                cut = "\n" if text and not text.endswith("\n") else ""
                lines = (json.dumps(entry, ensure_ascii=False, sort_keys=True) for entry in new)
                append_durably(folder / LOG_FILE, cut + "".join(f"{line}\n" for line in lines))
            if report:
                write_durably(folder / REPORT_FILE, json.dumps(report, ensure_ascii=False) + "\n")
            if select_new(parse_lines(_text(folder / LOG_FILE))[0], new):
                raise OSError(f"{folder / LOG_FILE} does not hold what was written to it")
            return len(new)

    try:
        summary = "; ".join(map(_describe, entries))
        for entry in entries:
            parse_utc(str(entry["at"]))
        if dry_run:
            is_new = bool(report or select_new(parse_lines(_text(folder / LOG_FILE))[0], entries))
            return build_result("planned", f"would keep on record: {summary}", changed=is_new)
        added = bounded(write, WRITE_SECONDS)
    except (OSError, ValueError, KeyError) as error:
        return build_result(
            "failed", f"The record of shifts could not be written: {error}", next_command=f"ls -la {folder}"
        )
    return build_result("proven", summary, changed=bool(added))


def _describe(entry: Mapping[str, Any]) -> str:
    if entry["kind"] == "alert_taken":
        return f"{entry['by']} is on {entry['alertname']} ({str(entry['fingerprint'])[:8]}): {entry['next']}"
    if entry["kind"] == "handover_accepted":
        return f"{entry['by']} has taken over {entry['id']}"
    return f"{entry['kind'].replace('_', ' ')} by {entry['by']} at {entry['at']}"


def _read(path: Path, problems: list[str]) -> list[dict[str, Any]]:
    try:
        entries, damaged = parse_lines(bounded(lambda: _text(path), READ_SECONDS))
    except OSError as error:
        problems.append(f"{path} could not be read: {error}")
        return []
    if damaged:
        problems.append(f"{path} cannot be understood in line {', '.join(map(str, damaged))}")
    return entries


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
