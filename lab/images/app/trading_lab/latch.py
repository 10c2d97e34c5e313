"""The bot's own reader of the halt latch: the last look before each order.

It shares no code with the project's playbooks on purpose: a real bot would carry a reader like this.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

_LARGEST_BYTES = 65536


@dataclass(frozen=True)
class Latch:
    """What the latch says: engaged or released, for "all" or only "live" bots, and why."""

    engaged: bool
    scope: str
    reason: str

    def halts(self, mode: str) -> bool:
        """Whether a bot of this mode must not trade. Only scope live lets a bot go on, and only paper."""
        return self.engaged and not (self.scope == "live" and mode == "paper")


RELEASED = Latch(engaged=False, scope="", reason="")


def read_latch(path: Path) -> Latch:
    """The latch at a path. No file is released; anything that cannot be understood is engaged for all."""
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(_LARGEST_BYTES))
    except FileNotFoundError:
        return RELEASED
    except (OSError, ValueError, RecursionError) as error:
        return Latch(engaged=True, scope="all", reason=f"the latch cannot be read: {type(error).__name__}")
    if not isinstance(content, dict) or content.get("scope") not in ("all", "live"):
        return Latch(engaged=True, scope="all", reason="the latch has no known scope")
    return Latch(engaged=True, scope=content["scope"], reason=str(content.get("reason", "")))
