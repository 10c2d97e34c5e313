"""Whether a throw-away Compose project can touch anything but itself: only what is known to be harmless is allowed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from ..compose.config import MODE_VARIABLE
from ..core.bots import MODE_LABEL, PROJECT_LABEL, RESTORE_TEST_LABEL, RESTORE_TEST_PROJECT

PROJECT: Final = RESTORE_TEST_PROJECT
"""Names of throw-away projects. What is removed has to carry such a name, and the label too."""

SERVICE_KEYS: Final = frozenset(
    {
        *("command", "cpus", "depends_on", "entrypoint", "environment", "healthcheck", "image", "init", "labels"),
        *("mem_limit", "networks", "profiles", "restart", "shm_size", "stop_grace_period", "stop_signal", "tmpfs"),
        *("user", "volumes", "working_dir"),
    }
)
"""All that a service may say. Ports, container names, devices, capabilities, host namespaces and what Compose learns
tomorrow are not among it."""

DOCUMENT_KEYS: Final = frozenset({"name", "services", "networks", "volumes"})
NETWORK_KEYS: Final = frozenset({"name", "internal", "ipam", "labels", "driver"})
VOLUME_KEYS: Final = frozenset({"name", "labels"})
BIND_KEYS: Final = frozenset({"type", "source", "target", "read_only", "bind"})
NAMED_KEYS: Final = frozenset({"type", "source", "target", "read_only", "volume"})


@dataclass(frozen=True)
class Present:
    """What the engine has already: Compose projects of containers, volumes and networks, and all names of both."""

    projects: frozenset[str] = frozenset()
    volumes: frozenset[str] = frozenset()
    networks: frozenset[str] = frozenset()


def find_dangers(document: Mapping[str, Any], project: str, scratch: str, present: Present) -> list[str]:
    """Return why the project of `docker compose config` must not start; empty where nothing speaks against it.

    scratch: the directory below which everything lies that is mounted from the host.
    """
    return list(_dangers(document, project, PurePosixPath(scratch), present))


def _dangers(document: Mapping[str, Any], project: str, scratch: PurePosixPath, present: Present) -> Iterator[str]:
    if document.get("name") != project or not PROJECT.fullmatch(project):
        yield f"the project is named {document.get('name')!r}, not {project!r} as a throw-away one"
    if project in present.projects:
        yield f"a project {project} is there already"
    read = {key: value for key, value in document.items() if not key.startswith("x-")}  # x- is read by nothing
    yield from _unknown_keys("the file", read, DOCUMENT_KEYS)
    networks, volumes = document.get("networks") or {}, document.get("volumes") or {}
    yield from _network_dangers(networks, project, present)
    yield from _volume_dangers(volumes, project, present)
    if not document.get("services"):
        yield "it has no service"
    for name, service in (document.get("services") or {}).items():
        for danger in _service_dangers(service, networks, volumes, scratch):
            yield f"service {name}: {danger}"


def _network_dangers(networks: Mapping[str, Any], project: str, present: Present) -> Iterator[str]:
    if len(networks) != 1:
        yield f"it has {len(networks)} networks, not one of its own"
    for key, network in networks.items():
        settings = network or {}
        yield from _unknown_keys(f"network {key}", settings, NETWORK_KEYS)
        if settings.get("internal") is not True:
            yield f"network {key} is not internal: packets could leave it"
        if settings.get("driver") not in {None, "", "bridge"} or settings.get("ipam"):
            yield f"network {key} has a driver or addresses of its own"
        yield from _name_dangers(f"network {key}", settings, project, present.networks)


def _volume_dangers(volumes: Mapping[str, Any], project: str, present: Present) -> Iterator[str]:
    for key, volume in volumes.items():
        # driver_opts can make a named volume of any directory of the host.
        yield from _unknown_keys(f"volume {key}", volume or {}, VOLUME_KEYS)
        yield from _name_dangers(f"volume {key}", volume or {}, project, present.volumes)


def _name_dangers(what: str, settings: Mapping[str, Any], project: str, taken: frozenset[str]) -> Iterator[str]:
    name = str(settings.get("name") or "")
    if not name.startswith(f"{project}_"):
        yield f"{what} is named {name!r}, outside of the project"
    if name in taken:
        yield f"{what} is there already"
    if (settings.get("labels") or {}).get(RESTORE_TEST_LABEL) != "true":
        yield f"{what} lacks the label {RESTORE_TEST_LABEL}, so nothing would remove it"


def _service_dangers(
    service: Mapping[str, Any], networks: Mapping[str, Any], volumes: Mapping[str, Any], scratch: PurePosixPath
) -> Iterator[str]:
    yield from _unknown_keys("", service, SERVICE_KEYS)
    labels, environment = service.get("labels") or {}, service.get("environment") or {}
    if labels.get(RESTORE_TEST_LABEL) != "true":
        yield f"it lacks the label {RESTORE_TEST_LABEL}, so a stop would count it and nothing would remove it"
    for where, mode in (
        (f"label {MODE_LABEL}", labels.get(MODE_LABEL)),
        (MODE_VARIABLE, environment.get(MODE_VARIABLE)),
    ):
        if mode not in {None, "paper"}:
            yield f"{where} says {mode!r}, not paper"
    if set(service.get("networks") or ()) != set(networks):
        yield "it is not on the project's network alone"
    if service.get("restart") != "no":
        yield f"restart is {service.get('restart')!r}: it could come back by itself"
    for volume in service.get("volumes") or ():
        yield from _mount_dangers(volume, volumes, scratch)


def _mount_dangers(volume: Mapping[str, Any], volumes: Mapping[str, Any], scratch: PurePosixPath) -> Iterator[str]:
    source, target = str(volume.get("source") or ""), volume.get("target")
    if volume.get("type") == "volume":
        yield from _unknown_keys(f"mount {target}", volume, NAMED_KEYS)
        if source not in volumes:
            yield f"volume {source!r} at {target} is not the project's"
    elif volume.get("type") == "bind":
        yield from _unknown_keys(f"mount {target}", volume, BIND_KEYS)
        if ".." in PurePosixPath(source).parts or scratch not in PurePosixPath(source).parents:
            yield f"{source} at {target} is outside of {scratch}"
    else:
        yield f"a mount of type {volume.get('type')!r} at {target}"


def _unknown_keys(what: str, settings: Mapping[str, Any], allowed: frozenset[str]) -> Iterator[str]:
    if unknown := sorted(key for key, value in settings.items() if key not in allowed and value not in (None, [], {})):
        yield f"{what} says {', '.join(unknown)}, which a restore test has no use for".strip()


def find_leaks(
    containers: Sequence[Mapping[str, Any]], networks: Sequence[Mapping[str, Any]], project: str
) -> list[str]:
    """Return what the engine says of a project that was started and that contradicts its isolation.

    containers, networks: the engine's own descriptions (`docker inspect`). Nothing to inspect is a leak too.
    """
    found = []
    names = {network.get("Name") for network in networks}
    if len(networks) != 1 or any(network.get("Internal") is not True for network in networks):
        found.append(f"the networks of {project} are not one internal one: {sorted(map(str, names))}")
    if any(network.get("EnableIPv6") is not False for network in networks):  # its routes are in another table
        found.append(f"a network of {project} may speak IPv6: {sorted(map(str, names))}")
    if not containers:
        found.append(f"{project} has no container")
    for item in containers:
        host, name = item.get("HostConfig") or {}, str(item.get("Name", "")).lstrip("/")
        labels = (item.get("Config") or {}).get("Labels") or {}
        if labels.get(PROJECT_LABEL) != project or labels.get(RESTORE_TEST_LABEL) != "true":
            found.append(f"{name} does not carry the labels of the test")
        if set((item.get("NetworkSettings") or {}).get("Networks") or {"?": None}) - names:
            found.append(f"{name} is on another network")
        if host.get("PortBindings") or host.get("Privileged") or host.get("PublishAllPorts"):
            found.append(f"{name} has published ports or privileges")
    return found


def has_default_route(routes: str) -> bool:
    """Return whether a container's /proc/net/route has a way out; a table that cannot be read counts as one."""
    lines = [line.split() for line in routes.splitlines() if line.strip()]
    if not lines or lines[0][:2] != ["Iface", "Destination"]:
        return True
    return any(len(line) < 2 or line[1] == "00000000" for line in lines[1:])
