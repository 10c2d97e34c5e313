"""What the measurements say: medians, the table, and the targets they are held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Measurement:
    """One run. Seconds count from the command's start; None: a bot was still running, or no order came."""

    contender: str
    hosts: int
    bots_per_host: int
    dead_host: bool
    round: int
    exit_code: int
    last_bot_seconds: float | None
    last_order_seconds: float | None
    total_seconds: float
    still_running: int


@dataclass(frozen=True)
class Summary:
    """The runs of one contender in one series; a median is None where one of its runs has no value."""

    contender: str
    runs: int
    last_bot: float | None
    last_bot_range: tuple[float, float] | None
    last_order: float | None
    total: float
    exit_codes: tuple[int, ...]
    still_running: int


@dataclass(frozen=True)
class Target:
    """What the project holds itself to, and what was measured; `measured` is None where there is no value."""

    text: str
    measured: float | None
    limit: float

    @property
    def is_met(self) -> bool:
        return self.measured is not None and self.measured <= self.limit


def summarise(measurements: Sequence[Measurement], contender: str) -> Summary:
    """Return the summary of a contender's runs, of which there is at least one."""
    runs = [each for each in measurements if each.contender == contender]
    stopped = [each.last_bot_seconds for each in runs]
    complete = [seconds for seconds in stopped if seconds is not None]
    return Summary(
        contender=contender,
        runs=len(runs),
        last_bot=_median(stopped),
        last_bot_range=(min(complete), max(complete)) if complete else None,
        # A run in which no order came between start and stop was faster than the bots' pace of one a second.
        last_order=median(each.last_order_seconds or 0.0 for each in runs),
        total=median(each.total_seconds for each in runs),
        exit_codes=tuple(sorted({each.exit_code for each in runs})),
        still_running=sum(each.still_running for each in runs),
    )


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if values and len(known) == len(values) else None


def series(measurements: Sequence[Measurement], hosts: int, bots_per_host: int, dead_host: bool) -> dict[str, Summary]:
    """Return the summaries of one series by contender, in the order in which the contenders first appear."""
    wanted = (hosts, bots_per_host, dead_host)
    those = [each for each in measurements if (each.hosts, each.bots_per_host, each.dead_host) == wanted]
    return {contender: summarise(those, contender) for contender in dict.fromkeys(each.contender for each in those)}


def sizes(measurements: Sequence[Measurement]) -> list[tuple[int, int]]:
    """Return the estates that were measured, as hosts and bots per host, smallest first."""
    return sorted({(each.hosts, each.bots_per_host) for each in measurements})


def targets(measurements: Sequence[Measurement]) -> list[Target]:
    """Return each target at each size, measured by the median seconds to the last bot."""
    found: list[Target] = []
    for hosts, bots in sizes(measurements):
        whole, with_dead = (series(measurements, hosts, bots, dead) for dead in (False, True))
        size = f"{hosts} hosts × {bots} bots"
        ratios = (
            ("ours", "module", "ours to the community.docker play", 0.6),
            ("ours", "pyinfra", "ours to pyinfra", 1.0 if hosts < 10 else 1.2),
            ("halt-now", "ssh", "halt-now to plain parallel ssh", 1.3),
        )
        for mine, other, title, limit in ratios:
            if mine in whole and other in whole:
                found.append(Target(f"{size}: {title}, ratio", _ratio(whole[mine], whole[other]), limit))
        for mine in ("ours", "halt-now"):
            if mine in whole and mine in with_dead:
                delay = _difference(with_dead[mine], whole[mine])
                found.append(Target(f"{size}: {mine}, what a dead host adds for the others, seconds", delay, 1.0))
    return found


def _ratio(mine: Summary, other: Summary) -> float | None:
    return None if mine.last_bot is None or not other.last_bot else mine.last_bot / other.last_bot


def _difference(mine: Summary, other: Summary) -> float | None:
    return None if mine.last_bot is None or other.last_bot is None else mine.last_bot - other.last_bot


def render_markdown(measurements: Sequence[Measurement], titles: dict[str, str], circumstances: str) -> str:
    """Return the page: a table per series, fastest first, and the targets."""
    lines = ["# How fast everything stops", "", circumstances, "", "![seconds to the last bot](failsafe_stop.png)", ""]
    for hosts, bots in sizes(measurements):
        for dead in (False, True):
            summaries = series(measurements, hosts, bots, dead)
            if summaries:
                lines += _render_series(summaries, titles, hosts, bots, dead)
    lines += ["## Targets", "", "| target | measured | at most | |", "|---|---|---|---|"]
    for target in targets(measurements):
        word = "met" if target.is_met else "missed"
        lines.append(f"| {target.text} | {_seconds(target.measured)} | {target.limit:.2f} | {word} |")
    return "\n".join([*lines, ""])


def _render_series(
    summaries: dict[str, Summary], titles: dict[str, str], hosts: int, bots: int, dead: bool
) -> list[str]:
    what = ", one of them frozen; the others' bots" if dead else ""
    header = "| way | last bot stopped | fastest–slowest | last order | command ended | exit code | left running |"
    rows = sorted(summaries.values(), key=lambda each: (each.last_bot is None, each.last_bot or 0.0))
    return [
        f"## {hosts} hosts × {bots} bots{what}",
        "",
        header,
        "|---|---|---|---|---|---|---|",
        *(_render_row(each, titles[each.contender]) for each in rows),
        "",
    ]


def _render_row(summary: Summary, title: str) -> str:
    spread = "–".join(_seconds(each) for each in summary.last_bot_range) if summary.last_bot_range else "never"
    codes = ", ".join(str(code) for code in summary.exit_codes)
    times = (_seconds(summary.last_bot), spread, _seconds(summary.last_order), _seconds(summary.total))
    return f"| {title} | {' | '.join(times)} | {codes} | {summary.still_running or ''} |"


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.2f}"
