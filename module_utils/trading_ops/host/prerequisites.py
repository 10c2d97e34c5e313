"""What a host must have before this project may rely on it, each with the line that fixes it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..core.result import build_result

ENGINE_API: Final = (1, 41)
"""Engine 20.10: the first that runs containers under cgroup v2, which a stop without the engine goes through."""

COMPOSE: Final = (2, 20)
"""The first that knows `depends_on: required: false` (docs.docker.com/compose/releases/release-notes, 2.20.0)."""


@dataclass(frozen=True)
class SeenHost:
    """What was found on the host. `engine` and `compose` are versions, or empty with their error as text.

    `free_bytes` is what is left where each path is.
    """

    is_root: bool
    has_systemd: bool
    has_sudo: bool
    has_yaml: bool
    engine_api: str
    engine_error: str
    compose: str
    compose_error: str
    free_bytes: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Lack:
    """Something that is missing: what was seen and expected, and the line that fixes it."""

    text: str
    fix: str


def parse_version(text: str) -> tuple[int, ...]:
    """Return the numbers of a version (`v2.26.1-4` -> 2, 26, 1), empty for none."""
    match = re.match(r"v?(\d+(?:\.\d+)*)", text.strip())
    return tuple(int(part) for part in match[1].split(".")) if match else ()


def free_bytes(paths: Sequence[Path]) -> tuple[tuple[str, int], ...]:
    """Return each path with what is free where it is, or where it would be made."""
    there = [next(item for item in (path, *path.parents) if item.exists()) for path in paths]
    return tuple((str(path), shutil.disk_usage(path).free) for path in dict.fromkeys(there))


def evaluate(seen: SeenHost, needed_bytes: int) -> list[Lack]:
    """Return what is missing. A version or a size that could not be read is missing too."""
    lacks = []
    if not seen.is_root:
        lacks.append(Lack("the account cannot become root", "set ansible_become: true and its sudo right, see sudo(8)"))
    if not seen.has_systemd:
        lacks.append(Lack("systemd does not run here, so no guard can", "give the host an init, or use another host"))
    if not seen.has_sudo:
        lacks.append(Lack("sudo is missing", "apt-get install sudo"))
    if not seen.has_yaml:
        lacks.append(Lack("Python's YAML library is missing", "apt-get install python3-yaml"))
    if parse_version(seen.engine_api) < ENGINE_API:
        found = f"API {seen.engine_api}" if seen.engine_api else seen.engine_error or "no answer"
        fix = "apt-get install docker.io python3-docker && systemctl enable --now docker"
        lacks.append(Lack(f"engine API {_format_version(ENGINE_API)} or newer is needed, seen: {found}", fix))
    if parse_version(seen.compose) < COMPOSE:
        found = seen.compose or seen.compose_error or "no answer"
        fix = "apt-get install docker-compose (Debian 13), or docker-compose-plugin from Docker"
        lacks.append(Lack(f"Compose {_format_version(COMPOSE)} or newer is needed, seen: {found}", fix))
    for path, free in seen.free_bytes:
        if not free >= needed_bytes:
            text = f"{free / 1e9:.1f} GB are free at {path}, {needed_bytes / 1e9:.1f} are needed"
            lacks.append(Lack(text, f"look for what fills it: du -xh --max-depth=2 {path} | sort -h | tail"))
    return lacks


def format_result(lacks: Sequence[Lack], seen: SeenHost, controller_epoch: float, host_epoch: float) -> dict[str, Any]:
    """Return the module result; refused where something is missing."""
    return build_result(
        "refused" if lacks else "proven",
        "; ".join(f"{lack.text} (fix: {lack.fix})" for lack in lacks)
        or f"engine API {seen.engine_api}, Compose {seen.compose}",
        next_command=lacks[0].fix + " (on the host)" if lacks else "",
        lacks=[{"text": lack.text, "fix": lack.fix} for lack in lacks],
        host_epoch=host_epoch,
        controller_epoch=controller_epoch,
    )


def _format_version(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
