"""The curves of the last hours, as the report at the start of a shift shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..evidence.plots import PICTURES, Picture, draw_on
from ..report.plots import drawing

CURVES: Final = (
    ("2.2", PICTURES[0]),
    ("2.2", Picture("bars_rate", "Rate of bars", ("feed_bars_rate",))),
    ("2.2", PICTURES[1]),
    ("2.3", Picture("equity", "Equity", ("bot_equity",))),
    *(("2.3", picture) for picture in PICTURES[2:]),
    ("2.4", Picture("psi", "PSI of key features", ("psi",))),
)
"""By section of the page: an incident's pictures, and what else the runbook looks at every morning."""

SPIKES: Final = ("gaps", "nan_records", "feed_reconnects", "bot_order_errors")
"""What counts errors: the last hour is held against those before it."""

CHECKS: Final = frozenset(check for _, picture in CURVES for check in picture.checks) | {*SPIKES}


def draw_curves(curves: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return section, title and SVG element of each curve.

    `curves` holds `begin`, `end` and `checks` as metric_ranges has them. A curve without data is drawn too, and says
    why it has none.
    """
    from matplotlib import dates

    matplotlib_dates: Any = dates  # its stubs know no types here
    checks = {entry["id"]: entry for entry in curves["checks"]}
    found = []
    for section, picture in CURVES:
        with drawing(picture.name, 4.8, 2.6) as (figure, finish):
            shown = [checks[name] for name in picture.checks if name in checks]
            axes = figure.add_subplot()
            draw_on(axes, picture.title, shown, curves["begin"], curves["end"])
            ticks = matplotlib_dates.AutoDateLocator(maxticks=6)
            axes.xaxis.set_major_locator(ticks)
            axes.xaxis.set_major_formatter(matplotlib_dates.ConciseDateFormatter(ticks))
            found.append((section, picture.title, finish()))
    return found
