import pytest

from tests.unit.compose_world import FakeTime
from tests.unit.fake_prometheus import LATENCY, FakePrometheus, catalogue_item


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def prometheus(time: FakeTime) -> FakePrometheus:
    return FakePrometheus(time, catalogue_item(), LATENCY)
