from pathlib import Path

import pytest

from tests.unit.compose_world import ServiceSpec, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(
        tmp_path,
        db=ServiceSpec(profiles=("paper",), health="healthy"),
        bot=ServiceSpec(profiles=("paper", "live"), depends_on={"db": "service_healthy"}, optional=("db",)),
        init=ServiceSpec(profiles=("alerting",), ends_with=0),
        alerts=ServiceSpec(profiles=("alerting",), depends_on={"init": "service_completed_successfully"}),
    )
