"""The report at the start of a shift, as HTML, Markdown and JSON, and what the module over it says."""

from __future__ import annotations

import html
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from ..core.clock import format_utc, parse_utc
from ..core.result import build_result
from ..report.page import html_table, markdown, markdown_table, page, plain, write_files
from .findings import SECTIONS, compare, judge, outcome_of
from .seen import Finding, Seen, demand_past, parse_seen

Draw = Callable[[Mapping[str, Any]], list[tuple[str, str, str]]]
"""Draws the curves of the last hours: section, title and SVG element of each."""

WORDS: Final = {"proven": "GOOD", "failed": "NOT GOOD", "unknown": "NOT KNOWN"}
_MARKS: Final = {"pass": "✔ good", "fail": "✖ NOT GOOD", "unknown": "? NOT KNOWN"}
_SHOWN: Final = 5
_LINES: Final = 60

_HEAD: Final = ("", "what", "seen", "what to do")
_CHANGED: Final = ("section", "what", "before", "now")
STYLE: Final = (
    ".proven{border-color:#1a7f37}.failed{border-color:#cf222e}.unknown{border-color:#9a6700}"
    ".curves{display:flex;flex-wrap:wrap;gap:1em}.curves figure{margin:0;flex:1 1 20em;max-width:30em}"
    "td:first-child{white-space:nowrap}summary{cursor:pointer;padding:.4em 0}"
    "@media(max-width:40em){tr{display:block;border-bottom:2px solid #8888;padding:.4em 0}th{display:none}"
    "td{display:block;border:0;padding:.1em 0}}"
)
"""Colour is never alone: mark and word stand beside it. On a phone the cells of a row stand below each other."""


def build_record(seen: Seen, by: str, estate: str) -> dict[str, Any]:
    """Return the report as plain values, which is also its JSON."""
    findings = judge(seen)
    last = seen.shift.get("last_report") or {}
    changed = compare(last.get("findings", []), findings) if last else []
    return {
        "format": 1,
        "generated_at": format_utc(seen.now),
        "by": by,
        "estate": estate,
        "since": seen.since,
        "outcome": outcome_of(findings),
        "summary": summarise(findings),
        "compared_with": str(last.get("generated_at", "")),
        "changed": [list(each) for each in changed],
        "findings": [asdict(finding) for finding in findings],
    }


def summarise(findings: Sequence[Finding]) -> str:
    """Return in one sentence how many points are good, and which are not."""
    bad = [finding for finding in findings if finding.outcome != "pass"]
    # What is known to be bad first: without Prometheus most of the rest is only unknown.
    bad.sort(key=lambda finding: finding.outcome != "fail")
    good = len(findings) - len(bad)
    text = "; ".join(f"{each.section} {plain(each.subject)}: {plain(each.text)[:160]}" for each in bad[:_SHOWN])
    more = f" and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
    return f"{good} of {len(findings)} points are good" + (f"; {text}{more}" if bad else "")


def report_id(record: Mapping[str, Any]) -> str:
    """Return the report's name, e.g. `shift_20261121-060000`."""
    return f"shift_{parse_utc(record['generated_at']):%Y%m%d-%H%M%S}"


def render_markdown(record: Mapping[str, Any]) -> str:
    """Return the report as Markdown."""
    about = f"**{_verdict(record)}**\n\n{markdown(_about(record))}\n"
    parts = [f"# Start of shift, {markdown(plain(record['estate']))}\n\n{about}"]
    if record["compared_with"]:
        rows = [tuple(plain(_MARKS.get(cell, cell)) for cell in row) for row in record["changed"]]
        parts.append(f"\n## What changed since {record['compared_with']}\n\n{markdown_table(_CHANGED, rows)}")
    for number, heading in SECTIONS.items():
        rows = [_row(finding) for finding in _of(record, number)]
        parts.append(f"\n## {number} {heading}\n\n{_count(record, number)}\n\n{markdown_table(_HEAD, rows)}")
    return "".join(parts)


def render_html(record: Mapping[str, Any], curves: Sequence[tuple[str, str, str]], without_curves: str) -> str:
    """Return the report as one page. `without_curves` says why there are none, where there are none."""
    verdict = f'<p class="verdict {html.escape(record["outcome"])}">{html.escape(_verdict(record))}</p>'
    parts = [f"<h1>Start of shift, {html.escape(plain(record['estate']))}</h1>", verdict]
    parts.append(f"<p>{html.escape(_about(record))}</p>{_html_bad(record)}")
    if record["compared_with"]:
        rows = [tuple(plain(_MARKS.get(cell, cell)) for cell in row) for row in record["changed"]]
        parts.append(f"<h2>What changed since {html.escape(record['compared_with'])}</h2>{html_table(_CHANGED, rows)}")
    for number, heading in SECTIONS.items():
        own = "".join(f"<figure>{svg}</figure>" for section, _, svg in curves if section == number)
        parts.append(f'<h2 id="s{number}">{number} {html.escape(heading)}</h2>')
        parts.append(_html_section(record, number, f'<div class="curves">{own}</div>' if own else ""))
    parts.append(f"<p>No curves: {html.escape(plain(without_curves))}</p>" if without_curves else "")
    return page(f"Start of shift {record['generated_at']}", parts, STYLE)


def _html_bad(record: Mapping[str, Any]) -> str:
    """Return what is not good in one list, each with the way to its section."""
    found = record["findings"]
    bad = [each for each in found if each["outcome"] != "pass"]
    items = (
        f'<li><a href="#s{each["section"]}">{each["section"]}</a> {_MARKS[each["outcome"]]}: '
        f"{html.escape(plain(each['subject']))}</li>"
        for each in bad
    )
    return f"<p>{len(found) - len(bad)} of {len(found)} points are good.</p><ul>{''.join(items)}</ul>"


def _html_section(record: Mapping[str, Any], number: str, curves: str) -> str:
    """Return what a section shows: what is bad, the curves, and folded away what is good."""
    bad = [_row(finding) for finding in _of(record, number) if finding["outcome"] != "pass"]
    good = [_row(finding) for finding in _of(record, number) if finding["outcome"] == "pass"]
    shown = f"<p>{html.escape(_count(record, number))}</p>{html_table(_HEAD, bad) if bad else ''}{curves}"
    return shown + f"<details><summary>{len(good)} good points</summary>{html_table(_HEAD, good)}</details>" * bool(
        good
    )


def write_report(params: Mapping[str, Any], now: datetime, draw: Draw, dry_run: bool) -> dict[str, Any]:
    """Return the module result of the report, written below `reports_path` and read back. Never raises."""
    try:
        seen = parse_seen(params, now)
        demand_past(seen)
    except ValueError as error:
        wrong = _result({"outcome": "usage", "findings": []}, "", f"since: {error}")
        return wrong | {"next_command": "./runbook shift_start (with a since in UTC that is past, or without one)"}
    record = build_record(seen, params["by"], params["estate"])
    folder = Path(params["reports_path"]) / report_id(record)
    if dry_run:
        return _result(record, "", f"{record['summary']}; would write {folder}")
    curves, without_curves = _curves(params["curves"], draw)
    files = {
        f"{folder.name}/report.html": render_html(record, curves, without_curves),
        f"{folder.name}/report.md": render_markdown(record),
        f"{folder.name}/report.json": json.dumps(record, indent=1, ensure_ascii=False) + "\n",
    }
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        write_files(folder.parent, files)
    except OSError as error:
        record["outcome"] = "failed"
        return _result(record, "", f"{record['summary']}; the report could not be written: {error}")
    return _result(record, str(folder / "report.html"), f"{record['summary']}; report: {folder / 'report.html'}")


def _curves(curves: Mapping[str, Any], draw: Draw) -> tuple[list[tuple[str, str, str]], str]:
    if "checks" not in curves:
        return [], str(curves.get("summary") or curves.get("msg") or "the feed host did not give any")
    try:
        return draw(curves), ""
    except (ValueError, KeyError, TypeError, ImportError, RuntimeError) as error:
        return [], f"they could not be drawn: {error!r}"


def _of(record: Mapping[str, Any], section: str) -> list[Mapping[str, Any]]:
    return [finding for finding in record["findings"] if finding["section"] == section]


def _row(finding: Mapping[str, Any]) -> tuple[str, ...]:
    fix = plain(finding["fix"]) if finding["fix"] else ""
    return (_MARKS[finding["outcome"]], plain(finding["subject"]), plain(finding["text"]), fix)


def _count(record: Mapping[str, Any], section: str) -> str:
    seen = Counter(finding["outcome"] for finding in _of(record, section))
    parts = [f"{seen[outcome]} {mark}" for outcome, mark in _MARKS.items() if seen[outcome]]
    return ", ".join(parts) or "? NOT KNOWN: nothing was looked at"


def _verdict(record: Mapping[str, Any]) -> str:
    mark = {"proven": "✔", "failed": "✖"}.get(record["outcome"], "?")
    return f"{mark} {WORDS.get(record['outcome'], 'NOT KNOWN')}"


def _about(record: Mapping[str, Any]) -> str:
    return (
        f"{record['generated_at']}, looked at by {plain(record['by'])}; restarts and changes since {record['since']}."
    )


def _result(record: Mapping[str, Any], path: str, summary: str) -> dict[str, Any]:
    bad = [each for each in record["findings"] if each["outcome"] != "pass"]
    bad.sort(key=lambda each: each["outcome"] != "fail")
    lines = [" | ".join([each["section"], *_row(each)]) for each in bad]
    return build_result(
        record["outcome"],
        summary,
        changed=bool(path),
        next_command=next((str(each["fix"]) for each in bad if each["fix"]), ""),
        lines=[line.removesuffix(" | ") for line in lines[:_LINES]],
        report_path=path,
        record=dict(record),
    )
