"""What starts containers again after a stop: known tools by image and unit, and the command that holds each off. Data.

Images as their projects publish them, looked up in their compose files (December 2026).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from .frameworks import IMAGE_LABELS


@dataclass(frozen=True)
class Tool:
    """A known tool. `images` are shell patterns for the last part of an image's name, or for its last two parts.

    `units` are shell patterns for the unit that runs it where it is no container.
    """

    name: str
    images: tuple[str, ...]
    units: tuple[str, ...] = ()


TOOLS: Final = (
    Tool("doco-cd", ("doco-cd",)),
    Tool("Komodo", ("komodo", "komodo-*"), ("periphery.service", "komodo*.service")),
    Tool("Watchtower", ("watchtower",)),
    Tool("Portainer", ("portainer", "portainer-?e", "portainer/agent")),
    Tool("Arcane", ("arcane", "arcane-*", "getarcaneapp/*"), ("arcane*.service",)),
    Tool("Dockhand", ("dockhand", "hawser"), ("hawser*.service",)),
    Tool("hummingbot-api", ("hummingbot-api",), ("hummingbot-api*.service",)),
    Tool("Dockge", ("dockge",)),
    Tool("What's up Docker", ("getwud/wud", "whats-up-docker")),
    Tool("autoheal", ("autoheal", "docker-autoheal")),
    Tool("Ofelia", ("ofelia",)),
    Tool("Sablier", ("sablier",)),
)

HOLD_OFF: Final = {
    "container": "docker stop {name}",
    "unit": "systemctl stop {name}",
    "user unit": "systemctl --user --machine={user}@ stop {name}",
    "unit of all users": "systemctl --user stop {name}",
    "cron line": "sed -i '{line}s/^/#/' {name}",
    "cron script": "chmod a-x {name}",
}
"""Kind of a starter -> what holds it off. Nothing here is run by us: a person types it."""

SOCKET_NAMES: Final = ("docker.sock", "podman.sock")
SOCKETS: Final = (
    *("/var/run/docker.sock", "/run/docker.sock", "/run/podman/podman.sock", "/var/run/podman/podman.sock"),
    "/run/user/1000/docker.sock",
)
"""Where an engine listens: a folder above one of these holds it as well."""

ENGINE_ADDRESSES: Final = ("DOCKER_HOST", "CONTAINER_HOST")
"""Variables that lead a program to an engine."""

ENGINE_COMMANDS: Final = frozenset({"docker", "podman", "nerdctl", "docker-compose", "podman-compose"})
COMMAND_GROUPS: Final = frozenset({"compose", "container", "stack", "kube", "pod", "service"})
START_VERBS: Final = frozenset(
    {"start", "run", "restart", "up", "unpause", "deploy", "scale", "play", "auto-update"},
)
OTHER_VERBS: Final = frozenset(
    "attach build builder buildx commit config context cp create diff down events exec export generate healthcheck "
    "history image images import info inspect kill load login logout logs ls machine network node pause plugin port "
    "prune ps pull push rename rm rmi save search secret stats stop swarm system tag top update version volume "
    "wait".split()
)
"""Words after which a command of an engine starts nothing, whatever its arguments are called."""


def tool_of_image(reference: str, labels: dict[str, object]) -> str:
    """Return the tool that an image is of, by its name or by the labels it was built with; empty for none."""
    texts = [reference, *(str(labels.get(label) or "") for label in IMAGE_LABELS)]
    found = (tool.name for text in texts for tool in TOOLS if any(_matches(text, image) for image in tool.images))
    return next(found, "")


def tool_of_unit(name: str) -> str:
    """Return the tool that a unit of this name runs, empty for none."""
    return next((tool.name for tool in TOOLS if any(fnmatchcase(name, unit) for unit in tool.units)), "")


def _matches(reference: str, pattern: str) -> bool:
    """Return whether the last part of a name, or its last two, match; registry, tag and digest are left out."""
    name = re.sub(r":[^/:]*$", "", reference.partition("@")[0].lower())
    last = "/".join(name.split("/")[-1 - pattern.count("/") :])
    return fnmatchcase(last, pattern)
