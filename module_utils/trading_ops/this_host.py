"""The host that this code runs on, with its real engine, control groups and guard."""

from __future__ import annotations

from pathlib import Path

from .cgroups import HostCgroups, find_docker_root
from .engine import docker_engine
from .kill_switch import ENGINE_ANSWER_SECONDS, TradingHost


def this_host(docker_url: str, state_path: Path) -> TradingHost:
    """Return the ports of this host; nothing is opened before it is asked."""
    return TradingHost(
        connect=lambda: docker_engine(docker_url, ENGINE_ANSWER_SECONDS),
        cgroups=HostCgroups(find_docker_root()),
        state_path=state_path,
        observe_guard=lambda: {"state": "absent", "summary": "no guard watches this host"},
    )
