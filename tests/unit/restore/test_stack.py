"""The throw-away stack has no way out, also once it runs."""

from __future__ import annotations

import pytest

from tests.unit.restore_world import ROUTES, names


@pytest.mark.parametrize(
    "lie",
    [
        lambda world: setattr(world, "is_internal", False),
        lambda world: setattr(world, "routes", ROUTES + "eth0\t00000000\t010012AC\n"),
        lambda world: setattr(world, "routes", ""),
    ],
)
def test_a_stack_that_has_a_way_out_once_it_runs_is_stopped_at_its_first_service(world, lie):
    lie(world)
    result = world.test()
    assert names(result) == ["not_isolated"]
    assert not [words for words in world.commands if "-- mlflow" in words]
    assert world.left() == []
