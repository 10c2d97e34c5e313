"""A container's log as pieces: from the engine's answer, or from the file that its json-file driver writes."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from ..core.containers import utc_text
from ..core.redaction import Piece

_STAMP: Final = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d) ")
_BLOCK_BYTES: Final = 256 * 1024
_RECORD_BYTES: Final = 1024 * 1024
"""The engine cuts lines at 16 KiB; what is longer in its file is damage, and is read in pieces."""


@dataclass
class Seen:
    """What was met on the way through a log. `newest` is the time of the last whole record."""

    records: int = 0
    damaged: int = 0
    newest: str = ""


def pieces_of_answer(records: Iterable[bytes], is_tty: bool, seen: Seen) -> Iterator[Piece]:
    """Yield the records of an answer that has timestamps. What goes on with a long line gets none of its own."""
    is_continued = False
    for record in split_lines(records) if is_tty else records:
        match = _STAMP.match(record)
        at, content = (_in_utc(match[0].decode().strip()), record[match.end() :]) if match else ("", record)
        mark = f"{at} ".encode() if at else b""
        seen.records += 1
        seen.newest = at or seen.newest
        yield (b"" if is_continued else mark), content
        is_continued = not content.endswith(b"\n")


def _in_utc(stamp: str) -> str:
    try:
        return utc_text(stamp)
    except (ValueError, OverflowError):
        return stamp


def pieces_of_file(file: BinaryIO, since: str, seen: Seen) -> Iterator[Piece]:
    """Yield the records of a json-file log from where `file` stands, from `since` (ISO UTC, empty for all) on.

    A record that is damaged is yielded as far as it can be read, and counted.
    """
    is_continued = False
    while line := file.readline(_RECORD_BYTES):
        found = _parse_record(line)
        if found is None:
            # A power cut leaves zeros in place of what was not written yet; a whole record may follow them.
            seen.damaged += 1
            start = line.find(b'{"log":"', 1)
            found = _parse_record(line[start:]) if start > 0 else None
            torn = (line[:start] if found else line).translate(None, b"\0").rstrip(b"\n")
            if torn:
                yield (b"\n" if is_continued else b"") + b"(damaged record) ", torn + b"\n"
                is_continued = False
            if found is None:
                continue
        content, at = found
        if since and at[:19] < since[:19]:
            continue
        seen.records += 1
        seen.newest = at
        yield (b"" if is_continued else at.encode("ascii", "replace") + b" "), content
        is_continued = not content.endswith(b"\n")


def seek_tail(file: BinaryIO, records: int, most_bytes: int) -> None:
    """Move `file` to the beginning of its newest records; never further back than `most_bytes`."""
    end = file.seek(0, os.SEEK_END)
    lowest = max(0, end - most_bytes)
    place, breaks = end, 0
    while place > lowest:
        begin = max(lowest, place - _BLOCK_BYTES)
        file.seek(begin)
        block = file.read(place - begin)
        # The break that ends the newest record is none between two.
        at = len(block) - (place == end)
        while (at := block.rfind(b"\n", 0, at)) >= 0:
            breaks += 1
            if breaks == records:
                file.seek(begin + at + 1)
                return
        place = begin
    file.seek(lowest)
    if lowest:
        file.readline(_RECORD_BYTES)  # begins in the middle


def look_at_file(path: Path, records: int, since: str, most_bytes: int) -> Seen:
    """Return what a log file's newest records hold, without keeping them. Raises OSError."""
    seen = Seen()
    with open(path, "rb") as file:
        seek_tail(file, records, most_bytes)
        for _ in pieces_of_file(file, since, seen):
            pass
    return seen


def is_older(newest: str, than: str) -> bool:
    """Return whether one timestamp of the engine's is before another, to the nanosecond."""
    return _digits(newest) < _digits(than)


def _digits(stamp: str) -> str:
    whole, _, fraction = stamp.removesuffix("Z").partition(".")
    return f"{whole}.{fraction:0<9}"


def _parse_record(line: bytes) -> tuple[bytes, str] | None:
    try:
        record = json.loads(line)
        content, at = record["log"], record["time"]
        return content.encode("utf-8", "surrogatepass"), str(at)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def split_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a terminal's output by lines, long ones in pieces."""
    held = b""
    for chunk in chunks:
        *whole, held = (held + chunk).split(b"\n")
        for line in whole:
            yield line + b"\n"
        if len(held) > _RECORD_BYTES:
            yield held
            held = b""
    if held:
        yield held
