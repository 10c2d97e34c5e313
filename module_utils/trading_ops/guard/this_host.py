"""The host that this code runs on, with its real engine, control groups and guard."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ..host.cgroups import ForeignEngine, HostCgroups, find_docker_roots
from ..host.engine import docker_engine
from ..host.machine import observe_machine
from ..host.starter_files import read_starter_files
from ..stop.kill_switch import ENGINE_ANSWER_SECONDS, TradingHost
from .installed import observe_guard

SYSTEM_ENGINES: Final = frozenset({"unix:///var/run/docker.sock", "unix:///run/docker.sock"})
"""Engines whose containers are in this host's control groups, described under this host's docker root."""


def this_host(docker_url: str, state_path: Path) -> TradingHost:
    """Return the ports of this host; nothing is opened before it is asked."""
    return TradingHost(
        connect=lambda: docker_engine(docker_url, ENGINE_ANSWER_SECONDS),
        cgroups=HostCgroups(find_docker_roots()) if docker_url in SYSTEM_ENGINES else ForeignEngine(docker_url),
        state_path=state_path,
        observe_guard=observe_guard,
        read_files=read_starter_files,
        observe_machine=lambda: observe_machine(lambda: docker_engine(docker_url, ENGINE_ANSWER_SECONDS).engine_id()),
    )
