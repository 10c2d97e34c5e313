import pytest

from tests.unit.compose_world import World, failure


@pytest.mark.parametrize("state", ["started", "stopped", "completed"])
def test_no_service_is_wrong_usage(world: World, state):
    assert failure(world, state=state)["outcome"] == "usage"


def test_start_without_a_place_is_wrong_usage(world: World):
    assert failure(world, "bot", project_src=None)["outcome"] == "usage"
