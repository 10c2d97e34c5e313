"""On restored data the model predicts, the bot writes and the checks pass."""

from __future__ import annotations

import pytest

from tests.unit.restore_world import names


@pytest.mark.parametrize("prediction", [["buy"], [[0.5]], [True], [None], []])
def test_a_model_that_answers_with_no_number_is_unusable_and_nothing_is_left(world, prediction):
    world.prediction = prediction
    assert names(world.test()) == ["model_unusable"]
    assert world.left() == []


@pytest.mark.parametrize(("most", "seen"), [(0, "0, then 0"), (9, "9, then 9")])
def test_a_bot_that_never_writes_or_stops_writing_half_way_is_silent(world, most, seen):
    world.rows_at_most = most
    result = world.test()
    assert names(result) == ["bot_silent"]
    assert f"public.bars: {seen}" in result["summary"]


def test_a_table_that_the_backup_does_not_know_cannot_show_that_the_bot_works(world):
    assert names(world.test(bot_tables=("trades",))) == ["bot_silent"]


def test_a_check_that_does_not_pass_in_time_is_named(world):
    (query,) = [query for query in world.prometheus.values if query.startswith("sum by")]
    world.prometheus.values[query] = [({"symbol": "BTCUSDT"}, "0"), ({"symbol": "ETHUSDT"}, "1")]
    result = world.test()
    assert names(result) == ["checks_failed"]
    assert "feed_bars" in result["summary"]
