from typing import Any

import pytest
from trading_ops.compose.services import ensure_services
from trading_ops.host.engine import EngineError

from tests.unit.compose_world import (
    World,
    ensure,
    failure,
)


def test_other_project_name_is_refused(world: World):
    world.name = "trading-live"
    result = failure(world, "bot")
    assert (result["outcome"], world.commands) == ("refused", ["config"])


@pytest.mark.parametrize("broken", ["containers", "inspect", "image_id"])
def test_engine_that_does_not_answer_is_unknown(world: World, broken):
    ensure(world, "bot")
    world.commands.clear()
    world.engine.broken[broken] = "The engine could not answer: 500."
    result = ensure(world, "bot")
    assert (result["outcome"], result["changed"], world.commands.count("up")) == ("unknown", False, 0)
    assert result["services"][0]["state"] == "unknown"
    assert result["next_command"] == "docker info"


def test_unreachable_engine_is_unknown_for_every_state(world: World):
    def refuse() -> Any:
        raise EngineError("The engine could not answer: no such file.")

    for state in ("started", "completed", "stopped"):
        tools = world.tools().__class__(refuse, world.run)
        result = ensure_services(world.params("bot", state=state), tools, False)
        assert (result["outcome"], result["changed"]) == ("unknown", False)
        assert result["services"][0]["state"] == "unknown"
