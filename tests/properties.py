"""How many examples a property test tries."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings


def examples(count: int) -> Callable[[Any], Any]:
    """Return the decorator of a property test: `count` examples with --faults, a tenth of them in every run."""
    few = not os.environ.get("TRADING_CORE_EVERY_EXAMPLE")

    def decorate(test: Any) -> Any:
        limits = settings(max_examples=max(count // 10, 20) if few else count, deadline=None)
        return pytest.mark.properties(limits(test))

    return decorate
