"""What is kept of a host besides its logs: containers by allow-list, Compose, the engine, the host's own words."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from ..compose.config import Command, ComposeError
from ..core.bots import SERVICE_LABEL
from ..core.clock import format_utc, parse_utc
from ..core.containers import ODD
from ..core.durable import bounded
from ..core.redaction import Piece
from ..core.scratch import SCRATCH_PREFIX
from ..core.secrets import parse_environment
from ..host.engine import EngineError
from ..host.logs import seek_tail
from .bundle import Bundle
from .manifest import safe_name
from .request import FILE_BYTES, Estate, EvidenceEngine, Request, Tools, container_name

EVENTS_BEFORE: Final = timedelta(minutes=30)
COMMAND_SECONDS: Final = 10
HOST_COMMANDS: Final[dict[str, list[str]]] = {
    "clock": ["timedatectl", "show"],
    "disks": ["df", "-P", "-k"],
    "failed units": ["systemctl", "--failed", "--no-legend", "--no-pager"],
    "engine journal": ["journalctl", "--no-pager", "-o", "short-iso", "-n", "200", "-u", "docker.service"],
    "kernel journal": ["journalctl", "--no-pager", "-o", "short-iso", "-n", "100", "-k", "-p", "warning"],
}
HOST_FILES: Final = ("uptime", "loadavg", "meminfo", "version", "pressure/cpu", "pressure/memory", "pressure/io")
STATE_FILES: Final = (
    "halt.json",
    "latch/halt.json",
    "desired.json",
    "feed_gate.json",
    "audit.jsonl",
    "drift_log.jsonl",
)

_INSPECTED: Final[dict[str, tuple[str, ...]]] = {
    "": ("Id", "Name", "Created", "Path", "Args", "Image", "RestartCount", "Driver", "Platform", "LogPath", ODD),
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


def add_descriptions(bundle: Bundle, request: Request, tools: Tools, estate: Estate) -> None:
    """Add containers, engine, Compose documents, files and facts; what cannot be had is noted with its reason."""
    for container in estate.containers or ():
        name = container_name(container)
        bundle.add_tree(f"inspect {name}", f"inspect/{safe_name(name)}.json", keep_allowed(container))
    if estate.engine:
        _add_engine(bundle, request, tools, estate.engine)
        if estate.error:
            bundle.note("engine", "incomplete", estate.error)
    else:
        bundle.note("engine", "failed", estate.error)
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
        ended = tools.run(bare)
        if ended.exit_code:
            ended = tools.run(replace(bare, argv=argv, environment={"TRADING_MODE": "paper", **environment}))
        if ended.exit_code != 0:
            bundle.note(name, "failed", f"Compose: {ended.stderr.strip()[-300:] or 'no answer'}")
            return
        bundle.add_tree(name, path, without_values(json.loads(ended.stdout)))
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
        ended = tools.run(Command(argv, Path("/"), environment, limit))
    except ComposeError as error:  # the runner's word for a program that is not there
        bundle.note(f"host {name}", "missing", str(error))
        return
    if ended.exit_code is None:
        bundle.note(f"host {name}", "failed", f"{argv[0]} gave no answer in {limit:.0f} s")
        return
    bundle.add_text(f"host {name}", f"host/{name.replace(' ', '_')}.txt", ended.stdout + ended.stderr)


def adopt(bundle: Bundle, name: str, path: Path) -> None:
    """Take in a file that another module has left on this host, and remove it there."""

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
