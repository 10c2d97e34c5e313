"""The history of restore tests as one picture. Runs on the controller, where matplotlib is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ..core.clock import parse_utc
from ..report.plots import drawing

_SHOWN: Final = (("rpo_seconds", "RPO, s"), ("rto_seconds", "RTO, s"), ("bytes", "size, bytes"))
_LAST: Final = 60


def draw_history(records: Sequence[Mapping[str, Any]]) -> str:
    """Return RPO, RTO and size of the last tests as an SVG element. A test without a value has no point."""
    with drawing("restore_test", 8, 5) as (figure, finish):
        for place, (key, title) in enumerate(_SHOWN, start=1):
            axes: Any = figure.add_subplot(len(_SHOWN), 1, place)  # its stubs know no datetime
            points = [
                (parse_utc(r["finished_at"]), r[key], r["outcome"]) for r in records[-_LAST:] if _is_number(r.get(key))
            ]
            axes.plot([when for when, _, _ in points], [value for _, value, _ in points], color="#888", linewidth=1)
            for good, color, marker in ((True, "#1a7f37", "o"), (False, "#cf222e", "x")):
                own = [(when, value) for when, value, outcome in points if (outcome == "proven") == good]
                axes.plot([when for when, _ in own], [v for _, v in own], marker, color=color, linestyle="none")
            axes.set_ylabel(title)
            axes.set_ylim(bottom=0)
            axes.grid(alpha=0.3)
        figure.autofmt_xdate()
        return finish()


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
