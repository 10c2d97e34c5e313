"""What a release does to the services of one stack, and what forbids it. Decisions on plain values only.

What runs is brought to the release; what is stopped stays stopped, and takes it at its next start. A bot is never
started, recreated or restarted here: that is for bot_start.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from ..compose.config import ComposeError, Service
from ..compose.plan import Container, Step, parse_container, plan, select_expected
from ..core.bots import NOT_RUNNING, matches
from .gate import Refusal

MOVES: Final = frozenset({"recreate", "restart", "create", "start", "unpause", "none", "later"})
"""What happens to a service. `later`: it does not run, and takes the release when it is started."""

STOP_BOTS: Final = './runbook bot_stop -e mode=all -e reason="deploy"'


@dataclass(frozen=True)
class Seen:
    """A container of a service: the image reference it was made from, and the host's paths that it has mounted."""

    container: Container
    reference: str
    binds: tuple[str, ...]

    @property
    def runs(self) -> bool:
        """Return whether it is there for more than its next start."""
        return self.container.state not in NOT_RUNNING


@dataclass(frozen=True)
class Move:
    """What a release does to one service, and why."""

    service: str
    action: str
    reason: str = ""

    @property
    def changes(self) -> bool:
        """Return whether something that runs is touched."""
        return self.action not in {"none", "later"}


@dataclass(frozen=True)
class StackPlan:
    """What a release does to one stack. `to_run` are the services that are to run, `touched` those of them that are
    started as configured, `restart` the ids of containers to stop before that; with one of `refusals` nothing is done.
    """

    moves: tuple[Move, ...]
    to_run: tuple[str, ...]
    touched: tuple[str, ...]
    restart: tuple[str, ...]
    refusals: tuple[Refusal, ...]


@dataclass(frozen=True)
class Rules:
    """What is a bot and what is the feed, and which bots of the estate run now, as `host/name`."""

    bot_services: tuple[str, ...]
    feed_service: str
    running_bots: tuple[str, ...]

    def is_bot(self, service: str) -> bool:
        """Return whether a service of this name is a bot."""
        return matches(service, self.bot_services)


def parse_seen(described: Mapping[str, Any]) -> Seen:
    """Return what the engine's inspection says of a container. Raises ComposeError where it is incomplete."""
    try:
        mounts = described.get("Mounts") or []
        binds = tuple(sorted(str(mount["Source"]) for mount in mounts if mount.get("Type") == "bind"))
        return Seen(parse_container(described), str(described["Config"]["Image"]), binds)
    except (KeyError, TypeError, AttributeError) as error:
        name = str(described.get("Name", "a container")).lstrip("/")
        raise ComposeError(f"The engine's description of {name} is incomplete: {error!r}.", "unknown") from error


@dataclass(frozen=True)
class ObservedStack:
    """One stack: its containers, its services by the release, and those of the checkout as it is, in the same profiles.

    What runs beside these belongs to no one here. started: services that an operator started and no one stopped since,
    so that one that crashed is not left stopped.
    """

    name: str
    seen: Sequence[Seen]
    services: Mapping[str, Service]
    present: Mapping[str, Service]
    started: Collection[str]
    rules: Rules

    @property
    def own(self) -> list[Seen]:
        """Return the containers of services; one-offs are none of them."""
        return [item for item in self.seen if not item.container.one_off]

    @property
    def to_run(self) -> tuple[str, ...]:
        """Return the services that are to run: those that do, and those that an operator started. Never a bot."""
        wanted = {item.container.service for item in self.own if item.runs} | set(self.started)
        return tuple(sorted(name for name in wanted if name in self.services and not self.rules.is_bot(name)))

    def used(self, services: Mapping[str, Service]) -> dict[str, Service]:
        """Return those of the services that have a container here or are to run, by `project/service`."""
        names = {item.container.service for item in self.own} | set(self.to_run)
        return {f"{self.name}/{name}": services[name] for name in sorted(names) if name in services}


def plan_stack(stack: ObservedStack, changed: Collection[str], image_id: Callable[[str], str | None]) -> StackPlan:
    """Return what it does to bring to the release what runs, or is to run.

    changed: absolute paths on the host whose content changes with the release.
    """

    def moves_of(names: Sequence[str]) -> dict[str, Move]:
        expected = select_expected(stack.services, names, "started", image_id)
        steps = plan(expected, [item.container for item in stack.own], names, restart_policy="")
        return {step.expected.service: _move(step, stack.own, changed) for step in steps}

    to_run = stack.to_run
    everything = moves_of(to_run)
    touched = tuple(name for name in to_run if everything[name].changes)
    # Compose is asked for these alone: else it would run one-shots again that only others need.
    moves = {name: Move(name, "none") for name in to_run} | moves_of(touched)
    later = {item.container.service for item in stack.own} & set(stack.services) - set(moves)
    restarted = {name for name, move in moves.items() if move.action == "restart"}
    return StackPlan(
        moves=(*moves.values(), *(Move(name, "later") for name in sorted(later))),
        to_run=to_run,
        touched=touched,
        restart=tuple(item.container.id for item in stack.own if item.runs and item.container.service in restarted),
        refusals=(
            *_of_services(stack, moves),
            *_of_bots(stack, changed, image_id),
            *_of_the_feed(moves, stack.rules),
        ),
    )


def _of_services(stack: ObservedStack, moves: Mapping[str, Move]) -> list[Refusal]:
    gone = set(stack.present) - set(stack.services)
    left = [item.container.name for item in stack.seen if item.runs and item.container.service in gone]
    pulled_in = [name for name, move in moves.items() if stack.rules.is_bot(name) and move.changes]
    return [
        *(
            Refusal(f"{name} runs, and the release has no such service", f"docker stop {name} (on the host)")
            for name in left
        ),
        *(Refusal(f"something depends on {name}, and bots only start through bot_start", "") for name in pulled_in),
    ]


def _of_bots(stack: ObservedStack, changed: Collection[str], image_id: Callable[[str], str | None]) -> list[Refusal]:
    """Return what a release would do to bots that run here: another configuration or image, or files under them."""
    found = []
    for item in stack.seen:
        one = item.container
        wanted = stack.services.get(one.service)
        if not item.runs or wanted is None or not stack.rules.is_bot(one.service):
            continue  # a service that is gone has been reported already
        if one.config_hash != wanted.config_hash:
            found.append(f"{one.name} runs and would be recreated: its configuration changes")
        elif one.image_id != image_id(wanted.image):
            found.append(f"{one.name} runs and would be recreated: its image {wanted.image} changes")
        elif read := touched_by(item.binds, changed):
            found.append(f"{one.name} runs and reads {_listed(read)}, which changes under it")
    return [Refusal(sentence, STOP_BOTS) for sentence in found]


def _of_the_feed(moves: Mapping[str, Move], rules: Rules) -> list[Refusal]:
    """Return that the feed would go away under bots, wherever they run: they never run on an unstable feed."""
    feed = moves.get(rules.feed_service)
    if not feed or not feed.changes or not rules.running_bots:
        return []
    names = ", ".join(rules.running_bots)
    return [Refusal(f"{feed.service} would {feed.action} ({feed.reason}) while bots run: {names}", STOP_BOTS)]


def touched_by(binds: Sequence[str], changed: Collection[str]) -> list[str]:
    """Return the changed paths that a container has mounted, alone or in a folder."""
    return sorted(
        path
        for path in changed
        if any(source == path or PurePosixPath(source) in PurePosixPath(path).parents for source in binds)
    )


def _move(step: Step, own: Sequence[Seen], changed: Collection[str]) -> Move:
    """Return what happens to a service: what Compose does, or a restart where it only reads other files now."""
    name = step.expected.service
    if step.action != "none":
        return Move(name, step.action, step.reason)
    mine = [item for item in own if item.container.service == name and item.runs]
    read = sorted({path for item in mine for path in touched_by(item.binds, changed)})
    return Move(name, "restart", f"it reads {_listed(read)}") if read else Move(name, "none")


def _listed(paths: Sequence[str]) -> str:
    shown = ", ".join(paths[:3])
    return f"{shown} and {len(paths) - 3} more" if len(paths) > 3 else shown
