from __future__ import annotations

from typing import Any

import pytest

from benchmarks.hosts import parse_time
from benchmarks.report import Measurement, render_markdown, series, targets

TITLES = {"ours": "ours", "module": "the module", "pyinfra": "pyinfra", "halt-now": "halt-now", "ssh": "ssh"}


def run(contender: str, last_bot: float | None, **more: Any) -> Measurement:
    values: dict[str, Any] = {
        "hosts": 3,
        "bots_per_host": 4,
        "dead_host": False,
        "round": 1,
        "exit_code": 0,
        "last_order_seconds": 1.0,
        "total_seconds": 3.0,
        "still_running": 0 if last_bot is not None else 2,
    }
    return Measurement(contender=contender, last_bot_seconds=last_bot, **(values | more))


def test_a_contender_is_summed_up_by_its_medians():
    found = series([run("ours", 1.0), run("ours", 9.0), run("ours", 2.0)], 3, 4, dead_host=False)["ours"]
    assert (found.last_bot, found.last_bot_range, found.runs) == (2.0, (1.0, 9.0), 3)


def test_one_run_that_left_a_bot_running_has_no_median():
    found = series([run("ours", 1.0), run("ours", None), run("ours", 2.0)], 3, 4, dead_host=False)["ours"]
    assert found.last_bot is None
    assert found.still_running == 2


def test_series_with_and_without_a_dead_host_are_kept_apart():
    measured = [run("ours", 1.0), run("ours", 5.0, dead_host=True), run("ours", 7.0, hosts=30)]
    assert series(measured, 3, 4, dead_host=True)["ours"].last_bot == 5.0
    assert series(measured, 3, 4, dead_host=False)["ours"].last_bot == 1.0


@pytest.mark.parametrize(
    ("mine", "other", "is_met"), [(0.6, 1.0, True), (0.61, 1.0, False), (None, 1.0, False), (0.1, None, False)]
)
def test_a_target_is_met_only_by_a_value_within_its_limit(mine, other, is_met):
    assert [each.is_met for each in targets([run("ours", mine), run("module", other)])] == [is_met]


def test_what_a_dead_host_adds_is_the_difference_of_the_others_medians():
    found = targets([run("ours", 1.0), run("ours", 2.5, dead_host=True)])
    assert [(each.measured, each.is_met) for each in found] == [(1.5, False)]


def test_pyinfra_is_held_against_another_limit_on_thirty_hosts():
    measured = [
        run(name, seconds, hosts=hosts) for hosts in (3, 30) for name, seconds in (("ours", 1.1), ("pyinfra", 1))
    ]
    assert [(each.limit, each.is_met) for each in targets(measured)] == [(1.0, False), (1.2, True)]


def test_the_page_puts_the_fastest_first_and_says_never_for_a_way_that_failed():
    page = render_markdown([run("module", None, exit_code=4), run("ssh", 2.0), run("ours", 1.0)], TITLES, "Here.")
    rows = [line.split(" | ")[:2] for line in page.splitlines() if line.startswith(("| ours", "| ssh", "| the"))]
    assert rows == [["| ours", "1.00"], ["| ssh", "2.00"], ["| the module", "never"]]


def test_the_engines_nanoseconds_are_read():
    assert parse_time("2026-11-21T05:00:00.123456789Z") == pytest.approx(parse_time("2026-11-21T05:00:00Z") + 0.123457)
