from __future__ import annotations

import pytest

from lab import estate, machines
from tests.unit.lab_estate.fake_docker import FakeDocker


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch) -> FakeDocker:
    """An empty outer engine in place of the real one."""
    fake = FakeDocker()
    monkeypatch.setattr(machines, "run", fake.run)
    monkeypatch.setattr(estate, "run", fake.run)
    return fake
