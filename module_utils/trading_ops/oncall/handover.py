"""What the next person on call has to know, put together from what is on record: nobody has to type it.

It is complete where everything that is open has somebody on it and a next step. What is not stands first.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from ..alerts.info import describe_labels
from ..checks.rules import WATCHDOG
from ..core.clock import format_utc, parse_utc
from ..core.result import build_result
from ..report.page import html_table, markdown, markdown_table, page, plain, write_files
from .alert_findings import parse_silence, stops_silenced, who_has
from .findings import halted_off_record
from .open_orders import FIX, venue_words

A_SHIFT: Final = timedelta(hours=12)
"""What is told of where nobody knows when the shift began, and how soon a silence ends for the next one."""

HEADS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "open": ("Open, and nobody's or without a next step", ("what", "what is missing", "what to do")),
    "unknown": ("Not known", ("what", "why")),
    "incidents": ("Incidents", ("id", "since", "state", "on it", "next step", "what")),
    "alerts": ("Alerts that fire", ("alert", "since", "on it", "next step", "what")),
    "resolved": ("Alerts that are over", ("alert", "from", "until")),
    "silences": ("Silences", ("what", "until", "by", "why", "")),
    "status": ("Feed and bots", ("what", "state")),
    "changes": ("Changes, mitigations, deploys", ("when", "where", "by", "what")),
    "updates": ("Runbook and documentation updates due", ("what",)),
    "backlog": ("Backlog items to create", ("what",)),
}
"""Title and head of each table, in their order."""

_BOT_CHECKS: Final = ("pnl_day", "drawdown", "tracking_error", "risk_limit")
_EVENTS: Final = frozenset(
    {"lease taken", "engaged", "released", "trading configuration changed", "stopped while halted"}
)


def build_record(params: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Return the handover as plain values, which is also its JSON. ValueError for a `since` that is none."""
    shift = params["shift"]
    since = params["since"] or shift.get("shift_began") or format_utc(now - A_SHIFT)
    parse_utc(since)
    tables: dict[str, list[tuple[str, ...]]] = {
        "open": [*_open_incidents(params), *_open_alerts(params), *_open_orders(params)],
        "unknown": list(_unknown(params)),
        "incidents": list(_incidents(params, since)),
        "alerts": list(_alerts(params)),
        "resolved": list(_resolved(params)),
        "silences": list(_silences(params, now)),
        "status": list(_status(params)),
        "changes": sorted(_changes(params, since)),
        "updates": sorted(set(_updates(params, since))),
        "backlog": list(_backlog(params, since)),
    }
    outcome = "failed" if tables["open"] else "unknown" if tables["unknown"] else "proven"
    return {
        "format": 1,
        "id": f"HANDOVER-{now:%Y%m%d-%H%M%S}",
        "generated_at": format_utc(now),
        "by": params["by"],
        "estate": params["estate"],
        "since": since,
        "outcome": outcome,
        "summary": _summary(tables),
        "tables": {
            name: [[plain(cell) if cell else "" for cell in row] for row in rows] for name, rows in tables.items()
        },
    }


def write_handover(params: Mapping[str, Any], now: datetime, dry_run: bool) -> dict[str, Any]:
    """Return the module result of the handover, written below `reports_path` and read back. Never raises."""
    try:
        record = build_record(params, now)
    except ValueError as error:
        return _result({"outcome": "usage", "summary": f"since: {error}", "tables": {}}, "")
    name = str(record["id"]).lower().replace("-", "_", 1)
    folder = Path(params["reports_path"]) / name
    if dry_run:
        return _result({**record, "summary": f"{record['summary']}; would write {folder}"}, "")
    files = {
        f"{name}/handover.html": render_html(record),
        f"{name}/handover.md": render_markdown(record),
        f"{name}/handover.json": json.dumps(record, indent=1, ensure_ascii=False) + "\n",
    }
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        write_files(folder.parent, files)
    except OSError as error:
        text = f"{record['summary']}; the handover could not be written: {error}"
        return _result({**record, "outcome": "failed", "summary": text}, "")
    return _result({**record, "summary": f"{record['summary']}; handover: {folder / 'handover.md'}"}, str(folder))


def render_markdown(record: Mapping[str, Any]) -> str:
    """Return the handover as Markdown, for a chat or a repository."""
    parts = [
        f"# Handover, {markdown(plain(record['estate']))}\n\n**{_verdict(record)}**\n\n{markdown(_about(record))}\n"
    ]
    for name, (title, head) in HEADS.items():
        parts.append(f"\n## {title}\n\n{markdown_table(head, record['tables'][name])}")
    return "".join(parts)


def render_html(record: Mapping[str, Any]) -> str:
    """Return the handover as one page."""
    parts = [f"<h1>Handover, {html.escape(plain(record['estate']))}</h1>"]
    parts.append(f'<p class="verdict">{html.escape(_verdict(record))}</p><p>{html.escape(_about(record))}</p>')
    for name, (title, head) in HEADS.items():
        parts.append(f"<h2>{html.escape(title)}</h2>{html_table(head, record['tables'][name])}")
    return page(f"Handover {record['generated_at']}", parts)


def _open_incidents(params: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    if "incidents" in params["incidents"]:
        yield from halted_off_record(params["hosts"], params["incidents"])
    for each in params["incidents"].get("incidents", []):
        missing = [
            text for name, text in (("owner", "an owner"), ("next_step", "a next step")) if not _recorded(each, name)
        ]
        if each["state"] == "open" and missing:
            say = f'./runbook incident_note -e incident_id={each["id"]} -e owner=NAME -e next_step="…" -e text="…"'
            yield each["id"], " and ".join(missing), say


def _open_alerts(params: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for alert in _firing(params):
        if alert["labels"].get("severity") not in {"warning", "none"} and not who_has(alert, _takes(params)):
            take = f'./runbook alert_take -e alert={alert["fingerprint"][:8]} -e next_step="…"'
            yield f"alert {_name(alert)}", "somebody on it", take


def _open_orders(params: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for each in venue_words(params):
        if each.is_nobodys:
            yield f"{each.count} open at {each.url}", "a bot that runs and would look after it", FIX


def _unknown(params: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for host, status in params["hosts"].items():
        if "containers" not in status:
            yield host, f"it did not answer: {status.get('msg') or 'no result'}"
        for sentence in status.get("trouble", []):
            yield host, sentence
        if damage := (status.get("latch") or {}).get("damaged"):
            yield f"{host}: halt", damage
    for each in venue_words(params):
        if each.count is None:
            yield f"orders at {each.url}", each.text
    for what, results in (("checks", params["checks"]), ("alerts", params["alerts"]), ("history", params["history"])):
        for host, result in results.items():
            if not result.get("checks") and not (what != "checks" and result.get("outcome") == "proven"):
                yield f"{what} on {host}", str(result.get("summary") or result.get("msg") or "no result")
    for what, key, result in (("incidents", "incidents", params["incidents"]), ("shifts", "entries", params["shift"])):
        if key not in result:
            yield f"{what} on record", str(result.get("msg") or "no result")
        elif result["outcome"] != "proven":
            yield f"{what} on record", result["summary"]


def _incidents(params: Mapping[str, Any], since: str) -> Iterator[tuple[str, ...]]:
    for each in params["incidents"].get("incidents", []):
        closed_at = str(each["record"].get("closed_at", ""))
        if each["state"] == "open" or max(closed_at, each["opened_at"]) >= since:
            state = f"closed at {closed_at}" if each["state"] == "closed" else f"open, {each['phase']}"
            text = f"{each['severity'] or 'severity not known'}: {each['reason']}"
            owner, next_step = _recorded(each, "owner") or "nobody", _recorded(each, "next_step") or "none"
            yield each["id"], each["opened_at"], state, owner, next_step, text


def _alerts(params: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for alert in _firing(params):
        own = who_has(alert, _takes(params))
        text = f"{alert['labels'].get('severity', '')}: {alert['annotations'].get('summary', '')}"
        text += ", silenced" if alert["silenced_by"] else ""
        yield _name(alert), alert["starts_at"], str(own.get("by", "nobody")), str(own.get("next", "none")), text


def _resolved(params: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for result in params["history"].values():
        for each in result.get("alerts", []):
            if not each["fires"]:
                yield f"{each['alertname']} {each['about']}".strip(), each["from"], each["until"]


def _silences(params: Mapping[str, Any], now: datetime) -> Iterator[tuple[str, ...]]:
    for result in params["alerts"].values():
        for each in result.get("silences", []):
            silence = parse_silence(each)
            notes = ["ENDS IN THE NEXT SHIFT"] if parse_utc(silence.ends_at) - now <= A_SHIFT else []
            if stops := stops_silenced(params["alerts"], params["checks"], silence):
                notes.append(f"SILENCES WHAT STOPS TRADING: {', '.join(stops)}")
            yield silence.describe(), silence.ends_at, silence.created_by, silence.comment, ", ".join(notes)


def _status(params: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    checks = [check for result in params["checks"].values() for check in result.get("checks", [])]
    for text, groups in (("feed", {"feed", "data_quality"}), ("bots", {"bots", "strategy"})):
        own = [check for check in checks if check["group"] in groups]
        bad = [f"{check['id']} {check['outcome']}: {check['reason']}" for check in own if check["outcome"] != "pass"]
        counted = f"{len(own) - len(bad)} of {len(own)} checks pass" if own else "not known"
        yield f"checks of the {text}", "; ".join([counted, *bad])
    for check in checks:
        if check["id"].endswith(_BOT_CHECKS):
            value = "no value" if check["value"] is None else f"{check['value']:.6g} {check['unit']}"
            yield check["title"], f"{value}, must be {check['condition']} {check['threshold']:.6g}: {check['outcome']}"
    for word in venue_words(params):
        yield f"orders at {word.url}", word.text
    yield "deploys", params["shift"].get("pause") or "not paused" if "pause" in params["shift"] else "not known"
    for host, status in params["hosts"].items():
        if latch := status.get("latch"):
            yield (
                f"{host}: halt",
                f"ENGAGED ({latch['scope']}) since {latch['since']} by {latch['by']}: {latch['reason']}",
            )
        for each in status.get("containers", []):
            if each["service"] in {"live_connector", "bot"}:
                yield f"{host}: {each['project']}/{each['service']}", f"{each['state']} {each['health']}".strip()


def _changes(params: Mapping[str, Any], since: str) -> Iterator[tuple[str, ...]]:
    for host, status in params["hosts"].items():
        for each in status.get("audit", []):
            if each["event"] in _EVENTS and each["time"] >= since:
                text = each.get("purpose") or each.get("why") or each.get("reason") or ""
                yield each["time"], host, each["by"], f"{each['event']}: {text}".removesuffix(": ")
        for each in status.get("drift", []):
            if each["time"] >= since:
                text = f"{each['key']} {each['before']} -> {each['after']}: {each['why']}"
                yield each["time"], host, each["by"], text
    for each in params["incidents"].get("incidents", []):
        for done in each["mitigations"]:
            if done["at"] >= since:
                yield done["at"], each["id"], done["by"], f"mitigation: {done['text']}"
    for each in params["shift"].get("releases", []):
        if str(each.get("at", "")) >= since:
            text = f"{each.get('id')} {each.get('result')}: {each.get('revision')}"
            yield str(each.get("at")), ", ".join(map(str, each.get("hosts", []))), str(each.get("by")), text


def _updates(params: Mapping[str, Any], since: str) -> Iterator[tuple[str, ...]]:
    for status in params["hosts"].values():
        if due := status.get("documentation_due"):
            yield (due,)
    for each in params["incidents"].get("incidents", []):
        if str(each["record"].get("closed_at", "")) >= since:
            for item in each["record"].get("updates_due", []):
                yield (f"{item} ({each['id']})",)


def _backlog(params: Mapping[str, Any], since: str) -> Iterator[tuple[str, ...]]:
    if pause := params["shift"].get("pause"):
        yield (f"- [ ] find the cause, then lift the pause: {pause}",)
    for each in params["incidents"].get("incidents", []):
        if str(each["record"].get("closed_at", "")) >= since:
            for action in each["record"].get("actions", []):
                yield (f"- [ ] {action['what']} ({action['owner']}, {each['id']})",)
        elif each["state"] == "open":
            yield (
                f"- [ ] {each['reason'] or 'no reason given'} ({_recorded(each, 'owner') or 'nobody'}, {each['id']})",
            )


def _firing(params: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = [alert for result in params["alerts"].values() for alert in result.get("alerts", [])]
    return [alert for alert in found if alert["labels"].get("alertname") != WATCHDOG]


def _takes(params: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    takes: Sequence[Mapping[str, Any]] = params["shift"].get("takes", [])
    return takes


def _name(alert: Mapping[str, Any]) -> str:
    return f"{alert['labels'].get('alertname', '')} {describe_labels(alert['labels'])}".strip()


def _recorded(incident: Mapping[str, Any], name: str) -> str:
    return str(incident["record"].get(name, "")).strip()


def _summary(tables: Mapping[str, Sequence[Sequence[str]]]) -> str:
    missing = "; ".join(f"{row[0]} has not {row[1]}" for row in tables["open"])
    unknown = "; ".join(f"{row[0]} is not known: {row[1]}" for row in tables["unknown"])
    counted = f"{len(tables['incidents'])} incidents, {len(tables['alerts'])} alerts, {len(tables['changes'])} changes"
    head = "complete" if not missing and not unknown else ""
    return "; ".join(filter(None, [f"NOT COMPLETE: {missing}" if missing else "", unknown, head, counted]))


def _verdict(record: Mapping[str, Any]) -> str:
    marks = {"proven": "✔ COMPLETE", "failed": "✖ NOT COMPLETE"}
    return f"{marks.get(record['outcome'], '? NOT ALL IS KNOWN')} ({record['id']})"


def _about(record: Mapping[str, Any]) -> str:
    return f"From {plain(record['by'])}, at {record['generated_at']}, of the shift since {plain(record['since'])}."


def _result(record: Mapping[str, Any], path: str) -> dict[str, Any]:
    tables = record["tables"]
    lines = [f"{HEADS[name][0]}: {' | '.join(filter(None, row))}" for name in tables for row in tables[name]]
    opened = tables.get("open", [])
    return build_result(
        record["outcome"],
        record["summary"],
        changed=bool(path),
        next_command=opened[0][2] if opened else "",
        lines=lines,
        report_path=path,
        record={name: value for name, value in record.items() if name != "tables"},
    )
