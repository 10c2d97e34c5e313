"""Start services, or run them to completion, through Compose and prove it: observe, plan, act, observe again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from ..core.bots import PROJECT_LABEL
from ..core.outcome import worst
from ..feed.gate import GATE_COMMAND, read_gate
from ..host.engine import Engine, EngineError
from ..state.latch import Latch, read_latch, state_path_of
from .config import (
    ComposeError,
    build_command,
    check_mode,
    compose_argv,
    format_command,
    parse_error,
    read_services,
    unpause_argv,
    up_argv,
)
from .plan import UP_ACTIONS, Container, Step, Verdict, judge, parse_container, plan, select_expected
from .request import Request, Tools, record_desired
from .result import Report, Row, build_row, format_steps, in_order, read_logs
from .stop import show_command, stop_services

INTERVAL_SECONDS: Final = 0.5
MINIMUM_SECONDS: Final = 1.0


@dataclass(frozen=True)
class Observation:
    """One observation of all expected services. `verdicts` stands beside `steps`."""

    steps: tuple[Step, ...]
    containers: tuple[Container, ...]
    verdicts: tuple[Verdict, ...]


def ensure_up(request: Request, tools: Tools, dry_run: bool) -> Report:
    """Return the report of starting the named services and what they need, or of running them to completion.

    Raises ComposeError or EngineError where nothing was done; what goes wrong later is in the report.
    """
    latch = _blocking_latch(request)
    if latch:
        raise ComposeError(f"{latch.sentence()} Nothing was started.", "refused", _release_command(latch))
    _demand_gate(request, tools)
    begun = tools.clock()
    engine = tools.connect()
    before = observe_project(engine, request.project.name)
    steps = plan_steps(request, tools, engine, before)
    old, new = format_steps(steps, request.restart_policy)
    changed = any(step.changes for step in steps)
    if dry_run:
        report = Report("planned", _planned_summary(steps), rows=_rows(request, steps, before, 0.0))
    else:
        # Written before the start: nothing runs that is not recorded. What is needed is asked for too.
        states = {step.expected.service: step.expected.goal for step in steps}
        warnings = record_desired(request, states, request.why, tools.now())
        report = _act_and_prove(request, tools, engine, steps, begun)
        report = replace(report, warnings=(*warnings, *report.warnings))
    return replace(report, changed=changed, before=old, after=new)


def observe_project(engine: Engine, project: str) -> tuple[Container, ...]:
    """Return the containers of a project. One that vanishes between list and inspection does not exist."""
    listed = engine.containers([f"{PROJECT_LABEL}={project}"])
    described = [engine.inspect(summary["Id"]) for summary in listed]
    return tuple(parse_container(item) for item in described if item is not None)


def plan_steps(request: Request, tools: Tools, engine: Engine, containers: Sequence[Container]) -> tuple[Step, ...]:
    """Return what the request would do to these containers. Raises ComposeError, EngineError."""
    services = read_services(request.project, tools.run)
    check_mode(request.project, services, request.mode_services, request.gate_mode)
    state = "completed" if request.state == "completed" else "started"
    expected = select_expected(services, request.services, state, engine.image_id)
    return plan(expected, containers, request.services, request.restart_policy)


def _act_and_prove(request: Request, tools: Tools, engine: Engine, steps: Sequence[Step], begun: float) -> Report:
    try:
        failure = _act(request, tools, steps, begun)
        latch = _blocking_latch(request)
        if latch:
            return _stop_again(request, tools, engine, steps, latch)
        _set_policies(request, engine)
        if failure:
            seen = _observe(request, tools, engine, steps)
        else:
            seen, failure = _wait(request, tools, engine, steps, begun)
    except (ComposeError, EngineError) as error:
        rows = tuple(Row(step.expected.service, request.project.name, step.action, step.reason) for step in steps)
        sentence = f"Whether it was started is not known: {error}"
        return Report("unknown", sentence, rows=in_order(rows, request.services), next_command="docker info")
    seconds = tools.clock() - begun
    report = Report(
        "failed" if failure else "proven",
        failure or _proven_summary(request, seen, seconds),
        rows=_rows(request, steps, seen.containers, seconds),
        warnings=_surprises(steps, seen.containers),
    )
    if not failure:
        return report
    report = _with_logs(report, request, engine, seen)
    return _stop_failed(report, request, tools, engine) if request.stop_on_failure else report


def _stop_failed(report: Report, request: Request, tools: Tools, engine: Engine) -> Report:
    """Return the failure once the named services are stopped again: who reads FAILED takes it for not running."""
    results = stop_services(engine, request, request.services, False, tools.clock)
    try:
        states = dict.fromkeys(request.services, "stopped")
        warnings = record_desired(request, states, "its start failed", tools.now())
    except ComposeError as error:
        warnings = (str(error),)
    left = "".join(f" {result.error}" for result in results if result.error)
    return replace(
        report,
        outcome=worst([report.outcome, *(result.outcome for result in results)]),
        summary=f"{report.summary.rstrip('.')}; stopped again: {', '.join(request.services)}.{left}",
        warnings=(*report.warnings, *warnings),
    )


def _act(request: Request, tools: Tools, steps: Sequence[Step], begun: float) -> str:
    """Return why Compose could not do it (empty: it says that it did)."""
    paused = [step.expected.service for step in steps if step.action in {"start", "unpause"} and _is_paused(step)]
    argvs = [unpause_argv(request.project, paused)] if paused else []
    if any(step.action in UP_ACTIONS for step in steps):
        argvs.append(up_argv(request.project, request.services))
    for argv in argvs:
        left = max(MINIMUM_SECONDS, request.timeout_seconds - (tools.clock() - begun))
        result = tools.run(build_command(request.project, argv, left))
        if result.exit_code is None:
            return f"Compose did not finish within {request.timeout_seconds} s and was ended"
        if result.exit_code != 0:
            return parse_error(result.stderr)
    return ""


def _set_policies(request: Request, engine: Engine) -> None:
    """Set the wanted restart policy on the named services: `up` never puts one back (C)."""
    if not request.restart_policy:
        return
    for one in observe_project(engine, request.project.name):
        is_named = one.service in request.services and not one.one_off
        if is_named and one.restart_policy != request.restart_policy:
            engine.set_restart_policy(one.id, request.restart_policy)


def _wait(
    request: Request, tools: Tools, engine: Engine, steps: Sequence[Step], begun: float
) -> tuple[Observation, str]:
    """Return the last observation and why it proves nothing (empty: every service is as expected)."""
    while True:
        seen = _observe(request, tools, engine, steps)
        unproven = [verdict for verdict in seen.verdicts if verdict.word != "proven"]
        failed = [verdict for verdict in unproven if verdict.word == "failed"]
        if failed or not unproven:
            return seen, "; ".join(verdict.sentence for verdict in failed)
        if tools.clock() - begun >= request.timeout_seconds:
            last = "; ".join(verdict.sentence for verdict in unproven)
            return seen, f"Not as expected within {request.timeout_seconds} s: {last}"
        tools.sleep(INTERVAL_SECONDS)


def _observe(request: Request, tools: Tools, engine: Engine, steps: Sequence[Step]) -> Observation:
    """Return all expected services as they are now; an image may have come with the start."""
    containers = observe_project(engine, request.project.name)
    present = tuple(
        replace(step, expected=replace(step.expected, image_id=engine.image_id(step.expected.image))) for step in steps
    )
    now = tools.now()
    verdicts = tuple(judge(step.expected, containers, _wanted_policy(request, step), now) for step in present)
    return Observation(present, containers, verdicts)


def _stop_again(request: Request, tools: Tools, engine: Engine, steps: Sequence[Step], latch: Latch) -> Report:
    """Return the report of a start that a halt overtook: what it started is stopped again.

    A halt writes its latch before it looks for bots. So either it saw what was started here, or it is seen here.
    """
    started = [step.expected.service for step in reversed(steps) if step.action != "none"]
    results = stop_services(engine, request, started, False, tools.clock)
    try:
        states = dict.fromkeys((*request.services, *started), "stopped")
        warnings = record_desired(request, states, latch.sentence(), tools.now())
    except ComposeError as error:
        warnings = (str(error),)
    outcome = worst(["refused", *(result.outcome for result in results)])
    errors = "".join(f" {result.error}" for result in results if result.error)
    return Report(
        outcome,
        f"{latch.sentence()} It came during the start; stopped again: {', '.join(started) or 'nothing'}.{errors}",
        rows=in_order([result.row for result in results], request.services),
        next_command=_release_command(latch) if outcome == "refused" else show_command(request.project.name),
        warnings=warnings,
    )


def _blocking_latch(request: Request) -> Latch | None:
    if request.halt_latch_path is None:
        return None
    latch = read_latch(state_path_of(request.halt_latch_path))
    return latch if latch and latch.blocks(request.gate_mode) else None


def _demand_gate(request: Request, tools: Tools) -> None:
    """Raise ComposeError (refused) where the feed gate is asked for and closed."""
    if request.feed_gate_path is None:
        return
    if closed := read_gate(request.feed_gate_path, request.feeds, tools.now()):
        raise ComposeError(f"{closed} Nothing was started.", "refused", GATE_COMMAND)


def _release_command(latch: Latch) -> str:
    if latch.damaged:
        return './runbook failsafe_stop -e reason="damaged latch"'
    return f"./runbook halt_release -e incident_id={latch.incident_ids[0]}"


def _is_paused(step: Step) -> bool:
    return any(one.state == "paused" for one in step.before)


def _wanted_policy(request: Request, step: Step) -> str:
    return request.restart_policy if step.expected.service in request.services else ""


def _surprises(steps: Sequence[Step], containers: Sequence[Container]) -> tuple[str, ...]:
    """Return a warning for each container that Compose replaced against the plan: then its rules have changed."""
    present = {one.id for one in containers}
    unchanged = [one for step in steps if step.action not in {"recreate", "create"} for one in step.before]
    return tuple(
        f"Compose replaced {one.name}, which was not planned. The plan knows the rules of Compose 2.26."
        for one in unchanged
        if one.id not in present
    )


def _rows(request: Request, steps: Sequence[Step], containers: Sequence[Container], seconds: float) -> tuple[Row, ...]:
    def row(step: Step) -> Row:
        service = step.expected.service
        mine = [one for one in containers if one.service == service and not one.one_off]
        return build_row(request.project.name, service, step.action, step.reason, mine, seconds)

    return in_order([row(step) for step in steps], request.services)


def _with_logs(report: Report, request: Request, engine: Engine, seen: Observation) -> Report:
    """Return the failure with the last log lines of the containers to blame, and where to read on."""
    unproven = [verdict for verdict in seen.verdicts if verdict.word != "proven"]
    failed = [verdict for verdict in unproven if verdict.word == "failed"]
    culprits = [verdict.culprit for verdict in failed or unproven if verdict.culprit]
    more = [verdict.sentence for verdict in failed if verdict.sentence not in report.summary]
    pull = [*compose_argv(request.project), "pull", *request.services]
    return replace(
        report,
        summary="; ".join([report.summary.rstrip("."), *more]),
        logs={one.service: read_logs(engine, one) for one in culprits},
        next_command=(
            f"docker logs --tail 50 {culprits[0].name}" if culprits else format_command(request.project, pull)
        ),
    )


def _planned_summary(steps: Sequence[Step]) -> str:
    to_do = [f"{step.expected.service}: {step.action} ({step.reason})" for step in steps if step.action != "none"]
    to_do += [f"{step.expected.service}: set the restart policy" for step in steps if step.set_policy]
    return "to do: " + "; ".join(to_do) if to_do else "nothing to do"


def _proven_summary(request: Request, seen: Observation, seconds: float) -> str:
    by_service = dict(zip((step.expected.service for step in seen.steps), seen.verdicts, strict=True))
    names = dict.fromkeys((*request.services, *by_service))
    done = any(step.changes for step in seen.steps)
    return "; ".join(f"{name} {by_service[name].sentence}" for name in names) + (
        f" after {seconds:.1f} s" if done else ", nothing to do"
    )
