"""The real restore: a named set into empty databases and an empty artifact folder, and every row compared.

Nothing here can drop, empty or overwrite. What is not empty, or has anybody connected, is refused. What failed half-way
is left as it is, and said to be unusable.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import tarfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ..backup import postgres, restic
from ..backup.checksums import ChecksumError, build_tables_sql, differences, measure
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
from ..host.engine import Engine, EngineError, docker_engine
from ..host.programs import LocalPrograms, ProgramError, Programs, checked

TIMESCALEDB: Final = "timescaledb"
_ROLE_IS_THERE: Final = re.compile(r'ERROR:\s+role "[^"]*" already exists')
_LONGEST_LIST: Final = 1 << 20

TARGET_SQL: Final = """
SELECT jsonb_build_object('sessions', (SELECT count(*) FROM pg_stat_activity WHERE datname = d.datname))
FROM pg_database d WHERE d.datname = {name}"""
VERSIONS_SQL: Final = "SELECT version FROM pg_available_extension_versions WHERE name = 'timescaledb'"
INSTALLED_SQL: Final = "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'"


class RestoreError(Exception):
    """Nothing usable was restored: a sentence, the outcome (`usage`, `refused` or `failed`) and the next command."""

    def __init__(self, sentence: str, outcome: str = "failed", next_command: str = "") -> None:
        super().__init__(sentence)
        self.outcome = outcome
        self.next_command = next_command


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
    """The world: the engine, programs of the host, how much a disk has free, and who owns a file."""

    engine: Callable[[], Engine]
    programs: Programs
    free_bytes: Callable[[Path], int]
    chown: Callable[[Path, int, int], None] = os.chown


@dataclass
class _Run:
    """How far it came: what was begun is no longer empty."""

    begun: list[str] = field(default_factory=list)


def restore_this_host(params: Mapping[str, Any], dry_run: bool) -> dict[str, Any]:
    """Return the module result of a restore on this host, `params` as the module `restore` takes them. Never raises."""
    credentials_path = Path(params["credentials_path"]) if params["credentials_path"] else None
    try:
        repository = restic.build_repository(
            params["repository"], Path(params["password_path"]), credentials_path, None
        )
    except (ValueError, OSError) as error:
        return _result("refused", f"Nothing was restored: {error}.", next_command="./runbook backup_setup")
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
        return _result("planned" if dry_run else "proven", _restore(request, ports, run, dry_run), changed=True)
    except RestoreError as error:
        return _failed(error.outcome, str(error), run, error.next_command)
    except ResticError as error:
        return _failed(error.outcome, str(error), run, "./runbook backup_check")
    except EngineError as error:
        return _failed("unknown", str(error), run, "docker info (on the host)")
    except (ProgramError, ChecksumError, ManifestError, ValueError, OSError) as error:
        return _failed("failed", str(error), run)


def _restore(request: Request, ports: Ports, run: _Run, dry_run: bool) -> str:
    if not is_id(request.set_id) or request.confirmed != request.set_id:
        raise RestoreError(
            "A restore names its set twice: -e set=SET-… -e confirm_restore=SET-… with the same id.",
            "usage",
            "./runbook backup_info",
        )
    engine = ports.engine()
    server = Server(postgres.find_container(engine, request.project, request.database_service), request.superuser)
    registry = _find_registry(engine, request)
    found = restic.newest_set(restic.list_sets(ports.programs, request.repository), request.set_id)
    owner = _demand_empty(request, ports, server, registry)
    _demand_space(request, ports, found)
    where = ", ".join(f"{role} into {name}" for role, name in request.targets.items())
    if dry_run:
        return f"would restore {found.id} of {found.host}: {where}, {ARTIFACTS} into {request.artifacts_path}"
    folder = request.scratch_path / "restore"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    try:
        manifest = _fetch(request, ports, found, folder)
        _demand_version(request, ports, server, manifest)
        _restore_roles(ports, server, folder / manifest.roles.file, run)
        for role in DATABASES:
            _restore_database(request, ports, server, role, manifest.databases[role], folder, run)
        _restore_artifacts(request, ports, registry, manifest, folder, owner, run)
    finally:
        shutil.rmtree(folder)
    tables = sum(len(database.tables) for database in manifest.databases.values())
    return (
        f"{found.id} of {found.host} restored, {where}: {tables} tables with {manifest.rows} rows and "
        f"{len(manifest.artifacts)} artifacts are equal to the manifest"
    )


def _find_registry(engine: Engine, request: Request) -> str:
    """Return MLflow's container, which has to be there and must not run: it would write into what is restored."""
    labels = [
        f"com.docker.compose.{key}" for key in (f"project={request.project}", f"service={request.mlflow_service}")
    ]
    found = engine.containers(labels)
    if len(found) != 1 or found[0].get("State") not in {"created", "exited"}:
        seen = ", ".join(str(item.get("State")) for item in found) or "none"
        raise RestoreError(
            f"MLflow's container has to be made and not to run ({request.project}/{request.mlflow_service}: {seen}).",
            "refused",
            "docker compose create mlflow (on the host; runbooks/Backup_And_Restore.md 4)",
        )
    return str(found[0]["Id"])


def _demand_empty(request: Request, ports: Ports, server: Server, registry: str) -> tuple[int, int]:
    """Return whose the artifact folder is. RestoreError unless each target is missing, or empty and nobody's."""
    for name in request.targets.values():
        with postgres.session(ports.programs, server, "postgres") as (ask, _):
            lines = ask(TARGET_SQL.format(name=_literal(name)))
        if not lines:
            continue
        if lines != ['{"sessions": 0}']:
            raise RestoreError(f"Somebody is connected to database {name}: {lines[0]}.", "refused")
        with postgres.session(ports.programs, server, name) as (ask, _):
            tables = ask(build_tables_sql(has_timescaledb=False))
        if tables:
            raise RestoreError(f"Database {name} is not empty: it has {len(tables)} tables.", "refused")
    return _owner_of_empty(ports, registry, request.artifacts_path)


def _owner_of_empty(ports: Ports, container: str, path: str) -> tuple[int, int]:
    """Return user and group of a folder in a container that need not run. RestoreError where a file is in it."""
    pieces: list[bytes] = []
    not_empty = RestoreError(f"{path} in MLflow's container is not empty.", "refused")

    def take(piece: bytes) -> None:
        pieces.append(piece)
        if sum(map(len, pieces)) > _LONGEST_LIST:
            raise not_empty

    checked("docker cp", ports.programs.stream(["docker", "cp", f"{container}:{path}/.", "-"], take))
    try:
        with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as listed:
            members = listed.getmembers()
    except tarfile.TarError as error:
        raise RestoreError(f"{path} in MLflow's container could not be looked at: {error}.") from error
    if not members:
        raise RestoreError(f"{path} in MLflow's container could not be looked at: docker cp said nothing of it.")
    if any(not member.isdir() for member in members):
        raise not_empty
    return members[0].uid, members[0].gid


def _demand_space(request: Request, ports: Ports, found: BackupSet) -> None:
    # Once staged, once in the database.
    needed = 2 * found.bytes + request.reserve_bytes
    free = ports.free_bytes(request.scratch_path if request.scratch_path.exists() else Path("/"))
    if free < needed:
        raise RestoreError(
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
        raise RestoreError(f"{found.id} is damaged: {'; '.join(wrong[:3]) or f'it says to be {manifest.id}'}.")
    return manifest


def _demand_version(request: Request, ports: Ports, server: Server, manifest: Manifest) -> None:
    """Raise RestoreError unless each target can have, or has, the TimescaleDB that its database was backed up with."""
    for role, name in request.targets.items():
        version = manifest.databases[role].extensions.get(TIMESCALEDB)
        if version is None:
            continue
        with postgres.session(ports.programs, server, "postgres") as (ask, _):
            known, is_there = ask(VERSIONS_SQL), bool(ask(TARGET_SQL.format(name=_literal(name))))
        if version not in known:
            raise RestoreError(f"The server has no TimescaleDB {version}, which {role} was backed up with.", "refused")
        installed = _installed_version(ports, server, name) if is_there else ""
        if installed not in {"", version}:
            raise RestoreError(f"Database {name} has TimescaleDB {installed}, not {version}.", "refused")


def _installed_version(ports: Ports, server: Server, name: str) -> str:
    with postgres.session(ports.programs, server, name) as (ask, _):
        return "".join(ask(INSTALLED_SQL))


def _restore_roles(ports: Ports, server: Server, path: Path, run: _Run) -> None:
    """Make the roles that are missing. Passwords are in no backup: a new role has none until somebody gives it one."""
    argv = ["psql", "--no-psqlrc", "--quiet", f"--username={server.user}", "--dbname=postgres"]
    run.begun.append("roles")
    ended = ports.programs.feed(postgres.exec_argv(server.container, argv, is_fed=True), path)
    wrong = [line for line in ended.stderr.splitlines() if "ERROR" in line and not _ROLE_IS_THERE.search(line)]
    if ended.code != 0 or wrong:
        raise RestoreError(f"The roles could not be made: {(wrong or [ended.stderr])[0]}.")


def _restore_database(
    request: Request, ports: Ports, server: Server, role: str, wanted: Database, folder: Path, run: _Run
) -> None:
    name, dump = request.targets[role], folder / wanted.dump.file
    version = wanted.extensions.get(TIMESCALEDB)
    run.begun.append(f"database {name}")
    with postgres.session(ports.programs, server, "postgres") as (ask, _):
        if not ask(TARGET_SQL.format(name=_literal(name))):
            owner = _owner(ports, server, dump)
            ask(f"CREATE DATABASE {_identifier(name)} TEMPLATE template0" + (f" OWNER {owner}" if owner else ""))
    if version:
        if not _installed_version(ports, server, name):
            with postgres.session(ports.programs, server, name) as (ask, _):
                ask("SET search_path = public")
                ask(f"CREATE EXTENSION timescaledb VERSION {_literal(version)}")
        _switch(ports, server, name, "pre_restore", "on")
    postgres.ended_well("pg_restore", ports.programs.feed(postgres.restore_argv(server, name), dump))
    if version:
        _switch(ports, server, name, "post_restore", "off")
    with postgres.session(ports.programs, server, name) as (ask, _):
        wrong = differences(wanted.tables, measure(ask).tables)
        if wrong:
            raise RestoreError(f"{name} is not what was backed up: {'; '.join(wrong[:3])}.")
        ask("ANALYZE")  # a restored database has no statistics, and plans as if it were empty


def _switch(ports: Ports, server: Server, name: str, what: str, restoring: str) -> None:
    """Call one of TimescaleDB's pair, and see in a new session what it left."""
    with postgres.session(ports.programs, server, name) as (ask, _):
        ask("SET search_path = public")
        ask(f"SELECT timescaledb_{what}()")
    with postgres.session(ports.programs, server, name) as (ask, _):
        if (seen := ask("SHOW timescaledb.restoring")) != [restoring]:
            raise RestoreError(f"After timescaledb_{what}() {name} has timescaledb.restoring {seen}.")


def _owner(ports: Ports, server: Server, dump: Path) -> str:
    """Return the quoted owner of the database that a dump was made of, empty where the dump does not tell."""
    argv = postgres.exec_argv(server.container, ["pg_restore", "--list", "--create"], is_fed=True)
    listed = checked("pg_restore --list", ports.programs.feed(argv, dump)).stdout
    found = re.search(r"^\d+; 1262 \d+ DATABASE - \S+ (\S+)$", listed, re.MULTILINE)
    return _identifier(found[1]) if found else ""


def _restore_artifacts(
    request: Request,
    ports: Ports,
    registry: str,
    manifest: Manifest,
    folder: Path,
    owner: tuple[int, int],
    run: _Run,
) -> None:
    """Copy the artifacts into MLflow's container, out of it again, and compare."""
    run.begun.append(ARTIFACTS)
    source, back = folder / ARTIFACTS, folder / "read-back"
    source.mkdir(exist_ok=True)  # restic keeps no empty folder of a set without artifacts
    place = f"{registry}:{request.artifacts_path}/."
    # Copied with their numbers, and MLflow does not run as root. `--archive` would look its name up on this host.
    for item in (source, *source.rglob("*")):
        ports.chown(item, *owner)
    checked("docker cp", ports.programs.run(["docker", "cp", f"{source}/.", place]))
    checked("docker cp", ports.programs.run(["docker", "cp", place, str(back)]))
    wrong = file_differences(manifest.artifacts, observe_files(back))
    if wrong:
        raise RestoreError(f"The artifacts are not what was backed up: {'; '.join(wrong[:3])}.")


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _failed(outcome: str, sentence: str, run: _Run, next_command: str = "") -> dict[str, Any]:
    words = sentence.rstrip(".")
    if run.begun:
        left = f"Begun and not usable: {', '.join(run.begun)}. Remove that by hand before the next try"
        return _result("failed", f"{words}. {left}.", changed=True, next_command="runbooks/Backup_And_Restore.md 4")
    return _result(outcome, f"Nothing was restored. {words}.", next_command=next_command)


def _result(outcome: str, summary: str, changed: bool = False, next_command: str = "") -> dict[str, Any]:
    return {"changed": changed, "outcome": outcome, "summary": summary, "next_command": next_command}
