"""Evidence of one host: logs, descriptions, events and facts, redacted before anything is written. Changes nothing.

It takes what is there: without the engine the containers' own files, without a container an entry that says so.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Final, Protocol

from .bots import SERVICE_LABEL, BotRules, select_bots
from .clock import format_utc, parse_utc
from .compose_config import Command, ComposeError, Runner
from .container_logs import Seen, is_older, look_at_file, pieces_of_answer, pieces_of_file, seek_tail
from .durable import bounded
from .engine import EngineError
from .evidence_bundle import KEPT, SCRATCH_PREFIX, TOO_LONG, Bundle, Item, pack, safe_name
from .known_secrets import parse_environment, select_secrets
from .redaction import DECLARED, Piece, RedactionError, Redactor, Rules, build_rules

EVENTS_BEFORE: Final = timedelta(minutes=30)
COMMAND_SECONDS: Final = 10
FREE_BYTES: Final = 64 * 1024 * 1024
"""So much of the disk is left to the host."""
FILE_BYTES: Final = 1024 * 1024
LOG_BYTES: Final = 16 * 1024 * 1024
"""Of one log. Redacting takes about a second for each two megabytes, and all of it has to be done in time."""
RECORDS_AT_ONCE: Final = 256
_ID: Final = re.compile(r"INC-\d{8}-\d{6}-[a-z0-9-]+|incident_test_\d{8}-\d{6}")

HOST_COMMANDS: Final[dict[str, list[str]]] = {
    "clock": ["timedatectl", "show"],
    "disks": ["df", "-P", "-k"],
    "failed units": ["systemctl", "--failed", "--no-legend", "--no-pager"],
    "engine journal": ["journalctl", "--no-pager", "-o", "short-iso", "-n", "200", "-u", "docker.service"],
    "kernel journal": ["journalctl", "--no-pager", "-o", "short-iso", "-n", "100", "-k", "-p", "warning"],
}
HOST_FILES: Final = ("uptime", "loadavg", "meminfo", "version", "pressure/cpu", "pressure/memory", "pressure/io")
STATE_FILES: Final = ("halt.json", "desired.json", "feed_gate.json", "audit.jsonl", "drift_log.jsonl")

_INSPECTED: Final[dict[str, tuple[str, ...]]] = {
    "": ("Id", "Name", "Created", "Path", "Args", "Image", "RestartCount", "Driver", "Platform", "LogPath"),
    "State": (
        *("Status", "Running", "Paused", "Restarting", "OOMKilled", "Dead", "Pid", "ExitCode", "Error"),
        *("StartedAt", "FinishedAt", "Health"),
    ),
    "Config": (
        *("Hostname", "User", "Image", "Cmd", "Entrypoint", "WorkingDir", "Labels", "StopSignal", "StopTimeout"),
        *("Tty", "Healthcheck"),
    ),
    "HostConfig": (
        *("RestartPolicy", "LogConfig", "NetworkMode", "PortBindings", "Privileged", "ReadonlyRootfs", "CapAdd"),
        *("CapDrop", "Memory", "MemorySwap", "NanoCpus", "CpuShares", "CpuQuota", "PidsLimit", "Ulimits", "Init"),
        *("SecurityOpt", "AutoRemove", "OomKillDisable"),
    ),
}
"""What of a container's description is kept. Everything else is left out, the environment's values above all."""


class EvidenceEngine(Protocol):
    """What evidence needs of an engine. Every method may raise EngineError, also while its answer is read."""

    def containers(self, labels: Sequence[str] = ()) -> list[dict[str, Any]]: ...

    def inspect(self, container_id: str) -> dict[str, Any] | None: ...

    def log_records(self, container_id: str, tail_lines: int, since: float | None) -> Iterator[bytes]: ...

    def events(self, since: float, until: float) -> Iterator[dict[str, Any]]: ...

    def version(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Request:
    """What is collected. `services` is name -> newest lines, a container's name or its Compose service; `since` is ISO
    UTC or empty; `compose_files` is project -> files; `adopted` are files that another module has left, by name.
    """

    incident_id: str
    host: str
    services: Mapping[str, int]
    bot_tail_lines: int
    bot_rules: BotRules
    since: str
    root_path: Path
    state_path: Path
    scratch_path: Path
    compose_files: Mapping[str, Sequence[str]]
    secret_paths: tuple[str, ...]
    secrets: tuple[str, ...]
    patterns: Mapping[str, str]
    adopted: Mapping[str, Path]
    most_bytes: int
    timeout_seconds: float


@dataclass(frozen=True)
class Tools:
    """All I/O: the engine, the containers' own files, commands, the time of day and a clock that only goes forward."""

    connect: Callable[[], EvidenceEngine]
    run: Runner
    now: Callable[[], datetime]
    clock: Callable[[], float]
    docker_root: Path = Path("/var/lib/docker")
    proc_path: Path = Path("/proc")


class EvidenceError(Exception):
    """Nothing can be collected. The text is a sentence."""


@dataclass(frozen=True)
class _Estate:
    """The host's containers as described by the engine, or, with its trouble, by their files; None: by neither."""

    engine: EvidenceEngine | None
    trouble: str
    containers: tuple[dict[str, Any], ...] | None


def collect(request: Request, tools: Tools, check_mode: bool) -> dict[str, Any]:
    """Return the module result: `proven` where a bundle with its manifest is there, whatever it could not get."""
    began = tools.clock()
    deadline = began + request.timeout_seconds
    if not _ID.fullmatch(request.incident_id):
        return _result("usage", f"{request.incident_id!r} is no incident: INC-<yyyymmdd-hhmmss>-<words>", began, tools)
    estate = _observe(tools)
    wanted = _select_logs(request, estate)
    if check_mode:
        names = ", ".join(name for name, _, _ in wanted) or "no service"
        return _result("planned", f"would collect evidence of {names}", began, tools)
    try:
        return _collect(request, tools, estate, wanted, began, deadline)
    except OSError as error:
        return _result("failed", f"no bundle could be written below {request.scratch_path}: {error}", began, tools)


def remove_scratch(archive: Path) -> None:
    """Remove the directory in which `collect` left its archive. Raises EvidenceError for any other."""
    if not archive.parent.name.startswith(SCRATCH_PREFIX):
        raise EvidenceError(f"{archive} is no archive of evidence.")
    shutil.rmtree(archive.parent, ignore_errors=True)


def _collect(
    request: Request,
    tools: Tools,
    estate: _Estate,
    wanted: Sequence[tuple[str, int, dict[str, Any] | None]],
    began: float,
    deadline: float,
) -> dict[str, Any]:
    started_at = tools.now()
    _remove_forgotten(request.scratch_path, tools.now())
    scratch = Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX, dir=request.scratch_path))
    try:
        free = shutil.disk_usage(scratch).free - FREE_BYTES
        rules, closed = _build_rules(request, estate)
        redactor = Redactor(rules)
        # Half, because the archive stands beside the bundle.
        bundle = Bundle(scratch / "bundle", max(0, min(request.most_bytes, free // 2)), redactor, tools.clock, deadline)
        bundle.open()
        logs: list[tuple[str, Item]] = []
        if closed:
            bundle.note("all texts", "failed", f"nothing was kept, as nobody can say which values are secret: {closed}")
        else:
            _add_descriptions(bundle, request, tools, estate)
            logs = _add_logs(bundle, request, tools, estate, wanted)
        for name, path in request.adopted.items():
            _adopt(bundle, name, path)
        copies = _copy_logs(request, bundle, logs, started_at)
        about = {
            "incident_id": request.incident_id,
            "host": request.host,
            "started_at": format_utc(started_at),
            "finished_at": format_utc(tools.now()),
            "too_short_to_look_for": list(rules.too_short),
            "limits": {"bytes": request.most_bytes, "seconds": request.timeout_seconds},
            "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }
        manifest = _finish(bundle, about, scratch)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    shutil.rmtree(bundle.root, ignore_errors=True)
    is_whole = not closed and all(item.status in {*KEPT, "missing"} for item in bundle.items if _is_log(item))
    return _result(
        "proven" if is_whole else "failed",
        _summary(bundle.items, redactor),
        began,
        tools,
        manifest=manifest,
        archive=str(scratch / "evidence.tar.gz"),
        host_logs=copies,
    )


def _finish(bundle: Bundle, about: Mapping[str, Any], scratch: Path) -> dict[str, Any]:
    """Return the manifest once bundle and archive are on disk. What finds no room is left out, the largest first."""
    archive = scratch / "evidence.tar.gz"
    while True:
        try:
            manifest = bundle.close(about)
            pack(bundle.root, archive)
            break
        except OSError as error:
            archive.unlink(missing_ok=True)
            kept = [item for item in bundle.items if item.path]
            if not kept:
                raise
            largest = max(kept, key=lambda item: item.bytes)
            bundle.remove(largest)
            bundle.note(largest.name, "failed", f"no room for it in the archive: {error.strerror or error}")
    _give_to_login_user(scratch, archive)
    return manifest


def _give_to_login_user(scratch: Path, archive: Path) -> None:
    """Let the account that logged in fetch the archive: read with root's rights it would go through memory."""
    user = int(os.environ.get("SUDO_UID") or os.geteuid())
    archive.chmod(0o600)
    if user != os.geteuid():
        os.chown(archive, user, -1)
        os.chown(scratch, user, -1)


def _remove_forgotten(scratch_path: Path, now: datetime) -> None:
    """Remove what a run that was killed has left; a day old, so that no other run is at it."""
    for path in scratch_path.glob(f"{SCRATCH_PREFIX}*"):
        if now.timestamp() - path.lstat().st_mtime > 86_400:
            shutil.rmtree(path, ignore_errors=True)


# ---- what is there -------------------------------------------------------------------------------------------------


def _observe(tools: Tools) -> _Estate:
    try:
        engine = tools.connect()
        described = [engine.inspect(str(item["Id"])) for item in engine.containers()]
        return _Estate(engine, "", tuple(item for item in described if item))
    except EngineError as error:
        return _Estate(None, str(error), _read_containers(tools.docker_root))


def _read_containers(docker_root: Path) -> tuple[dict[str, Any], ...] | None:
    """Return the containers' descriptions from the engine's own files, None where they can not be read."""
    found = []
    try:
        for folder in sorted((docker_root / "containers").iterdir()):
            config = json.loads((folder / "config.v2.json").read_text(encoding="utf-8"))
            host = json.loads((folder / "hostconfig.json").read_text(encoding="utf-8"))
            found.append({**config, "Id": folder.name, "HostConfig": host})
    except (OSError, ValueError, RecursionError):
        return None
    return tuple(found)


def _name(container: Mapping[str, Any]) -> str:
    return str(container.get("Name") or container["Id"][:12]).lstrip("/")


def _labels(container: Mapping[str, Any]) -> Mapping[str, str]:
    return (container.get("Config") or {}).get("Labels") or {}


def _select_logs(request: Request, estate: _Estate) -> list[tuple[str, int, dict[str, Any] | None]]:
    """Return name, newest lines and container of each log: what was asked for, found or not, and every bot."""
    found: list[tuple[str, int, dict[str, Any] | None]] = []
    containers = estate.containers or ()
    for service, lines in request.services.items():
        named = [one for one in containers if _name(one) == service]
        matching = named or [one for one in containers if _labels(one).get(SERVICE_LABEL) == service]
        found += [(service if len(matching) == 1 else _name(one), lines, one) for one in matching]
        if not matching:
            found.append((service, lines, None))
    listed = {str(one["Id"]) for _, _, one in found if one}
    summaries = [
        {
            "Id": one["Id"],
            "Names": [_name(one)],
            "Image": (one.get("Config") or {}).get("Image", ""),
            "Labels": _labels(one),
            "State": (one.get("State") or {}).get("Status", ""),
        }
        for one in containers
    ]
    bots = {bot.id for bot in select_bots(summaries, request.bot_rules)} - listed
    found += [(_name(one), request.bot_tail_lines, one) for one in containers if one["Id"] in bots]
    return found


# ---- what is secret ------------------------------------------------------------------------------------------------


def _build_rules(request: Request, estate: _Estate) -> tuple[Rules, str]:
    """Return what is looked for, and why it is not known in full: then nothing is kept."""
    known = [("given", value) for value in request.secrets]
    troubles = []
    if estate.containers is None:
        troubles.append("the containers' environment can not be read")
    for container in estate.containers or ():
        lines = (container.get("Config") or {}).get("Env") or []
        known += [(name, part) for name, value in parse_environment(lines) for part in select_secrets(name, value)]
    for pattern in request.secret_paths:
        for path in sorted(Path("/").glob(pattern.lstrip("/"))):
            try:
                text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
            except OSError as error:
                troubles.append(f"{path} can not be read ({error.strerror})")
                continue
            known += [
                (name or path.name, part)
                for name, value in parse_environment(text.splitlines())
                for part in select_secrets(name, value)
            ]
    try:
        rules = build_rules(known, {**DECLARED, **request.patterns})
    except RedactionError as error:
        return build_rules(known), str(error)
    return rules, "; ".join(troubles)


# ---- what is kept --------------------------------------------------------------------------------------------------


def _add_descriptions(bundle: Bundle, request: Request, tools: Tools, estate: _Estate) -> None:
    for container in estate.containers or ():
        bundle.add_tree(
            f"inspect {_name(container)}", f"inspect/{safe_name(_name(container))}.json", keep_allowed(container)
        )
    if estate.engine:
        _add_engine(bundle, request, tools, estate.engine)
    else:
        bundle.note("engine", "failed", estate.trouble)
    for project, files in request.compose_files.items():
        _add_compose(bundle, request, tools, project, files)
    for name in STATE_FILES:
        _add_file(bundle, f"state {name}", f"state/{name}", request.state_path / name)
    for path in sorted((request.root_path / "config").glob("*.y*ml")):
        _add_file(bundle, f"config {path.name}", f"config/{safe_name(path.name)}", path)
    for name in HOST_FILES:
        _add_file(bundle, f"host {name}", f"host/{name.replace('/', '_')}.txt", tools.proc_path / name)
    for name, argv in HOST_COMMANDS.items():
        _add_command(bundle, tools, name, argv)


def keep_allowed(container: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a container's description is kept; of its environment the names."""
    kept: dict[str, Any] = {}
    for part, names in _INSPECTED.items():
        values = container.get(part) or {} if part else container
        found = {name: values[name] for name in names if name in values}
        kept |= {part: found} if part else found
    names_and_values = parse_environment((container.get("Config") or {}).get("Env") or [])
    kept["environment_names"] = sorted(name for name, _ in names_and_values if name)
    kept["Mounts"] = [
        {name: mount[name] for name in ("Type", "Name", "Source", "Destination", "Mode", "RW") if name in mount}
        for mount in container.get("Mounts") or ()
    ]
    networks = (container.get("NetworkSettings") or {}).get("Networks") or {}
    kept["networks"] = {name: (network or {}).get("IPAddress", "") for name, network in networks.items()}
    return kept


def _add_engine(bundle: Bundle, request: Request, tools: Tools, engine: EvidenceEngine) -> None:
    try:
        version = bounded(engine.version, COMMAND_SECONDS)
        names = ("Version", "ApiVersion", "Os", "Arch", "KernelVersion", "BuildTime")
        bundle.add_tree("engine version", "engine/version.json", {name: version.get(name) for name in names})
    except (EngineError, OSError) as error:
        bundle.note("engine version", "failed", str(error))
    until = tools.now()
    since = (parse_utc(request.since) if request.since else until) - EVENTS_BEFORE

    def lines() -> Iterator[Piece]:
        for event in engine.events(since.timestamp(), until.timestamp()):
            if not str(event.get("Action", "")).startswith("exec_"):
                yield b"", json.dumps(_event(event), sort_keys=True).encode() + b"\n"

    try:
        pieces = bounded(lambda: list(lines()), COMMAND_SECONDS)
        bundle.add("engine events", "engine/events.jsonl", pieces)
    except (EngineError, OSError) as error:
        bundle.note("engine events", "failed", str(error))


def _event(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of an event is kept: its other attributes are labels, and hold anything."""
    attributes = (event.get("Actor") or {}).get("Attributes") or {}
    kept = ("name", "image", "exitCode", "signal", "execDuration", SERVICE_LABEL, "com.docker.compose.project")
    return {
        "at": format_utc(datetime.fromtimestamp(int(event.get("timeNano") or 0) / 1e9, UTC)),
        "type": event.get("Type"),
        "action": event.get("Action"),
        "id": (event.get("Actor") or {}).get("ID", "")[:12],
        **{name: attributes[name] for name in kept if name in attributes},
    }


def _add_compose(bundle: Bundle, request: Request, tools: Tools, project: str, files: Sequence[str]) -> None:
    name, path = f"compose {project}", f"compose/{safe_name(project)}.json"
    if not all((request.root_path / file).is_file() for file in files):
        bundle.note(name, "missing", f"{', '.join(files)} is not in {request.root_path}")
        return
    chosen = [word for file in files for word in ("--file", file)]
    argv = ["docker", "compose", "--project-name", project, *chosen, "config", "--format", "json"]
    environment = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    try:
        # Without its variables first: a required one that is missing would keep the file out of the bundle. Compose can
        # not read every file so ("too many colons" for `${A:-/x}:/y:ro`); the mode it then needs changes names only.
        bare = Command([*argv, "--no-interpolate"], request.root_path, environment, COMMAND_SECONDS)
        said = tools.run(bare)
        if said.exit_code:
            said = tools.run(replace(bare, argv=argv, environment={"TRADING_MODE": "paper", **environment}))
        if said.exit_code != 0:
            bundle.note(name, "failed", f"Compose: {said.stderr.strip()[-300:] or 'no answer'}")
            return
        bundle.add_tree(name, path, without_values(json.loads(said.stdout)))
    except (ComposeError, ValueError) as error:
        bundle.note(name, "failed", str(error))


def without_values(document: Any) -> Any:
    """Return a Compose document with the names of all `environment` entries, and none of their values."""
    if isinstance(document, Mapping):
        return {
            name: sorted(entry.partition("=")[0] if isinstance(entry, str) else str(entry) for entry in value)
            if name == "environment" and value
            else without_values(value)
            for name, value in document.items()
        }
    if isinstance(document, list):
        return [without_values(value) for value in document]
    return document


def _add_file(bundle: Bundle, name: str, path: str, source: Path) -> None:
    def pieces() -> Iterator[Piece]:
        with open(source, "rb") as file:
            if source.stat().st_size > FILE_BYTES:
                seek_tail(file, FILE_BYTES, FILE_BYTES)
            yield b"", file.read(2 * FILE_BYTES)

    if not source.is_file():
        bundle.note(name, "missing", f"{source} is not there")
        return
    size = source.stat().st_size
    bundle.add(name, path, pieces(), flaw=f"its newest {FILE_BYTES} of {size} bytes" if size > FILE_BYTES else "")


def _add_command(bundle: Bundle, tools: Tools, name: str, argv: list[str]) -> None:
    environment = {"PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), "LC_ALL": "C.UTF-8"}
    limit = max(0.1, min(COMMAND_SECONDS, bundle.left_seconds))
    try:
        said = tools.run(Command(argv, Path("/"), environment, limit))
    except ComposeError as error:  # the runner's word for a program that is not there
        bundle.note(f"host {name}", "missing", str(error))
        return
    if said.exit_code is None:
        bundle.note(f"host {name}", "failed", f"{argv[0]} gave no answer in {limit:.0f} s")
        return
    bundle.add_text(f"host {name}", f"host/{name.replace(' ', '_')}.txt", said.stdout + said.stderr)


def _adopt(bundle: Bundle, name: str, path: Path) -> None:
    def pieces() -> Iterator[Piece]:
        with open(path, "rb") as file:
            while block := file.read(FILE_BYTES):
                yield b"", block

    if path.is_file():
        bundle.add(name, path.name, pieces())
        path.unlink()
        if path.parent.name.startswith(SCRATCH_PREFIX):
            path.parent.rmdir()
    else:
        bundle.note(name, "missing", f"{path} is not there")


# ---- logs ----------------------------------------------------------------------------------------------------------


def _add_logs(
    bundle: Bundle,
    request: Request,
    tools: Tools,
    estate: _Estate,
    wanted: Sequence[tuple[str, int, dict[str, Any] | None]],
) -> list[tuple[str, Item]]:
    """Add every log, and return those of which there is a file. One that is long leaves room for the others."""
    kept = []
    for place, (name, lines, container) in enumerate(wanted):
        share = min(LOG_BYTES, bundle.left_bytes // (len(wanted) - place))
        if container is None:
            bundle.note(f"log {name}", "missing", f"no container is called {name}" + _engine_words(estate))
            continue
        if bundle.left_seconds <= 0 or share <= 0:
            bundle.note(f"log {name}", "skipped", "the time or room for evidence was over")
            continue
        item = _add_log(bundle, request, estate, name, lines, container, share)
        if item:
            kept.append((name, item))
    return kept


def _engine_words(estate: _Estate) -> str:
    return f" in the engine's files ({estate.trouble})" if estate.trouble else ""


def _add_log(
    bundle: Bundle,
    request: Request,
    estate: _Estate,
    name: str,
    lines: int,
    container: Mapping[str, Any],
    share: int,
) -> Item | None:
    if str((container.get("State") or {}).get("StartedAt", "")).startswith("0001-"):
        bundle.note(f"log {name}", "missing", "the container was never started")
        return None
    driver = ((container.get("HostConfig") or {}).get("LogConfig") or {}).get("Type", "")
    raw = Path(str(container.get("LogPath") or "")) if driver == "json-file" else Path()
    asked = lines
    in_file = _look(raw, lines, request.since, share)
    if in_file and in_file.records < lines and raw.stat().st_size > share:
        lines = max(1, in_file.records)
    while True:
        flaw = f"the newest {lines} lines of {asked}, for more there is no room" if lines < asked else ""
        item = _write_log(bundle, request, estate, name, lines, container, raw, share, flaw)
        too_long = item.status == "incomplete" and item.reason.startswith(TOO_LONG)
        if not too_long or lines <= 1:
            return item if item.path else None
        # It was cut at its end, where the newest lines are: rather fewer lines, and those.
        bundle.remove(item)
        lines = max(1, lines // 8)


def _write_log(
    bundle: Bundle,
    request: Request,
    estate: _Estate,
    name: str,
    lines: int,
    container: Mapping[str, Any],
    raw: Path,
    share: int,
    flaw: str,
) -> Item:
    path = f"logs/{safe_name(name)}.log"
    in_file = _look(raw, lines, request.since, share)
    trouble = estate.trouble
    if estate.engine and not (in_file and in_file.damaged):
        seen = Seen()
        since = parse_utc(request.since).timestamp() if request.since else None
        is_tty = bool((container.get("Config") or {}).get("Tty"))
        records = estate.engine.log_records(str(container["Id"]), lines, since)
        limited = _bounded_each(records, lambda: bundle.left_seconds)
        item = bundle.add(f"log {name}", path, pieces_of_answer(limited, is_tty, seen), share, flaw)
        if item.status == "incomplete" and item.reason.startswith(TOO_LONG):
            return item
        if in_file is None or ((item.status == "complete" or item.reason == flaw) and not _has_more(in_file, seen)):
            return item
        trouble = item.reason if item.reason != flaw else "the engine's answer ended early"
        bundle.remove(item)
    if in_file is None:
        bundle.note(f"log {name}", "failed", f"{trouble or 'no answer'}, and it has no file that could be read")
        return bundle.items[-1]
    damaged = f"{in_file.damaged} damaged records in the engine's own file" if in_file.damaged else ""
    taken = "taken from the file itself, as far as it can be read"
    flaw = "; ".join(filter(None, [flaw, trouble, damaged, taken]))

    def pieces() -> Iterator[Piece]:
        with open(raw, "rb") as file:
            seek_tail(file, lines, share)
            yield from pieces_of_file(file, request.since, Seen())

    return bundle.add(f"log {name}", path, pieces(), share, flaw)


def _look(raw: Path, lines: int, since: str, most_bytes: int) -> Seen | None:
    try:
        return look_at_file(raw, lines, since, most_bytes) if raw.is_file() else None
    except OSError:
        return None


def _has_more(in_file: Seen, answered: Seen) -> bool:
    """Return whether the file, looked at before the engine was asked, held more than its answer."""
    if answered.records < in_file.records:
        return True
    return bool(in_file.newest) and (not answered.newest or is_older(answered.newest, in_file.newest))


def _bounded_each(records: Iterator[bytes], left_seconds: Callable[[], float]) -> Iterator[bytes]:
    """Yield the records within the time that is left: an engine that hangs in mid answer ends the log."""

    def take() -> list[bytes]:
        return list(islice(records, RECORDS_AT_ONCE))

    while True:
        try:
            batch = bounded(take, max(0.1, left_seconds()))
        except TimeoutError as error:
            raise EngineError("The engine did not go on with the log in time.") from error
        if not batch:
            return
        yield from batch


def _copy_logs(
    request: Request, bundle: Bundle, logs: Sequence[tuple[str, Item]], now: datetime
) -> list[dict[str, str]]:
    """Return where each log was left on the host too, under the owner's name for it. It never replaces one."""
    stamp = now.strftime("%Y%m%d-%H%M%S")
    prefix = "incident_test" if request.incident_id.startswith("incident_test") else "incident"
    folder = request.root_path / "logs"
    copies = []
    for name, item in logs:
        target = folder / f"{prefix}_{stamp}_{safe_name(name)}.log"
        try:
            if not request.root_path.is_dir():
                raise OSError(f"{request.root_path} is not there")
            owner = request.root_path.stat()
            if not folder.is_dir():
                folder.mkdir(mode=0o750)
                os.chown(folder, owner.st_uid, owner.st_gid)
            with open(bundle.root / item.path, "rb") as source, open(target, "xb") as file:
                os.fchmod(file.fileno(), 0o640)
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
                shutil.copyfileobj(source, file, FILE_BYTES)
            copies.append({"name": name, "path": str(target), "reason": ""})
        except OSError as error:
            copies.append({"name": name, "path": "", "reason": f"{target}: {error.strerror or error}"})
    return copies


# ---- what is said --------------------------------------------------------------------------------------------------


def _is_log(item: Item) -> bool:
    return item.name.startswith(("log ", "all texts"))


def _summary(items: Sequence[Item], redactor: Redactor) -> str:
    whole = sum(item.status == "complete" for item in items)
    masked = sum(redactor.counts.values())
    odd = [item for item in items if item.status != "complete" and (_is_log(item) or item.name == "engine")]
    words = [
        f"{whole} of {len(items)} items complete, {sum(item.bytes for item in items)} bytes, {masked} secrets masked"
    ]
    words += [f"{item.name} {item.status} ({item.reason})" for item in odd[:4]]
    return "; ".join(words)


def _result(outcome: str, summary: str, began: float, tools: Tools, **more: Any) -> dict[str, Any]:
    return {
        "changed": False,
        "outcome": outcome,
        "summary": summary,
        "next_command": "" if outcome in {"proven", "planned"} else "runbooks/Incident_Handling.md 4.4, By hand",
        "manifest": {},
        "archive": "",
        "host_logs": [],
        "seconds": round(tools.clock() - began, 3),
        **more,
    }
