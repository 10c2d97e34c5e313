"""What is asked of a host that is to run a release, and what it takes to observe and to act there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ..compose.request import Tools
from .git import Repository
from .images import Images
from .plan import Rules

FEED_PROFILES: Final = ("ui", "alerting")

Ensure = Callable[[Mapping[str, Any]], dict[str, Any]]
"""Parameters of the module compose_services -> its result."""


@dataclass(frozen=True)
class Stack:
    """One Compose project of the host, as its starts call it."""

    name: str
    files: tuple[str, ...]
    profiles: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """What is to run, and what is known of the rest of the estate.

    `texts` and `changes` (path -> name of the new content) come from the operator's repository; without them the host's
    own has the revision. `pins` are `project/service` -> image. `keep` are files that stay as they are, whatever the
    revision says. `schema_versions` are those of the databases, None for one that is not known; empty where none is
    kept.
    """

    revision: str
    stacks: tuple[Stack, ...]
    rules: Rules
    state_path: Path
    docker_url: str
    timeout_seconds: int
    by: str
    why: str
    texts: Mapping[str, str] | None = None
    changes: Mapping[str, str] | None = None
    pins: Mapping[str, str] = field(default_factory=dict)
    pins_elsewhere: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    schema_versions: tuple[int | None, ...] = ()
    schema_supported_max: int | None = None
    schema_waived: bool = False


@dataclass(frozen=True)
class Host:
    """All I/O: the checkout, the images, Compose with engine and clock, and what brings services into a state."""

    repository: Repository
    images: Images
    tools: Tools
    ensure: Ensure
    now: Callable[[], str]


def parse_request(params: Mapping[str, Any]) -> Request:
    """Return the request that the module's parameters make."""
    source = params["source"]
    bots = running_bots(params["bots"], params["bots_before"])
    versions = [None if version in (None, "") else int(version) for version in params["schema_versions"]]
    return Request(
        revision=params["revision"],
        stacks=build_stacks(
            params["groups"],
            params["feed_project_name"],
            params["feed_files"],
            params["trading_project_prefix"],
            params["trading_files"],
        ),
        rules=Rules(tuple(params["bot_services"]), params["feed_service"], bots),
        state_path=Path(params["state_path"]),
        docker_url=params["docker_url"],
        timeout_seconds=params["timeout_seconds"],
        by=params["by"] or "not given",
        why=params["why"] or "not given",
        texts=source["texts"] if source else None,
        changes=source["changes"] if source else None,
        pins={str(key): str(pin) for key, pin in params["pins"].items()},
        pins_elsewhere=tuple(params["pins_elsewhere"]),
        keep=tuple(params["keep"]),
        schema_versions=tuple(versions),
        schema_supported_max=params["schema_supported_max"],
        schema_waived=params["schema_waived"],
    )


def running_bots(seen: Mapping[str, Mapping[str, Any]], before: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the bots that run, as `host/name`: of a host that does not say it now, all that were seen there before.

    `seen` maps a host to the result of kill_switch_info; one of `before` has its host in `item`.
    """
    told = {host for host, result in seen.items() if result.get("outcome") == "proven"}
    looks = [(host, seen[host]) for host in sorted(told)]
    looks += [(result["item"], result) for result in before if result["item"] not in told]
    names = [f"{host}/{bot['name']}" for host, look in looks for bot in look.get("bots") or () if bot.get("running")]
    return tuple(dict.fromkeys(names))


def build_stacks(
    groups: Sequence[str],
    feed_project: str,
    feed_files: Sequence[str],
    trading_prefix: str,
    trading_files: Sequence[str],
) -> tuple[Stack, ...]:
    """Return the stacks of a host in these inventory groups."""
    stacks = []
    if "feed_hosts" in groups:
        stacks.append(Stack(feed_project, tuple(feed_files), FEED_PROFILES))
    for mode in ("paper", "live"):
        if f"{mode}_hosts" in groups:
            stacks.append(Stack(f"{trading_prefix}{mode}", tuple(trading_files), (mode,), {"TRADING_MODE": mode}))
    return tuple(stacks)
