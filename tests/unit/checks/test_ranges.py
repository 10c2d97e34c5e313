"""The ranges behind every check: as Prometheus has them, or why not, and pictures of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from trading_ops.checks.catalogue import parse_checks
from trading_ops.checks.prometheus import parse_range_answer
from trading_ops.checks.ranges import MOST_POINTS, look, step_seconds
from trading_ops.core.redaction import Redactor, build_rules
from trading_ops.evidence.bundle import Bundle
from trading_ops.evidence.manifest import read_manifest, verify
from trading_ops.evidence.plots import PICTURES, draw_all
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

    good, bad = look([CHECK, OTHER], fetch, 3600, 5, 10, lambda: 0.0)
    assert [dict(asked)[query] for query in (CHECK.query, OTHER.query)] == [5, 5]
    assert (good["status"], good["series"][0]["points"]) == ("complete", [[1000.0, 1.0], [1005.0, None]])
    assert (bad["status"], bad["reason"], bad["series"]) == ("failed", "no answer: no", [])
    assert look([CHECK], lambda *_: matrix(), 3600, 5, 10, lambda: 0.0)[0]["status"] == "missing"


def test_time_for_all_of_them_is_bounded():
    seconds = iter(range(0, 1000, 20))
    found = look([CHECK, OTHER], lambda *_: matrix(), 3600, 5, 10, lambda: next(seconds))
    assert {entry["reason"] for entry in found} == {"Prometheus took too long over the ranges before it."}


def bundle(root: Path, *entries: dict[str, Any]) -> Path:
    made = Bundle(root, 10**6, Redactor(build_rules()), lambda: 0.0, 60.0)
    made.open()
    times = {"begin": "1970-01-01T00:10:00Z", "end": "1970-01-01T01:10:00Z"}
    made.add_text("metric ranges", "metrics.json", json.dumps({**times, "checks": entries}))
    made.close({"host": "h"})
    return root


def entry(name: str, *found: dict[str, Any]) -> dict[str, Any]:
    kept = [{"labels": each["metric"], "points": [[at, 1.0] for at, _ in each["values"]]} for each in found]
    words = {"unit": "ms $x^2$", "condition": "<", "threshold": 500.0, "reason": "" if found else "no feed"}
    return {"id": name, **words, "series": kept}


def test_five_pictures_are_drawn_and_those_without_data_say_so(tmp_path):
    root = bundle(
        tmp_path / "b", entry("feed_latency_p99", series("1", "2", symbol="$\\frac{}<script>")), entry("gaps")
    )
    result = draw_all(root, check_mode=False)
    assert (result["outcome"], len(result["pictures"])) == ("proven", 5), result["summary"]
    assert "without data: Data quality (DQ), Profit" in result["summary"]
    for path in map(Path, result["pictures"]):
        assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        assert path.stat().st_size > 5000
    assert verify(root) == []
    names = [item["name"] for item in read_manifest(root)["items"]]
    assert sum(name.startswith("picture ") for name in names) == len(PICTURES)


def test_without_ranges_there_are_no_pictures(tmp_path):
    assert draw_all(tmp_path, check_mode=False)["outcome"] == "failed"
    assert draw_all(bundle(tmp_path / "b"), check_mode=True)["outcome"] == "planned"
    assert not (tmp_path / "b/plots").exists()


def test_ranges_that_the_bundle_calls_incomplete_are_no_trouble_of_the_pictures(tmp_path):
    full = json.dumps({"checks": [entry("gaps")] * 100})
    made = Bundle(tmp_path / "b", 1000, Redactor(build_rules()), lambda: 0.0, 60.0)
    made.open()
    made.add_text("metric ranges", "metrics.json", full)
    made.close({"host": "h"})
    seen = draw_all(tmp_path / "b", check_mode=False)
    assert (seen["outcome"], "it is longer than" in seen["summary"], seen["pictures"]) == ("proven", True, [])
    whole = bundle(tmp_path / "c")
    (whole / "metrics.json").write_text(full[:500])
    assert draw_all(whole, check_mode=False)["outcome"] == "failed"
