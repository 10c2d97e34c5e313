"""Lines on standard output, which are the container's log."""

from __future__ import annotations


class ChangedLines:
    """Prints a line unless it repeats the one before: a wait says why once, not every second."""

    def __init__(self) -> None:
        self._last = ""

    def say(self, line: str) -> None:
        if line != self._last:
            self._last = line
            print(line, flush=True)
