"""JSON from another system, read so that it can mean one thing only."""

from __future__ import annotations

import json
from typing import Any


def parse_json(text: str) -> Any:
    """Return what the text holds. ValueError where it is no JSON, has NaN or Infinity in it, or a name twice."""
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_without_duplicates)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def object_lines(text: str) -> list[str]:
    """Return the lines of a file with an object on each.

    Only a newline ends one: text that people paste holds other line endings (U+2028), which JSON keeps.
    """
    lines = text.split("\n")
    return lines if lines[-1] else lines[:-1]


def _no_constant(word: str) -> float:
    raise ValueError(f"{word} is no JSON")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the pairs as an object: of two values under one name the last would win unnoticed."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found
