"""The restore test: a backup set is restored into a throw-away stack, compared, run, and removed again.

Everything happens in one call on the restore host, so that a run removes what it started, whatever becomes of the
connection. What a run that was killed has left behind, the next one removes first.
"""

from __future__ import annotations

import errno
import secrets
import shutil
import subprocess
import time as _time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ..backup.checksums import ChecksumError
from ..backup.manifest import MANIFEST_FILE, MLFLOW, TRADING, Manifest, ManifestError, observe_files, parse_manifest
from ..backup.manifest import file_facts as facts_of
from ..backup.postgres import Server
from ..backup.restic import next_after, repository_of
from ..checks.catalogue import CatalogueError
from ..checks.prometheus import Fetch as MetricFetch
from ..checks.prometheus import http_fetch
from ..compose.config import ComposeError, Project
from ..compose.config import build_environment as compose_environment
from ..core.clock import format_utc, uptime
from ..host.connection_end import Interrupted
from ..host.http import Endpoint
from ..host.programs import LocalPrograms, ProgramError, Programs
from ..state.latch import read_latch
from .compare import check_age, check_content, check_set, recovery_point_seconds
from .database import (
    Target,
    check_indexes,
    check_insert,
    check_workers,
    observe_content,
    restore_database,
    restore_roles,
)
from .faults import Failure, RestoreFault, by_cause, fault, may_pass
from .fetch import Fetch, fetch_from_folder, fetch_from_repository
from .isolation import find_dangers
from .leftovers import REMOVE_SECONDS, observe_things, present_of, remove_all
from .lock import RestoreTestLocked, hold, leashed
from .request import Request, parse_request
from .result import Report, build_result, proven_summary
from .stack import Stack
from .systems import Time, Written, check_model, wait_for_checks, watch_bot

RETRY_SECONDS: Final = 30
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
PROMETHEUS_PORT: Final = 9090
COPY_FACTOR: Final = 2
"""A restored database takes more than its dump: indexes, and what PostgreSQL writes beside."""


@dataclass(frozen=True)
class Tools:
    """All I/O: programs, how a set is fetched and Prometheus asked, clocks, waiting, free space, names and secrets."""

    fetch: Fetch
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    clock: Callable[[], float] = uptime
    sleep: Callable[[float], None] = _time.sleep
    free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free
    token: Callable[[int], str] = secrets.token_hex
    programs: Callable[..., Programs] = LocalPrograms
    metrics: Callable[[Endpoint], MetricFetch] = http_fetch


def run_restore_test(params: Mapping[str, Any], dry_run: bool) -> dict[str, Any]:
    """Return the result of the module `restore_test`. Never raises for what can go wrong on a host."""
    tools = Tools(fetch_from_folder(Path(params["set_path"])))
    report = Report(format_utc(tools.now()), params["by"], params["set"])
    try:
        request = parse_request(params)
    except CatalogueError as error:
        return _result("invalid", str(error), report, tools)
    except (ValueError, OSError) as error:
        return _result("usage", str(error), report, tools)
    try:
        if not params["set_path"]:
            tools = replace(tools, fetch=fetch_from_repository(repository_of(params), tools.free_bytes))
    except (ValueError, OSError) as error:
        return _result("refused", str(error), report, tools, next_command=next_after(error))
    return ensure_tested(request, tools, report, dry_run)


def ensure_tested(request: Request, tools: Tools, report: Report, dry_run: bool) -> dict[str, Any]:
    """Return the module result of the whole test."""
    latch = read_latch(request.state_path)
    if latch:
        text = f"{latch.sentence()} No restore test runs on a host that is halted."
        return _result("refused", text, report, tools, next_command="./runbook status")
    if dry_run:
        return _preview(request, tools, report)
    try:
        with hold(request.state_path, f"{request.by}, since {report.started_at}") as lock:
            return _run(request, tools, report, leashed(lock))
    except RestoreTestLocked as error:
        return _result("locked", f"another restore test runs on this host: {error}", report, tools)
    except OSError as error:
        return _result("failed", f"the lock of the restore test could not be taken: {error}", report, tools)
    except Interrupted as error:
        return _result("failed", f"interrupted: {error}", report, tools)


def _preview(request: Request, tools: Tools, report: Report) -> dict[str, Any]:
    """Return what a real run would meet, as far as that can be seen without copying or starting anything."""
    checkout = request.layout.project_src
    project = _project(request, checkout, checkout, _name(tools), "dry-run")
    stack = Stack(project, _programs(project, tools, request.start_timeout_seconds))
    try:
        dangers = _dangers(stack, checkout)
    except (ProgramError, ComposeError, RestoreFault) as error:
        return _result("refused", str(error), report, tools)
    if dangers:
        return _result("refused", f"the restore test would not be kept apart: {'; '.join(dangers)}", report, tools)
    return _result(
        "planned", "the throw-away project is sound; a real run restores and tests a set in it", report, tools
    )


def _run(request: Request, tools: Tools, report: Report, popen: Callable[..., Any]) -> dict[str, Any]:
    """Try, and try again where only time can cure what went wrong, within the limit of the run."""
    ends_at = tools.clock() + request.timeout_seconds
    while True:
        begun = tools.clock()
        failures, refusal = _Attempt(request, tools, report, popen, ends_at).run()
        took = tools.clock() - begun
        if refusal:
            return _result("refused", refusal, report, tools)
        if not may_pass(failures) or tools.clock() + RETRY_SECONDS + took >= ends_at:
            break
        tools.sleep(RETRY_SECONDS)
    if failures:
        first = failures[0]
        text = f"{first.name} ({first.fault.kind} fault): {first.detail}"
        return _result("failed", text, report, tools, failures, first.fault.what_to_do)
    return _result("proven", proven_summary(report), report, tools)


class _Attempt:
    """One whole test in a stack of its own. `popen` starts programs that hold the lock of the run."""

    def __init__(
        self, request: Request, tools: Tools, report: Report, popen: Callable[..., Any], ends_at: float
    ) -> None:
        name = _name(tools)
        self.request, self.tools, self.report, self.popen, self.ends_at = request, tools, report, popen, ends_at
        self.scratch, self.secret = request.scratch_path / name, tools.token(16)
        self.project = _project(request, self.scratch / "project", self.scratch, name, self.secret)

    def run(self) -> tuple[tuple[Failure, ...], str]:
        """Return the failures, or why it was refused; what it made is removed, and that is proven."""
        self.report.begin_again()
        with self.phase("remove leftovers"):
            failures = list(self.remove())
        if failures:
            return by_cause(failures), ""
        failures, refusal = self.prepare_and_test()
        with self.phase("remove"):
            try:
                failures += self.remove()
            except Interrupted as error:  # no second one comes: what was begun is done again, to its end
                failures += [Failure("interrupted", str(error)), *self.remove()]
        return by_cause(failures), refusal

    def phase(self, name: str) -> AbstractContextManager[None]:
        return self.report.phase(name, self.tools.clock)

    def remove(self) -> Sequence[Failure]:
        """Remove what this and earlier tests left, in a time of its own; return what stands in the way."""
        programs = _programs(self.project, self.tools, REMOVE_SECONDS, self.popen)
        try:
            self.report.removed += remove_all(Stack(self.project, programs).docker, self.request.scratch_path)
        except RestoreFault as error:
            return error.failures
        except (ProgramError, OSError) as error:
            return [Failure("left_behind", f"what the test made could not be removed: {error}")]
        return []

    def prepare_and_test(self) -> tuple[list[Failure], str]:
        """Return the failures of the test, or why it was refused. Raises nothing."""
        tools = self.tools
        programs = _programs(self.project, tools, max(0.0, self.ends_at - tools.clock()), self.popen)
        stack = Stack(self.project, programs, self.request.start_timeout_seconds)
        try:
            _prepare(self.request, self.scratch)
            if dangers := _dangers(stack, self.scratch):
                text = "the restore test would not be kept apart, and nothing was started"
                return [], f"{text}: {'; '.join(dangers)}"
            self.test(stack)
        except RestoreFault as error:
            return list(error.failures), ""
        except ChecksumError as error:
            return [Failure("restore_failed", str(error))], ""
        except (ProgramError, ComposeError) as error:
            cause = "restore_failed" if "ERROR:" in str(error) else "engine_away"
            return [Failure("time_limit" if tools.clock() >= self.ends_at else cause, str(error))], ""
        except OSError as error:
            return [Failure("no_room" if error.errno in _FULL else "engine_away", f"{error}")], ""
        except Interrupted as error:
            return [Failure("interrupted", str(error))], ""
        except Exception as error:  # whatever it is: the stack is removed, and the report says what broke the test
            return [Failure("restore_failed", f"unexpected {type(error).__name__}: {error}")], ""
        return [], ""

    def test(self, stack: Stack) -> None:
        """Test in a stack that was found sound. Raises RestoreFault, ProgramError, ChecksumError, OSError."""
        folder = self.scratch / "set"
        with self.phase("fetch"):
            self.tools.fetch(stack.programs, self.request.set_id, folder)
        with self.phase("check the set"):
            manifest = _check_set(self.request, self.tools, self.report, folder)
        target = self.restore(stack, manifest, folder)
        self.start_systems(stack, manifest)
        self.watch(stack, manifest, target)

    def restore(self, stack: Stack, manifest: Manifest, folder: Path) -> Target:
        """Return the server with every database of the set, each compared with the manifest."""
        layout = self.request.layout
        with self.phase("start database"):
            stack.up(layout.database)
            stack.prove_isolation()
            target = Target(stack.programs, Server(stack.container(layout.database), layout.superuser))
            check_workers(target)
            restore_roles(target, folder / manifest.roles.file, self.secret)
        for key, wanted in manifest.databases.items():
            name = layout.databases[key]
            with self.phase("restore"):
                restore_database(target, name, wanted, folder / wanted.dump.file)
            with self.phase("compare"):
                seen = observe_content(target, name)
                self.report.compared(key, wanted.tables, seen.tables)
                if found := check_content(name, wanted, seen):
                    raise RestoreFault(*found)
        with self.phase("check indexes and writing"):
            for name in layout.databases.values():
                check_indexes(target, name)
            check_insert(target, layout.databases[TRADING])
        return target

    def start_systems(self, stack: Stack, manifest: Manifest) -> None:
        """Start MLflow and have it list and predict."""
        with self.phase("start systems"):
            stack.up(self.request.layout.registry)
            stack.prove_isolation()
        registry = manifest.databases[MLFLOW].registry
        if registry is None:
            raise fault("manifest_damaged", "the manifest says nothing of MLflow's experiments, runs and models")
        with self.phase("ask the model"):
            self.report.model = check_model(stack, self.request.model, registry, self.scratch)

    def watch(self, stack: Stack, manifest: Manifest, target: Target) -> None:
        """Start the bot and what it needs, watch it write, and have the checks pass."""
        request, layout, tools = self.request, self.request.layout, self.tools
        time = Time(lambda: tools.now().timestamp(), tools.clock, tools.sleep)
        since = format_utc(tools.now())
        with self.phase("start systems"):
            stack.up(*layout.systems)
            stack.prove_isolation()
        with self.phase("watch the bot"):
            columns = _time_columns(request.bot_tables, manifest)
            written = Written(target, layout.databases[TRADING], columns, since)
            rows = watch_bot(written, stack, request.bot_seconds, time)
            self.report.bot = {"seconds": request.bot_seconds, "rows": rows}
        with self.phase("evaluate checks"):
            url = f"http://{stack.address(layout.prometheus)}:{PROMETHEUS_PORT}"
            ask = tools.metrics(Endpoint(url, query_timeout_seconds=request.limits.query_timeout_seconds))
            limit = request.checks_timeout_seconds
            results = wait_for_checks(request.checks, request.select, ask, request.limits, limit, time)
            self.report.checks = [
                {"id": item.check.id, "outcome": item.outcome, "value": item.value} for item in results
            ]


def _check_set(request: Request, tools: Tools, report: Report, folder: Path) -> Manifest:
    """Return the manifest of a set whose files are all there and unchanged, and whose data are new enough."""
    path = folder / MANIFEST_FILE
    try:
        report.manifest_sha256 = facts_of(path).sha256
        manifest = parse_manifest(path.read_text(encoding="utf-8"))
        files = observe_files(folder)
    except FileNotFoundError as error:
        raise fault("manifest_missing", f"{MANIFEST_FILE} is not in the set") from error
    except (ManifestError, ValueError) as error:
        raise fault("manifest_damaged", str(error)) from error
    del files[MANIFEST_FILE]
    report.manifest, report.set_id = manifest, manifest.id
    report.rpo_seconds = recovery_point_seconds(manifest, tools.now())
    found = check_set(manifest, files, request.set_id)
    found += check_age(manifest, tools.now(), request.age_limit_seconds)
    if found:
        raise RestoreFault(*found)
    needed = COPY_FACTOR * sum(database.dump.facts.bytes for database in manifest.databases.values())
    if not tools.free_bytes(folder) >= needed:
        raise fault(
            "no_room", f"{needed / 1e9:.1f} GB are needed to restore this set, fewer are free at {folder.parent}"
        )
    for item in folder.rglob("*"):
        # Read by the services' own users, and mounted read-only; no one else comes into the scratch directory.
        item.chmod(0o755 if item.is_dir() else 0o644)
    folder.chmod(0o755)
    return manifest


def _prepare(request: Request, scratch: Path) -> None:
    """Copy what the project is made of into a private directory, without the secrets that lie beside it."""
    request.scratch_path.mkdir(mode=0o700, parents=True, exist_ok=True)
    request.scratch_path.chmod(0o700)
    for name in ("project", "state/latch", "set"):  # the latch that this bot mounts: none
        (scratch / name).mkdir(parents=True)
    for name in request.layout.tree:
        source, copy = request.layout.project_src / name, scratch / "project" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copy, ignore=shutil.ignore_patterns(".env"), dirs_exist_ok=True)
        else:
            shutil.copy(source, copy)
    for item in (scratch, *scratch.rglob("*")):
        item.chmod(0o755 if item.is_dir() else 0o644)


def _project(request: Request, project_src: Path, scratch: Path, name: str, secret: str) -> Project:
    return Project(
        project_src=project_src,
        files=request.layout.files,
        name=name,
        env_files=request.layout.env_files,
        variables={
            "TRADING_MODE": "paper",
            "RESTORE_TEST_PROJECT": name,
            "RESTORE_TEST_SCRATCH": str(scratch),
            "RESTORE_TEST_SECRET": secret,
        },
        docker_url=request.docker_url,
    )


def _programs(project: Project, tools: Tools, seconds: float, popen: Callable[..., Any] = subprocess.Popen) -> Programs:
    return tools.programs(compose_environment(project, {}), tools.clock, seconds, popen=popen)


def _dangers(stack: Stack, scratch: Path) -> list[str]:
    """Return why the project must not start. Raises RestoreFault, ProgramError, ComposeError."""
    present = present_of(observe_things(stack.docker))
    return find_dangers(stack.configuration(), stack.project.name, str(scratch), present)


def _time_columns(tables: Sequence[str], manifest: Manifest) -> list[str]:
    """Return `schema.table.column` for tables, as the manifest names their times. Raises RestoreFault."""
    known = manifest.databases[TRADING].newest
    found = [next((title for title in known if title.split(".")[1] == name), "") for name in tables]
    if missing := [name for name, title in zip(tables, found, strict=True) if not title]:
        raise fault("bot_silent", f"the backup has no table with times and rows named {', '.join(missing)}")
    return found


def _name(tools: Tools) -> str:
    return f"restoretest-{tools.now():%Y%m%d-%H%M%S}-{tools.token(3)}"


def _result(
    outcome: str, summary: str, report: Report, tools: Tools, failures: Sequence[Failure] = (), next_command: str = ""
) -> dict[str, Any]:
    return build_result(outcome, summary, report, format_utc(tools.now()), failures, next_command)
