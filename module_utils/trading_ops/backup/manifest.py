"""What a backup set says about itself: `manifest.json`, first file of the set to be believed and last to be written.

    {"format": 1, "id", "host", "started_at", "finished_at",
     "versions": {"postgresql", "timescaledb", "mlflow", "restic", "pg_dump"},
     "databases": {
       "trading": {"dump": {"file", "bytes", "sha256"}, "snapshot_at", "extensions": {name: version},
                   "tables": {"schema.table": {"rows", "checksum", "hypertable", "chunks"}},
                   "newest": {"schema.table.column": ISO time}},
       "mlflow": {…the same…, "experiments", "runs",
                  "models": [{"name", "version", "aliases": […], "run_id"}]}},
     "roles": {"file", "bytes", "sha256"},
     "artifacts": {"files": {relative path: {"bytes", "sha256"}}}}

Experiments and runs are the active ones, as MLflow lists them; versions of models without the deleted ones.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, Final

from ..core.clock import parse_utc
from ..core.strict_json import parse_json
from .checksums import Table

FORMAT: Final = 1
MANIFEST_FILE: Final = "manifest.json"
ROLES_FILE: Final = "roles.sql"
ARTIFACTS: Final = "artifacts"
TRADING: Final = "trading"
MLFLOW: Final = "mlflow"
DATABASES: Final = (TRADING, MLFLOW)
"""In the order of a backup: what the first refers to is in the second, and what that refers to is an artifact."""

_ID: Final = re.compile(r"SET-[0-9]{8}-[0-9]{6}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_CHECKSUM: Final = re.compile(r"[0-9a-f]{32}")
_CHUNK_BYTES: Final = 1 << 20


class ManifestError(Exception):
    """It is no manifest, or not of this format. The text is a sentence."""


@dataclass(frozen=True)
class FileFacts:
    """Size and SHA-256 of a file of the set."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Dump:
    """A file of the set that a database made."""

    file: str
    facts: FileFacts


@dataclass(frozen=True)
class ModelVersion:
    """A version of a registered model."""

    name: str
    version: int
    aliases: tuple[str, ...]
    run_id: str


@dataclass(frozen=True)
class Registry:
    """What MLflow's tables say is there."""

    experiments: int
    runs: int
    models: tuple[ModelVersion, ...]


@dataclass(frozen=True)
class Database:
    """One database in one snapshot: `snapshot_at` (ISO 8601 UTC) is when. `registry` is MLflow's."""

    dump: Dump
    snapshot_at: str
    extensions: Mapping[str, str]
    tables: Mapping[str, Table]
    newest: Mapping[str, str]
    registry: Registry | None = None


@dataclass(frozen=True)
class Manifest:
    """A whole backup set. `artifacts` are by path below `artifacts/`."""

    id: str
    host: str
    started_at: str
    finished_at: str
    versions: Mapping[str, str]
    databases: Mapping[str, Database]
    roles: Dump
    artifacts: Mapping[str, FileFacts]

    @property
    def rows(self) -> int:
        return sum(table.rows for database in self.databases.values() for table in database.tables.values())

    @property
    def files(self) -> Mapping[str, FileFacts]:
        """Return every file of the set but the manifest itself, by path in the set."""
        dumps = [*(database.dump for database in self.databases.values()), self.roles]
        artifacts = {f"{ARTIFACTS}/{name}": facts for name, facts in self.artifacts.items()}
        return {dump.file: dump.facts for dump in dumps} | artifacts


def build_id(moment: datetime) -> str:
    """Return the id of a set that is begun at `moment` (UTC)."""
    return moment.strftime("SET-%Y%m%d-%H%M%S")


def is_id(text: str) -> bool:
    """Return whether it is the id of a set."""
    return bool(_ID.fullmatch(text))


def render_manifest(manifest: Manifest) -> str:
    """Return the text of the file."""
    fields = {
        "format": FORMAT,
        "id": manifest.id,
        "host": manifest.host,
        "started_at": manifest.started_at,
        "finished_at": manifest.finished_at,
        "versions": dict(manifest.versions),
        "databases": {name: _database_fields(item) for name, item in manifest.databases.items()},
        "roles": _dump_fields(manifest.roles),
        "artifacts": {"files": {name: _facts_fields(facts) for name, facts in sorted(manifest.artifacts.items())}},
    }
    return json.dumps(fields, ensure_ascii=False, indent=1) + "\n"


def parse_manifest(text: str) -> Manifest:
    """Return the set that the text describes. Raises ManifestError for anything that is not wholly understood."""
    try:
        fields = parse_json(text)
        if fields["format"] != FORMAT:
            raise ManifestError(f"The manifest has format {fields['format']!r}; this version reads {FORMAT}.")
        if not is_id(fields["id"]) or set(fields["databases"]) != set(DATABASES):
            raise ValueError("id or databases are not a set's")
        return Manifest(
            id=fields["id"],
            host=_text(fields["host"]),
            started_at=_time(fields["started_at"]),
            finished_at=_time(fields["finished_at"]),
            versions=_texts(fields["versions"]),
            databases={name: _parse_database(name, fields["databases"][name]) for name in DATABASES},
            roles=_parse_dump(fields["roles"]),
            artifacts={_relative(name): _parse_facts(item) for name, item in fields["artifacts"]["files"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ManifestError(f"The manifest is damaged: {type(error).__name__}: {error}.") from error


def file_facts(path: Path) -> FileFacts:
    """Return size and SHA-256 of a file, read in pieces. Raises OSError."""
    seen, size = hashlib.sha256(), 0
    with open(path, "rb") as file:
        while piece := file.read(_CHUNK_BYTES):
            seen.update(piece)
            size += len(piece)
    return FileFacts(size, seen.hexdigest())


def observe_files(folder: Path) -> dict[str, FileFacts]:
    """Return every file below `folder` by its path there. Raises OSError; ManifestError for links and devices."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise ManifestError(f"{path.relative_to(folder)} is neither a file nor a folder.")
        if path.is_file():
            found[path.relative_to(folder).as_posix()] = file_facts(path)
    return found


def file_differences(expected: Mapping[str, FileFacts], seen: Mapping[str, FileFacts]) -> tuple[str, ...]:
    """Return as text which files are missing, changed or unexpected; empty where all are as expected."""
    found = [f"{name} is missing" for name in expected if name not in seen]
    for name, facts in seen.items():
        wanted = expected.get(name)
        if wanted is None:
            found.append(f"{name} is not of the set")
        elif facts.bytes != wanted.bytes:
            found.append(f"{name} has {facts.bytes} bytes, not {wanted.bytes}")
        elif facts != wanted:
            found.append(f"{name} was changed: its SHA-256 is another one")
    return tuple(found)


def _database_fields(database: Database) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "dump": _dump_fields(database.dump),
        "snapshot_at": database.snapshot_at,
        "extensions": dict(database.extensions),
        "tables": {title: _table_fields(table) for title, table in database.tables.items()},
        "newest": dict(database.newest),
    }
    if database.registry:
        fields |= asdict(database.registry)
    return fields


def _parse_database(name: str, fields: Mapping[str, Any]) -> Database:
    return Database(
        dump=_parse_dump(fields["dump"]),
        snapshot_at=_time(fields["snapshot_at"]),
        extensions=_texts(fields["extensions"]),
        tables={_text(title): _parse_table(item) for title, item in fields["tables"].items()},
        newest=_texts(fields["newest"]),
        registry=parse_registry(fields) if name == MLFLOW else None,
    )


def _table_fields(table: Table) -> dict[str, Any]:
    return {"rows": table.rows, "checksum": table.checksum, "hypertable": table.is_hypertable, "chunks": table.chunks}


def _parse_table(fields: Mapping[str, Any]) -> Table:
    if not isinstance(fields["hypertable"], bool) or not _CHECKSUM.fullmatch(fields["checksum"]):
        raise ValueError("not the numbers of a table")
    return Table(_count(fields["rows"]), fields["checksum"], fields["hypertable"], _count(fields["chunks"]))


def parse_registry(fields: Mapping[str, Any]) -> Registry:
    """Return what MLflow's tables say is there. Raises ValueError, KeyError, TypeError."""
    models = [
        ModelVersion(
            _text(item["name"]), _count(item["version"]), _list_of_texts(item["aliases"]), _text(item["run_id"])
        )
        for item in fields["models"]
    ]
    return Registry(_count(fields["experiments"]), _count(fields["runs"]), tuple(models))


def _dump_fields(dump: Dump) -> dict[str, Any]:
    return {"file": dump.file, **_facts_fields(dump.facts)}


def _facts_fields(facts: FileFacts) -> dict[str, Any]:
    return asdict(facts)


def _parse_dump(fields: Mapping[str, Any]) -> Dump:
    return Dump(_relative(fields["file"]), _parse_facts(fields))


def _parse_facts(fields: Mapping[str, Any]) -> FileFacts:
    if not _SHA256.fullmatch(fields["sha256"]):
        raise ValueError("no SHA-256")
    return FileFacts(_count(fields["bytes"]), fields["sha256"])


def _relative(name: Any) -> str:
    """Return a path inside the set. ValueError for one that leads out of it."""
    path = PurePosixPath(_text(name))
    if path.is_absolute() or ".." in path.parts or str(path) != name or name == ".":
        raise ValueError(f"{name!r} leads out of the set")
    return str(path)


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{value!r} is no count")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value


def _texts(value: Mapping[Any, Any]) -> dict[str, str]:
    return {_text(key): _text(item) for key, item in value.items()}


def _list_of_texts(value: Sequence[Any]) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError(f"{value!r} is no list")
    return tuple(_text(item) for item in value)


def _time(value: Any) -> str:
    parse_utc(_text(value))
    return str(value)
