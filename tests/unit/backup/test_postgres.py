"""PostgreSQL is asked in its container, through sessions that end."""

from __future__ import annotations

import pytest
from trading_ops.host.programs import Ended


def test_dump_and_counts_share_one_snapshot(world):
    world.back_up()
    dumps = [line for line in world.asked if "pg_dump --format" in line]
    assert all("--snapshot=00000003-1" in line for line in dumps)
    assert len(dumps) == 2


def test_a_dump_that_breaks_ends_the_session_that_counts(world):
    world.breaks["pg_dump"] = Ended(1, "", "pg_dump: error: out of memory")
    assert "out of memory" in world.back_up()["summary"]


@pytest.mark.parametrize("states", [[], ["exited"], ["running", "running"]])
def test_other_than_one_running_database_is_a_failure(world, states):
    world.engine.services["timescaledb"] = states
    seen = world.back_up()
    assert (seen["outcome"], "One running container" in seen["summary"]) == ("failed", True)
