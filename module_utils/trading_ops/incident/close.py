"""Closing an incident: what has to be known by then, and what the draft of the post-mortem is written from."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from ..core.clock import parse_utc
from ..core.result import build_result
from .folder import FolderError, incident_path, read_timeline
from .info import category_of, collected_manifests, severity_of
from .record import CATEGORIES, PHASES, SyncRequest, ensure_synced, merge, project
from .severity import measure_downtime
from .timeline import Entry, as_dict
from .trading_hours import parse_trading_hours

HOW: Final = (
    './runbook incident_close -e incident_id={} -e cause="why" -e actions="reno: what is done; anna: what else"'
)
_URL_CHARACTERS: Final = 6000
"""A tracker's address with a longer text in it is refused by most servers."""


@dataclass(frozen=True)
class Action:
    """What is done so that it does not come back, and by whom."""

    owner: str
    what: str


@dataclass(frozen=True)
class Request:
    """What anyone who closes says. Updates are lists of what is due; `tracker_url` has `{title}` and `{body}` in it."""

    incidents_path: Path
    incident_id: str
    cause: str
    actions: str
    updates: str
    documentation_due: Sequence[str]
    tracker_url: str
    trading_hours: Sequence[str]
    by: str
    origin: str


def parse_actions(text: str) -> tuple[Action, ...]:
    """Return the actions of `owner: what; owner: what`. ValueError where there is none, or one without an owner."""
    found = []
    for part in filter(None, (part.strip() for part in text.split(";"))):
        owner, colon, what = (word.strip() for word in part.partition(":"))
        if not (owner and colon and what):
            raise ValueError(f"{part!r} does not say who does it: owner: what")
        found.append(Action(owner, what))
    if not found:
        raise ValueError("there is no action, and no owner of one")
    return tuple(found)


def ensure_closed(request: Request, now: str, dry_run: bool) -> dict[str, Any]:
    """Return the module result: closed, with `post_mortem` for the draft, or `refused`. Never raises."""
    how = HOW.format(request.incident_id)
    try:
        folder = incident_path(request.incidents_path, request.incident_id)
        entries = read_timeline(folder).entries
        record = project(request.incident_id, entries)
        if not entries:
            return _result(
                "refused", f"Nothing is on record of {request.incident_id}.", next_command="./runbook incident_info"
            )
        if record["state"] == "closed":
            text = f"{request.incident_id} is closed since {record.get('closed_at', 'before')}"
            return _result("planned" if dry_run else "proven", text, post_mortem=_draft(request, record, entries, now))
        if error := _find_missing(request, record):
            if not (category_of(record) and severity_of(record)):
                how = f"./runbook incident_classify -e incident_id={request.incident_id}"
            return _result("refused", f"{request.incident_id} stays open: {error}.", next_command=how)
        closing = _closing(request, parse_actions(request.actions), now)
        sync = SyncRequest(request.incidents_path, request.incident_id, [as_dict(closing)], {}, "", request.by, "")
        written = ensure_synced(sync, now, dry_run)
    except ValueError as error:
        return _result("refused", f"{request.incident_id} stays open: {error}.", next_command=how)
    except FolderError as error:
        return _result("failed", str(error))
    if written["outcome"] == "failed":
        return _result("failed", written["summary"])
    record = merge(record, (closing.facts or {})["record"])
    draft = _draft(request, record, [*entries, closing], now)
    text = (
        f"{request.incident_id} closed, {len(draft['actions'])} actions with owners; draft in {folder}/post_mortem.md"
    )
    return _result(
        "planned" if dry_run else "proven", text, changed=True, post_mortem=draft, lines=_lines(request, draft)
    )


def _find_missing(request: Request, record: Mapping[str, Any]) -> str:
    parts = []
    if not category_of(record):
        parts.append("it has no category")
    if not severity_of(record):
        parts.append("its severity is not known")
    if not request.cause.strip():
        parts.append("nobody has said the cause")
    return "; ".join(parts)


def _closing(request: Request, actions: Sequence[Action], now: str) -> Entry:
    added = {
        "state": "closed",
        "closed_at": now,
        "closed_by": request.by,
        "phase": PHASES[-1],
        "cause": request.cause,
        "actions": [asdict(action) for action in actions],
        "updates_due": _updates(request),
    }
    return Entry(
        id=f"closing-{request.incident_id}",
        at=now,
        recorded_at=now,
        kind="closing",
        step="5.4 Close the incident",
        outcome="proven",
        text=f"Closed. Cause: {request.cause}",
        by=request.by,
        origin=request.origin,
        facts={"record": added},
    )


def _draft(request: Request, record: Mapping[str, Any], entries: Sequence[Entry], now: str) -> dict[str, Any]:
    """Return what the template of the post-mortem shows, every text safe in a cell of a Markdown table."""
    windows = parse_trading_hours(list(request.trading_hours))
    downtime = measure_downtime(entries, windows, parse_utc(now))
    measured = record.get("measured") or {}
    letter = category_of(record)
    actions = [{key: _cell(value) for key, value in item.items()} for item in record.get("actions", [])]
    return {
        "id": record["id"],
        "opened_at": record["opened_at"],
        "closed_at": record.get("closed_at", ""),
        "reason": _cell(record.get("reason", "")),
        "category": f"{letter}, {CATEGORIES.get(letter, 'unknown')}",
        "category_why": _cell(_why(record, "category", "why")),
        "severity": severity_of(record),
        "severity_why": _cell(_why(record, "severity", "reasons")),
        "cause": _cell(record.get("cause", "")),
        "downtime": "not known" if downtime is None else f"{downtime / 60:.1f} min in trading hours",
        "loss": "not known" if measured.get("loss_percent") is None else f"{measured['loss_percent']:.3g} %",
        "checks_failed": [_cell(text) for text in measured.get("checks_failed", [])],
        "timeline": [_row(entry) for entry in sorted(entries, key=lambda entry: entry.at)],
        "evidence": sorted(collected_manifests(entries)),
        "actions": actions,
        "updates_due": [_cell(item) for item in record.get("updates_due", [])],
        "backlog": [
            {"text": f"- [ ] {item['what']} ({item['owner']}, {record['id']})", "url": _url(request, record, item)}
            for item in actions
        ],
    }


def _row(entry: Entry) -> dict[str, str]:
    texts = {"at": entry.at, "kind": entry.kind, "step": entry.step, "outcome": entry.outcome}
    return {key: _cell(value) for key, value in (texts | {"text": entry.text, "by": entry.by}).items()}


def _updates(request: Request) -> list[str]:
    given = [part.strip() for part in request.updates.split(";") if part.strip()]
    return given + [f"strategy documentation, for {item}" for item in request.documentation_due]


def _why(record: Mapping[str, Any], what: str, name: str) -> str:
    judged = record.get(what) or {}
    given = judged.get("set") or {}
    computed = (judged.get("computed") or {}).get(name, "")
    computed = "; ".join(computed) if isinstance(computed, list) else str(computed)
    return f"{given['reason']} (set by {given['by']}; computed: {computed})" if given else computed


def _url(request: Request, record: Mapping[str, Any], action: Mapping[str, str]) -> str:
    """Return the tracker's address that opens a new issue with this action in it, empty without a tracker."""
    if not request.tracker_url:
        return ""
    body = f"Owner: {action['owner']}\nIncident: {record['id']}\nCause: {record.get('cause', '')}"
    filled = request.tracker_url.replace("{title}", quote(action["what"], safe=""))
    return filled.replace("{body}", quote(body, safe=""))[:_URL_CHARACTERS]


def _lines(request: Request, draft: Mapping[str, Any]) -> list[str]:
    lines = [f"update due: {item}" for item in draft["updates_due"]]
    return lines + [f"backlog: {item['text']} {item['url']}".rstrip() for item in draft["backlog"]]


def _cell(text: object) -> str:
    """Return text that stays text in a cell of a Markdown table: one line, no HTML, no cell, no link, no control."""
    line = "".join(char for char in " ".join(str(text).split()) if char.isprintable())
    return re.sub(r"([\\`*_\[\]|#])", r"\\\1", html.escape(line, quote=False))


def _result(outcome: str, summary: str, **fields: Any) -> dict[str, Any]:
    return build_result(outcome, summary, **{"post_mortem": {}, "lines": []} | fields)
