"""What all reports of this project share: text that stays text in Markdown and HTML, tables, and the page around them.

A page opens from disk, asks no network for anything, and reads on a phone, in light and in dark.
"""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from ..core.durable import write_durably

UNKNOWN: Final = "unknown"

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
"""The page is one file. A browser fetches nothing for it, whatever gets into it."""

_STYLE: Final = (
    ":root{color-scheme:light dark}"
    "body{font:15px/1.5 sans-serif;max-width:60em;margin:1em auto;padding:0 1em;overflow-wrap:break-word}"
    "h1{font-size:1.4em}h2{font-size:1.15em;margin-top:2em}"
    ".verdict{font-size:1.2em;font-weight:bold;padding:.6em .8em;border:3px solid;border-radius:.4em}"
    ".table{overflow-x:auto}table{border-collapse:collapse}"
    "td,th{border:1px solid #8888;padding:.2em .6em;text-align:left;vertical-align:top;min-width:4em}"
    "a{color:inherit}svg{max-width:100%;height:auto}"
)


def plain(value: object) -> str:
    """Return a value as text on one line without control characters, `unknown` for nothing."""
    if value is None or value == "":
        return UNKNOWN
    return "".join(letter for letter in " ".join(str(value).split()) if letter.isprintable())


def seconds(value: object) -> str:
    """Return a duration in words, `unknown` for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        return UNKNOWN
    return f"{value:.1f} s" if value < 120 else f"{timedelta(seconds=round(value))} ({value:.0f} s)"


def markdown(text: str) -> str:
    """Return text that Markdown shows as it is: no markup, no HTML, no formula, no mention."""
    return re.sub(r"([\\`*_{}\[\]<>|#&!$~@])", r"\\\1", text)


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]], ready: Collection[int] = ()) -> str:
    """Return a table; the columns in `ready` are Markdown already."""
    if not rows:
        return "none\n"
    lines = [head, ["---"] * len(head), *([c if n in ready else markdown(c) for n, c in enumerate(r)] for r in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def html_table(head: Sequence[str], rows: Sequence[Sequence[str]], first: Sequence[str] = ()) -> str:
    """Return a table; `first` holds the first cell of each row where that is HTML already."""
    if not rows:
        return "<p>none</p>"
    cells = [[html.escape(cell) for cell in row] for row in rows]
    for row, ready in zip(cells, first, strict=False):
        row[0] = ready
    lines = [f"<tr>{''.join(f'<th>{html.escape(cell)}</th>' for cell in head)}</tr>"]
    lines += [f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in cells]
    return f'<div class="table"><table>{"".join(lines)}</table></div>'


def page(title: str, parts: Sequence[str], style: str = "") -> str:
    """Return the page. `parts` are HTML, `style` is CSS on top of what all pages have."""
    head = (
        '<meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}{style}</style>"
    )
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'


def write_files(path: Path, files: Mapping[str, str]) -> bool:
    """Return whether a file below `path` differed; all of them are written, and read back. Raises OSError."""
    changed = False
    for name, text in files.items():
        file = path / name
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            write_durably(file, text)
            changed = True
        if file.read_text(encoding="utf-8") != text:
            raise OSError(f"{file} does not hold what was written to it")
    return changed
