"""The systems on restored data: MLflow lists and predicts, the bot decides and writes, the check catalogue passes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..backup.manifest import Registry, parse_registry
from ..checks.catalogue import Check
from ..checks.evaluate import CheckResult, Limits, Window, by_reason, evaluate_all, wait_until_stable
from ..checks.prometheus import Fetch
from ..core.package import sources_of
from ..host.programs import Ended
from . import registry_probe
from .compare import check_registry
from .database import Target
from .faults import RestoreFault, fault
from .stack import Stack, last_output

POLL_SECONDS: Final = 2.0

_ONE_TRY: Final = ("--env", "MLFLOW_HTTP_REQUEST_MAX_RETRIES=1", "--env", "MLFLOW_HTTP_REQUEST_TIMEOUT=10")
"""A location that leads out of the test's network must not keep the test waiting for minutes."""


@dataclass(frozen=True)
class Model:
    """The registered model that trades, the service whose container can load it, and features to ask it with."""

    service: str
    registry_url: str
    name: str
    alias: str
    features: Mapping[str, float]


@dataclass(frozen=True)
class Time:
    """Clocks and waiting. `now` is seconds since 1970, `clock` monotonic seconds."""

    now: Callable[[], float]
    clock: Callable[[], float]
    sleep: Callable[[float], None]


def check_model(stack: Stack, model: Model, wanted: Registry, scratch: Path) -> dict[str, Any]:
    """Return what the model predicts, once MLflow lists all that the manifest knows. Raises RestoreFault."""
    probe = scratch / "registry_probe.py"
    probe.write_text(next(iter(sources_of([registry_probe]).values())), encoding="utf-8")
    argv = ["python3", "-", model.registry_url, model.name, model.alias, json.dumps(dict(model.features))]
    into = stack.container(model.service)
    done = stack.programs.feed(["docker", "exec", "--interactive", *_ONE_TRY, into, *argv], probe)
    listed, answer = parse_probe(done)
    if found := check_registry(wanted, listed):
        raise RestoreFault(*found)
    if answer["error"] or not answer["prediction"] or not all(map(_is_number, answer["prediction"])):
        raise fault("model_unusable", f"{model.name}@{model.alias}: {answer['error'] or answer['prediction']}")
    version = next((item.version for item in listed.models if model.alias in item.aliases), None)
    return {"name": model.name, "alias": model.alias, "version": version, "prediction": answer["prediction"]}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def parse_probe(done: Ended) -> tuple[Registry, dict[str, Any]]:
    """Return what the probe printed: the registry, and `prediction` with `error`. Raises RestoreFault."""
    try:
        fields = json.loads(done.stdout.strip().splitlines()[-1])
        return parse_registry(fields), {"prediction": list(fields["prediction"]), "error": str(fields["error"])}
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise fault("registry_differs", f"MLflow could not be asked: {last_output(done)}") from error


@dataclass(frozen=True)
class Written:
    """What a database has taken in after `since` (ISO 8601). columns: `schema.table.column` of its tables' times."""

    target: Target
    database: str
    columns: Sequence[str]
    since: str

    def rows(self) -> dict[str, int]:
        """Return the number of rows by table. Raises ProgramError."""
        found = {}
        for title in self.columns:
            schema, table, column = title.split(".")
            sql = f'SELECT count(*) FROM "{schema}"."{table}" WHERE "{column}" > timestamptz \'{self.since}\''
            found[f"{schema}.{table}"] = int(self.target.value(self.database, sql))
        return found


def watch_bot(written: Written, stack: Stack, seconds: float, time: Time) -> dict[str, int]:
    """Return the rows that the bot wrote, by table. Raises RestoreFault (`bot_silent`).

    Each table has to have grown in the first half of the time and in the second.
    """
    time.sleep(seconds / 2)
    half = written.rows()
    time.sleep(seconds / 2)
    rows = written.rows()
    silent = [name for name, number in rows.items() if not 0 < half[name] < number]
    if silent or not rows:
        seen = ", ".join(f"{name}: {half[name]}, then {rows[name]}" for name in silent) or "no table is asked for"
        raise fault("bot_silent", f"rows written in {seconds:g} s: {seen}. The bot says: {stack.log_tail('bot')}")
    return rows


def wait_for_checks(
    checks: Sequence[Check],
    select: Mapping[str, str],
    fetch: Fetch,
    limits: Limits,
    timeout_seconds: float,
    time: Time,
) -> tuple[CheckResult, ...]:
    """Return the results once every check passes at one and the same step. Raises RestoreFault (`checks_failed`)."""
    waited = wait_until_stable(
        lambda: evaluate_all(checks, fetch, time.now, time.clock, limits, select),
        time.clock,
        time.sleep,
        Window(stable_seconds=0, interval_seconds=POLL_SECONDS, timeout_seconds=timeout_seconds),
    )
    if not waited.is_stable:
        reasons = by_reason((result.check.id, result.reason) for result in waited.closed_by)
        raise fault("checks_failed", f"within {timeout_seconds:.0f} s they did not all pass: {reasons}")
    return waited.results
