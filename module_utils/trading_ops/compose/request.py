"""What compose_services was asked for, and the I/O it is done with."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..core.clock import format_utc
from ..feed.container import Feed, FeedError, parse_feeds
from ..feed.gate import GATE_COMMAND
from ..host.engine import Engine
from ..state import desired as desired_state
from ..state.desired import DesiredStateError
from .config import ComposeError, Project, Runner, run_command


@dataclass(frozen=True)
class Request:
    """Which services should be in which state. `halt_latch_path` and `feed_gate_path` None: not asked; `feeds` are
    those that ran just now; `mode_services` have to say `gate_mode`; `restart_policy` empty: left alone.
    """

    project: Project
    services: tuple[str, ...]
    state: str
    state_path: Path
    timeout_seconds: int
    grace_period_seconds: int
    by: str
    why: str
    halt_latch_path: Path | None = None
    gate_mode: str = ""
    restart_policy: str = ""
    stop_on_failure: bool = False
    feed_gate_path: Path | None = None
    feeds: tuple[Feed, ...] = ()
    mode_services: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tools:
    """All I/O of a run: how to reach the engine (may raise EngineError), run a command, tell the time and wait."""

    connect: Callable[[], Engine]
    run: Runner = run_command
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def parse_request(params: Mapping[str, Any]) -> Request:
    """Return the request that a module's parameters make. Raises ComposeError (usage)."""
    if not params["services"]:
        raise ComposeError("No service was named; an empty list is never a success.", "usage")
    if params["state"] != "stopped" and not params.get("project_src"):
        raise ComposeError("project_src is missing: where are the compose files?", "usage")
    latch_path, gate_path = params.get("halt_latch_path"), params.get("feed_gate_path")
    try:
        feeds = parse_feeds(params.get("feeds") or [])
    except FeedError as error:
        raise ComposeError(str(error), "refused", GATE_COMMAND) from error
    return Request(
        project=Project(
            project_src=Path(params.get("project_src") or "/"),
            files=tuple(params.get("files") or ()),
            name=params["project_name"],
            profiles=tuple(params.get("profiles") or ()),
            env_files=tuple(params.get("env_files") or ()),
            variables={str(key): str(value) for key, value in (params.get("variables") or {}).items()},
            docker_url=params["docker_url"],
        ),
        services=tuple(dict.fromkeys(params["services"])),
        state=params["state"],
        state_path=Path(params["state_path"]),
        timeout_seconds=params.get("timeout_seconds") or 0,  # the reading module has none of these
        grace_period_seconds=params.get("grace_period_seconds") or 0,
        by=params.get("by") or "not given",
        why=params.get("why") or "not given",
        halt_latch_path=Path(latch_path) if latch_path else None,
        gate_mode=params.get("gate_mode") or "",
        restart_policy=params.get("restart_policy") or "",
        stop_on_failure=bool(params.get("stop_on_failure")),
        feed_gate_path=Path(gate_path) if gate_path else None,
        feeds=feeds,
        mode_services=tuple(params.get("mode_services") or ()),
    )


def record_desired(request: Request, states: Mapping[str, str], why: str, now: datetime) -> tuple[str, ...]:
    """Return warnings once the desired states of these services are on disk. Raises ComposeError."""
    full = {f"{request.project.name}/{service}": state for service, state in states.items()}
    try:
        warning = desired_state.record(request.state_path, full, request.by, why, format_utc(now))
    except DesiredStateError as error:
        raise ComposeError(str(error), next_command=f"ls -la {request.state_path}") from error
    return (warning,) if warning else ()
