"""Pictures that stand in a page as SVG. Runs on the controller, where matplotlib is."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

_INK: Final = "#010203"
"""What is drawn in it takes the page's own colour of text, so that it is seen in light and in dark."""


@contextmanager
def drawing(name: str, width_inches: float, height_inches: float) -> Iterator[tuple[Any, Callable[[], str]]]:
    """Give a figure, and what returns it as an SVG element; `name` is unlike that of any other picture of the page."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib.figure import Figure

    settings: Any = {f"{part}.color": _INK for part in ("text", "xtick", "ytick", "grid")}
    settings |= {"axes.edgecolor": _INK, "axes.labelcolor": _INK, "axes.facecolor": "none", "figure.facecolor": "none"}
    # The same data give the same bytes: no random ids, no date. Text stays text, in the font of the page.
    settings |= {"svg.hashsalt": name, "svg.fonttype": "none", "font.size": 8, "legend.facecolor": "none"}
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(width_inches, height_inches), layout="constrained")

        def finish() -> str:
            buffer = io.StringIO()
            figure.savefig(buffer, format="svg", metadata={"Date": None})
            text = buffer.getvalue()
            return text[text.index("<svg") :].replace(_INK, "currentColor")

        yield figure, finish
