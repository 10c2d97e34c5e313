"""What starting services would do, and whether they are as they should be. Decisions on plain values only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from ..core.bots import SERVICE_LABEL
from ..core.labels import ONE_OFF_LABEL
from .config import ComposeError, Service

HASH_LABEL: Final = "com.docker.compose.config-hash"
IMAGE_LABEL: Final = "com.docker.compose.image"


ACTIONS: Final = frozenset({"create", "recreate", "start", "unpause", "none"})
UP_ACTIONS: Final = frozenset({"create", "recreate", "start"})
"""Actions that need `compose up`."""

GOALS: Final = frozenset({"started", "completed"})
COMPLETED_CONDITION: Final = "service_completed_successfully"

STABLE_SECONDS: Final = 2
"""How long a container without a healthcheck has to run before that is believed: a crash loop runs now and then."""


@dataclass(frozen=True)
class Container:
    """One container of a service. `state` and `health` are the engine's words, health empty without a healthcheck;
    `exit_code` is None while a process of it exists.
    """

    id: str
    name: str
    service: str
    state: str
    health: str
    exit_code: int | None
    started_at: datetime
    config_hash: str
    image_id: str
    restart_policy: str
    one_off: bool


@dataclass(frozen=True)
class Expected:
    """What one service should be: `goal` (one of GOALS) in `replicas` containers of this hash and image.

    `image_id` is None where the host has no such image yet. `needs` are the services it depends on.
    """

    service: str
    goal: str
    replicas: int
    config_hash: str
    image: str
    image_id: str | None
    needs: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """What is to be done for one service (`action`, one of ACTIONS) and why. `before` are its containers now;
    `set_policy` says that the action includes setting their restart policy.
    """

    expected: Expected
    action: str
    reason: str
    before: tuple[Container, ...]
    set_policy: bool = False

    @property
    def changes(self) -> bool:
        """Return whether the step changes anything on the engine."""
        return self.action != "none" or self.set_policy


@dataclass(frozen=True)
class Verdict:
    """Whether a service is as expected: `word` is `proven`, `waiting` (may still become so) or `failed`."""

    word: str
    sentence: str
    culprit: Container | None = None


def parse_container(seen: Mapping[str, Any]) -> Container:
    """Return the container that the engine's inspection describes. Raises ComposeError where it is incomplete."""
    try:
        labels = seen["Config"]["Labels"] or {}
        state = seen["State"]
        status = str(state["Status"])
        return Container(
            id=str(seen["Id"]),
            name=str(seen["Name"]).lstrip("/"),
            service=str(labels.get(SERVICE_LABEL, "")),
            state=status,
            health=_health(state.get("Health")),
            exit_code=int(state["ExitCode"]) if status in {"exited", "dead"} else None,
            started_at=datetime.fromisoformat(state["StartedAt"]),
            config_hash=str(labels.get(HASH_LABEL, "")),
            image_id=str(labels.get(IMAGE_LABEL, "")),
            restart_policy=str(seen["HostConfig"]["RestartPolicy"]["Name"] or "no"),
            one_off=labels.get(ONE_OFF_LABEL) == "True",
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        name = str(seen.get("Name", "a container")).lstrip("/")
        raise ComposeError(f"The engine's description of {name} is incomplete: {error!r}.", "unknown") from error


def select_expected(
    services: Mapping[str, Service],
    named: Sequence[str],
    state: str,
    image_id: Callable[[str], str | None],
) -> tuple[Expected, ...]:
    """Return what the named services and all they depend on should be, dependencies first.

    `state` (`started` or `completed`) is the goal of the named ones. Raises ComposeError for a service that the
    active profiles do not hold.
    """
    unknown = [name for name in named if name not in services]
    if unknown:
        known = ", ".join(sorted(services)) or "none"
        raise ComposeError(f"No such service in the active profiles: {', '.join(unknown)}. There are: {known}.")
    order: dict[str, None] = {}

    def visit(name: str) -> None:
        for needed in sorted(services[name].depends_on):
            if needed not in order:
                visit(needed)
        order[name] = None

    for name in named:
        visit(name)
    one_shots = {
        needed
        for service in services.values()
        for needed, condition in service.depends_on.items()
        if condition == COMPLETED_CONDITION
    }
    return tuple(_expected(services[name], named, state, one_shots, image_id) for name in order)


def plan(
    expected: Sequence[Expected], containers: Sequence[Container], named: Sequence[str], restart_policy: str
) -> tuple[Step, ...]:
    """Return one step per expected service, in the same order, as Compose 2.26 would act.

    `restart_policy` (empty: left alone) is wanted for the containers of the named services.
    """
    steps: list[Step] = []
    recreated: set[str] = set()
    for item in expected:
        mine = _containers_of(item.service, containers)
        action, reason = _action(item, mine)
        needed = sorted(recreated & set(item.needs))
        if mine and needed and action != "recreate":
            action, reason = "recreate", f"Compose recreates it together with {needed[0]}"
        if action == "recreate" and len(mine) <= item.replicas:  # surplus ones are removed, the rest stays
            recreated.add(item.service)
        policy_is_wrong = any(one.restart_policy != restart_policy for one in mine)
        set_policy = bool(restart_policy) and item.service in named and policy_is_wrong
        steps.append(Step(item, action, reason, mine, set_policy))
    if any(step.action in UP_ACTIONS for step in steps):
        return tuple(_rerun(step) for step in steps)
    return tuple(steps)


def judge(expected: Expected, containers: Sequence[Container], restart_policy: str, now: datetime) -> Verdict:
    """Return whether the observed containers are all that is expected of one service."""
    mine = _containers_of(expected.service, containers)
    if len(mine) != expected.replicas:
        return Verdict("waiting", f"{len(mine)} of {expected.replicas} containers exist")
    verdicts = [_judge_one(expected, one, restart_policy, now) for one in mine]
    return next(
        (verdict for word in ("failed", "waiting") for verdict in verdicts if verdict.word == word),
        Verdict("proven", _proven_words(expected, mine)),
    )


def _expected(
    service: Service, named: Sequence[str], state: str, one_shots: set[str], image_id: Callable[[str], str | None]
) -> Expected:
    if service.unsupported:
        raise ComposeError(
            f"{service.name} uses the container of another service ({service.unsupported}); "
            "what Compose would do with it cannot be known beforehand, so it is not supported."
        )
    if service.name in named and service.replicas == 0:
        raise ComposeError(f"{service.name} is configured with 0 containers, so it cannot be {state}.")
    completes = service.name in one_shots or (service.name in named and state == "completed")
    return Expected(
        service=service.name,
        goal="completed" if completes else "started",
        replicas=service.replicas,
        config_hash=service.config_hash,
        image=service.image,
        image_id=image_id(service.image),
        needs=tuple(sorted(service.depends_on)),
    )


def _action(item: Expected, mine: Sequence[Container]) -> tuple[str, str]:
    """Return what Compose does for a service on its own account, and why."""
    if len(mine) > item.replicas:
        return "recreate", f"{len(mine)} containers where {item.replicas} are configured"
    if any(one.config_hash != item.config_hash for one in mine):
        return "recreate", "its configuration changed"
    if mine and item.image_id is None:
        return "recreate", f"image {item.image} is not on this host and is pulled"
    if any(one.image_id != item.image_id for one in mine):
        return "recreate", f"image {item.image} changed"
    if len(mine) < item.replicas:
        return "create", f"{len(mine)} of {item.replicas} containers exist"
    idle = [one for one in mine if not _is_under_way(item, one) and one.state != "paused"]
    if idle:
        return "start", f"{idle[0].name} {_state_words(idle[0])}"
    paused = [one for one in mine if one.state == "paused"]
    return ("unpause", f"{paused[0].name} is paused") if paused else ("none", "")


def _is_under_way(item: Expected, one: Container) -> bool:
    """Return whether a container runs, or has done all that it was there for."""
    done = item.goal == "completed" and one.state == "exited" and one.exit_code == 0
    return one.state == "running" or done


def _rerun(step: Step) -> Step:
    """Return the step of a one-shot that is done, as `up` treats it when it starts anything beside it (M, 2.26)."""
    done = step.expected.goal == "completed" and any(one.state == "exited" for one in step.before)
    if step.action != "none" or not done:
        return step
    return replace(step, action="start", reason="Compose runs it again before the services that need it")


def _judge_one(expected: Expected, one: Container, restart_policy: str, now: datetime) -> Verdict:
    if one.config_hash != expected.config_hash:
        return Verdict("failed", f"{one.name} does not run the present configuration", one)
    if one.image_id != expected.image_id:
        return Verdict("failed", f"{one.name} does not run the present image {expected.image}", one)
    if one.health == "unhealthy":
        return Verdict("failed", f"{one.name} is unhealthy", one)
    if expected.goal == "completed":
        return _judge_completed(one)
    if one.state in {"exited", "dead"}:
        return Verdict("failed", f"{one.name} {_state_words(one)} instead of running", one)
    if one.state != "running":
        return Verdict("waiting", f"{one.name} {_state_words(one)}", one)
    if restart_policy and one.restart_policy != restart_policy:
        return Verdict("failed", f"{one.name} has restart policy {one.restart_policy!r}", one)
    if one.health and one.health != "healthy":
        return Verdict("waiting", f"{one.name} is running, health {one.health}", one)
    if not one.health and now - one.started_at < timedelta(seconds=STABLE_SECONDS):
        return Verdict("waiting", f"{one.name} has not been running for {STABLE_SECONDS} s", one)
    return Verdict("proven", "", one)


def _judge_completed(one: Container) -> Verdict:
    if one.state == "exited" and one.exit_code == 0:
        return Verdict("proven", "", one)
    if one.state in {"exited", "dead"}:
        return Verdict("failed", f"{one.name} {_state_words(one)} instead of with 0", one)
    return Verdict("waiting", f"{one.name} {_state_words(one)}", one)


def _proven_words(expected: Expected, mine: Sequence[Container]) -> str:
    if expected.goal == "completed":
        return "completed with exit code 0"
    healthy = bool(mine) and all(one.health == "healthy" for one in mine)
    return "running and healthy" if healthy else "running"


def _state_words(one: Container) -> str:
    return f"exited with code {one.exit_code}" if one.state == "exited" else f"is {one.state}"


def _containers_of(service: str, containers: Sequence[Container]) -> tuple[Container, ...]:
    """Return a service's own containers. One-off ones (`compose run`) are not what `up` starts."""
    return tuple(one for one in containers if one.service == service and not one.one_off)


def _health(health: Mapping[str, Any] | None) -> str:
    """Return starting, healthy or unhealthy; empty where there is no healthcheck (the engine then says `none`)."""
    word = str(health["Status"]) if health else ""
    return "" if word == "none" else word
