"""What was looked at has a begin, and it lies in the past."""

from __future__ import annotations

import pytest

from tests.unit.oncall.test_report import no_curves, write
from tests.unit.shift_world import estate


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("place", ["typed", "on record"])
def test_a_since_in_the_future_is_wrong_usage_and_nothing_is_written(tmp_path, place, dry_run):
    params = estate()
    params["since"] = "2026-11-21T07:00:00Z" if place == "typed" else ""
    params["shift"]["explained_until"] = "2026-11-21T07:00:00Z"
    result = write(tmp_path, params, dry_run)
    assert (result["outcome"], result["changed"], list(tmp_path.iterdir())) == ("usage", False, [])
    words = "since: 2026-11-21T07:00:00Z lies in the future, and nothing after it could be seen; it is"
    assert result["summary"] == f"{words} 2026-11-21T06:00:00.000Z (UTC) now"


def test_a_since_that_two_clocks_can_differ_by_is_now(tmp_path):
    for since, outcome in (("2026-11-21T06:00:02Z", "proven"), ("2026-11-21T06:00:02.001Z", "usage")):
        result = write(tmp_path, {**estate(), "since": since}, draw=no_curves)
        assert result["outcome"] == outcome, since
