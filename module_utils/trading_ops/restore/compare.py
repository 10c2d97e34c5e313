"""What was restored, held against the manifest of its backup set: every difference under the name of its cause."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from ..backup.checksums import Content, Table
from ..backup.manifest import ARTIFACTS, TRADING, Database, FileFacts, Manifest, Registry
from .faults import Failure

TIMESCALEDB: Final = "timescaledb"


def check_set(manifest: Manifest, files: Mapping[str, FileFacts], wanted_id: str) -> list[Failure]:
    """Return what is wrong with the files of a set before anything is restored; `files` are all but the manifest."""
    found = []
    if wanted_id and manifest.id != wanted_id:
        found.append(Failure("manifest_damaged", f"set {wanted_id} was fetched, and its manifest says {manifest.id}"))
    if manifest.databases[TRADING].tables == {} or not _rows(manifest.databases[TRADING].tables):
        found.append(
            Failure("empty_database", "by the manifest the trading database has no row: nothing was backed up")
        )
    dumps = {database.dump.file for database in manifest.databases.values()}
    for name, wanted in manifest.files.items():
        seen = files.get(name)
        kind = "artifact" if name.startswith(f"{ARTIFACTS}/") else "dump" if name in dumps else "roles"
        if seen is None:
            found.append(Failure(_named(kind, "missing"), f"{name} is not in the set"))
        elif seen.bytes < wanted.bytes and kind == "dump":
            found.append(Failure("dump_truncated", f"{name} has {seen.bytes} of {wanted.bytes} bytes"))
        elif seen != wanted:
            found.append(Failure(_named(kind, "changed"), f"{name} is not the file that the manifest describes"))
    unexpected = sorted(files.keys() - manifest.files.keys())
    found += [Failure("artifact_unexpected", f"{name} is not in the manifest") for name in unexpected]
    return found


def _named(kind: str, what: str) -> str:
    return "roles_damaged" if kind == "roles" else f"{kind}_{what}"


def recovery_point_seconds(manifest: Manifest, now: datetime) -> float:
    """Return how old the newest time inside the trading data is; the age of its snapshot where it has no times."""
    trading = manifest.databases[TRADING]
    newest = max(map(_moment, trading.newest.values() or [trading.snapshot_at]))
    return round((now - newest).total_seconds(), 3)


def check_age(manifest: Manifest, now: datetime, limit_seconds: float) -> list[Failure]:
    """Return whether the data are too old, or from the future, which has no age."""
    age = recovery_point_seconds(manifest, now)
    # Written so that what is not between the two never passes.
    if -60 <= age <= limit_seconds:
        return []
    return [
        Failure("set_too_old", f"the newest data of {manifest.id} are {age:.0f} s old, allowed are {limit_seconds:g} s")
    ]


def check_content(name: str, wanted: Database, seen: Content) -> list[Failure]:
    """Return every difference between a restored database and the manifest; rows, values and chunks of each table."""
    found = [
        Failure(
            "extension_version", f"{name}: {extension} is {seen.extensions.get(extension, 'missing')}, not {version}"
        )
        for extension, version in wanted.extensions.items()
        if seen.extensions.get(extension) != version
    ]
    if _rows(wanted.tables) and not _rows(seen.tables):
        return [*found, Failure("empty_database", f"{name}: 0 of {_rows(wanted.tables)} rows are there")]
    for title, table in wanted.tables.items():
        found += _check_table(f"{name}: {title}", table, seen.tables.get(title))
    unexpected = sorted(seen.tables.keys() - wanted.tables.keys())
    return found + [Failure("table_unexpected", f"{name}: {title} is not in the manifest") for title in unexpected]


def _check_table(title: str, wanted: Table, seen: Table | None) -> list[Failure]:
    if seen is None:
        return [Failure("table_missing", f"{title} with {wanted.rows} rows is missing")]
    if wanted.is_hypertable and not seen.is_hypertable:
        return [Failure("hypertable_lost", f"{title} is a plain table now")]
    rows = f"{title} has {seen.rows} rows, not {wanted.rows}"
    if seen.chunks < wanted.chunks:
        return [Failure("chunk_missing", f"{rows}, and {seen.chunks} chunks, not {wanted.chunks}")]
    if seen.rows != wanted.rows:
        return [Failure("rows_missing" if seen.rows < wanted.rows else "rows_unexpected", rows)]
    if seen.checksum != wanted.checksum or seen != wanted:
        return [Failure("values_changed", f"{title} has its {wanted.rows} rows, and not the same values in them")]
    return []


def check_registry(wanted: Registry, seen: Registry) -> list[Failure]:
    """Return what MLflow's server lists otherwise than the manifest has it."""
    found = [
        f"{getattr(seen, name)} {name}, not {getattr(wanted, name)}"
        for name in ("experiments", "runs")
        if getattr(seen, name) != getattr(wanted, name)
    ]
    for model in sorted({*wanted.models} - {*seen.models}, key=str):
        found.append(f"{model.name} version {model.version} is missing, or has another run or other aliases")
    for model in sorted({*seen.models} - {*wanted.models}, key=str):
        found.append(f"{model.name} version {model.version} is not as in the manifest")
    if not wanted.models:
        found.append("by the manifest no model is registered")
    return [Failure("registry_differs", "; ".join(found))] if found else []


def _rows(tables: Mapping[str, Table]) -> int:
    return sum(table.rows for table in tables.values())


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
