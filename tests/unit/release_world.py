"""A host brought to a release: a real checkout, a Compose that reads the files it is given, and images that move."""

from __future__ import annotations

import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from trading_ops.compose.config import Command, CommandResult
from trading_ops.compose.services import ensure_services
from trading_ops.host.programs import LocalPrograms
from trading_ops.release.ensure import ensure_release
from trading_ops.release.git import HOST_ENVIRONMENT, Repository
from trading_ops.release.images import Image
from trading_ops.release.plan import Rules
from trading_ops.release.request import Host, Request, Stack

from tests.unit.compose_world import ServiceSpec, World

FEED = "ops/compose/docker-compose.yml"
PROJECT = "ai_trading_core"
NOW = "2026-11-21T08:00:00.000Z"
IDS = {"app:1": f"sha256:{'1' * 64}", "app:2": f"sha256:{'2' * 64}"}


def git(path, *arguments):
    identity = ["-c", "user.name=t", "-c", "user.email=t@t"]
    done = subprocess.run(["git", *identity, *arguments], cwd=path, check=True, capture_output=True, text=True)
    return done.stdout.strip()


class Estate(World):
    """A host whose compose file is a word, which stands for services. The first line of the file is that word."""

    def __init__(self, root: Path) -> None:
        (root / "unused").mkdir(parents=True)
        super().__init__(root / "unused")
        self.root, self.name = root / "checkout", PROJECT
        self.state = root / "state"
        self.state.mkdir()
        self.root.mkdir()
        git(self.root, "init", "--quiet", "--initial-branch=main")
        self.words: dict[str, dict[str, ServiceSpec]] = {}
        self.engine.images = dict(IDS)
        self.mounts: dict[str, list[str]] = {}
        self.scratch_folders: list[str] = []
        inspect = self.engine.inspect

        def with_mounts(container_id: str) -> dict[str, Any] | None:
            described = inspect(container_id)
            if described:
                service = described["Config"]["Labels"].get("com.docker.compose.service", "")
                described["Mounts"] = [{"Type": "bind", "Source": path} for path in self.mounts.get(service, [])]
            return described

        self.engine.inspect = with_mounts  # type: ignore[method-assign]

    def commit(self, word: str, services: dict[str, ServiceSpec] | None = None, **files: str) -> str:
        if services:
            self.words[word] = services
        for name, text in {FEED: f"{word}\n", **files}.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        git(self.root, "add", "--all")
        git(self.root, "commit", "--quiet", "--allow-empty", "--message", word)
        return git(self.root, "rev-parse", "HEAD")

    def run(self, command: Command) -> CommandResult:
        argv = list(command.argv)
        file = argv[argv.index("--file") + 1] if "--file" in argv else ""
        if "--project-directory" in argv:
            assert argv[argv.index("--project-directory") + 1] == str(self.root / "ops/compose")
            self.scratch_folders.append(file)
        if file != "-":
            self.services = self.words[(self.root / file).read_text().split()[0]]
        return super().run(command)

    def start(self, *services: str) -> None:
        self.name = PROJECT
        params = self.params(*services, project_src=str(self.root), files=[FEED], project_name=PROJECT, profiles=[])
        assert ensure_services(params | {"state_path": str(self.state)}, self.tools(), False)["outcome"] == "proven"
        self.commands.clear()

    def host(self) -> Host:
        tools = self.tools()
        return Host(
            repository=Repository(LocalPrograms(HOST_ENVIRONMENT, time.monotonic, 60), self.root),
            images=HostImages(self.engine),
            tools=tools,
            ensure=lambda params: ensure_services(params, tools, False),
            now=lambda: NOW,
        )

    def request(self, revision: str, **more: Any) -> Request:
        plain = Request(
            revision=revision,
            stacks=(Stack(PROJECT, (FEED,), ()),),
            rules=Rules(("bot",), "live_connector", ()),
            state_path=self.state,
            docker_url="unix:///s",
            timeout_seconds=10,
            by="reno",
            why="test",
        )
        return replace(plain, **more)

    def release(self, revision: str, dry_run: bool = False, **more: Any) -> dict[str, Any]:
        return ensure_release(self.request(revision, **more), self.host(), dry_run)

    def head(self) -> str:
        return git(self.root, "rev-parse", "HEAD")

    def files(self) -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in self.root.parent.rglob("*") if path.is_file()}

    def ids(self) -> dict[str, str]:
        return {container.name: container.id for container in self.engine.by_id.values()}


class HostImages:
    """Images of a host, over the same table that the fake Compose takes them from."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine

    def find(self, reference: str) -> Image | None:
        found = self.engine.images.get(reference) or (reference if reference in IDS.values() else None)
        return Image(found) if found else None

    def tag(self, image_id: str, reference: str) -> None:
        self.engine.images[reference] = image_id


def spec(environment="", image="app:1", **more):
    return ServiceSpec(image=image, environment=environment, health="healthy", **more)


def moves(result):
    return {move["service"]: move["action"] for move in result["moves"]}
