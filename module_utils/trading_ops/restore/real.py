"""The real restore: a named set into empty databases and an empty artifact folder, and every row compared.

Nothing here can drop, empty or overwrite. What is not empty, or has a session, is refused. What failed half-way is left
as it is, and reported to be unusable.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import tarfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ..backup import postgres, restic
from ..backup.checksums import Ask, ChecksumError, build_tables_sql, differences, measure
from ..backup.manifest import (
    ARTIFACTS,
    DATABASES,
    MANIFEST_FILE,
    MLFLOW,
    TRADING,
    Database,
    Manifest,
    ManifestError,
    file_differences,
    is_id,
    observe_files,
    parse_manifest,
)
from ..backup.postgres import Server
from ..backup.restic import BackupSet, Repository, ResticError
from ..core.result import OperationError, build_result
from ..host.engine import Engine, EngineError, docker_engine
from ..host.programs import LocalPrograms, ProgramError, Programs, checked
from .compare import TIMESCALEDB
from .database import feed_roles

_LONGEST_LIST: Final = 1 << 20

_PAGE: Final = "runbooks/Backup_And_Restore.md 4"
_START_SECONDS: Final = 20
_INTERVAL_SECONDS: Final = 0.2

EXISTS_SQL: Final = "SELECT datname FROM pg_database WHERE datname = {name}"
SCHEDULER: Final = "TimescaleDB Background Worker Scheduler"
SESSIONS_SQL: Final = r"""
SELECT left(coalesce(nullif(application_name, ''), backend_type), 60) || ' of ' || coalesce(usename::text, 'nobody')
FROM pg_stat_activity
WHERE datname = {name} AND pid <> pg_backend_pid()
  AND backend_type !~ '^(autovacuum worker|parallel worker|TimescaleDB Background Worker .*|.* \[\d+\])$'
ORDER BY 1"""
"""Who is connected to a database, all but PostgreSQL's own helpers and the workers of TimescaleDB.

In every database with the extension runs its scheduler, and for a while each of its jobs, whose type is `name [id]`. A
client cannot choose its type. Only timescaledb_pre_restore() ends these workers, and the restore calls it.
"""
SCHEDULERS_SQL: Final = f"SELECT pid FROM pg_stat_activity WHERE datname = {{name}} AND backend_type = '{SCHEDULER}'"
_WORKERS_SQL: Final = "SELECT _timescaledb_functions.{}_background_workers()"
"""Of TimescaleDB 2.12 and newer."""
VERSIONS_SQL: Final = "SELECT version FROM pg_available_extension_versions WHERE name = 'timescaledb'"
INSTALLED_SQL: Final = "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'"


@dataclass(frozen=True)
class Request:
    """What is restored, to where. `targets` are database names by role in the set."""

    set_id: str
    confirmed: str
    project: str
    database_service: str
    mlflow_service: str
    superuser: str
    targets: Mapping[str, str]
    artifacts_path: str
    scratch_path: Path
    reserve_bytes: int
    repository: Repository


@dataclass(frozen=True)
class Ports:
    """The world: the engine, programs of the host, how much a disk has free, clock and wait, and who owns a file."""

    engine: Callable[[], Engine]
    programs: Programs
    free_bytes: Callable[[Path], int]
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    chown: Callable[[Path, int, int], None] = os.chown


@dataclass(frozen=True)
class _Place:
    """Where a set goes: the database server, and MLflow's container."""

    request: Request
    ports: Ports
    server: Server
    registry: str

    def ask(self, database: str) -> AbstractContextManager[tuple[Ask, Callable[[], None]]]:
        """Give a session with a database, as postgres.session does."""
        return postgres.session(self.ports.programs, self.server, database)


@dataclass
class _Run:
    """How far it came: what was begun, and is not done, is no longer empty."""

    begun: list[str] = field(default_factory=list)
    is_done: bool = False


def restore_this_host(params: Mapping[str, Any], dry_run: bool) -> dict[str, Any]:
    """Return the module result of a restore on this host, `params` as the module `restore` takes them. Never raises."""
    try:
        repository = restic.repository_of(params)
    except (ValueError, OSError) as error:
        return build_result("refused", f"Nothing was restored: {error}.", next_command=restic.next_after(error))
    request = Request(
        set_id=params["set"],
        confirmed=params["confirm_restore"],
        project=params["project_name"],
        database_service=params["database_service"],
        mlflow_service=params["mlflow_service"],
        superuser=params["superuser"],
        targets={TRADING: params["trading_database"], MLFLOW: params["mlflow_database"]},
        artifacts_path=params["artifacts_path"],
        scratch_path=Path(params["scratch_path"]),
        reserve_bytes=params["reserve_bytes"],
        repository=repository,
    )
    programs = LocalPrograms({"DOCKER_HOST": params["docker_url"]}, time.monotonic, params["timeout_seconds"])
    ports = Ports(
        engine=lambda: docker_engine(params["docker_url"]),
        programs=programs,
        free_bytes=lambda path: shutil.disk_usage(path).free,
    )
    return ensure_restored(request, ports, dry_run)


def ensure_restored(request: Request, ports: Ports, dry_run: bool) -> dict[str, Any]:
    """Return the module result of restoring a set and comparing all of it. Never raises for what can go wrong."""
    run = _Run()
    try:
        return build_result("planned" if dry_run else "proven", _restore(request, ports, run, dry_run), changed=True)
    except OperationError as error:
        return _failed(error.outcome, str(error), run, error.next_command)
    except ResticError as error:
        return _failed(error.outcome, str(error), run, "./runbook backup_check")
    except EngineError as error:
        return _failed("unknown", str(error), run, "docker info (on the host)")
    except (ProgramError, ChecksumError, ManifestError, ValueError, OSError) as error:
        return _failed("failed", str(error), run)


def _restore(request: Request, ports: Ports, run: _Run, dry_run: bool) -> str:
    if not is_id(request.set_id) or request.confirmed != request.set_id:
        raise OperationError(
            "A restore names its set twice: -e set=SET-… -e confirm_restore=SET-… with the same id.",
            "usage",
            "./runbook backup_info",
        )
    engine = ports.engine()
    server = Server(postgres.find_container(engine, request.project, request.database_service), request.superuser)
    place = _Place(request, ports, server, _find_registry(engine, request))
    found = restic.newest_set(restic.list_sets(ports.programs, request.repository), request.set_id)
    owner = _demand_empty(place)
    _demand_space(request, ports, found)
    where = ", ".join(f"{role} into {name}" for role, name in request.targets.items())
    if dry_run:
        return f"would restore {found.id} of {found.host}: {where}, {ARTIFACTS} into {request.artifacts_path}"
    folder = request.scratch_path / "restore"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    try:
        manifest = _fetch(request, ports, found, folder)
        _demand_version(place, manifest)
        run.begun.append("roles")
        # Passwords are in no backup: a new role has none until it is given one.
        if error := feed_roles(ports.programs, server, folder / manifest.roles.file):
            raise OperationError(f"The roles could not be made: {error}.")
        for role in DATABASES:
            run.begun.append(f"database {request.targets[role]}")
            _restore_database(place, role, manifest.databases[role], folder)
        run.begun.append(ARTIFACTS)
        _restore_artifacts(place, manifest, folder, owner)
    finally:
        shutil.rmtree(folder)
    run.begun, run.is_done = [], True
    _start_workers(place, [request.targets[role] for role in DATABASES if _has_timescaledb(manifest, role)])
    tables = sum(len(database.tables) for database in manifest.databases.values())
    return (
        f"{found.id} of {found.host} restored, {where}: {tables} tables with {manifest.rows} rows and "
        f"{len(manifest.artifacts)} artifacts are equal to the manifest"
    )


def _has_timescaledb(manifest: Manifest, role: str) -> bool:
    return TIMESCALEDB in manifest.databases[role].extensions


def _find_registry(engine: Engine, request: Request) -> str:
    """Return MLflow's container, which has to be there and must not run: it would write into what is restored."""
    labels = [
        f"com.docker.compose.{key}" for key in (f"project={request.project}", f"service={request.mlflow_service}")
    ]
    found = engine.containers(labels)
    if len(found) != 1 or found[0].get("State") not in {"created", "exited"}:
        seen = ", ".join(str(item.get("State")) for item in found) or "none"
        raise OperationError(
            f"MLflow's container has to be made and not to run ({request.project}/{request.mlflow_service}: {seen}).",
            "refused",
            _PAGE,
        )
    return str(found[0]["Id"])


def _demand_empty(place: _Place) -> tuple[int, int]:
    """Return whose the artifact folder is. OperationError unless each target is missing, or empty without a session."""
    for name in place.request.targets.values():
        if not _exists(place, name):
            continue
        _demand_alone(place, name)
        with place.ask(name) as (ask, _):
            tables = ask(build_tables_sql(has_timescaledb=False))
        if tables:
            raise OperationError(f"Database {name} is not empty: it has {len(tables)} tables.", "refused")
    return _owner_of_empty(place.ports, place.registry, place.request.artifacts_path)


def _exists(place: _Place, name: str) -> bool:
    with place.ask("postgres") as (ask, _):
        return bool(ask(EXISTS_SQL.format(name=_literal(name))))


def _demand_alone(place: _Place, name: str) -> None:
    """Raise OperationError where anyone is connected to a database: what they write would be missing, or too much."""
    with place.ask("postgres") as (ask, _):
        found = ask(SESSIONS_SQL.format(name=_literal(name)))
    if found:
        shown = ", ".join(found[:3]) + (" …" if len(found) > 3 else "")
        raise OperationError(f"Database {name} has {len(found)} session{'s' * (len(found) != 1)}: {shown}.", "refused")


def _owner_of_empty(ports: Ports, container: str, path: str) -> tuple[int, int]:
    """Return user and group of a folder in a container that need not run. OperationError where a file is in it."""
    pieces: list[bytes] = []
    not_empty = OperationError(f"{path} in MLflow's container is not empty.", "refused")

    def take(piece: bytes) -> None:
        pieces.append(piece)
        if sum(map(len, pieces)) > _LONGEST_LIST:
            raise not_empty

    checked("docker cp", ports.programs.stream(["docker", "cp", f"{container}:{path}/.", "-"], take))
    try:
        with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as listed:
            members = listed.getmembers()
    except tarfile.TarError as error:
        raise OperationError(f"{path} in MLflow's container could not be read: {error}.") from error
    if not members:
        raise OperationError(f"{path} in MLflow's container could not be read: docker cp listed nothing.")
    if any(not member.isdir() for member in members):
        raise not_empty
    return members[0].uid, members[0].gid


def _demand_space(request: Request, ports: Ports, found: BackupSet) -> None:
    # Once staged, once in the database.
    needed = 2 * found.bytes + request.reserve_bytes
    free = ports.free_bytes(request.scratch_path if request.scratch_path.exists() else Path("/"))
    if free < needed:
        raise OperationError(
            f"{request.scratch_path} has {free / 1e6:.1f} MB free, {needed / 1e6:.1f} MB are needed.",
            "refused",
            "df -h",
        )


def _fetch(request: Request, ports: Ports, found: BackupSet, folder: Path) -> Manifest:
    """Return the manifest of the set, which is in `folder` now, whole and unchanged."""
    restic.ask_restic(ports.programs, request.repository, restic.restore_set_argv(found.snapshot_id, folder))
    manifest = parse_manifest((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
    seen = observe_files(folder)
    del seen[MANIFEST_FILE]
    wrong = file_differences(manifest.files, seen)
    if wrong or manifest.id != found.id:
        raise OperationError(f"{found.id} is damaged: {'; '.join(wrong[:3]) or f'it says to be {manifest.id}'}.")
    return manifest


def _demand_version(place: _Place, manifest: Manifest) -> None:
    """Raise OperationError unless each target can have, or has, the TimescaleDB that its backup was taken with."""
    for role, name in place.request.targets.items():
        version = manifest.databases[role].extensions.get(TIMESCALEDB)
        if version is None:
            continue
        with place.ask("postgres") as (ask, _):
            known = ask(VERSIONS_SQL)
        if version not in known:
            raise OperationError(
                f"The server has no TimescaleDB {version}, which {role} was backed up with.", "refused"
            )
        installed = _installed_version(place, name) if _exists(place, name) else ""
        if installed not in {"", version}:
            raise OperationError(f"Database {name} has TimescaleDB {installed}, not {version}.", "refused")


def _installed_version(place: _Place, name: str) -> str:
    with place.ask(name) as (ask, _):
        return "".join(ask(INSTALLED_SQL))


def _restore_database(place: _Place, role: str, wanted: Database, folder: Path) -> None:
    name, dump = place.request.targets[role], folder / wanted.dump.file
    version = wanted.extensions.get(TIMESCALEDB)
    if not _exists(place, name):
        owner = _owner(place, dump)
        with place.ask("postgres") as (ask, _):
            ask(f"CREATE DATABASE {_identifier(name)} TEMPLATE template0" + (f" OWNER {owner}" if owner else ""))
    if version:
        if not _installed_version(place, name):
            with place.ask(name) as (ask, _):
                ask("SET search_path = public")
                ask(f"CREATE EXTENSION timescaledb VERSION {_literal(version)}")
        _switch(place, name, "on", "SELECT timescaledb_pre_restore()")
        _demand_alone(place, name)
    ended = place.ports.programs.feed(postgres.restore_argv(place.server, name), dump)
    postgres.ended_well("pg_restore", ended)
    if version:
        # Its workers wait for the end of this transaction: no job (retention, say) takes a row before all are compared.
        _switch(place, name, "off", "BEGIN", "SELECT timescaledb_post_restore()", _WORKERS_SQL.format("stop"), "COMMIT")
    with place.ask(name) as (ask, _):
        wrong = differences(wanted.tables, measure(ask).tables)
        if wrong:
            raise OperationError(f"{name} is not what was backed up: {'; '.join(wrong[:3])}.")
        ask("ANALYZE")  # a restored database has no statistics, and plans as if it were empty


def _switch(place: _Place, name: str, restoring: str, *statements: str) -> None:
    """Begin or end TimescaleDB's restore mode, and see in a new session what that left: no scheduler either way."""
    with place.ask(name) as (ask, _):
        ask("SET search_path = public")
        for sql in statements:
            ask(sql)
    with place.ask(name) as (ask, _):
        seen = ", ".join(ask("SHOW timescaledb.restoring"))
    if seen != restoring:
        raise OperationError(f"{name} has timescaledb.restoring {seen or 'nowhere'}, where {restoring} was switched.")
    if _has_scheduler(place, name):
        raise OperationError(f"TimescaleDB's scheduler still runs in {name}, although it was stopped.")


def _has_scheduler(place: _Place, name: str) -> bool:
    with place.ask("postgres") as (ask, _):
        return bool(ask(SCHEDULERS_SQL.format(name=_literal(name))))


def _start_workers(place: _Place, names: Sequence[str]) -> None:
    """Start TimescaleDB's scheduler in databases, and see it run where the server's settings let it."""
    for name in names:
        with place.ask(name) as (ask, _):
            ask(_WORKERS_SQL.format("start"))
            is_off = ask("SHOW timescaledb.max_background_workers") == ["0"]
        end = place.ports.clock() + _START_SECONDS
        while not is_off and not _has_scheduler(place, name):
            if place.ports.clock() >= end:
                raise OperationError(f"All is restored and equal, and TimescaleDB's scheduler does not run in {name}.")
            place.ports.sleep(_INTERVAL_SECONDS)


def _owner(place: _Place, dump: Path) -> str:
    """Return the quoted owner of the database that a dump was made of, empty where the dump does not say."""
    argv = postgres.exec_argv(place.server.container, ["pg_restore", "--list", "--create"], is_fed=True)
    listed = checked("pg_restore --list", place.ports.programs.feed(argv, dump)).stdout
    found = re.search(r"^\d+; 1262 \d+ DATABASE - \S+ (\S+)$", listed, re.MULTILINE)
    return _identifier(found[1]) if found else ""


def _restore_artifacts(place: _Place, manifest: Manifest, folder: Path, owner: tuple[int, int]) -> None:
    """Copy the artifacts into MLflow's container, out of it again, and compare."""
    programs = place.ports.programs
    source, back = folder / ARTIFACTS, folder / "read-back"
    source.mkdir(exist_ok=True)  # restic keeps no empty folder of a set without artifacts
    inside = f"{place.registry}:{place.request.artifacts_path}/."
    # Copied with their numbers, and MLflow does not run as root. `--archive` would look its name up on this host.
    for item in (source, *source.rglob("*")):
        place.ports.chown(item, *owner)
    checked("docker cp", programs.run(["docker", "cp", f"{source}/.", inside]))
    checked("docker cp", programs.run(["docker", "cp", inside, str(back)]))
    wrong = file_differences(manifest.artifacts, observe_files(back))
    if wrong:
        raise OperationError(f"The artifacts are not what was backed up: {'; '.join(wrong[:3])}.")


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _failed(outcome: str, sentence: str, run: _Run, next_command: str = "") -> dict[str, Any]:
    text = sentence.rstrip(".")
    if run.begun:
        left = f"Begun and not usable: {', '.join(run.begun)}. Remove that by hand before the next try"
        return build_result("failed", f"{text}. {left}.", changed=True, next_command=_PAGE)
    if run.is_done:
        return build_result(outcome, f"{text}.", changed=True, next_command="docker logs (on the host)")
    return build_result(outcome, f"Nothing was restored. {text}.", next_command=next_command or _PAGE)
