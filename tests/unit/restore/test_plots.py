"""The history of restore tests as a picture."""

from __future__ import annotations

import re

from trading_ops.restore.plots import draw_history

from tests.unit.restore.test_report import EARLIER, RED, RESULT


def test_the_history_is_drawn_the_same_for_the_same_tests_and_shows_a_point_for_each():
    records = [EARLIER, RESULT, {**RED, "rpo_seconds": None}]
    picture = draw_history(records)
    assert picture == draw_history(records)
    assert picture.startswith("<svg")
    assert (
        "<script" not in picture and "http://" not in re.sub(r'(xmlns\S*|rdf:\S*)="[^"]*"', "", picture).split("<g")[-1]
    )
    assert draw_history([]).startswith("<svg")
