"""How every backup and restore test ended, kept on the control host, and the metrics that Prometheus reads from it.

A metric file is what node exporter's textfile collector takes. It is made from the records, so it cannot say more.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from ..core.clock import parse_utc
from ..core.durable import write_durably
from ..core.result import build_result

KEPT_RECORDS: Final = 400
_OFFSET: Final = timedelta(minutes=5)
"""Clocks of controller and control host may differ. A record of the future would silence an alert until then."""

_NUMBERS: Final = {
    "backup": {"size_bytes": ("bytes", "Size of the last good backup.")},
    "restore_test": {
        "rpo_seconds": ("rpo_seconds", "Recovery point of the last good restore test: what a loss would have cost."),
        "rto_seconds": ("rto_seconds", "Recovery time of the last good restore test."),
        "size_bytes": ("bytes", "Size of the backup that the last good restore test restored."),
    },
}
KINDS: Final = frozenset(_NUMBERS)


class RecordError(Exception):
    """A record that cannot be kept. The text is a sentence."""


def parse_record(record: Mapping[str, Any], now: datetime) -> tuple[datetime, datetime]:
    """Return when the run of a record began and ended. Raises RecordError where it is none, or is of the future."""
    try:
        began, ended = parse_utc(record["started_at"]), parse_utc(record["finished_at"])
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise RecordError(f"A record needs started_at and finished_at in UTC: {error!r}.") from error
    if not isinstance(record.get("outcome"), str):
        raise RecordError("A record needs an outcome.")
    if not began <= ended <= now + _OFFSET:
        raise RecordError(f"A run from {record['started_at']} to {record['finished_at']} cannot be; check the clocks.")
    return began, ended


def is_good(record: Mapping[str, Any]) -> bool:
    """Return whether the run proved what it was for."""
    return record.get("outcome") == "proven"


def render_metrics(kind: str, records: Sequence[Mapping[str, Any]], now: datetime) -> str:
    """Return the metric file for the records, oldest first. No good run, no time of one: that raises the alert.

    Nothing is said of the last run of all: one that died leaves no record, and would go on being called good.
    """
    good = [record for record in records if is_good(record)]
    if not good:
        return ""
    prefix = f"trading_core_{kind}_"
    began, ended = parse_record(good[-1], now)
    # A backup is as old as its beginning: what was written after that is not in it for certain.
    since = began if kind == "backup" else ended
    values: list[tuple[str, str, float]] = [
        ("last_success_timestamp_seconds", "How old the last good one is counts from here.", since.timestamp()),
        ("duration_seconds", "How long it took.", (ended - began).total_seconds()),
        *_numbers(kind, good[-1]),
    ]
    return "".join(
        f"# HELP {prefix}{name} {about}\n# TYPE {prefix}{name} gauge\n{prefix}{name} {value!r}\n"
        for name, about, value in values
    )


def keep_record(
    kind: str, record: Mapping[str, Any], state_path: Path, metrics_path: Path, now: datetime, dry_run: bool
) -> dict[str, Any]:
    """Return the module result of the record kept and of a metric file made from all of them; `records` are those."""
    folder, file = state_path / "records" / kind, metrics_path / f"trading_core_{kind}.prom"
    try:
        _, ended = parse_record(record, now)
        if dry_run:
            return _result("planned", f"would keep the record and write {file}", False, read_records(folder, now))
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        path = folder / f"{re.sub('[^0-9]', '', ended.isoformat())[:14]}-{_slug(record)}.json"
        text = json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        changed = not path.exists() or path.read_text(encoding="utf-8") != text
        if changed:
            write_durably(path, text)
        for old in sorted(folder.glob("*.json"))[:-KEPT_RECORDS]:
            old.unlink()
        records = read_records(folder, now)
    except (RecordError, OSError) as error:
        return _result("failed", f"The record was not kept: {error}", False, [])
    metrics = render_metrics(kind, records, now)
    try:
        write_durably(file, metrics)
        written = file.read_text(encoding="utf-8")
    except OSError as error:
        summary = f"The record is kept, but its metrics were not written, so an alert will be raised: {error}"
        return _result("failed", summary, changed, records, "sudo apt-get install prometheus-node-exporter")
    if written != metrics:
        return _result("failed", f"{file} does not hold what was written to it.", changed, records)
    good = sum(map(is_good, records))
    return _result("proven", f"{len(records)} runs on record, {good} of them good; metrics in {file}", changed, records)


def read_records(folder: Path, now: datetime) -> list[dict[str, Any]]:
    """Return the records of a folder, oldest first. Left out, since it proves nothing: one damaged or of the future."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            parse_record(record, now)
        except (OSError, ValueError, RecursionError, RecordError):
            continue
        found.append(record)
    return found


def _numbers(kind: str, record: Mapping[str, Any]) -> list[tuple[str, str, float]]:
    found = [(name, about, record.get(key)) for name, (key, about) in _NUMBERS[kind].items()]
    return [
        (name, about, float(value))
        for name, about, value in found
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    ]


def _slug(record: Mapping[str, Any]) -> str:
    return re.sub(r"[^A-Za-z0-9-]+", "-", str(record.get("set") or "none"))[:40]


def _result(
    outcome: str, summary: str, changed: bool, records: list[dict[str, Any]], next_command: str = ""
) -> dict[str, Any]:
    return build_result(outcome, summary, changed=changed, next_command=next_command, records=records)
