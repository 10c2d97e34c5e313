"""Pictures of the ranges that were kept; those without data say so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from trading_ops.core.redaction import Redactor, build_rules
from trading_ops.evidence.bundle import Bundle
from trading_ops.evidence.manifest import read_manifest, verify
from trading_ops.evidence.plots import PICTURES, draw_all

from tests.unit.checks.test_ranges import series


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
