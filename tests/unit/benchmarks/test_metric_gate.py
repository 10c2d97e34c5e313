from __future__ import annotations

import pytest

from benchmarks.metric_gate import LOOP, NOTHING, OURS, Measurement, medians, ratio, render_markdown


def rounds(nothing: float, ours: float, loop: float) -> list[Measurement]:
    return [Measurement(way, 1, seconds) for way, seconds in ((NOTHING, nothing), (OURS, ours), (LOOP, loop))]


def test_a_way_is_summed_up_by_its_median():
    measured = [*rounds(1, 2, 20), *rounds(1, 9, 30), *rounds(1, 3, 40)]
    assert medians(measured) == {NOTHING: 1, OURS: 3, LOOP: 30}


def test_the_ratio_leaves_out_what_both_plays_cost_before_they_ask():
    assert ratio(rounds(1.5, 2.0, 11.5)) == pytest.approx(20)


@pytest.mark.parametrize(("loop", "checks", "word"), [(11.0, 25, "met"), (10.9, 25, "missed"), (11.0, 24, "missed")])
def test_the_target_is_met_at_ten_times_and_with_enough_checks_only(loop, checks, word):
    page = render_markdown(rounds(1.0, 2.0, loop), checks, "Here.")
    assert f"| 10 | {word} |" in page


def test_the_page_puts_the_fastest_first():
    page = render_markdown(rounds(1.0, 2.0, 21.0), 41, "Here.")
    rows = [line for line in page.splitlines() if line.startswith(("| the same", "| one call", "| a loop"))]
    assert [row.split(" | ")[1] for row in rows] == ["1.00", "2.00", "21.00"]
    assert rows[2].endswith("| 20.00 |")
    assert "10.5 apart" in page
