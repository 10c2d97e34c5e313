"""Stop services of a project by their labels and prove it. It needs no compose file, and it can only stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from ..core.bots import PROJECT_LABEL, SERVICE_LABEL
from ..core.outcome import worst
from ..host.engine import Engine, EngineError
from ..stop.by_engine import IN_FLIGHT, KILL_WAIT_SECONDS, LOOKS, is_proven_stopped
from .config import ComposeError
from .request import Request, Tools, record_desired
from .result import Report, Row

SIGKILLED: Final = 137
"""Exit code of a process that SIGKILL ended."""


@dataclass(frozen=True)
class Seen:
    """One container as last looked at. `stopped` is True only where the engine proves it in every way; `state` is
    `unknown` and `error` says why where it could not be looked at.
    """

    id: str
    name: str
    state: str
    stopped: bool
    running: bool = False
    exit_code: int | None = None
    error: str = ""


@dataclass(frozen=True)
class StoppedService:
    """What became of one service: its row, its containers before and after, the outcome word, and what went wrong."""

    row: Row
    before: tuple[Seen, ...]
    after: tuple[Seen, ...]
    outcome: str
    error: str = ""


def ensure_stopped(request: Request, tools: Tools, dry_run: bool) -> Report:
    """Return the report of stopping the named services, one after another in the order of the request.

    The desired state is written after the stop, so that no sick disk holds one up. Raises EngineError only where the
    engine cannot be reached at all.
    """
    results = stop_services(tools.connect(), request, request.services, dry_run, tools.clock)
    outcome = worst(result.outcome for result in results)
    sentence = "; ".join(result.error for result in results if result.error) or _summary(results, dry_run)
    warnings: tuple[str, ...] = ()
    if outcome == "proven":
        try:
            states = dict.fromkeys(request.services, "stopped")
            warnings = record_desired(request, states, request.why, tools.now())
        except ComposeError as error:
            outcome, sentence = error.outcome, f"{sentence}, but: {error}"
    changing = [result for result in results if result.row.action == "stop"]
    return Report(
        outcome=outcome,
        summary=sentence,
        changed=bool(changing),
        rows=tuple(result.row for result in results),
        next_command="" if outcome in {"proven", "planned"} else show_command(request.project.name),
        before="".join(f"{result.row.service}: {_states(result.before)}\n" for result in changing),
        after="".join(f"{result.row.service}: stopped\n" for result in changing),
        warnings=warnings,
    )


def stop_services(
    engine: Engine, request: Request, services: Sequence[str], dry_run: bool, clock: Callable[[], float]
) -> list[StoppedService]:
    """Return what became of each service, in the order given. Nothing is raised."""
    name, grace = request.project.name, request.grace_period_seconds
    return [stop_service(engine, name, service, grace, dry_run, clock) for service in services]


def show_command(project: str) -> str:
    """Return the line that shows what is left of a project's containers."""
    return f"docker ps --filter label={PROJECT_LABEL}={project}"


def stop_service(
    engine: Engine,
    project: str,
    service: str,
    grace_period_seconds: int,
    dry_run: bool,
    clock: Callable[[], float] = time.monotonic,
) -> StoppedService:
    """Return what became of a service after its containers, one-off ones included, in any state, got SIGTERM and, at
    the end of the grace period, SIGKILL, all at the same time. No container at all is stopped too.

    Nothing is raised: an engine that cannot be asked is an outcome, `unknown`.
    """
    begun = clock()
    before: tuple[Seen, ...] = ()
    errors: list[str] = []
    try:
        seen = before = observe_service(engine, project, service)
        for _ in range(0 if dry_run else LOOKS):
            left = [one for one in seen if not one.stopped]
            if not left:
                break
            errors = _stop_all(engine, left, grace_period_seconds)
            seen = observe_service(engine, project, service)
    except EngineError as failure:
        row = Row(service, project, _action(before), seconds=round(clock() - begun, 1))
        return StoppedService(row, before, (), "unknown", f"{service}: {failure}")
    row = _row(project, service, before, seen, clock() - begun)
    left = [one for one in seen if not one.stopped]
    if dry_run or not left:
        return StoppedService(row, before, seen, "planned" if dry_run else "proven")
    outcome = "running" if any(one.running for one in left) else "unknown"
    names = ", ".join(f"{one.name} is {one.state}" for one in left)
    details = " ".join(dict.fromkeys([*(one.error for one in left if one.error), *errors]))
    return StoppedService(row, before, seen, outcome, f"{names} after the stop. {details}".rstrip())


def observe_service(engine: Engine, project: str, service: str) -> tuple[Seen, ...]:
    """Return all containers of a service. One that vanishes between list and inspection is gone only when a second list
    agrees. Raises EngineError where the engine cannot list its containers.
    """
    labels = [f"{PROJECT_LABEL}={project}", f"{SERVICE_LABEL}={service}"]
    for _ in range(LOOKS):
        seen = [_observe(engine, item["Id"], _name(item)) for item in engine.containers(labels)]
        if all(one is not None for one in seen):
            return tuple(one for one in seen if one is not None)
    raise EngineError("Its containers come and go faster than they can be looked at.")


def _observe(engine: Engine, container_id: str, name: str) -> Seen | None:
    """Return the container, None when it is gone. What cannot be read is not stopped."""
    try:
        description = engine.inspect(container_id)
    except EngineError as error:
        return Seen(container_id, name, "unknown", stopped=False, error=str(error))
    if description is None:
        return None
    state = description.get("State")
    if not isinstance(state, dict):
        return Seen(container_id, name, "unknown", stopped=False, error="The engine gives no state for it.")
    stopped = is_proven_stopped(state)
    exit_code = state.get("ExitCode") if stopped and state.get("Status") != "created" else None
    status = str(state.get("Status", "unknown"))
    return Seen(container_id, name, status, stopped, state.get("Running") is True, exit_code)


def _stop_all(engine: Engine, containers: Sequence[Seen], grace_period_seconds: int) -> list[str]:
    """Return what went wrong. An error with one never keeps another from being stopped."""

    def stop_one(one: Seen) -> str:
        try:
            engine.stop(one.id, grace_period_seconds)
            after = _observe(engine, one.id, one.name)
            if after is not None and not after.stopped:  # a 204 is not a proof
                engine.kill(one.id, "SIGKILL")
                engine.wait(one.id, KILL_WAIT_SECONDS)
        except EngineError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(max_workers=IN_FLIGHT) as pool:
        return [error for error in pool.map(stop_one, containers) if error]


def _row(project: str, service: str, before: Sequence[Seen], seen: Sequence[Seen], seconds: float) -> Row:
    codes = [one.exit_code for one in seen if one.exit_code is not None]
    return Row(
        service=service,
        project=project,
        action=_action(before),
        reason="; ".join(f"{one.name} is {one.state}" for one in before if not one.stopped),
        container_ids=tuple(one.id for one in seen),
        state=_states(seen),
        exit_code=max(codes, key=abs, default=None),
        seconds=round(seconds, 1),
    )


def _name(summary: Mapping[str, Any]) -> str:
    names = summary.get("Names") or [summary["Id"][:12]]
    return str(names[0]).lstrip("/")


def _summary(results: Sequence[StoppedService], dry_run: bool) -> str:
    verb = "would be stopped" if dry_run else "stopped"
    parts = [f"{one.row.service} {verb if one.row.action == 'stop' else 'was stopped already'}" for one in results]
    slowest = max(one.row.seconds for one in results)
    took = f", the slowest in {slowest:.1f} s" if slowest and not dry_run else ""
    stopped = [one.after for one in results if one.row.action == "stop"]
    killed = [seen.name for after in stopped for seen in after if seen.exit_code == SIGKILLED]
    return "; ".join(parts) + took + (f"; ended by SIGKILL: {', '.join(killed)}" if killed else "")


def _states(containers: Sequence[Seen]) -> str:
    return ", ".join(sorted({one.state for one in containers})) or "absent"


def _action(before: Sequence[Seen]) -> str:
    return "stop" if any(not one.stopped for one in before) else "none"
