"""Services as desired, as configured and as observed. Changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..core.result import build_result
from ..host.engine import EngineError
from ..state import desired as desired_state
from .config import ComposeError
from .plan import Container, Step
from .request import Request, Tools, parse_request
from .result import build_row
from .start import observe_project, plan_steps


def observe_services(params: Mapping[str, Any], tools: Tools) -> dict[str, Any]:
    """Return the module result. The outcome is `unknown` where desired state, configuration or engine
    could not be read (the rest is there all the same), else `proven`: it was seen.
    """
    try:
        request = parse_request(params)
    except ComposeError as error:
        return build_result(error.outcome, str(error), services=[], trouble=[])
    desired, desired_error = desired_state.read_quietly(request.state_path)
    errors = [desired_error] if desired_error else []
    next_command = f"ls -la {request.state_path}" if errors else ""
    steps: dict[str, Step] = {}
    containers: tuple[Container, ...] | None = None
    try:
        engine = tools.connect()
        containers = observe_project(engine, request.project.name)
        steps = {step.expected.service: step for step in plan_steps(request, tools, engine, containers)}
    except ComposeError as error:
        errors.append(str(error))
        next_command = error.next_command
    except EngineError as error:
        errors.append(str(error))
        next_command = "docker info"
    rows = [_row(request, name, desired, steps.get(name), containers) for name in request.services]
    summary = "; ".join([*map(_summary, rows), *errors])
    outcome = "unknown" if errors else "proven"
    return build_result(outcome, summary, next_command=next_command, services=rows, trouble=errors)


def _row(
    request: Request,
    service: str,
    desired: Mapping[str, Mapping[str, str]],
    step: Step | None,
    containers: Sequence[Container] | None,
) -> dict[str, Any]:
    mine = [one for one in containers or () if one.service == service]
    seen = build_row(request.project.name, service, "none", "", mine, 0.0)
    return {
        "service": service,
        "project": request.project.name,
        "desired": desired.get(f"{request.project.name}/{service}"),
        "configured": step
        and {
            "config_hash": step.expected.config_hash,
            "image": step.expected.image,
            "action": step.action,
            "reason": step.reason,
        },
        "observed": {
            "container_ids": list(seen.container_ids),
            "state": "unknown" if containers is None else seen.state,
            "health": seen.health,
            "exit_code": seen.exit_code,
        },
    }


def _summary(row: Mapping[str, Any]) -> str:
    wanted = row["desired"]["state"] if row["desired"] else "not recorded"
    changed = f", {row['configured']['reason']}" if row["configured"] and row["configured"]["reason"] else ""
    return f"{row['service']}: {row['observed']['state']}, desired {wanted}{changed}"
