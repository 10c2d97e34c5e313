"""Lab machines as containers on the outer engine: how each is made, and what has to change to make it so."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

LABEL = "trading-core.lab=1"
SPECIFICATION_LABEL = "trading-core.lab.specification"
NETWORK = "trading-core-lab"
SUBNET = "172.29.77.0/24"
COMMAND_TIMEOUT_SECONDS = 120

Verb = Literal["remove", "create", "connect", "unpause", "start"]

# What systemd and a nested engine need. Not --privileged: some engines lack CAP_SYS_RESOURCE, and
# then refuse that altogether. The volume is there because overlay2 does not work on top of overlay2.
HOST_OPTIONS = (
    *("--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE"),
    *("--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"),
    *("--security-opt", "systempaths=unconfined", "--device-cgroup-rule", "a *:* rwm"),
    *("--tmpfs", "/run:exec", "--tmpfs", "/tmp:exec", "--cgroupns", "private"),
)


class EstateError(Exception):
    """What was expected, what was seen, and what to do."""


@dataclass(frozen=True)
class Machine:
    """One container on the lab's network. `identity` is the digest of the files copied into it."""

    name: str
    address: str
    image: str
    options: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    volume: str | None = None
    identity: str = ""


@dataclass(frozen=True)
class Observed:
    """What the outer engine says about a machine that exists."""

    state: str
    specification: str
    networks: tuple[str, ...]


def volume_of(name: str) -> str:
    """Return the volume that holds the images and containers of a lab host's engine."""
    return f"{NETWORK}-{name}"


def build_host(name: str, address: str, image: str, identity: str) -> Machine:
    """Return a lab host: systemd, sshd and an engine of its own."""
    volume = volume_of(name)
    mount = f"type=volume,source={volume},destination=/var/lib/docker,volume-label={LABEL}"
    return Machine(name, address, image, (*HOST_OPTIONS, "--mount", mount), (), volume, identity)


def specification(machine: Machine) -> str:
    """Return a digest that differs whenever the machine would be made differently."""
    return hashlib.sha256(json.dumps([_options(machine), machine.identity]).encode()).hexdigest()[:12]


def create_argv(machine: Machine) -> list[str]:
    """Return the command that makes the machine, stopped."""
    labels = ["--label", LABEL, "--label", f"{SPECIFICATION_LABEL}={specification(machine)}"]
    return ["docker", "create", *labels, *_options(machine)]


def connect_argv(machine: Machine) -> list[str]:
    """Return the command that plugs the machine back into the lab's network, at its address."""
    return ["docker", "network", "connect", "--ip", machine.address, NETWORK, machine.name]


def _options(machine: Machine) -> list[str]:
    place = ["--name", machine.name, "--hostname", machine.name, "--network", NETWORK, "--ip", machine.address]
    return [*place, *machine.options, machine.image, *machine.command]


def plan(machine: Machine, observed: Observed | None) -> tuple[Verb, ...]:
    """Return what brings the machine from what was observed (None: absent) to running as specified."""
    if observed is None:
        return ("create", "start")
    if observed.specification != specification(machine):
        return ("remove", "create", "start")
    back_on_the_network: tuple[Verb, ...] = () if NETWORK in observed.networks else ("connect",)
    match observed.state:
        case "running":
            return back_on_the_network
        case "paused":
            return (*back_on_the_network, "unpause")
        case "created" | "exited":
            return (*back_on_the_network, "start")
        case _:
            return ("remove", "create", "start")


LIST_ARGV = (
    *("docker", "ps", "--all", "--filter", f"label={LABEL}", "--format"),
    '{{.Names}}\t{{.State}}\t{{.Label "' + SPECIFICATION_LABEL + '"}}\t{{.Networks}}',
)


def parse_machines(listing: str) -> dict[str, Observed]:
    """Return what LIST_ARGV printed, by machine name."""
    rows = [line.split("\t") for line in listing.splitlines() if line]
    return {name: Observed(state, digest, tuple(networks.split(","))) for name, state, digest, networks in rows}


def observe_machines() -> dict[str, Observed]:
    """Return every container of the lab, by name, in whatever state."""
    return parse_machines(run(LIST_ARGV))


def ensure_network() -> bool:
    """Make the lab's network where it is missing; return whether it was made. The wrong one is an error."""
    asked = ["docker", "network", "ls", "--filter", f"name=^{NETWORK}$", "--format", "{{.Name}}"]
    if not run(asked).strip():
        run(["docker", "network", "create", "--label", LABEL, "--subnet", SUBNET, NETWORK])
        return True
    seen = run(["docker", "network", "inspect", "--format", "{{(index .IPAM.Config 0).Subnet}}", NETWORK]).strip()
    if seen != SUBNET:
        raise EstateError(f"network {NETWORK} should be {SUBNET}, but is {seen}. Type: docker network rm {NETWORK}")
    return False


def ensure_machine(machine: Machine, observed: Observed | None, files: bytes) -> tuple[Verb, ...]:
    """Bring one machine to running as specified; return what was done. `files` is a tar for its root."""
    verbs = plan(machine, observed)
    for verb in verbs:
        match verb:
            case "remove":
                remove_machine(machine.name)
                if machine.volume:
                    run(["docker", "volume", "rm", "--force", machine.volume])
            case "create":
                run(create_argv(machine))
                if files:
                    run(["docker", "cp", "-", f"{machine.name}:/"], stdin=files)
            case "connect":
                run(connect_argv(machine))
            case "unpause" | "start":
                run(["docker", verb, machine.name])
    return verbs


def select_unwanted(wanted: Sequence[Machine], observed: Mapping[str, Observed]) -> list[str]:
    """Return the machines of an older lab, which may have an address that a wanted one needs.

    What merely runs from an image of the lab has its label too, but no specification: a benchmark's hosts stay.
    """
    names = {machine.name for machine in wanted}
    return sorted(name for name, machine in observed.items() if machine.specification and name not in names)


def remove_unwanted(name: str) -> None:
    """Remove a machine of an older lab with the volume of its engine."""
    remove_machine(name)
    run(["docker", "volume", "rm", "--force", volume_of(name)])


def remove_machine(name: str) -> None:
    """Remove a container and its anonymous volumes, running or not."""
    run(["docker", "rm", "--force", "--volumes", name])


def run(
    argv: Sequence[str],
    stdin: bytes = b"",
    timeout_seconds: float = COMMAND_TIMEOUT_SECONDS,
) -> str:
    """Return a command's standard output. EstateError where it fails or does not end in time."""
    shown = " ".join(argv)
    try:
        ended = subprocess.run(argv, input=stdin, capture_output=True, timeout=timeout_seconds, check=False)
    except OSError as error:
        raise EstateError(f"`{shown}` could not be started: {error}") from error
    except subprocess.TimeoutExpired as error:
        raise EstateError(f"`{shown}` did not end within {timeout_seconds:g} s") from error
    if ended.returncode != 0:
        last_lines = "\n".join(ended.stderr.decode(errors="replace").strip().splitlines()[-5:])
        raise EstateError(f"`{shown}` ended with {ended.returncode}: {last_lines}")
    return ended.stdout.decode(errors="replace")
