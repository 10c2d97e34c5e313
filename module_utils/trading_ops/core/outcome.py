"""The words in which a run may end, and what each is worth as an exit code."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

EXIT_CODES: Final[dict[str, int]] = {
    "invalid": 12,  # scope empty or inventory invalid: nothing was done
    "running": 11,  # a bot is still running
    "unknown": 10,  # a host or container could not be looked at
    "unlatched": 10,  # stopped, but the halt latch could not be written
    "orders_open": 14,  # stopped, and orders are open or a configured venue did not answer: the verdict's own word
    "refused": 13,  # a gate is closed or the latch is engaged
    "locked": 75,  # another run holds the lock
    "usage": 2,  # wrong usage
    "failed": 1,
    "planned": 0,  # check mode: this is what a real run would do
    "proven": 0,
}
"""Outcome word -> exit code, from the most serious to the least."""

_SERIOUSNESS: Final = {word: place for place, word in enumerate(EXIT_CODES)}


def worst(outcomes: Iterable[str]) -> str:
    """Return the most serious outcome; `invalid` for none at all, `failed` for an unknown word."""
    known = [word if word in EXIT_CODES else "failed" for word in outcomes]
    return min(known, key=_SERIOUSNESS.__getitem__, default="invalid")


GOOD: Final = frozenset({"proven", "planned"})
