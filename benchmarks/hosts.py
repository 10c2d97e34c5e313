"""Hosts for a benchmark: the lab's host image on a network of its own, bots that trade, and a venue of their own.

Nothing here carries the lab's label or name, so a benchmark and the lab do not see each other.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab import estate, images, machines, project_tree, state
from lab.estate import Say, in_parallel
from lab.machines import EstateError, run

ROOT = Path(__file__).resolve().parents[1]
LABEL = "trading-core.bench=1"
NETWORK = "trading-core-bench"
SUBNET = "172.29.78.0/24"
VENUE_NAME = "bench-venue"
VENUE_ADDRESS = "172.29.78.5"
VENUE_URL = f"http://{VENUE_ADDRESS}:8900"
PROJECT_PATH = f"{project_tree.PROJECT_ROOT_PATH}/ops/compose/trading"
READY_TIMEOUT_SECONDS = 300
TRADING_TIMEOUT_SECONDS = 120
_BOT_IMAGE = images.ImageSource("bench-bot", ROOT / "benchmarks/bot")
_INOTIFY_LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")
# systemd, dockerd and containerd of one host hold 7; every host counts against the same user of this machine.
_INOTIFY_NEEDED = 1024


@dataclass(frozen=True)
class Estate:
    """Bench hosts that are up, each with as many bots. `home` holds keys, pinned host keys and inventory."""

    home: Path
    addresses: dict[str, str]
    bots_per_host: int

    @property
    def hosts(self) -> list[str]:
        return list(self.addresses)

    @property
    def inventory(self) -> Path:
        return self.home / "inventory"


@dataclass(frozen=True)
class Stopped:
    """What the hosts' engines say after a stop: bots still running, and when the last of the others ended."""

    running: int
    last_finished: float | None


@contextmanager
def bench_estate(hosts: int, bots_per_host: int, say: Say) -> Iterator[Estate]:
    """Yield hosts with bots on them; whatever happens, nothing of them is left afterwards."""
    addresses = {f"bench{number:02}": f"172.29.78.{10 + number}" for number in range(1, hosts + 1)}
    home = Path(tempfile.mkdtemp(prefix="bench-"))
    with _inotify_instances():
        remove_all()  # what a killed run left
        try:
            made = Estate(home, addresses, bots_per_host)
            _bring_up(made, say)
            yield made
        finally:
            remove_all()
            shutil.rmtree(home, ignore_errors=True)


def _bring_up(wanted: Estate, say: Say) -> None:
    begun = time.monotonic()
    host_image, references = estate.ensure_images(say)
    bot_image = images.image_reference(_BOT_IMAGE)
    if images.image_id(bot_image) is None:
        images.build_image(_BOT_IMAGE, bot_image, say)
    state.ensure_keys(wanted.home, wanted.addresses)
    _write_inventory(wanted)
    run(["docker", "network", "create", "--label", LABEL, "--subnet", SUBNET, NETWORK])
    run(["docker", "run", "--detach", *_place(VENUE_NAME, VENUE_ADDRESS), references["app"], "trading_lab.exchange"])
    in_parallel(lambda name: _create_host(wanted, name, host_image), wanted.hosts)
    in_parallel(lambda name: estate.wait_for_host(wanted.home, name, READY_TIMEOUT_SECONDS), wanted.hosts)
    estate.wait_for_outside(replace(estate.VENUE, address=VENUE_ADDRESS))
    say(f"bench: {len(wanted.hosts)} hosts answer over ssh after {time.monotonic() - begun:.0f} s")

    estate.stream_images([bot_image], wanted.hosts)
    files = project_tree.build_tar(_project(bot_image, wanted.bots_per_host))
    in_parallel(lambda name: _create_bots(name, files), wanted.hosts)
    start_trading(wanted)
    say(f"bench: {wanted.bots_per_host} bots on each of them trade after {time.monotonic() - begun:.0f} s")


def _place(name: str, address: str) -> list[str]:
    return ["--label", LABEL, "--name", name, "--hostname", name, "--network", NETWORK, "--ip", address]


def _create_host(wanted: Estate, name: str, image: str) -> None:
    # An anonymous volume for the engine inside goes with its container.
    options = [*machines.HOST_OPTIONS, "--volume", "/var/lib/docker"]
    run(["docker", "create", *_place(name, wanted.addresses[name]), *options, image])
    run(["docker", "cp", "-", f"{name}:/"], stdin=state.host_files(wanted.home, name))
    run(["docker", "start", name])


def _create_bots(name: str, files: bytes) -> None:
    run(["docker", "exec", "--interactive", name, "tar", "--extract", "--directory=/"], stdin=files)
    _on(name, f"cd /{PROJECT_PATH} && docker compose --progress quiet create")


def _project(image: str, bots: int) -> list[project_tree.Entry]:
    """Return the project root: a compose file like the reference one, which every contender can work with."""
    compose = {
        "name": "trading-live",
        "services": {
            "bot": {
                "image": image,
                "environment": {"VENUE_URL": VENUE_URL},
                "labels": {"trading-core.mode": "live"},
                "restart": "unless-stopped",
                "deploy": {"replicas": bots},
            }
        },
    }
    parents = [path for path in reversed(Path(PROJECT_PATH, "x").parents) if path.parts[:1] == ("opt",)]
    return [
        *(project_tree.Entry(str(path), 0o755, None) for path in parents if path != Path("opt")),
        project_tree.Entry(f"{PROJECT_PATH}/docker-compose.yml", 0o644, json.dumps(compose, indent=2).encode()),
        project_tree.Entry(project_tree.STATE_PATH, 0o755, None, owner="root", group="docker"),
    ]


def _write_inventory(wanted: Estate) -> None:
    """Write an inventory that reaches the hosts exactly as the lab's does; lab_home comes from the environment."""
    variables = wanted.inventory / "group_vars/all"
    variables.mkdir(parents=True)
    shutil.copy(ROOT / "inventories/lab/group_vars/all/connection.yml", variables)
    hosts = {name: {"ansible_host": address} for name, address in wanted.addresses.items()}
    # Asked after every stop, as an estate with a venue would have it.
    (variables / "estate.yml").write_text(f"trading_core_open_orders_url: {VENUE_URL}/orders/open\n")
    groups = {"trading_hosts": {"hosts": hosts}}
    (wanted.inventory / "hosts.yml").write_text(json.dumps({"all": {"children": groups}}, indent=2))


def start_trading(wanted: Estate) -> None:
    """Undo a stop on every host, and return once each bot's order has been seen at the venue."""
    undo = (
        "rm -rf /var/lib/trading-core/* /run/trading-core/*; ids=$(docker ps --all --quiet);"
        " docker update --restart unless-stopped $ids >/dev/null && docker start $ids >/dev/null"
    )
    in_parallel(lambda name: _on(name, undo), wanted.hosts)
    begun, expected = now(), len(wanted.hosts) * wanted.bots_per_host
    end = time.monotonic() + TRADING_TIMEOUT_SECONDS
    while (seen := len({order["client"] for order in orders(begun)})) < expected:
        if time.monotonic() > end:
            raise EstateError(f"{expected} bots should trade within {TRADING_TIMEOUT_SECONDS} s, {seen} do")
        time.sleep(0.2)


def observe_stopped(wanted: Estate, hosts: Sequence[str]) -> Stopped:
    """Return what the engines of these hosts say about their bots. A bot that is missing is an error."""
    asked = "docker inspect --format '{{.State.Running}} {{.State.FinishedAt}}' $(docker ps --all --quiet)"
    lines = [
        line.split() for answer in in_parallel(lambda name: _on(name, asked), hosts) for line in answer.splitlines()
    ]
    if len(lines) != len(hosts) * wanted.bots_per_host:
        raise EstateError(f"{len(hosts)} hosts with {wanted.bots_per_host} bots each show {len(lines)} containers")
    ended = [parse_time(finished) for running, finished in lines if running == "false"]
    return Stopped(running=len(lines) - len(ended), last_finished=max(ended, default=None))


def orders(since: float) -> list[dict[str, Any]]:
    """Return what arrived at the venue after `since` (seconds since 1970)."""
    moment = datetime.fromtimestamp(since, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    with urllib.request.urlopen(f"{VENUE_URL}/record?since={moment}&kind=order", timeout=10) as answer:
        return list(json.load(answer)["records"])


def parse_time(text: str) -> float:
    """Return seconds since 1970 from ISO 8601 UTC; the engine writes nanoseconds."""
    seconds, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{seconds}+00:00").timestamp() + float(f"0.{fraction or 0}")


def now() -> float:
    """Return the present time; hosts, venue and this machine share one clock."""
    return time.time()


@contextmanager
def frozen(name: str) -> Iterator[None]:
    """Freeze a host with engine and sshd: its address answers, and nothing behind it does."""
    run(["docker", "pause", name])
    try:
        yield
    finally:
        run(["docker", "unpause", name])


def remove_all() -> None:
    """Remove every container and network of a benchmark."""
    label = f"label={LABEL}"
    names = run(["docker", "ps", "--all", "--quiet", "--filter", label]).split()
    in_parallel(machines.remove_machine, names)
    if networks := run(["docker", "network", "ls", "--quiet", "--filter", label]).split():
        run(["docker", "network", "rm", *networks])


def _on(name: str, shell: str) -> str:
    return run(["docker", "exec", name, "sh", "-c", shell])


@contextmanager
def _inotify_instances() -> Iterator[None]:
    """Let this machine carry thirty systemds, for as long as the benchmark runs."""
    before = _INOTIFY_LIMIT.read_text()
    if int(before) >= _INOTIFY_NEEDED:
        yield
        return
    if not os.access(_INOTIFY_LIMIT, os.W_OK):
        raise EstateError(f"thirty hosts need more. Type: sudo sysctl fs.inotify.max_user_instances={_INOTIFY_NEEDED}")
    _INOTIFY_LIMIT.write_text(str(_INOTIFY_NEEDED))
    try:
        yield
    finally:
        _INOTIFY_LIMIT.write_text(before)
