"""Containers without their engine: what they are from its files, what runs from the kernel's control groups.

For the day when the engine is dead or hung and its containers live on: they are children of their own shims, not of it.
"""

from __future__ import annotations

import errno
import json
import os
import re
import signal
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn, Protocol

from ..core.containers import sound_description, sound_summary

DOCKER_ROOT: Final = Path("/var/lib/docker")
SNAP_ROOT: Final = Path("/var/snap/docker/common/var-lib-docker")
SETTINGS: Final = (
    *("etc/docker/daemon.json", "var/snap/docker/current/config/daemon.json", "etc/default/docker"),
    *("etc/sysconfig/docker", "etc/conf.d/docker", "etc/systemd/system/docker.service"),
    *("etc/systemd/system/docker.service.d/*.conf", "run/systemd/system/docker.service.d/*.conf"),
    *("usr/lib/systemd/system/docker.service", "lib/systemd/system/docker.service"),
)
"""Files that can say where the engine keeps its own; breakglass/trading-halt reads the same, a test compares them."""
CGROUP_ROOT: Final = Path("/sys/fs/cgroup")

_DATA_ROOT: Final = re.compile(
    r"""["'](?:data-root|graph)["']\s*:\s*"(/[^"\\]*)"|--(?:data-root|graph)[=\s]\s*["']?(/[^"'\\\s]+)"""
)
"""As a key of daemon.json and as dockerd's option, of which `graph` is the old name."""
_CONTAINER_ID: Final = re.compile(r"[0-9a-f]{64}")
_GROUP_NAME: Final = re.compile(r"(?:docker-)?([0-9a-f]{64})(?:\.scope)?")
"""The engine's names under its systemd driver and under its cgroupfs driver."""


class CgroupError(Exception):
    """Files of the engine or control groups could not be read or used. The text is a sentence."""


class Cgroups(Protocol):
    """What a stop without the engine needs. Every method may raise CgroupError."""

    def containers(self) -> list[dict[str, Any]]:
        """Return each container that a file describes, in the shape of the engine's list (Id, Names, Image, …)."""

    def inspect(self, container_id: str) -> dict[str, Any] | None:
        """Return what its file says of a container, as the engine's description has it (Path, Args, Image, Config)."""

    def restart_policy(self, container_id: str) -> str:
        """Return the restart policy on disk, which a returning engine goes by."""

    def processes(self) -> dict[str, list[int]]:
        """Return the process ids of every container that has any, by container id, known on disk or not."""

    def terminate(self, container_id: str) -> None:
        """Send SIGTERM to the container's first process, and thaw it where it is paused."""

    def kill(self, container_id: str) -> None:
        """Send SIGKILL to every process of the container."""


class HostCgroups:
    """Cgroups of this host, v1 or v2. Needs root.

    Of several `docker_roots` those count that describe a container which runs, and all where none does: a folder that
    an engine has left behind proves nothing.
    """

    def __init__(self, docker_roots: Sequence[Path] = (DOCKER_ROOT,), cgroup_root: Path = CGROUP_ROOT) -> None:
        self._docker_roots = docker_roots
        self._cgroup_root = cgroup_root

    def containers(self) -> list[dict[str, Any]]:
        running = self.processes()
        described = []
        for name in self._ids(running):
            try:
                described.append(parse_container(self._read(name, "config.v2.json"), name, name in running))
            except CgroupError:
                continue  # if it runs, it is reported as a container that nothing describes
        return described

    def inspect(self, container_id: str) -> dict[str, Any] | None:
        return sound_description(self._read(container_id, "config.v2.json") | {"Id": container_id}, container_id)

    def restart_policy(self, container_id: str) -> str:
        settings = sound_description({"HostConfig": self._read(container_id, "hostconfig.json")}, container_id)
        return str((settings["HostConfig"].get("RestartPolicy") or {}).get("Name") or "no")

    def processes(self) -> dict[str, list[int]]:
        found: dict[str, set[int]] = {}
        for container_id, folder in self._groups():
            found.setdefault(container_id, set()).update(_pids_below(folder))
        return {container_id: sorted(pids) for container_id, pids in found.items() if pids}

    def terminate(self, container_id: str) -> None:
        alive = self.processes().get(container_id, [])
        first = (self._described(container_id).get("State") or {}).get("Pid")
        _signal([first] if first in alive else alive, signal.SIGTERM)
        for folder in self._folders(container_id):
            for name, thawed in (("cgroup.freeze", "0"), ("freezer.state", "THAWED")):
                if (folder / name).exists():
                    _write(folder / name, thawed)

    def kill(self, container_id: str) -> None:
        for folder in self._folders(container_id):
            if (folder / "cgroup.kill").exists():
                _write(folder / "cgroup.kill", "1")
        _signal(self.processes().get(container_id, []), signal.SIGKILL)

    def _ids(self, running: Collection[str]) -> list[str]:
        try:
            found = [
                {entry.name for entry in folder.iterdir() if _CONTAINER_ID.fullmatch(entry.name)}
                for folder in container_folders(self._docker_roots)
            ]
        except OSError as error:
            raise CgroupError(f"The engine's own files could not be read: {error}.") from error
        if not found:
            roots = ", ".join(map(str, self._docker_roots))
            raise CgroupError(f"The engine's own files could not be read: they are in none of {roots}.")
        return sorted(set().union(*([ids for ids in found if ids & set(running)] or found)))

    def _described(self, container_id: str) -> dict[str, Any]:
        """Return what its file says of a container, nothing where that cannot be read: it is signalled all the same."""
        try:
            return self.inspect(container_id) or {}
        except CgroupError:
            return {}

    def _read(self, container_id: str, name: str) -> dict[str, Any]:
        folders = [folder / container_id for folder in container_folders(self._docker_roots)]
        folder = next((each for each in folders if each.is_dir()), self._docker_roots[0] / "containers" / container_id)
        path = folder / name
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise CgroupError(f"{path} could not be read: {error}.") from error
        if not isinstance(content, dict):
            raise CgroupError(f"{path} is not an object.")
        return content

    def _folders(self, container_id: str) -> list[Path]:
        return [folder for name, folder in self._groups() if name == container_id]

    def _groups(self) -> Iterator[tuple[str, Path]]:
        """Yield container id and folder of each container's control group, in each hierarchy that has one."""

        def fail(error: OSError) -> None:
            if not is_gone(error):
                raise CgroupError(f"Control groups could not be read: {error}.") from error

        if not self._cgroup_root.is_dir():
            raise CgroupError(f"There are no control groups at {self._cgroup_root}.")
        for folder, _, _ in os.walk(self._cgroup_root, onerror=fail):
            if match := _GROUP_NAME.fullmatch(Path(folder).name):
                yield match[1], Path(folder)


class ForeignEngine:
    """Cgroups for an engine that is not this host's own: what runs here proves nothing about what runs there."""

    def __init__(self, docker_url: str) -> None:
        self._docker_url = docker_url

    def _refuse(self, *_: str) -> NoReturn:
        raise CgroupError(f"There is no way around the engine at {self._docker_url}: it is not this host's own.")

    containers = inspect = restart_policy = processes = terminate = kill = _refuse


def parse_container(config: dict[str, Any], container_id: str, is_running: bool) -> dict[str, Any]:
    """Return a container's file `config.v2.json` in the shape of the engine's list; `is_running` is the kernel's word.

    Raises CgroupError where the file does not hold its labels: such a container could be a bot.
    """
    inner = config.get("Config")
    if not isinstance(inner, dict) or not isinstance(inner.get("Labels") or {}, dict):
        raise CgroupError(f"The engine's file of container {container_id[:12]} holds no labels.")
    return sound_summary(
        {
            "Id": container_id,
            "Names": [config.get("Name") or container_id[:12]],
            "Image": inner.get("Image"),
            "Labels": inner.get("Labels"),
            "State": "running" if is_running else "exited",
        }
    )


def find_docker_roots(root: Path = Path("/")) -> tuple[Path, ...]:
    """Return where the engine may keep its files, the likeliest first: what it runs with and is set to, the defaults.

    `root` is what stands before every path.
    """
    texts = [*_command_lines(root / "proc"), *_settings(root)]
    named = [Path("".join(found)) for text in texts for found in _DATA_ROOT.findall(text)]
    return tuple(root / str(path).lstrip("/") for path in dict.fromkeys([*named, DOCKER_ROOT, SNAP_ROOT]))


def find_docker_root(root: Path = Path("/")) -> Path:
    """Return the likeliest of the places where the engine may keep its files that is there, else the first."""
    roots = find_docker_roots(root)
    return next((each for each in roots if each.is_dir()), roots[0])


def container_folders(docker_roots: Sequence[Path]) -> list[Path]:
    """Return the folders that describe containers. With userns-remap they lie one lower, below `<uid>.<gid>`."""
    return [
        folder
        for each in docker_roots
        for folder in (each / "containers", *sorted(each.glob("[0-9]*.[0-9]*/containers")))
        if folder.is_dir()
    ]


def _command_lines(proc: Path) -> Iterator[str]:
    for path in proc.glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue  # it ended meanwhile
        if words[0].rpartition(b"/")[2] == b"dockerd":
            yield " ".join(word.decode("utf-8", "replace") for word in words)


def _settings(root: Path) -> Iterator[str]:
    for path in (path for pattern in SETTINGS for path in sorted(root.glob(pattern))):
        try:
            yield path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue


def is_gone(error: OSError) -> bool:
    """Return whether a control group ended while it was looked at: its file is missing or its device is."""
    return error.errno in {errno.ENOENT, errno.ENODEV}


def _pids_below(folder: Path) -> Iterator[int]:
    for path in folder.rglob("cgroup.procs"):
        try:
            yield from (int(word) for word in path.read_text(encoding="utf-8").split())
        except OSError as error:
            if not is_gone(error):
                raise CgroupError(f"{path} could not be read: {error}.") from error


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        if pid <= 0:  # the kernel's word for a process outside our view; signalling 0 would hit ourselves
            raise CgroupError("A process of the container is outside what this host's root can see.")
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue  # it ended by itself
        except OSError as error:
            raise CgroupError(f"Process {pid} could not be signalled: {error}.") from error


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        if not is_gone(error):
            raise CgroupError(f"{path} could not be written: {error}.") from error
