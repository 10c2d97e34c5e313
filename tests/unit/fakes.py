"""A Docker Engine with behaviour: it answers, stops, lies or hangs up as told."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trading_ops.host.cgroups import CgroupError
from trading_ops.host.engine import ContainerGone, Engine, EngineError
from trading_ops.stop.kill_switch import TradingHost

_numbers = itertools.count(1)


@dataclass
class FakeContainer:
    """One container. `ignores_sigterm` dies by SIGKILL only; `immortal` by nothing; `resurrects` comes back once."""

    name: str
    labels: dict[str, str] = field(default_factory=dict)
    image: str = "trading-core-lab/bot:1"
    status: str = "running"
    restart_policy: str = "no"
    exit_code: int = 0
    ignores_sigterm: bool = False
    immortal: bool = False
    resurrects: bool = False
    id: str = ""
    environment: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    is_tty: bool = False
    mounts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.id = self.id or f"{next(_numbers):064x}"

    @property
    def running(self) -> bool:
        return self.status in {"running", "paused", "restarting"}

    def state(self) -> dict[str, Any]:
        never = "0001-01-01T00:00:00Z"
        return {
            "Status": self.status,
            "Running": self.running,
            "Paused": self.status == "paused",
            "Restarting": self.status == "restarting",
            "Dead": self.status == "dead",
            "Pid": 4711 if self.status in {"running", "paused"} else 0,
            "ExitCode": 0 if self.running else self.exit_code,
            "StartedAt": never if self.status == "created" else "2026-11-21T01:00:00.000000001Z",
            "FinishedAt": never if self.running or self.status == "created" else "2026-11-21T01:30:00.123456789Z",
        }

    def die(self, exit_code: int) -> None:
        if self.immortal:
            return
        self.status, self.exit_code = "exited", exit_code
        if self.resurrects:
            self.status, self.resurrects = "running", False


def bot(name: str, mode: str | None = "paper", project: str = "trading-paper", **more: Any) -> FakeContainer:
    """Return a bot as Compose labels it; mode None leaves the label out."""
    labels = {
        "com.docker.compose.service": "bot",
        "com.docker.compose.project": project,
        "trading-core.cancels-orders": "true",
    }
    if mode is not None:
        labels["trading-core.mode"] = mode
    return FakeContainer(name, labels | more.pop("labels", {}), **more)


class FakeEngine:
    """Engine over FakeContainers. `broken` maps a method to the sentence it fails with; `calls` is what was asked."""

    def __init__(self, *containers: FakeContainer) -> None:
        self.by_id = {container.id: container for container in containers}
        self.broken: dict[str, str] = {}
        self.calls: list[tuple[str, ...]] = []
        self.images: dict[str, str] = {}
        self.log_text = ""
        self.before_list: Callable[[FakeEngine], None] | None = None

    def add(self, container: FakeContainer) -> FakeContainer:
        self.by_id[container.id] = container
        return container

    def _enter(self, method: str, *arguments: str) -> None:
        self.calls.append((method, *arguments))
        if method in self.broken:
            raise EngineError(self.broken[method])

    def _get(self, container_id: str) -> FakeContainer:
        if container_id not in self.by_id:
            raise ContainerGone(f"No such container: {container_id[:12]}.")
        return self.by_id[container_id]

    def containers(self, labels: Sequence[str] = ()) -> list[dict[str, Any]]:
        self._enter("containers")
        if self.before_list:
            self.before_list(self)
        wanted = [label.partition("=") for label in labels]
        return [
            {
                "Id": item.id,
                "Names": [f"/{item.name}"],
                "Image": item.image,
                "ImageID": self.images.get(item.image, "sha256:1"),
                "Labels": dict(item.labels),
                "State": item.status,
                "Status": item.status,
            }
            for item in self.by_id.values()
            if all(key in item.labels and (not eq or item.labels[key] == value) for key, eq, value in wanted)
        ]

    def inspect(self, container_id: str) -> dict[str, Any] | None:
        self._enter("inspect", container_id)
        item = self.by_id.get(container_id)
        if item is None:
            return None
        return {
            "Id": item.id,
            "Name": f"/{item.name}",
            "Path": item.command[0] if item.command else "",
            "Args": list(item.command[1:]),
            "Image": self.images.get(item.image, "sha256:1"),
            "State": item.state(),
            "HostConfig": {"RestartPolicy": {"Name": item.restart_policy, "MaximumRetryCount": 0}},
            "Mounts": [{"Type": "bind", "Source": path, "Destination": path} for path in item.mounts],
            "Config": {
                "Labels": dict(item.labels),
                "Image": item.image,
                "Env": list(item.environment),
                "Tty": item.is_tty,
            },
        }

    def set_restart_policy(self, container_id: str, name: str) -> None:
        self._enter("set_restart_policy", container_id, name)
        self._get(container_id).restart_policy = name

    def stop(self, container_id: str, timeout_seconds: int) -> None:
        self._enter("stop", container_id, str(timeout_seconds))
        item = self._get(container_id)
        if item.running:
            item.die(137 if item.ignores_sigterm else item.exit_code)

    def kill(self, container_id: str, signal: str = "SIGKILL") -> None:
        self._enter("kill", container_id, signal)
        self._get(container_id).die(137)

    def wait(self, container_id: str, timeout_seconds: int) -> int:
        self._enter("wait", container_id, str(timeout_seconds))
        item = self._get(container_id)
        if item.running:
            raise EngineError(f"The engine could not wait: still running after {timeout_seconds} s.")
        return item.exit_code

    def logs(self, container_id: str, tail_lines: int) -> str:
        self._enter("logs", container_id, str(tail_lines))
        self._get(container_id)
        return self.log_text

    def image_id(self, reference: str) -> str | None:
        self._enter("image_id", reference)
        return self.images.get(reference)


class FakeCgroups:
    """Cgroups over the containers of a FakeEngine, whether that engine answers or not.

    `broken` maps a method to the sentence it fails with; `strangers` run, and no file describes them.
    """

    def __init__(self, *containers: FakeContainer, strangers: Sequence[str] = ()) -> None:
        self.by_id = {container.id: container for container in containers}
        self.strangers = list(strangers)
        self.broken: dict[str, str] = {}
        self.calls: list[tuple[str, ...]] = []

    def _enter(self, method: str, *arguments: str) -> None:
        self.calls.append((method, *arguments))
        if method in self.broken:
            raise CgroupError(self.broken[method])

    def containers(self) -> list[dict[str, Any]]:
        self._enter("containers")
        return [
            {
                "Id": item.id,
                "Names": [f"/{item.name}"],
                "Image": item.image,
                "Labels": dict(item.labels),
                "State": "running" if item.running else "exited",
            }
            for item in self.by_id.values()
        ]

    def inspect(self, container_id: str) -> dict[str, Any] | None:
        self._enter("inspect", container_id)
        return FakeEngine(*self.by_id.values()).inspect(container_id)

    def restart_policy(self, container_id: str) -> str:
        self._enter("restart_policy", container_id)
        return self.by_id[container_id].restart_policy

    def processes(self) -> dict[str, list[int]]:
        self._enter("processes")
        alive = {item.id: [4711] for item in self.by_id.values() if item.status in {"running", "paused"}}
        return alive | {container_id: [4712] for container_id in self.strangers}

    def terminate(self, container_id: str) -> None:
        self._enter("terminate", container_id)
        item = self.by_id[container_id]
        if not item.ignores_sigterm:
            item.die(item.exit_code)

    def kill(self, container_id: str) -> None:
        self._enter("kill", container_id)
        self.by_id[container_id].die(137)


class FakeClock:
    """Seconds that pass only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def trading_host(
    engine: FakeEngine | None,
    state_path: Path,
    cgroups: FakeCgroups | None = None,
    guard: str = "active",
) -> TradingHost:
    """Return a host on fakes; without an engine nobody answers there, and without cgroups root is missing."""

    def connect() -> Engine:
        if engine is None:
            raise EngineError("The engine could not answer: timed out.")
        return engine

    if cgroups is None:
        cgroups = FakeCgroups()
        cgroups.broken = {"containers": "The engine's own files could not be read: Permission denied."}
    return TradingHost(
        connect=connect,
        cgroups=cgroups,
        state_path=state_path,
        observe_guard=lambda: {"state": guard, "summary": f"guard {guard}"},
        signalled_path=state_path / "signalled",
    )
