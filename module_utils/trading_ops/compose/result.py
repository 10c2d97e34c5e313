"""The result of a compose_services run: the same keys, from the same place, whatever happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ..core.redaction import Redactor, build_rules
from ..core.result import build_result
from ..core.secrets import parse_environment, select_secrets
from ..host.engine import Engine, EngineError
from .plan import Container, Step

LOG_LINES: Final = 20
LOG_BYTES: Final = 8192
"""Per service: a result is read at night, and it travels through logs and callbacks."""


@dataclass(frozen=True)
class Row:
    """One service in a result. `action` is what was (in check mode: would be) done, `state` the engine's words for
    its containers, `absent` without any; `seconds` from the start of the run until this was seen.
    """

    service: str
    project: str
    action: str
    reason: str = ""
    container_ids: tuple[str, ...] = ()
    state: str = "unknown"
    health: str = ""
    exit_code: int | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Report:
    """All that a run found out; `format_result` makes the module's result of it."""

    outcome: str
    summary: str
    changed: bool = False
    rows: tuple[Row, ...] = ()
    next_command: str = ""
    before: str = ""
    after: str = ""
    logs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def format_result(report: Report) -> dict[str, Any]:
    """Return the report as the module returns it."""
    rows = [vars(row) | {"container_ids": list(row.container_ids)} for row in report.rows]
    return build_result(
        report.outcome,
        report.summary,
        changed=report.changed,
        next_command=report.next_command,
        services=rows,
        logs={service: list(lines) for service, lines in report.logs.items()},
        diff={"before": report.before, "after": report.after},
        warnings=list(report.warnings),
    )


def build_row(
    project: str, service: str, action: str, reason: str, containers: Sequence[Container], seconds: float
) -> Row:
    """Return the row of a service from its containers as last seen."""
    codes = [one.exit_code for one in containers if one.exit_code is not None]
    return Row(
        service=service,
        project=project,
        action=action,
        reason=reason,
        container_ids=tuple(one.id for one in containers),
        state=", ".join(sorted({one.state for one in containers})) or "absent",
        health=", ".join(sorted({one.health for one in containers if one.health})),
        exit_code=max(codes, key=abs, default=None),
        seconds=round(seconds, 1),
    )


def in_order(rows: Sequence[Row], named: Sequence[str]) -> tuple[Row, ...]:
    """Return the rows in the order of the request, then those of the services it needs."""
    places = {service: place for place, service in enumerate(named)}
    return tuple(sorted(rows, key=lambda row: places.get(row.service, len(places))))


def format_steps(steps: Sequence[Step], restart_policy: str) -> tuple[str, str]:
    """Return the services that change, as they are and as they will be, one line each."""
    changing = [step for step in steps if step.changes]
    return (
        "".join(f"{step.expected.service}: {_before(step)}\n" for step in changing),
        "".join(f"{step.expected.service}: {_after(step, restart_policy)}\n" for step in changing),
    )


def read_logs(engine: Engine, container: Container) -> list[str]:
    """Return the container's last lines without its secrets, or one that says why there are none.

    They are shown in the terminal, and kept in a job's artifacts.
    """
    try:
        described = engine.inspect(container.id) or {}
        text = engine.logs(container.id, LOG_LINES)
    except EngineError as error:
        return [f"(its log could not be read: {error})"]
    environment = parse_environment((described.get("Config") or {}).get("Env") or [])
    known = [(name, secret) for name, value in environment for secret in select_secrets(name, value)]
    text = Redactor(build_rules(known)).text(text)
    kept = text.encode("utf-8", "replace")[-LOG_BYTES:].decode("utf-8", "ignore")
    return kept.splitlines()[-LOG_LINES:] or ["(its log is empty)"]


def _before(step: Step) -> str:
    if not step.before:
        return "absent"
    first = step.before[0]
    states = ", ".join(sorted({one.state for one in step.before}))
    return f"{states}, {_identity(first.config_hash, first.image_id, len(step.before), first.restart_policy)}"


def _after(step: Step, restart_policy: str) -> str:
    item = step.expected
    first = step.before[0] if step.before and step.action in {"none", "start", "unpause"} else None
    policy = restart_policy if step.set_policy or not first else first.restart_policy
    image = item.image_id or f"{item.image} (pulled)"
    return f"{item.goal}, {_identity(item.config_hash, image, item.replicas, policy)} ({step.reason})"


def _identity(config_hash: str, image: str, count: int, restart_policy: str) -> str:
    policy = f", restart={restart_policy}" if restart_policy else ""
    return f"config {config_hash[:12]}, image {image.removeprefix('sha256:')[:19]}, containers {count}{policy}"
