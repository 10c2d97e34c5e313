"""Bring a host to a release: its checkout to a revision, what runs there to what that revision says, and prove it.

Observe, plan, act, observe again. Where the files, once they are in place, come out otherwise than planned, it failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from ..compose.config import ComposeError
from ..core.outcome import worst
from ..core.result import build_result
from ..host.engine import Engine, EngineError
from ..host.programs import ProgramError
from ..state import audit
from .git import RepositoryError
from .images import PinError, ensure_pinned
from .observe import Files, Planned, observe_and_plan, read_stack
from .request import Host, Request

RESTART_SECONDS: Final = 30
"""What a service that reads its files at its start may take to end."""


def ensure_release(request: Request, host: Host, dry_run: bool) -> dict[str, Any]:
    """Return the module result of the host running the release. Never raises for what can go wrong on a host."""
    try:
        engine = host.tools.connect()
        planned = observe_and_plan(request, host, engine)
    except EngineError as error:
        return _result(request, None, "unknown", str(error), "docker info (on the host)")
    except ComposeError as error:
        return _result(request, None, error.outcome, str(error), error.next_command)
    except (RepositoryError, ProgramError, PinError, OSError) as error:
        return _result(request, None, "failed", str(error))
    if planned.refusals:
        text = "; ".join(refusal.sentence for refusal in planned.refusals)
        fix = next((refusal.next_command for refusal in planned.refusals if refusal.next_command), "")
        return _result(request, planned, "refused", f"{text}. Nothing was changed", fix)
    if dry_run:
        return _result(request, planned, "planned", _summary(request, planned, "would"))
    try:
        outcome, summary = _act(request, host, engine, planned)
        if outcome == "proven" and (error_text := _prove(request, host, planned)):
            outcome, summary = "failed", error_text
    except EngineError as error:
        outcome, summary = "unknown", str(error)
    except ComposeError as error:
        outcome, summary = worst(["failed", error.outcome]), str(error)
    except (RepositoryError, ProgramError, PinError, OSError) as error:
        outcome, summary = "failed", str(error)
    return _result(request, planned, outcome, summary or _summary(request, planned, ""))


def _act(request: Request, host: Host, engine: Engine, planned: Planned) -> tuple[str, str]:
    """Return how it went: an outcome, and a sentence where it is not proven."""
    if missing := planned.to_run_without_image:
        return "failed", f"the images of {', '.join(missing)} are not on this host"
    for pin in sorted({pin for key, pin in planned.images.items() if request.pins.get(key)}):
        ensure_pinned(host.images, pin, may_pull=False, dry_run=False)
    before = planned.files.before
    if before != request.revision:
        facts = {"before": before, "after": request.revision, "why": request.why}
        audit.append(request.state_path, "revision changed", request.by, host.now(), **facts)
        already_target = [path for path in planned.files.already_target if path in planned.files.modified]
        host.repository.switch(request.revision, already_target, planned.files.preserved)
    if surprise := _surprise(request, host, planned):
        return "failed", surprise
    for stack, plan in planned.stacks:
        params = {
            "project_src": str(host.repository.path),
            "files": list(stack.files),
            "project_name": stack.name,
            "profiles": list(stack.profiles),
            "variables": dict(stack.variables),
            "state_path": str(request.state_path),
            "timeout_seconds": request.timeout_seconds,
            "grace_period_seconds": 10,
            "by": request.by,
            "why": request.why,
            "docker_url": request.docker_url,
        }
        for container_id in plan.restart:
            engine.stop(container_id, RESTART_SECONDS)
        if plan.touched:
            ended = host.ensure(params | {"services": list(plan.touched), "state": "started"})
            if ended["outcome"] != "proven":
                return str(ended["outcome"]), f"{stack.name}: {ended['summary']}"
    return "proven", ""


def _surprise(request: Request, host: Host, planned: Planned) -> str:
    """Return where the files, now that they are in place, make something else than was planned; empty for nowhere."""
    for stack, _ in planned.stacks:
        for name, service in read_stack(request, host, stack, None, {}).items():
            key = f"{stack.name}/{name}"
            if key in planned.hashes and planned.hashes[key] != service.config_hash:
                return f"{key} comes out otherwise in the checkout than it was planned from the release's files"
    return ""


def _prove(request: Request, host: Host, planned: Planned) -> str:
    """Return what is not as the release says (empty: all of it is). Services were proven when they were started."""
    head, modified = host.repository.head(), host.repository.modified()
    if head != request.revision:
        return f"{host.repository.path} is at {head[:10]} and not at {request.revision[:10]}"
    if lost := sorted(set(planned.files.unchanged_local) - set(modified)):
        return f"what was changed on this host is no longer there: {', '.join(lost)}"
    return ""


def _summary(request: Request, planned: Planned, verb: str) -> str:
    moves = [
        f"{stack.name}/{move.service}: {verb} {move.action} ({move.reason})".replace(":  ", ": ")
        for stack, plan in planned.stacks
        for move in plan.moves
        if move.changes
    ]
    if not planned.changes(request.revision):
        return f"runs {request.revision[:10]} already, nothing to do"
    parts = [f"{planned.files.before[:10]} -> {request.revision[:10]}", *moves]
    parts += [f"changes {', '.join(planned.config)}"] if planned.config else []
    later = sorted(
        key
        for stack, plan in planned.stacks
        for move in plan.moves
        if move.action == "later" and planned.differs(key := f"{stack.name}/{move.service}")
    )
    parts += [f"at their next start: {', '.join(later)}"] if later else []
    parts += [f"kept as changed on this host: {', '.join(kept)}"] if (kept := planned.files.unchanged_local) else []
    parts += [f"images to pull: {', '.join(missing)}"] if (missing := planned.without_image) and verb else []
    return "; ".join(parts)


def _diff(request: Request, planned: Planned) -> dict[str, str]:
    """Return the host as it is and as it will be, one line a service."""

    def lines(revision: str, hashes: Mapping[str, str], images: Mapping[str, str]) -> str:
        rows = [
            f"{key}: config {hashes[key][:12]}, image {images.get(key) or 'to be pulled'}\n" for key in sorted(hashes)
        ]
        return "".join([f"revision: {revision}\n", *rows])

    return {
        "before": lines(planned.files.before, planned.hashes_before, planned.images_before),
        "after": lines(request.revision, planned.hashes, planned.images),
    }


def _result(
    request: Request, planned: Planned | None, outcome: str, summary: str, next_command: str = ""
) -> dict[str, Any]:
    """Return the same keys whatever happened; without a plan nothing was changed and little is known."""
    return build_result(
        outcome,
        summary,
        next_command=next_command,
        changed=planned is not None and not planned.refusals and planned.changes(request.revision),
        revision=request.revision,
        **_describe(planned or _NOTHING),
        diff=_diff(request, planned) if planned else {"before": "", "after": ""},
    )


_NOTHING: Final = Planned(Files("", (), {}, {}, (), ()), (), (), {}, {}, (), None)


def _describe(planned: Planned) -> dict[str, Any]:
    files, services = planned.files, planned.services
    return {
        "revision_before": files.before,
        "moves": [{"project": stack.name, **asdict(move)} for stack, plan in planned.stacks for move in plan.moves],
        "images": dict(planned.images),
        "images_before": dict(planned.images_before),
        "config": planned.hashes,
        "config_before": planned.hashes_before,
        "references": sorted({service.image for service in services.values()}),
        "missing": sorted({services[key].image for key in planned.to_run_without_image}),
        "schema_supported_max": planned.schema_supported_max,
        "feed_runs": planned.feed_runs,
        "kept": list(files.unchanged_local),
        "same": [path for path in files.already_target if path in files.modified],
    }
