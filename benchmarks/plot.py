"""Draws the plot of one benchmark: `python plot.py results.json plot.png`. Runs in the competitors' environment."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib

matplotlib.use("agg")
from matplotlib import pyplot

OURS, OTHERS = "#1b6ca8", "#b0b7bf"


def draw(results: dict[str, Any], target: Path) -> None:
    """Write one panel per series: a bar at the median seconds to the last bot, a dot for each run."""
    measured = [each for each in results["measurements"] if each["last_bot_seconds"] is not None]
    panels = sorted({(each["hosts"], each["bots_per_host"], each["dead_host"]) for each in measured})
    figure, axes = pyplot.subplots(len(panels), 1, figsize=(8, 2.4 * len(panels)), squeeze=False, layout="constrained")
    for axis, (hosts, bots, dead) in zip(axes[:, 0], panels, strict=True):
        seconds: dict[str, list[float]] = {}
        for each in measured:
            if (each["hosts"], each["bots_per_host"], each["dead_host"]) == (hosts, bots, dead):
                seconds.setdefault(each["contender"], []).append(each["last_bot_seconds"])
        ordered = sorted(seconds, key=lambda name: median(seconds[name]), reverse=True)
        labels = [results["titles"][name].replace("`", "") for name in ordered]
        colours = [OURS if name in ("ours", "halt-now") else OTHERS for name in ordered]
        axis.barh(labels, [median(seconds[name]) for name in ordered], color=colours)
        for row, name in enumerate(ordered):
            axis.plot(seconds[name], [row] * len(seconds[name]), ".", color="black", markersize=3)
        axis.set_title(f"{hosts} hosts × {bots} bots{', one host frozen' if dead else ''}", loc="left", fontsize=10)
        axis.set_xlim(left=0)
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8)
    figure.supxlabel("seconds from the command's start to the last bot stopped (bar: median, dots: runs)", fontsize=9)
    figure.savefig(target, dpi=80, metadata={"Software": None})


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2]))
