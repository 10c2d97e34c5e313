"""What a restore test has found out so far, and the result that a report is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from ..backup.checksums import Table
from ..backup.manifest import Manifest
from ..core import result
from .faults import Failure

RECOVERY_PHASES: Final = ("fetch", "start database", "restore", "start systems")
"""What a recovery would take: fetching, restoring and starting, without the comparisons."""


@dataclass
class Report:
    """What is known so far; it is complete enough for a report at any time."""

    started_at: str
    by: str
    set_id: str = ""
    phases: dict[str, float] = field(default_factory=dict)
    attempts: int = 0
    removed: list[str] = field(default_factory=list)
    manifest: Manifest | None = None
    manifest_sha256: str = ""
    rpo_seconds: float | None = None
    tables: list[dict[str, Any]] = field(default_factory=list)
    model: dict[str, Any] = field(default_factory=dict)
    bot: dict[str, Any] = field(default_factory=dict)
    checks: list[dict[str, Any]] = field(default_factory=list)

    def begin_again(self) -> None:
        """Forget what an attempt before has found; what it removed and how many there were is kept."""
        self.attempts += 1
        self.phases, self.tables = {}, []
        self.model, self.bot, self.checks = {}, {}, []

    @contextmanager
    def phase(self, name: str, clock: Callable[[], float]) -> Iterator[None]:
        """Add the time spent inside to a phase; a phase may be entered more than once."""
        begun = clock()
        try:
            yield
        finally:
            self.phases[name] = round(self.phases.get(name, 0.0) + clock() - begun, 3)

    def compared(self, database: str, wanted: Mapping[str, Table], seen: Mapping[str, Table]) -> None:
        """Take in how the tables of one database compare with the manifest."""
        for title, table in wanted.items():
            is_equal = seen.get(title) == table
            self.tables.append({"database": database, "table": title, "rows": table.rows, "is_equal": is_equal})

    @property
    def rows(self) -> int:
        return sum(table["rows"] for table in self.tables)

    @property
    def recovery_seconds(self) -> float:
        return round(sum(self.phases.get(name, 0.0) for name in RECOVERY_PHASES), 3)


def proven_summary(report: Report) -> str:
    """Return what a test that went well has shown, as a sentence."""
    model, bot = report.model, report.bot
    return (
        f"{report.set_id} restored: {len(report.tables)} tables with {report.rows} rows are equal, {model['name']} "
        f"version {model['version']} predicts, the bot wrote {sum(bot['rows'].values())} rows in {bot['seconds']:g} s, "
        f"{len(report.checks)} checks pass; RPO {report.rpo_seconds or 0:.0f} s, RTO {report.recovery_seconds:.0f} s; "
        "nothing is left of the test"
    )


def build_result(
    outcome: str, summary: str, report: Report, now: str, failures: Sequence[Failure] = (), next_command: str = ""
) -> dict[str, Any]:
    """Return the module result; `now` is ISO 8601 UTC. Nothing is changed: what was made is gone again."""
    return result.build_result(
        outcome,
        summary,
        next_command=next_command,
        set=report.set_id,
        failures=[failure.as_result() for failure in failures],
        phases=report.phases,
        bytes=sum(facts.bytes for facts in report.manifest.files.values()) if report.manifest else None,
        rpo_seconds=report.rpo_seconds,
        rto_seconds=report.recovery_seconds if outcome == "proven" else None,
        tables=len(report.tables),
        rows=report.rows,
        comparison=report.tables,
        model=report.model,
        bot=report.bot,
        checks=report.checks,
        versions=dict(report.manifest.versions) if report.manifest else {},
        manifest_sha256=report.manifest_sha256,
        attempts=report.attempts,
        removed=report.removed,
        by=report.by,
        started_at=report.started_at,
        finished_at=now,
        lines=_lines(report, failures),
    )


def _lines(report: Report, failures: Sequence[Failure]) -> list[str]:
    found = [f"{name:<26} {seconds:8.1f} s" for name, seconds in report.phases.items()]
    return found + [
        f"{item.fault.kind} fault {item.name}: {item.detail}. What to do: {item.fault.what_to_do}" for item in failures
    ]
