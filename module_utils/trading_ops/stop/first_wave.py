"""What the first wave of a stop (`breakglass/trading-halt`) has left on the host for the second, in /run/trading-core.

The first line is the incident id, each other one `<container id> <deadline>`: the first wave has sent this container
its stop signal and kills it at the deadline, in seconds of /proc/uptime. A bot that is cancelling its orders must not
get a second signal, which many programs take for "at once".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

SIGNALLED_PATH: Final = Path("/run/trading-core/signalled")

_LINE: Final = re.compile(r"([0-9a-f]{64}) (\d{1,12})")


@dataclass(frozen=True)
class FirstWave:
    """`deadlines` by container id, in seconds since boot; `is_ours` where it belongs to this very stop."""

    deadlines: Mapping[str, int] = field(default_factory=dict)
    is_ours: bool = False

    def has_stopped(self, container_id: str) -> bool:
        """Return whether a container that is found stopped was stopped by this very stop."""
        return self.is_ours and container_id in self.deadlines

    def remaining_seconds(self, container_id: str, uptime: float, at_most: float) -> float:
        """Return how long the container still has before the first wave kills it, 0 where it was not signalled."""
        return min(max(0.0, self.deadlines.get(container_id, 0) - uptime), at_most)


def parse_first_wave(text: str, incident_id: str) -> FirstWave:
    """Return what the file says; a line that is not understood says nothing."""
    first, *rest = text.splitlines() or [""]
    found = [match for line in rest if (match := _LINE.fullmatch(line))]
    return FirstWave({match[1]: int(match[2]) for match in found}, bool(incident_id) and first == incident_id)


def read_first_wave(path: Path, incident_id: str) -> FirstWave:
    """Return what the first wave left, nothing where there was none or it cannot be read."""
    try:
        return parse_first_wave(path.read_text(encoding="utf-8"), incident_id)
    except (OSError, ValueError):
        return FirstWave()
