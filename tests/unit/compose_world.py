"""A host with Compose, as far as compose_services can see one: it creates, recreates, starts and fails as 2.26 does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from trading_ops.compose.config import Command, CommandResult
from trading_ops.compose.request import Tools
from trading_ops.compose.services import ensure_services

from tests.unit.fakes import FakeContainer, FakeEngine

PROJECT = "trading-paper"
IMAGE = "trading-core-lab/bot:1"
START = datetime(2026, 11, 21, 1, 30, tzinfo=UTC)


class FakeTime:
    """Wall clock and monotonic clock that only sleeping moves. `events` run once at their second."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.events: list[tuple[float, Callable[[], None]]] = []

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def clock(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        due = [event for event in self.events if event[0] <= self.seconds]
        self.events = [event for event in self.events if event[0] > self.seconds]
        for _, happen in due:
            happen()


@dataclass
class ComposeContainer(FakeContainer):
    """A container with a healthcheck (`health` empty: without) and its own time of start."""

    health: str = ""
    started_at: datetime = START - timedelta(hours=1)

    def state(self) -> dict[str, Any]:
        state = super().state()
        if self.status != "created":
            state["StartedAt"] = self.started_at.strftime("%Y-%m-%dT%H:%M:%S.%f123Z")
        return state | ({"Health": {"Status": self.health}} if self.health else {})


@dataclass
class ServiceSpec:
    """One service of the fake compose file. `ends_with` makes it a one-shot; `health` is what its check says."""

    image: str = IMAGE
    profiles: tuple[str, ...] = ()
    depends_on: dict[str, str] = field(default_factory=dict)
    replicas: int = 1
    environment: str = ""
    restart: str = "no"
    health: str = ""
    ends_with: int | None = None
    optional: tuple[str, ...] = ()
    more: dict[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        needs = {
            name: {"condition": how, "required": name not in self.optional} for name, how in self.depends_on.items()
        }
        plain = {"image": self.image, "environment": {"X": self.environment}, "restart": self.restart}
        return plain | ({"depends_on": needs} if needs else {}) | {"scale": self.replicas} | self.more


class World:
    """Engine, Compose and clock of one host. `commands` is what Compose was asked (config, hash, up, unpause)."""

    def __init__(self, path: Path, **services: ServiceSpec) -> None:
        (path / "docker-compose.yml").write_text("# read by the fake only\n", encoding="utf-8")
        self.path = path
        self.engine = FakeEngine()
        self.engine.images = {IMAGE: "sha256:1"}
        self.services = services
        self.time = FakeTime()
        self.commands: list[str] = []
        self.environments: list[dict[str, str]] = []
        self.name = PROJECT
        self.error: dict[str, CommandResult] = {}
        self.during_up: Callable[[], None] = lambda: None

    def tools(self) -> Tools:
        return Tools(lambda: self.engine, self.run, self.time.now, self.time.clock, self.time.sleep)

    def params(self, *services: str, **more: Any) -> dict[str, Any]:
        return {
            "project_src": str(self.path),
            "files": ["docker-compose.yml"],
            "project_name": PROJECT,
            "profiles": ["paper"],
            "env_files": [],
            "variables": {"TRADING_MODE": "paper"},
            "services": list(services),
            "state": "started",
            "timeout_seconds": 30,
            "grace_period_seconds": 10,
            "restart_policy": None,
            "halt_latch_path": None,
            "gate_mode": "live",
            "state_path": str(self.path / "state"),
            "by": "reno",
            "why": "test",
            "docker_url": "unix:///run/docker.sock",
        } | more

    def of(self, service: str) -> list[ComposeContainer]:
        found = self.engine.by_id.values()
        return [
            one
            for one in found
            if one.labels["com.docker.compose.service"] == service and isinstance(one, ComposeContainer)
        ]

    def one(self, service: str) -> ComposeContainer:
        (only,) = self.of(service)
        return only

    def run(self, command: Command) -> CommandResult:
        assert command.argv[:2] == ["docker", "compose"]
        profiles = {value for flag, value in zip(command.argv, command.argv[1:], strict=False) if flag == "--profile"}
        verb = next(word for word in command.argv if word in {"config", "up", "unpause"})
        if "--hash" in command.argv:
            verb = "hash"
        self.commands.append(verb)
        self.environments.append(dict(command.environment))
        if verb in self.error:
            return self.error[verb]
        active = {
            name: spec for name, spec in self.services.items() if not spec.profiles or profiles & {*spec.profiles}
        }
        if verb == "config":
            document = {"name": self.name, "services": {name: spec.document() for name, spec in active.items()}}
            return CommandResult(0, json.dumps(document), "")
        if verb == "hash":
            given = json.loads(command.stdin)["services"] if command.stdin else None
            lines = [f"{n} {fake_hash((given or {}).get(n) or spec.document())}" for n, spec in active.items()]
            return CommandResult(0, "\n".join(lines), "")
        named = command.argv[command.argv.index("--") + 1 :]
        if verb == "unpause":
            for container in [one for name in named for one in self.of(name) if one.status == "paused"]:
                container.status = "running"
            return CommandResult(0, "", "")
        return self._up(active, named)

    def _up(self, active: dict[str, ServiceSpec], named: list[str]) -> CommandResult:
        recreated: set[str] = set()
        for name in _closure(active, named):
            spec = active[name]
            document = spec.document()
            kept = {k: v for k, v in document.get("depends_on", {}).items() if k in active}
            document = {k: v for k, v in document.items() if k != "depends_on"} | ({"depends_on": kept} if kept else {})
            labels = {
                "com.docker.compose.project": self.name,
                "com.docker.compose.service": name,
                "com.docker.compose.config-hash": fake_hash(document),
                "com.docker.compose.image": self.engine.images[spec.image],
                "com.docker.compose.oneoff": "False",
            }
            mine = [one for one in self.of(name) if one.labels["com.docker.compose.oneoff"] == "False"]
            stale = [one for one in mine if any(one.labels.get(key) != labels[key] for key in labels)]
            if stale or (mine and recreated & set(kept)):
                recreated.add(name)
                for one in mine:
                    del self.engine.by_id[one.id]
                mine = []
            for number in range(len(mine), spec.replicas):
                fresh = ComposeContainer(
                    f"{self.name}-{name}-{number + 1}", labels, spec.image, "created", spec.restart
                )
                mine.append(fresh)
                self.engine.add(fresh)
            for one in mine:
                if one.status == "paused":
                    return CommandResult(1, "", "Error response from daemon: cannot start a paused container\n")
                if one.status != "running":
                    self._start(one, spec)
            if any(one.status == "exited" and one.exit_code for one in mine) and name not in named:
                return CommandResult(1, "", f'service "{name}" didn\'t complete successfully: exit {spec.ends_with}\n')
        self.during_up()
        return CommandResult(0, "", "")

    def _start(self, container: ComposeContainer, spec: ServiceSpec) -> None:
        container.started_at = self.time.now()
        container.health = spec.health
        container.status = "running" if spec.ends_with is None else "exited"
        container.exit_code = spec.ends_with or 0


def fake_hash(document: dict[str, Any]) -> str:
    """Hash of a service as Compose 2.26 has it: `depends_on` counts, the number of containers does not."""
    counted = {key: value for key, value in document.items() if key != "scale"}
    return hashlib.sha256(json.dumps(counted, sort_keys=True).encode()).hexdigest()


def _closure(active: dict[str, ServiceSpec], named: list[str]) -> list[str]:
    order: dict[str, None] = {}

    def visit(name: str) -> None:
        for needed in active[name].depends_on:
            if needed in active:
                visit(needed)
        order[name] = None

    for name in named:
        visit(name)
    return list(order)


KEYS = {"changed", "outcome", "summary", "next_command", "services", "logs", "diff", "warnings"}


def ensure(world: World, *services: str, dry_run: bool = False, **more: Any) -> dict[str, Any]:
    result = ensure_services(world.params(*services, **more), world.tools(), dry_run)
    assert set(result) == KEYS
    return result


def actions(result: dict[str, Any]) -> dict[str, str]:
    return {row["service"]: row["action"] for row in result["services"]}


def desired(world: World) -> dict[str, Any]:
    path = world.path / "state" / "desired.json"
    return json.loads(path.read_text(encoding="utf-8"))["services"] if path.exists() else {}


def failure(world: World, *services: str, **more: Any) -> dict[str, Any]:
    """Return a result in which nothing was done."""
    result = ensure(world, *services, **more)
    assert result["changed"] is False
    assert "up" not in world.commands
    assert desired(world) == {}
    assert [row["service"] for row in result["services"]] == list(services)
    return result
