"""What a collection of evidence works on: its request, all of its I/O, and the host's containers as they were seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

from ..compose.config import Runner
from ..core.bots import BotRules
from ..host.cgroups import DOCKER_ROOT

FILE_BYTES: Final = 1024 * 1024


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
    docker_roots: Sequence[Path] = (DOCKER_ROOT,)
    proc_path: Path = Path("/proc")


@dataclass(frozen=True)
class Estate:
    """The host's containers as described by the engine, or, with its error, by their files; None: by neither."""

    engine: EvidenceEngine | None
    error: str
    containers: tuple[dict[str, Any], ...] | None


def container_name(container: Mapping[str, Any]) -> str:
    """Return a container's name, the beginning of its id where it has none."""
    return str(container.get("Name") or container["Id"][:12]).lstrip("/")


def container_labels(container: Mapping[str, Any]) -> Mapping[str, str]:
    """Return a container's labels, as `docker inspect` has them."""
    return (container.get("Config") or {}).get("Labels") or {}
