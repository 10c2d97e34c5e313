"""The throw-away Compose project of a restore test, while it runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..compose.config import Project, compose_argv, config_argv, parse_document, parse_error
from ..host.programs import Ended, ProgramError, Programs
from .faults import fault
from .isolation import find_leaks, has_default_route

TAIL_CHARACTERS: Final = 500
"""How much of a service's last output goes into a failure."""

_UP_FAULTS: Final = {"no space left": "no_room", "no such image": "image_missing"}
"""What Compose says, in lower case -> the fault."""


@dataclass(frozen=True)
class Stack:
    """A throw-away project. `programs` have its variables in their environment, and end at the run's time limit.

    start_timeout_seconds: what its services may take to become healthy.
    """

    project: Project
    programs: Programs
    start_timeout_seconds: int = 180

    def docker(self, arguments: Sequence[str]) -> str:
        """Return what `docker` with these arguments printed. Raises ProgramError."""
        done = self.programs.run(["docker", *arguments])
        if done.code != 0:
            raise ProgramError(f"docker {arguments[0]} ended with {done.code}: {last_output(done)}")
        return done.stdout

    def configuration(self) -> dict[str, Any]:
        """Return the project as Compose reads it. Raises ComposeError, ProgramError."""
        done = self.programs.run(config_argv(self.project), cwd=self.project.project_src)
        if done.code != 0:
            raise ProgramError(parse_error(done.stderr))
        return parse_document(done.stdout)

    def up(self, *services: str) -> None:
        """Start services and return once they are healthy. Raises RestoreFault with what the sick one says."""
        # What a registry has under a tag today is not what the estate runs.
        flags = ["--detach", "--no-build", "--pull=never", "--wait", f"--wait-timeout={self.start_timeout_seconds}"]
        argv = [*compose_argv(self.project), "up", *flags, "--", *services]
        done = self.programs.run(argv, cwd=self.project.project_src)
        if done.code != 0:
            errors = done.stderr.lower()
            name = next((name for text, name in _UP_FAULTS.items() if text in errors), "service_unhealthy")
            tails = [f"{service} says: {tail}" for service in services if (tail := self.log_tail(service))]
            raise fault(name, f"{parse_error(done.stderr)} {' '.join(tails)}")

    def container(self, service: str) -> str:
        """Return the name that Compose gives a service's one container (no service may choose its own)."""
        return f"{self.project.name}-{service}-1"

    def address(self, service: str) -> str:
        """Return where this host reaches a service: the network is internal, and the host is on it."""
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return self.docker(["inspect", "--format", form, self.container(service)]).strip()

    def log_tail(self, service: str) -> str:
        """Return the last output of a service on one line, empty where there is none."""
        return last_output(self.programs.run(["docker", "logs", "--tail", "4", self.container(service)]))

    def prove_isolation(self) -> None:
        """Raise RestoreFault (`not_isolated`) unless the engine and the containers themselves show no way out."""
        label = f"label=com.docker.compose.project={self.project.name}"
        found = []
        for arguments in (["ps", "--all"], ["network", "ls"]):
            ids = self.docker([*arguments, "--quiet", "--no-trunc", "--filter", label]).split()
            found.append(json.loads(self.docker(["inspect", *ids])) if ids else [])
        containers, networks = found
        leaks = find_leaks(containers, networks, self.project.name)
        for name in [str(item["Name"]).lstrip("/") for item in containers]:
            if has_default_route(self.docker(["exec", name, "cat", "/proc/net/route"])):
                leaks.append(f"{name} has a default route")
        if leaks:
            raise fault("not_isolated", "; ".join(leaks))


def last_output(done: Ended) -> str:
    """Return the end of a program's output, on one line."""
    return " ".join(f"{done.stdout} {done.stderr}".split())[-TAIL_CHARACTERS:]
