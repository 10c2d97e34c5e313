"""Pictures of an incident, drawn from the ranges that were kept: they need no Grafana, and show what the checks saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ..core.clock import parse_utc
from ..core.result import build_result
from ..core.strict_json import parse_json
from .manifest import BundleError, add_files, read_manifest

RANGES: Final = "metrics.json"
ITEM: Final = "metric ranges"
FOLDER: Final = "plots"
STYLES: Final = ("-", "--", "-.", ":")


@dataclass(frozen=True)
class Picture:
    """One picture of the runbook, and the checks of the catalogue that it shows."""

    name: str
    title: str
    checks: tuple[str, ...]


PICTURES: Final = (
    Picture("feed_latency", "Feed latency", ("feed_latency_p99",)),
    Picture("data_quality", "Data quality (DQ)", ("gaps", "nan_records")),
    Picture("pnl", "Profit and loss (PnL)", ("paper_pnl_day", "live_pnl_day")),
    Picture("drawdown", "Max drawdown (DD)", ("paper_drawdown", "live_drawdown")),
    Picture("tracking_error", "Tracking error (TE)", ("tracking_error",)),
)


def draw_all(root: Path, check_mode: bool) -> dict[str, Any]:
    """Return the module result: every picture of the runbook is in the bundle at `root`, and in its manifest.

    A picture without data is drawn too, and says why it has none.
    """
    try:
        ranges = parse_json((root / RANGES).read_text(encoding="utf-8"))
        checks = {entry["id"]: entry for entry in ranges["checks"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        # A bundle for which there was no room says so itself, and is what could be had.
        cut = _why_incomplete(root)
        return _result("proven" if cut else "failed", f"no ranges to draw from: {cut or error}", [])
    if check_mode:
        return _result("planned", f"would draw {len(PICTURES)} pictures", [])
    try:
        (root / FOLDER).mkdir(mode=0o700, exist_ok=True)
        files = {}
        for picture in PICTURES:
            path = root / FOLDER / f"{picture.name}.png"
            shown = [checks[name] for name in picture.checks if name in checks]
            _draw(picture, shown, ranges, path)
            files[f"picture {picture.title}"] = path
        add_files(root, files)
    except (BundleError, OSError, ImportError) as error:
        return _result("failed", f"the pictures could not be drawn: {error}", [])
    empty = [picture.title for picture in PICTURES if not any(_has_data(checks.get(name)) for name in picture.checks)]
    text = f"; without data: {', '.join(empty)}" if empty else ""
    return _result("proven", f"{len(files)} pictures drawn{text}", [str(path) for path in files.values()])


def _why_incomplete(root: Path) -> str:
    """Return what the bundle says of ranges that are not whole in it, empty where it says nothing."""
    try:
        items = read_manifest(root)["items"]
    except BundleError:
        return ""
    return next((str(item["reason"]) for item in items if item["name"] == ITEM and item["status"] != "complete"), "")


def _has_data(entry: Mapping[str, Any] | None) -> bool:
    return bool(entry and any(each["points"] for each in entry["series"]))


def draw_on(axes: Any, title: str, checks: Sequence[Mapping[str, Any]], begin: str, end: str) -> None:
    """Draw what the checks saw from `begin` to `end` (ISO 8601 UTC) and their limits, or why there is nothing."""
    for number, entry in enumerate(checks):
        for each in entry["series"]:
            times = [datetime.fromtimestamp(at, UTC) for at, _ in each["points"]]
            values = [float("nan") if value is None else value for _, value in each["points"]]
            labels = ", ".join(f"{name}={value}" for name, value in sorted(each["labels"].items()))
            style = STYLES[len(axes.lines) % len(STYLES)]  # not told apart by colour alone
            axes.plot(times, values, label=_plain(f"{entry['id']} {labels}"), linewidth=1.2, linestyle=style)
        limit = f"{entry['id']} {entry['condition']} {entry['threshold']:g}"
        axes.axhline(entry["threshold"], color=f"C{3 + number}", linestyle="--", linewidth=1, label=_plain(limit))
    reasons = [f"{entry['id']}: {entry['reason']}" for entry in checks if not _has_data(entry)]
    if not checks:
        reasons = ["the catalogue has no such check"]
    if reasons:
        axes.text(0.5, 0.5, _plain("No data. " + "; ".join(reasons)), ha="center", transform=axes.transAxes, wrap=True)
    axes.set_xlim(parse_utc(begin), parse_utc(end))
    axes.set_title(_plain(title), fontsize=10)
    axes.set_ylabel(_plain(" / ".join(sorted({str(entry["unit"]) for entry in checks}))))
    axes.grid(visible=True, alpha=0.3)
    if checks:
        axes.legend(fontsize=7, loc="upper left").set_in_layout(False)  # a long name must not squeeze the curve


def _draw(picture: Picture, checks: Sequence[Mapping[str, Any]], ranges: Mapping[str, Any], path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.5), layout="constrained")
    canvas: Any = FigureCanvasAgg(figure)
    begin, end = ranges["begin"], ranges["end"]
    draw_on(figure.add_subplot(), f"{picture.title}, UTC, {begin} to {end}", checks, begin, end)
    canvas.print_png(path)
    path.chmod(0o600)


def _plain(text: str) -> str:
    """Return text that is drawn as it stands: what comes from a label is no formula."""
    return "".join(char for char in text if char.isprintable()).replace("$", r"\$")[:200]


def _result(outcome: str, summary: str, pictures: list[str]) -> dict[str, Any]:
    return build_result(outcome, summary, changed=bool(pictures), pictures=pictures)
