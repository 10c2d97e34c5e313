"""The report of a restore test: what was seen, in three formats, where everything stays text."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from trading_ops.restore.report import write_report

RESULT = {
    "set": "SET-20261121-021500",
    "outcome": "proven",
    "failures": [],
    "phases": {"restore": 12.5, "compare": 3},
    "rpo_seconds": 300,
    "rto_seconds": 42.0,
    "tables": 9,
    "rows": 12345,
    "comparison": [{"database": "trading", "table": "public.bars", "rows": 9876, "is_equal": True}],
    "model": {"name": "RefStrat_01", "alias": "champion", "version": "3", "prediction": 0.25},
    "bot": {"seconds": 60, "rows": {"public.orders.time": 17}},
    "checks": [{"id": "feed_up", "outcome": "pass", "value": 1}],
    "bytes": 1_000_000,
    "versions": {"postgresql": "17.5", "timescaledb": "2.19.3"},
    "manifest_sha256": "a1" * 32,
    "by": "kim@desk",
    "started_at": "2026-11-21T03:00:00.000Z",
    "finished_at": "2026-11-21T03:05:00.000Z",
}
EARLIER = {**RESULT, "finished_at": "2026-10-21T03:05:00.000Z", "rto_seconds": 40, "set": "SET-20261020-021500"}
RED = {
    **RESULT,
    "outcome": "failed",
    "finished_at": "2026-11-22T03:05:00.000Z",
    "failures": [
        {
            "name": "row deleted",
            "kind": "data",
            "detail": "public.bars has 9875 rows",
            "what_to_do": "take an older set",
        }
    ],
}
NAME = "restore_test_20261121-030500"


def plain(records) -> str:
    return f"<svg>{len(records)}</svg>"


def write(path: Path, result=RESULT, records=(), dry_run=False) -> dict:
    return write_report(result, records, path, plain, dry_run)


def test_check_run_run_writes_the_same_report_once(tmp_path):
    assert (write(tmp_path, dry_run=True)["outcome"], list(tmp_path.iterdir())) == ("planned", [])
    first, second = write(tmp_path), write(tmp_path)
    assert (first["outcome"], first["changed"], second["changed"]) == ("proven", True, False)
    assert {path.name for path in (tmp_path / NAME).iterdir()} == {"report.md", "report.html", "report.json"}
    assert json.loads((tmp_path / NAME / "report.json").read_text()) == RESULT


def test_a_report_has_verdict_versions_counts_who_when_and_the_hash_that_signs_it(tmp_path):
    write(tmp_path)
    for name in ("report.md", "report.html"):
        text = (tmp_path / NAME / name).read_text().replace("\\", "")
        for words in ("GOOD", "17.5", "12345", "kim@desk", RESULT["finished_at"], RESULT["manifest_sha256"], "12.5 s"):
            assert words in text, (name, words)


def test_a_report_shows_each_table_equal_the_model_what_the_bot_wrote_and_the_checks(tmp_path):
    write(tmp_path)
    text = (tmp_path / NAME / "report.md").read_text().replace("\\", "")
    for row in (
        "| trading | public.bars | 9876 | equal |",
        "| version | 3 |",
        "| prediction | 0.25 |",
        "| rows written to public.orders.time | 17 |",
        "| feed_up | pass | 1 |",
    ):
        assert row in text
    unequal = {**RESULT, "comparison": [{**RESULT["comparison"][0], "is_equal": False}, {"table": "public.odd"}]}
    write(tmp_path, unequal)
    text = (tmp_path / NAME / "report.md").read_text().replace("\\", "")
    assert "| trading | public.bars | 9876 | NOT EQUAL |" in text
    assert "| unknown | public.odd | unknown | NOT EQUAL |" in text


def test_a_red_one_names_the_cause_and_what_to_do(tmp_path):
    write(tmp_path, RED, [RESULT])
    text = (tmp_path / "restore_test_20261122-030500" / "report.md").read_text()
    assert "NOT GOOD" in text and "row deleted" in text and "take an older set" in text
    assert "has 9875 rows" in text
    index = (tmp_path / "index.md").read_text()
    assert "NOT GOOD: row deleted" in index


def test_the_index_has_all_tests_the_youngest_first_and_links_those_that_lie_here(tmp_path):
    write(tmp_path, RESULT, [EARLIER, RESULT])
    names = re.findall(r"^\| (\S+)", (tmp_path / "index.md").read_text(), re.MULTILINE)
    assert names == ["test", "---", f"[{NAME}]({NAME}/report.md)", "restore_test_20261021-030500"]
    assert f"<a href='{NAME}/report.html'>" in (tmp_path / "index.html").read_text()


@pytest.mark.parametrize("missing", sorted(RESULT.keys() - {"finished_at"}))
def test_what_is_missing_is_unknown_and_never_good(tmp_path, missing):
    result = {key: value for key, value in RESULT.items() if key != missing}
    assert write(tmp_path, result)["outcome"] == "proven"
    text = (tmp_path / NAME / "report.md").read_text()
    assert ("| outcome | GOOD |" in text) == (missing != "outcome")
    assert "unknown" in text or "none" in text


def test_a_result_without_its_time_is_no_report(tmp_path):
    assert write(tmp_path, {"outcome": "proven"})["outcome"] == "failed"
    assert write(tmp_path, {**RESULT, "finished_at": "../../etc"})["outcome"] == "failed"
    assert list(tmp_path.iterdir()) == []


HOSTILE = "<script>alert(1)</script> | `x` [a](javascript:b) {{ 7*7 }} \x1b[31m\nnext & 'q' \"q\""


def test_text_from_elsewhere_stays_text(tmp_path):
    failures = [{"name": HOSTILE, "kind": HOSTILE, "detail": HOSTILE, "what_to_do": HOSTILE}]
    hostile = {**RED, "by": HOSTILE, "set": HOSTILE, "versions": {HOSTILE: HOSTILE}, "phases": {HOSTILE: HOSTILE}}
    hostile |= {"comparison": [{"table": HOSTILE}], "model": {HOSTILE: HOSTILE}, "checks": [{"id": HOSTILE}]}
    hostile["bot"] = {"seconds": HOSTILE, "rows": {HOSTILE: HOSTILE}}
    write(tmp_path, {**hostile, "failures": failures})
    tags: set[str] = set()

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            tags.add(tag)

    for path in tmp_path.rglob("*.html"):
        Reader().feed(path.read_text())
    assert "table" in tags
    known = "html head meta title style body h1 h2 div table tr th td p svg a"
    assert tags <= {*known.split()}
    for path in tmp_path.rglob("*.md"):
        for line in path.read_text().splitlines():
            assert "<script" not in line.replace("\\<", "") and line.isprintable(), line
            columns = len(re.findall(r"(?<!\\)\|", line))
            assert columns in {0, 3, 4, 5, 8}, line


@pytest.mark.parametrize("value", [None, -1, "12", True, 1e12, []])
def test_a_time_that_makes_no_sense_is_unknown(tmp_path, value):
    write(tmp_path, {**RESULT, "rto_seconds": value})
    assert "| recovery time \\(RTO\\) | unknown |" in (tmp_path / NAME / "report.md").read_text().replace(
        "(RTO)", "\\(RTO\\)"
    )
