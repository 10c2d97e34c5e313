from pathlib import Path
from typing import Any

import pytest
from trading_ops.compose.config import CommandResult
from trading_ops.compose.info import observe_services
from trading_ops.compose.services import ensure_services

from tests.unit.compose_world import PROJECT, ServiceSpec, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path, db=ServiceSpec(health="healthy"), bot=ServiceSpec(depends_on={"db": "service_healthy"}))
    ensure_services(world.params("bot"), world.tools(), False)
    world.commands.clear()
    world.engine.calls.clear()
    return world


def observe(world: World, *services: str, **more: Any) -> dict[str, Any]:
    return observe_services(world.params(*services, **more), world.tools())


def test_desired_configured_and_observed_stand_side_by_side(world: World):
    result = observe(world, "bot", "db")
    assert (result["outcome"], result["changed"], result["trouble"]) == ("proven", False, [])
    assert result["summary"] == "bot: running, desired started; db: running, desired started"
    bot, db = result["services"]
    assert (bot["service"], bot["project"]) == ("bot", PROJECT)
    assert (bot["desired"]["state"], bot["desired"]["by"]) == ("started", "reno")
    assert bot["configured"]["action"] == "none"
    assert bot["observed"]["container_ids"] == [world.one("bot").id]
    assert db["observed"]["health"] == "healthy"


def test_nothing_is_changed(world: World):
    world.services["bot"].environment = "new"
    observe(world, "bot")
    assert world.commands == ["config", "hash"]
    assert {call[0] for call in world.engine.calls} <= {"containers", "inspect", "image_id"}


def test_difference_is_named(world: World):
    world.one("db").die(0)
    world.services["bot"].environment = "new"
    result = observe(world, "bot", "db")
    assert result["outcome"] == "proven"
    assert result["summary"] == (
        "bot: running, desired started, its configuration changed; "
        f"db: exited, desired started, {PROJECT}-db-1 exited with code 0"
    )
    assert result["services"][1]["observed"]["exit_code"] == 0


def test_service_that_nobody_started_is_absent_and_not_recorded(world: World):
    world.services["gui"] = ServiceSpec()
    result = observe(world, "gui")
    assert result["services"][0]["desired"] is None
    assert result["summary"] == "gui: absent, desired not recorded, 0 of 1 containers exist"


def test_broken_compose_file_leaves_the_rest_to_be_seen(world: World):
    world.error["config"] = CommandResult(15, "", "yaml: line 1: broken\n")
    result = observe(world, "bot")
    (bot,) = result["services"]
    assert (result["outcome"], bot["configured"]) == ("unknown", None)
    assert (bot["desired"]["state"], bot["observed"]["state"]) == ("started", "running")
    assert result["trouble"] == ["Compose says: yaml: line 1: broken."]
    assert "config --format json" in result["next_command"]


def test_unreachable_engine_leaves_the_desired_state_to_be_seen(world: World):
    world.engine.broken["containers"] = "The engine could not answer."
    result = observe(world, "bot")
    (bot,) = result["services"]
    assert (result["outcome"], bot["observed"]["state"]) == ("unknown", "unknown")
    assert bot["desired"]["state"] == "started"
    assert result["next_command"] == "docker info"


def test_damaged_desired_state_is_unknown_and_left_alone(world: World):
    path = world.path / "state" / "desired.json"
    path.write_text("garbage", encoding="utf-8")
    result = observe(world, "bot")
    assert (result["outcome"], path.read_text(encoding="utf-8")) == ("unknown", "garbage")
    assert "cannot be understood" in result["summary"]
    assert result["services"][0]["observed"]["state"] == "running"


def test_no_service_is_wrong_usage(world: World):
    result = observe(world)
    assert (result["outcome"], result["services"]) == ("usage", [])
