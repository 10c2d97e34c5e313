"""A backup while the bots write: both databases, MLflow's artifacts and the manifest, as one snapshot of restic.

In the order trading, MLflow, artifacts: what a database refers to is in what is taken after it. Each database gives one
snapshot, which its dump, its counts and its checksums share. What is staged is gone afterwards, whatever happened.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ..core.clock import format_utc, utc_now
from ..core.result import OperationError, build_result
from ..core.strict_json import parse_json
from ..host.engine import Engine, EngineError, docker_engine
from ..host.programs import LocalPrograms, ProgramError, Programs, checked
from . import postgres, restic
from .checksums import Ask, ChecksumError, Content, measure
from .manifest import (
    ARTIFACTS,
    DATABASES,
    MANIFEST_FILE,
    MLFLOW,
    ROLES_FILE,
    TRADING,
    Database,
    Dump,
    FileFacts,
    Manifest,
    ManifestError,
    Registry,
    build_id,
    observe_files,
    parse_registry,
    render_manifest,
)
from .postgres import Server
from .restic import Repository, ResticError

LOCK_FILE: Final = ".backup.lock"
CACHE: Final = "restic-cache"
CHECK_EVERY_BYTES: Final = 64 << 20

SIZES_SQL: Final = (
    "SELECT jsonb_build_object('bytes', coalesce(sum(pg_database_size(datname)), 0), 'names', jsonb_agg(datname)) "
    "FROM pg_database WHERE datname IN ({names})"
)

REGISTRY_SQL: Final = """
SELECT jsonb_build_object(
  'experiments', (SELECT count(*) FROM public.experiments WHERE lifecycle_stage = 'active'),
  'runs', (SELECT count(*) FROM public.runs WHERE lifecycle_stage = 'active'),
  'models', (SELECT coalesce(jsonb_agg(jsonb_build_object(
      'name', v.name, 'version', v.version, 'run_id', coalesce(v.run_id, ''),
      'aliases', (SELECT coalesce(jsonb_agg(a.alias ORDER BY a.alias), '[]') FROM public.registered_model_aliases a
                  WHERE a.name = v.name AND a.version = v.version)) ORDER BY v.name, v.version), '[]')
    FROM public.model_versions v WHERE v.current_stage IS DISTINCT FROM 'Deleted_Internal'))"""
"""MLflow's tables; a version that was deleted stays in its table under a stage of its own (mlflow 3)."""

_MLFLOW_VERSION: Final = "import importlib.metadata as m; print(m.version('mlflow'))"


@dataclass(frozen=True)
class Request:
    """What is backed up, from where, to where. Database names by role in the set (DATABASES)."""

    project: str
    database_service: str
    mlflow_service: str
    superuser: str
    database_names: Mapping[str, str]
    artifacts_path: str
    scratch_path: Path
    reserve_bytes: int
    repository: Repository
    host: str
    timeout_seconds: int


@dataclass(frozen=True)
class Ports:
    """The world: the engine, programs of the host, its clocks, and how much a disk has free."""

    engine: Callable[[], Engine]
    programs: Programs
    now: Callable[[], datetime]
    clock: Callable[[], float]
    free_bytes: Callable[[Path], int]


@dataclass
class _Run:
    """What a run has found out so far: this much is reported however it ends."""

    started_at: str
    phases: dict[str, float] = field(default_factory=dict)
    manifest: Manifest | None = None
    snapshot_id: str = ""


def back_up_this_host(params: Mapping[str, Any], dry_run: bool) -> dict[str, Any]:
    """Return the module result of a backup of this host, `params` as the module `backup` takes them. Never raises."""
    scratch_path = Path(params["scratch_path"])
    try:
        repository = restic.repository_of(params, None if dry_run else scratch_path / CACHE)
    except (ValueError, OSError) as error:
        now = utc_now()
        return _result("refused", f"No new set: {error}.", _Run(now), now, restic.next_after(error))
    request = Request(
        project=params["project_name"],
        database_service=params["database_service"],
        mlflow_service=params["mlflow_service"],
        superuser=params["superuser"],
        database_names={TRADING: params["trading_database"], MLFLOW: params["mlflow_database"]},
        artifacts_path=params["artifacts_path"],
        scratch_path=scratch_path,
        reserve_bytes=params["reserve_bytes"],
        repository=repository,
        host=params["host"],
        timeout_seconds=params["timeout_seconds"],
    )
    programs = LocalPrograms({"DOCKER_HOST": params["docker_url"]}, time.monotonic, request.timeout_seconds)
    ports = Ports(
        engine=lambda: docker_engine(params["docker_url"]),
        programs=programs,
        now=lambda: datetime.now(UTC),
        clock=time.monotonic,
        free_bytes=lambda path: shutil.disk_usage(path).free,
    )
    return ensure_backup(request, ports, dry_run)


def ensure_backup(request: Request, ports: Ports, dry_run: bool) -> dict[str, Any]:
    """Return the module result of taking a set and seeing it in the repository. Never raises for what can go wrong."""
    run = _Run(format_utc(ports.now()))
    outcome, summary, next_command = _outcome(request, ports, run, dry_run)
    return _result(outcome, summary, run, format_utc(ports.now()), next_command)


def _outcome(request: Request, ports: Ports, run: _Run, dry_run: bool) -> tuple[str, str, str]:
    """Return outcome, sentence and next command of a backup."""
    try:
        return "planned" if dry_run else "proven", _backup(request, ports, run, dry_run), ""
    except OperationError as error:
        return error.outcome, str(error), error.next_command
    except ResticError as error:
        return error.outcome, f"No new set. {error}", "./runbook backup_check"
    except EngineError as error:
        return "unknown", f"No new set. {error}", "docker info (on the host)"
    except (ProgramError, ChecksumError, ManifestError, ValueError) as error:
        return "failed", f"No new set. {str(error).rstrip('.')}.", ""
    except OSError as error:
        return "failed", f"No new set, the host's disk did not take it: {error}.", "df -h (on the host)"


def _backup(request: Request, ports: Ports, run: _Run, dry_run: bool) -> str:
    with _scratch(request, dry_run):
        with _timed(run, ports, "preflight"):
            engine = ports.engine()
            server = Server(
                postgres.find_container(engine, request.project, request.database_service), request.superuser
            )
            registry = postgres.find_container(engine, request.project, request.mlflow_service)
            _open_repository(request, ports, dry_run)
            needed = _needed_bytes(request, ports, server, registry)
            _demand_space(request, ports, needed)
        if dry_run:
            return f"would back up {_megabytes(needed)} to {request.repository.shown}"
        return _take(request, ports, run, server, registry)


def _take(request: Request, ports: Ports, run: _Run, server: Server, registry: str) -> str:
    started = ports.now()
    set_id = build_id(started)
    folder = request.scratch_path / set_id
    folder.mkdir(mode=0o700)
    databases, versions = {}, _versions(ports, server, registry)
    for name in DATABASES:
        with _timed(run, ports, name):
            databases[name], more = _dump_database(request, ports, server, name, folder)
            versions |= more
    with _timed(run, ports, "roles"):
        roles = Dump(ROLES_FILE, _save(request, ports, postgres.roles_argv(server), folder / ROLES_FILE))
    with _timed(run, ports, ARTIFACTS):
        artifacts = _copy_artifacts(request, ports, registry, folder / ARTIFACTS)
    finished = format_utc(ports.now())
    manifest = Manifest(set_id, request.host, format_utc(started), finished, versions, databases, roles, artifacts)
    text = render_manifest(manifest)
    (folder / MANIFEST_FILE).write_text(text, encoding="utf-8")
    with _timed(run, ports, "restic"):
        ended = restic.ask_restic(
            ports.programs, request.repository, restic.backup_argv(set_id, request.host), cwd=folder
        )
        snapshot_id = restic.parse_summary(ended.stdout)
    with _timed(run, ports, "verify"):
        _prove(request, ports, manifest, text, snapshot_id)
    run.manifest, run.snapshot_id = manifest, snapshot_id
    size = sum(facts.bytes for facts in manifest.files.values())
    tables = sum(len(database.tables) for database in databases.values())
    return (
        f"{set_id}: {tables} tables with {manifest.rows} rows, {len(artifacts)} artifacts, {_megabytes(size)}; "
        f"snapshot {snapshot_id[:8]} in {request.repository.shown} has every file"
    )


def _dump_database(
    request: Request, ports: Ports, server: Server, name: str, folder: Path
) -> tuple[Database, dict[str, str]]:
    """Return a database as it was dumped, and the versions its server reports."""
    database = request.database_names[name]
    path = folder / f"{name}.dump"
    with postgres.session(ports.programs, server, database) as (ask, end), ThreadPoolExecutor(1) as pool:
        snapshot = _begin(ask, request.timeout_seconds)
        # Beside the dump: the database reads its tables once for both, out of its cache.
        counting = pool.submit(_content, ask, name)
        try:
            facts = _save(request, ports, postgres.dump_argv(server, database, snapshot["snapshot"]), path)
        except BaseException:
            end()
            raise
        content, registry = counting.result()
    if not content.tables:
        raise OperationError(f"Database {database} has no table: there is nothing to back up, and something is wrong.")
    versions = {"postgresql": snapshot["server"]}
    if name == TRADING:
        versions["timescaledb"] = content.extensions.get("timescaledb", "")
    return (
        Database(Dump(path.name, facts), snapshot["at"], content.extensions, content.tables, content.newest, registry),
        versions,
    )


def _begin(ask: Ask, timeout_seconds: int) -> dict[str, str]:
    """Return the snapshot that this session keeps open: its name, when it is of, and the server's version."""
    # A run that was killed leaves the session behind: it must not keep dead rows in the tables forever.
    ask(f"SET idle_in_transaction_session_timeout = '{timeout_seconds}s'")
    ask("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    (line,) = ask(
        "SELECT jsonb_build_object('snapshot', pg_export_snapshot(), 'server', current_setting('server_version'), "
        "'at', to_char(transaction_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'))"
    )
    return {key: str(value) for key, value in parse_json(line).items()}


def _content(ask: Ask, name: str) -> tuple[Content, Registry | None]:
    content = measure(ask)
    if name != MLFLOW:
        return content, None
    (line,) = ask(REGISTRY_SQL)
    return content, parse_registry(parse_json(line))


def _save(request: Request, ports: Ports, argv: list[str], path: Path) -> FileFacts:
    """Return size and SHA-256 of what a program wrote, which is at `path` now."""
    seen, sizes = hashlib.sha256(), [0]

    with open(path, "xb") as file:

        def take(piece: bytes) -> None:
            file.write(piece)
            seen.update(piece)
            before, sizes[0] = sizes[0], sizes[0] + len(piece)
            if before // CHECK_EVERY_BYTES != sizes[0] // CHECK_EVERY_BYTES:
                _demand_space(request, ports, 0)

        ended = ports.programs.stream(argv, take)
    postgres.ended_well(argv[3], ended)
    if not sizes[0]:
        raise OperationError(f"{argv[3]} ended with 0 and wrote nothing.")
    return FileFacts(sizes[0], seen.hexdigest())


def _copy_artifacts(request: Request, ports: Ports, registry: str, folder: Path) -> dict[str, FileFacts]:
    """Return the artifacts, copied out of MLflow's container. None at all is possible: nothing was ever registered."""
    argv = ["docker", "cp", f"{registry}:{request.artifacts_path}/.", str(folder)]
    checked("docker cp", ports.programs.run(argv))
    _demand_space(request, ports, 0)
    return observe_files(folder)


def _prove(request: Request, ports: Ports, manifest: Manifest, text: str, snapshot_id: str) -> None:
    """Raise OperationError unless the repository itself shows every file in its size, and gives the manifest back."""
    listed = restic.parse_files(
        restic.ask_restic(ports.programs, request.repository, ["ls", "--json", snapshot_id]).stdout
    )
    expected = {name: facts.bytes for name, facts in manifest.files.items()} | {MANIFEST_FILE: len(text.encode())}
    if listed != expected:
        wrong = sorted(name for name in listed.keys() | expected.keys() if listed.get(name) != expected.get(name))
        raise OperationError(f"Snapshot {snapshot_id[:8]} does not hold what was staged: {', '.join(wrong[:3])}.")
    if restic.read_manifest(ports.programs, request.repository, snapshot_id) != text:
        raise OperationError(f"Snapshot {snapshot_id[:8]} gives another manifest back than was stored.")


def _open_repository(request: Request, ports: Ports, dry_run: bool) -> None:
    """Raise where the repository cannot be opened now: before gigabytes are staged for it."""
    try:
        restic.ask_restic(ports.programs, request.repository, ["cat", "config"])
    except ResticError as error:
        if error.code == restic.NO_REPOSITORY:
            raise OperationError(str(error), "refused", "./runbook backup_setup") from error
        raise
    if not dry_run:
        restic.remove_stale_locks(ports.programs, request.repository)


def _needed_bytes(request: Request, ports: Ports, server: Server, registry: str) -> int:
    """Return how much a set may take. OperationError where a database is not there."""
    names = sorted(request.database_names.values())
    quoted = ", ".join("'" + name.replace("'", "''") + "'" for name in names)
    with postgres.session(ports.programs, server, "postgres") as (ask, _):
        (line,) = ask(SIZES_SQL.format(names=quoted))
    seen = parse_json(line)
    if sorted(seen["names"] or ()) != names:
        raise OperationError(
            f"Databases {', '.join(names)} were expected, there: {', '.join(seen['names'] or ['none'])}.", "refused"
        )
    argv = postgres.exec_argv(registry, ["du", "-sk", request.artifacts_path])
    kilobytes = checked("du of the artifacts", ports.programs.run(argv)).stdout.split()[:1]
    if not kilobytes or not kilobytes[0].isdigit():
        raise OperationError(f"The size of {request.artifacts_path} in MLflow's container is not known.", "unknown")
    return int(seen["bytes"]) + int(kilobytes[0]) * 1024


def _demand_space(request: Request, ports: Ports, needed: int) -> None:
    """Raise OperationError unless the disk has `needed` bytes and the reserve: a backup must not stop the database."""
    free = ports.free_bytes(request.scratch_path if request.scratch_path.exists() else Path("/"))
    if free < needed + request.reserve_bytes:
        raise OperationError(
            f"{request.scratch_path} has {_megabytes(free)} free; a set takes up to {_megabytes(needed)}, and "
            f"{_megabytes(request.reserve_bytes)} stay free for the database.",
            "refused",
            f"df -h {request.scratch_path} (on the host)",
        )


def _versions(ports: Ports, server: Server, registry: str) -> dict[str, str]:
    def ask(what: str, argv: list[str]) -> str:
        return checked(what, ports.programs.run(argv)).stdout.strip()

    return {
        "restic": ask("restic version", ["restic", "version"]).split()[1],
        "pg_dump": ask("pg_dump --version", postgres.version_argv(server.container)).split()[2],
        "mlflow": ask("the version of MLflow", postgres.exec_argv(registry, ["python3", "-c", _MLFLOW_VERSION])),
    }


@contextmanager
def _scratch(request: Request, dry_run: bool) -> Iterator[None]:
    """Hold the scratch directory: private, only this run's, without what a killed run left, empty again afterwards."""
    if dry_run:
        yield
        return
    request.scratch_path.mkdir(mode=0o700, parents=True, exist_ok=True)
    request.scratch_path.chmod(0o700)
    with open(request.scratch_path / LOCK_FILE, "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OperationError(f"Another backup is at work in {request.scratch_path}.", "locked") from error
        _empty(request.scratch_path)
        try:
            yield
        finally:
            _empty(request.scratch_path)


def _empty(scratch_path: Path) -> None:
    """Remove every set that was staged. Raises OSError where one stays: secrets of the estate lie in it."""
    for folder in scratch_path.glob("SET-*"):
        shutil.rmtree(folder)


@contextmanager
def _timed(run: _Run, ports: Ports, phase: str) -> Iterator[None]:
    begun = ports.clock()
    try:
        yield
    finally:
        run.phases[phase] = round(ports.clock() - begun, 3)


def _result(outcome: str, summary: str, run: _Run, now: str, next_command: str = "") -> dict[str, Any]:
    manifest = run.manifest
    set_id = manifest.id if manifest else ""
    size = sum(facts.bytes for facts in manifest.files.values()) if manifest else 0
    taken = {name: item.snapshot_at for name, item in manifest.databases.items()} if manifest else {}
    rows = manifest.rows if manifest else 0
    ended = {"outcome": outcome, "summary": summary, "set": set_id, "bytes": size}
    return build_result(
        outcome,
        summary,
        changed=run.snapshot_id != "" or outcome == "planned",
        next_command=next_command,
        set={"id": set_id, "snapshot_id": run.snapshot_id, "bytes": size, "rows": rows, "snapshot_at": taken},
        phases=run.phases,
        record={**ended, "started_at": run.started_at, "finished_at": now},
        lines=[f"{phase}: {seconds:.1f} s" for phase, seconds in run.phases.items()] if manifest else [],
    )


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:.1f} MB"
