"""The ranges behind every check: as Prometheus has them, or why not, and pictures of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from trading_ops.checks.catalogue import parse_checks
from trading_ops.checks.prometheus import parse_range_answer
from trading_ops.checks.ranges import MOST_POINTS, observe_ranges, step_seconds
from trading_ops.host.http import MAX_BYTES, HttpError

from tests.unit.fake_prometheus import LATENCY, catalogue_item

(CHECK, OTHER) = parse_checks([catalogue_item(), LATENCY])


def matrix(*series: dict[str, Any], **more: Any) -> tuple[int, bytes]:
    whole = {"status": "success", "data": {"resultType": "matrix", "result": list(series)}}
    return 200, json.dumps(whole | more).encode()


def series(*values: str, **labels: str) -> dict[str, Any]:
    return {"metric": labels, "values": [[1000 + 5 * n, value] for n, value in enumerate(values)]}


def test_range_is_read_with_its_points():
    (seen,) = parse_range_answer(*matrix(series("1", "NaN", "2.5", symbol="BTCUSDT")))
    assert dict(seen.labels) == {"symbol": "BTCUSDT"}
    assert (seen.points[0], seen.points[2], len(seen.points)) == ((1000.0, 1.0), (1010.0, 2.5), 3)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (matrix(warnings=["partial"]), "warnings"),
        ((200, b'{"status": "success", "data": {"resultType": "vector", "result": []}}'), "not a range"),
        (matrix({"metric": {}, "values": [[2, "1"], [1, "1"]]}), "order of time"),
        (matrix({"metric": {}, "value": [1, "1"]}), "not a series"),
        (matrix({"metric": {}, "values": [[1, "1_0"]]}), "not a value"),
        ((422, b'{"status": "error", "error": "exceeded maximum resolution of 11,000 points"}'), "11,000 points"),
        ((200, b"<html>login</html>"), "not JSON"),
        ((200, b" " * (MAX_BYTES + 1)), "longer than"),
    ],
)
def test_answer_that_is_not_a_whole_range_is_none(answer, why):
    with pytest.raises(HttpError, match=why):
        parse_range_answer(*answer)


@pytest.mark.parametrize("seconds", [60, 3600, 86_400, 30 * 86_400])
@pytest.mark.parametrize("count", [1, 3, 40])
def test_steps_are_such_that_no_answer_is_refused_or_cut(seconds, count):
    step = step_seconds(seconds, 5, count)
    points = seconds // step + 1
    assert step >= 5
    assert points <= MOST_POINTS
    assert points * count * 40 <= MAX_BYTES


def test_every_check_has_an_entry_with_its_series_or_the_reason_why_not():
    asked = []

    def fetch(query: str, step: int) -> tuple[int, bytes]:
        asked.append((query, step))
        if query == OTHER.query:
            raise ConnectionRefusedError("no")
        return matrix(series("1", "+Inf", symbol="BTCUSDT"))

    good, bad = observe_ranges([CHECK, OTHER], fetch, 3600, 5, 10, lambda: 0.0)
    assert [dict(asked)[query] for query in (CHECK.query, OTHER.query)] == [5, 5]
    assert (good["status"], good["series"][0]["points"]) == ("complete", [[1000.0, 1.0], [1005.0, None]])
    assert (bad["status"], bad["reason"], bad["series"]) == ("failed", "no answer: no", [])
    assert observe_ranges([CHECK], lambda *_: matrix(), 3600, 5, 10, lambda: 0.0)[0]["status"] == "missing"


def test_time_for_all_of_them_is_bounded():
    seconds = iter(range(0, 1000, 20))
    found = observe_ranges([CHECK, OTHER], lambda *_: matrix(), 3600, 5, 10, lambda: next(seconds))
    assert {entry["reason"] for entry in found} == {"Prometheus took too long over the ranges before it."}
