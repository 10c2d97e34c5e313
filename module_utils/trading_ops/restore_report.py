"""The report of a restore test, as Markdown, HTML and JSON, and the index of all of them: "document the test".

Everything in a report is text from somewhere else, and stays text in each format.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from .clock import parse_utc
from .durable import write_durably

Draw = Callable[[Sequence[Mapping[str, Any]]], str]
"""Draws the history as one SVG picture."""

_UNKNOWN: Final = "unknown"
_STYLE: Final = (
    "body{font:15px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse}td,th{border:1px solid #bbb;padding:.2em .6em;text-align:left;vertical-align:top}"
    "svg{max-width:100%;height:auto}"
)


def report_id(record: Mapping[str, Any]) -> str:
    """Return the report's name: when the test ended, e.g. `restore_test_20261121-021930`."""
    return f"restore_test_{parse_utc(record['finished_at']):%Y%m%d-%H%M%S}"


def build_tables(record: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, ...]]]]:
    """Return what a report says: titles with tables, the first row of each being its head."""
    failures, compared, checks = (_listed(record.get(key)) for key in ("failures", "comparison", "checks"))
    phases, versions, model, bot = (_mapping(record.get(key)) for key in ("phases", "versions", "model", "bot"))
    failed = ("name", "kind", "detail", "what_to_do")
    return [
        (
            "Verdict",
            [
                ("what", "seen"),
                (
                    "outcome",
                    "GOOD" if record.get("outcome") == "proven" else f"NOT GOOD ({_text(record.get('outcome'))})",
                ),
                ("backup set", _text(record.get("set"))),
                ("begun", _text(record.get("started_at"))),
                ("ended", _text(record.get("finished_at"))),
                ("by", _text(record.get("by"))),
                ("recovery point (RPO)", _seconds(record.get("rpo_seconds"))),
                ("recovery time (RTO)", _seconds(record.get("rto_seconds"))),
                ("tables compared, all rows", _text(record.get("tables"))),
                ("rows compared", _text(record.get("rows"))),
                ("size in bytes", _text(record.get("bytes"))),
                ("SHA-256 of the set's manifest", _text(record.get("manifest_sha256"))),
            ],
        ),
        (
            "Failures",
            [
                ("name", "kind", "what was seen", "what to do"),
                *(tuple(_text(failure.get(key)) for key in failed) for failure in failures),
            ],
        ),
        (
            "Tables",
            [
                ("database", "table", "rows in the manifest", "rows and checksum"),
                *(
                    (
                        *(_text(table.get(key)) for key in ("database", "table", "rows")),
                        "equal" if table.get("is_equal") is True else "NOT EQUAL",
                    )
                    for table in compared
                ),
            ],
        ),
        ("Model", [("what", "seen"), *((_text(name), _text(value)) for name, value in model.items())]),
        (
            "Bot on the restored data",
            [
                ("what", "seen"),
                *([("watched", _seconds(bot["seconds"]))] if "seconds" in bot else []),
                *((f"rows written to {_text(name)}", _text(rows)) for name, rows in _mapping(bot.get("rows")).items()),
            ],
        ),
        (
            "Checks",
            [
                ("check", "outcome", "value"),
                *(tuple(_text(check.get(key)) for key in ("id", "outcome", "value")) for check in checks),
            ],
        ),
        ("Phases", [("phase", "took"), *((_text(name), _seconds(value)) for name, value in phases.items())]),
        ("Versions", [("what", "version"), *((_text(name), _text(value)) for name, value in versions.items())]),
    ]


def render_markdown(record: Mapping[str, Any]) -> str:
    """Return the report as Markdown."""
    parts = [f"# Restore test {report_id(record)}\n"]
    for title, (head, *rows) in build_tables(record):
        parts.append(f"\n## {title}\n\n{_markdown_table(head, rows)}")
    return "".join(parts)


def render_html(record: Mapping[str, Any], history: Sequence[Mapping[str, Any]], draw: Draw) -> str:
    """Return the report as one HTML page without links to anything outside, the history drawn into it."""
    parts = [f"<h1>Restore test {report_id(record)}</h1>"]
    for title, (head, *rows) in build_tables(record):
        parts.append(f"<h2>{html.escape(title)}</h2>{_html_table(head, rows)}")
    parts.append(f"<h2>History</h2>{draw(history)}" if history else "")
    return _page(f"Restore test {report_id(record)}", parts)


def render_index(history: Sequence[Mapping[str, Any]], known: Callable[[str], bool]) -> tuple[str, str]:
    """Return the index of all tests, the youngest first, as Markdown and HTML. `known`: whether a report is there."""
    head = ("test", "outcome", "backup set", "RPO", "RTO", "by", "SHA-256 of the manifest")
    rows = []
    for record in sorted(history, key=report_id, reverse=True):
        outcome = "GOOD" if record.get("outcome") == "proven" else f"NOT GOOD: {_names(record)}"
        numbers = (_seconds(record.get("rpo_seconds")), _seconds(record.get("rto_seconds")))
        who, signed = _text(record.get("by")), _text(record.get("manifest_sha256"))[:12]
        rows.append((report_id(record), outcome, _text(record.get("set")), *numbers, who, signed))
    linked = [(f"[{row[0]}]({row[0]}/report.md)" if known(row[0]) else row[0], *row[1:]) for row in rows]
    markdown = f"# Restore tests\n\n{_markdown_table(head, linked, {0})}"
    links = [f"<a href='{row[0]}/report.html'>{row[0]}</a>" if known(row[0]) else row[0] for row in rows]
    body = "".join(f"<tr><td>{link}</td>{_cells(row[1:])}</tr>" for link, row in zip(links, rows, strict=True))
    return markdown, _page("Restore tests", [f"<h1>Restore tests</h1><table>{_html_head(head)}{body}</table>"])


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
        changed = _write(path, files)
        index = render_index(sources, lambda each: (path / each / "report.md").is_file())
        changed |= _write(path, dict(zip(("index.md", "index.html"), index, strict=True)))
    except OSError as error:
        return _result("failed", f"The report could not be written: {error}", False, str(path / name))
    digest = hashlib.sha256((path / name / "report.json").read_bytes()).hexdigest()
    words = f"report in {path / name}, SHA-256 of report.json {digest[:12]}; {len(sources)} tests in the index"
    return _result("proven", words, changed, str(path / name))


def _write(path: Path, files: Mapping[str, str]) -> bool:
    changed = False
    for name, text in files.items():
        file = path / name
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            write_durably(file, text)
            changed = True
        if file.read_text(encoding="utf-8") != text:
            raise OSError(f"{file} does not hold what was written to it")
    return changed


def _names(record: Mapping[str, Any]) -> str:
    names = [_text(each.get("name")) for each in _listed(record.get("failures"))]
    return ", ".join(names) or _text(record.get("outcome"))


def _listed(value: object) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    if value is None or value == "":
        return _UNKNOWN
    return "".join(letter for letter in " ".join(str(value).split()) if letter.isprintable())


def _seconds(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        return _UNKNOWN
    return f"{value:.1f} s" if value < 120 else f"{timedelta(seconds=round(value))} ({value:.0f} s)"


def _markdown_table(
    head: Sequence[str], rows: Sequence[Sequence[str]], ready: frozenset[int] | set[int] = frozenset()
) -> str:
    if not rows:
        return "none\n"
    lines = [head, ["---"] * len(head), *([c if n in ready else _escaped(c) for n, c in enumerate(r)] for r in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>|#&!])", r"\\\1", text)


def _html_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return "<p>none</p>"
    return f"<table>{_html_head(head)}{''.join(f'<tr>{_cells(row)}</tr>' for row in rows)}</table>"


def _html_head(head: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<th>{html.escape(cell)}</th>' for cell in head)}</tr>"


def _cells(row: Sequence[str]) -> str:
    return "".join(f"<td>{html.escape(cell)}</td>" for cell in row)


def _page(title: str, parts: Sequence[str]) -> str:
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{_STYLE}</style>'
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'


def _result(outcome: str, summary: str, changed: bool, path: str) -> dict[str, Any]:
    return {"changed": changed, "outcome": outcome, "summary": summary, "next_command": "", "report_path": path}
