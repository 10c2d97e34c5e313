"""The feed container that a gate is bound to."""

from __future__ import annotations

from typing import Any

import pytest
from trading_ops.feed.container import Feed, FeedError, observe_feed, parse_feeds
from trading_ops.host.engine import Engine, EngineError

from tests.unit.compose_world import ComposeContainer
from tests.unit.fakes import FakeContainer, FakeEngine

LABELS = {"com.docker.compose.project": "ai_trading_core", "com.docker.compose.service": "live_connector"}


def connector(**more: Any) -> ComposeContainer:
    return ComposeContainer("live_connector", LABELS | more.pop("labels", {}), **more)


def look(*containers: FakeContainer) -> dict[str, Any]:
    return observe_feed(lambda: FakeEngine(*containers), "ai_trading_core", "live_connector", "lab1")


def test_the_feed_that_runs_is_told_with_the_engines_own_words():
    one = connector(health="healthy")
    seen = look(one, FakeContainer("other", LABELS | {"com.docker.compose.service": "prometheus"}))
    assert (seen["outcome"], seen["changed"], seen["next_command"]) == ("proven", False, "")
    assert seen["feed"] == {"host": "lab1", "container_id": one.id, "started_at": one.state()["StartedAt"]}


def test_a_feed_without_a_healthcheck_is_believed_when_it_runs():
    assert look(connector())["outcome"] == "proven"


@pytest.mark.parametrize("status", ["exited", "created", "paused", "restarting", "dead"])
def test_a_feed_that_does_not_run_is_refused_with_the_command_that_starts_it(status):
    seen = look(connector(status=status))
    assert (seen["outcome"], seen["feed"], seen["next_command"]) == ("refused", {}, "./runbook feed_start")
    assert status in seen["summary"]


@pytest.mark.parametrize("health", ["starting", "unhealthy"])
def test_a_feed_that_is_not_healthy_is_refused(health):
    assert health in look(connector(health=health))["summary"]
    assert look(connector(health=health))["outcome"] == "refused"


def test_no_feed_and_two_feeds_are_refused():
    assert "0 containers" in look()["summary"]
    assert "2 containers" in look(connector(), connector())["summary"]
    assert look()["outcome"] == look(connector(), connector())["outcome"] == "refused"


def test_a_one_off_of_the_feed_is_not_the_feed():
    one_off = connector(labels={"com.docker.compose.oneoff": "True"})
    assert look(one_off)["outcome"] == "refused"
    assert look(one_off, connector())["outcome"] == "proven"


def test_a_silent_engine_is_unknown():
    def refuse() -> Engine:
        raise EngineError("The engine could not answer: timed out.")

    assert observe_feed(refuse, "p", "s", "h")["outcome"] == "unknown"


def test_feeds_are_compared_without_an_order_and_only_whole():
    one, two = ({"host": host, "container_id": "1", "started_at": "t"} for host in "ab")
    assert parse_feeds([two, one]) == parse_feeds([one, two, one]) == (Feed("a", "1", "t"), Feed("b", "1", "t"))


@pytest.mark.parametrize(
    "items", [None, {}, "text", [1], [{}], [{"host": "a", "container_id": "1"}], [{"host": "", **dict.fromkeys("ab")}]]
)
def test_a_feed_that_is_not_whole_is_none(items):
    with pytest.raises(FeedError):
        parse_feeds(items)


def test_a_container_that_vanished_since_the_list_is_gone():
    class Vanishing(FakeEngine):
        def inspect(self, container_id: str) -> None:
            return None

    seen = observe_feed(lambda: Vanishing(connector()), "ai_trading_core", "live_connector", "lab1")
    assert seen["outcome"] == "refused"


def test_feed_that_the_owners_own_command_started_is_found_in_the_folders_project():
    labels = {"com.docker.compose.project": "compose", "com.docker.compose.service": "live_connector"}
    engine = FakeEngine(FakeContainer("live_connector", labels))
    assert observe_feed(lambda: engine, "ai_trading_core", "live_connector", "lab1")["outcome"] == "proven"
