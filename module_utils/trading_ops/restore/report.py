"""The report of a restore test, as Markdown, HTML and JSON, and the index of all of them: "document the test".

Everything in a report is text from somewhere else, and stays text in each format.
"""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.clock import parse_utc
from ..core.result import build_result
from ..report.page import html_table, markdown_table, page, plain, seconds, write_files

Draw = Callable[[Sequence[Mapping[str, Any]]], str]
"""Draws the history as one SVG picture."""


def report_id(record: Mapping[str, Any]) -> str:
    """Return the report's name: when the test ended, e.g. `restore_test_20261121-021930`."""
    return f"restore_test_{parse_utc(record['finished_at']):%Y%m%d-%H%M%S}"


Rows = list[tuple[str, ...]]


def build_tables(record: Mapping[str, Any]) -> list[tuple[str, Rows]]:
    """Return what a report says: titles with tables, the first row of each being its head."""
    compared = [
        {**table, "equal": "equal" if table.get("is_equal") is True else "NOT EQUAL"}
        for table in _listed(record.get("comparison"))
    ]
    phases, versions, model, bot = (_mapping(record.get(key)) for key in ("phases", "versions", "model", "bot"))
    watched = [("watched", seconds(bot["seconds"]))] if "seconds" in bot else []
    written = [(f"rows written to {plain(name)}", plain(rows)) for name, rows in _mapping(bot.get("rows")).items()]
    failures, checks = _listed(record.get("failures")), _listed(record.get("checks"))
    return [
        ("Verdict", _verdict(record)),
        (
            "Failures",
            [
                ("name", "kind", "what was seen", "what to do"),
                *_columns(failures, "name", "kind", "detail", "what_to_do"),
            ],
        ),
        (
            "Tables",
            [
                ("database", "table", "rows in the manifest", "rows and checksum"),
                *_columns(compared, "database", "table", "rows", "equal"),
            ],
        ),
        ("Model", [("what", "seen"), *((plain(name), plain(value)) for name, value in model.items())]),
        ("Bot on the restored data", [("what", "seen"), *watched, *written]),
        ("Checks", [("check", "outcome", "value"), *_columns(checks, "id", "outcome", "value")]),
        ("Phases", [("phase", "took"), *((plain(name), seconds(value)) for name, value in phases.items())]),
        ("Versions", [("what", "version"), *((plain(name), plain(value)) for name, value in versions.items())]),
    ]


def _verdict(record: Mapping[str, Any]) -> Rows:
    outcome = record.get("outcome")
    return [
        ("what", "seen"),
        ("outcome", "GOOD" if outcome == "proven" else f"NOT GOOD ({plain(outcome)})"),
        ("backup set", plain(record.get("set"))),
        ("begun", plain(record.get("started_at"))),
        ("ended", plain(record.get("finished_at"))),
        ("by", plain(record.get("by"))),
        ("recovery point (RPO)", seconds(record.get("rpo_seconds"))),
        ("recovery time (RTO)", seconds(record.get("rto_seconds"))),
        ("tables compared, all rows", plain(record.get("tables"))),
        ("rows compared", plain(record.get("rows"))),
        ("size in bytes", plain(record.get("bytes"))),
        ("SHA-256 of the set's manifest", plain(record.get("manifest_sha256"))),
    ]


def _columns(items: Sequence[Mapping[str, Any]], *keys: str) -> Rows:
    return [tuple(plain(item.get(key)) for key in keys) for item in items]


def render_markdown(record: Mapping[str, Any]) -> str:
    """Return the report as Markdown."""
    parts = [f"# Restore test {report_id(record)}\n"]
    for title, (head, *rows) in build_tables(record):
        parts.append(f"\n## {title}\n\n{markdown_table(head, rows)}")
    return "".join(parts)


def render_html(record: Mapping[str, Any], history: Sequence[Mapping[str, Any]], draw: Draw) -> str:
    """Return the report as one HTML page without links to anything outside, the history drawn into it."""
    parts = [f"<h1>Restore test {report_id(record)}</h1>"]
    for title, (head, *rows) in build_tables(record):
        parts.append(f"<h2>{html.escape(title)}</h2>{html_table(head, rows)}")
    parts.append(f"<h2>History</h2>{draw(history)}" if history else "")
    return page(f"Restore test {report_id(record)}", parts)


def render_index(history: Sequence[Mapping[str, Any]], known: Callable[[str], bool]) -> tuple[str, str]:
    """Return the index of all tests, the youngest first, as Markdown and HTML. `known`: whether a report is there."""
    head = ("test", "outcome", "backup set", "RPO", "RTO", "by", "SHA-256 of the manifest")
    rows = []
    for record in sorted(history, key=report_id, reverse=True):
        outcome = "GOOD" if record.get("outcome") == "proven" else f"NOT GOOD: {_names(record)}"
        numbers = (seconds(record.get("rpo_seconds")), seconds(record.get("rto_seconds")))
        who, signed = plain(record.get("by")), plain(record.get("manifest_sha256"))[:12]
        rows.append((report_id(record), outcome, plain(record.get("set")), *numbers, who, signed))
    linked = [(f"[{row[0]}]({row[0]}/report.md)" if known(row[0]) else row[0], *row[1:]) for row in rows]
    markdown = f"# Restore tests\n\n{markdown_table(head, linked, {0})}"
    links = [f"<a href='{row[0]}/report.html'>{row[0]}</a>" if known(row[0]) else row[0] for row in rows]
    return markdown, page("Restore tests", ["<h1>Restore tests</h1>", html_table(head, rows, links)])


def write_report(
    record: Mapping[str, Any], records: Sequence[Mapping[str, Any]], path: Path, draw: Draw, dry_run: bool
) -> dict[str, Any]:
    """Return the module result of the report and the index, written below `path` and read back.

    records: the tests on record, with or without this one.
    """
    try:
        name = report_id(record)
        history = sorted({report_id(each): each for each in (*records, record)}.items())
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        return _result("failed", f"The result is none that can be reported: {error!r}.", False, "")
    if dry_run:
        return _result("planned", f"would write {path / name}", False, str(path / name))
    sources = [each for _, each in history]
    files = {
        f"{name}/report.md": render_markdown(record),
        f"{name}/report.html": render_html(record, sources, draw),
        f"{name}/report.json": json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False) + "\n",
    }
    try:
        (path / name).mkdir(mode=0o755, parents=True, exist_ok=True)
        changed = write_files(path, files)
        index = render_index(sources, lambda each: (path / each / "report.md").is_file())
        changed |= write_files(path, dict(zip(("index.md", "index.html"), index, strict=True)))
    except OSError as error:
        return _result("failed", f"The report could not be written: {error}", False, str(path / name))
    digest = hashlib.sha256((path / name / "report.json").read_bytes()).hexdigest()
    text = f"report in {path / name}, SHA-256 of report.json {digest[:12]}; {len(sources)} tests in the index"
    return _result("proven", text, changed, str(path / name))


def _names(record: Mapping[str, Any]) -> str:
    names = [plain(each.get("name")) for each in _listed(record.get("failures"))]
    return ", ".join(names) or plain(record.get("outcome"))


def _listed(value: object) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _result(outcome: str, summary: str, changed: bool, path: str) -> dict[str, Any]:
    return build_result(outcome, summary, changed=changed, report_path=path)
