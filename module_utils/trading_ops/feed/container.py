"""The feed's container on a host, as its engine describes it. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..core.bots import PROJECT_LABEL, SERVICE_LABEL
from ..core.labels import FOLDER_PROJECT, ONE_OFF_LABEL
from ..core.result import build_result
from ..host.engine import Engine, EngineError


@dataclass(frozen=True)
class Feed:
    """One feed that ran: the host as the inventory names it, its container, and since when, in the engine's words."""

    host: str
    container_id: str
    started_at: str

    def describe(self) -> str:
        """Return it as a person reads it."""
        return f"{self.host}: container {self.container_id[:12]} since {self.started_at}"


class FeedError(Exception):
    """There is no one feed container that runs as it should. The text is a sentence."""


def parse_feeds(items: object) -> tuple[Feed, ...]:
    """Return the feeds that a list of mappings means, without an order. Raises FeedError where one is not whole."""
    if not isinstance(items, list):
        raise FeedError("The feeds are not a list.")
    feeds = []
    for item in items:
        keys = ("host", "container_id", "started_at")
        values = {key: item.get(key) for key in keys} if isinstance(item, dict) else {}
        given = {key: value for key, value in values.items() if isinstance(value, str) and value}
        if not given or given.keys() != values.keys():
            raise FeedError(f"Not a feed with host, container_id and started_at: {item!r}.")
        feeds.append(Feed(**given))
    return tuple(sorted(set(feeds), key=lambda feed: (feed.host, feed.container_id, feed.started_at)))


def observe_feed(connect: Callable[[], Engine], project: str, service: str, host: str) -> dict[str, Any]:
    """Return the module result of looking at the feed: `proven` with `feed` for exactly one container that runs and
    is not unhealthy, `refused` for anything else, `unknown` where the engine could not be asked.
    """
    try:
        engine = connect()
        listed = engine.containers([f"{PROJECT_LABEL}={project}", f"{SERVICE_LABEL}={service}"])
        if not listed:  # the owner's own command, on a file without a name
            listed = engine.containers([f"{PROJECT_LABEL}={FOLDER_PROJECT}", f"{SERVICE_LABEL}={service}"])
        described = [engine.inspect(summary["Id"]) for summary in listed]
        feed = select_feed([item for item in described if item is not None], service, host)
    except EngineError as error:
        return build_result("unknown", str(error), next_command="docker info", feed={})
    except FeedError as error:
        return build_result("refused", str(error), next_command="./runbook feed_start", feed={})
    summary = f"{service} runs since {feed.started_at} ({feed.container_id[:12]})"
    return build_result("proven", summary, feed=asdict(feed))


def select_feed(described: list[Mapping[str, Any]], service: str, host: str) -> Feed:
    """Return the one feed among the engine's descriptions. Raises FeedError for none, several, or one that is sick."""
    mine = [item for item in described if ((item.get("Config") or {}).get("Labels") or {}).get(ONE_OFF_LABEL) != "True"]
    if len(mine) != 1:
        raise FeedError(f"{service} has {len(mine)} containers instead of one.")
    state = mine[0].get("State") or {}
    health = (state.get("Health") or {}).get("Status", "healthy")
    if state.get("Status") != "running" or health not in {"healthy", "none"}:
        seen = f"{state.get('Status')}{', ' + health if state.get('Health') else ''}"
        raise FeedError(f"{service} is {seen} instead of running and healthy.")
    (feed,) = parse_feeds([{"host": host, "container_id": mine[0]["Id"], "started_at": state.get("StartedAt")}])
    return feed
