"""Which of a test's rows belong to every run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def first_of(rows: Iterable[Any]) -> list[Any]:
    """Return the rows as parameters: the first runs every time, the others are further cells, for --faults."""
    first, *others = (row if isinstance(row, tuple) else (row,) for row in rows)
    return [pytest.param(*first), *(pytest.param(*row, marks=pytest.mark.faults) for row in others)]
