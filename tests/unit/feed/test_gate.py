"""The feed gate: open only for a pass that can be read, is of now, and is of the very feeds that run."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from trading_ops.feed.container import Feed
from trading_ops.feed.gate import ensure_closed, ensure_open, format_gate, judge_gate, read_gate

NOW = datetime(2026, 11, 21, 1, 30, tzinfo=UTC)
FEED = Feed("lab1", "a" * 64, "2026-11-21T01:00:00.000000001Z")
TTL = 900
CHECKS = [{"id": "feed_p99", "value": 12.5, "unit": "ms", "reason": "not kept"}]


def passed(**changes: Any) -> str:
    return json.dumps(json.loads(format_gate([FEED], CHECKS, "reno", NOW, TTL)) | changes)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_a_pass_is_open_for_its_feed_until_its_time_is_over():
    assert judge_gate(passed(), [FEED], NOW) == ""
    assert judge_gate(passed(), [FEED], later(TTL - 1)) == ""
    assert "is over" in judge_gate(passed(), [FEED], later(TTL))


def test_the_file_says_who_passed_what():
    fields = json.loads(passed())
    assert (fields["outcome"], fields["by"], fields["feeds"]) == ("pass", "reno", [asdict(FEED)])
    assert fields["checks"] == [{"id": "feed_p99", "value": 12.5, "unit": "ms"}]
    assert fields["expires_at"] == "2026-11-21T01:45:00.000Z"


def test_no_file_is_closed():
    assert "closed" in judge_gate(None, [FEED], NOW)


def test_a_clock_that_was_set_back_closes_the_gate():
    assert "is over" in judge_gate(passed(), [FEED], later(-1))


def test_a_pass_for_longer_than_an_hour_is_none():
    assert "3600 s at most" in judge_gate(format_gate([FEED], [], "x", NOW, 3601), [FEED], NOW)
    assert judge_gate(format_gate([FEED], [], "x", NOW, 3600), [FEED], NOW) == ""


OTHERS = {
    "another container": [Feed(FEED.host, "b" * 64, FEED.started_at)],
    "the same container, started again": [Feed(FEED.host, FEED.container_id, "2026-11-21T01:29:00Z")],
    "another host": [Feed("lab2", FEED.container_id, FEED.started_at)],
    "one more feed": [FEED, Feed("lab2", "c" * 64, FEED.started_at)],
    "nobody looked": [],
}


@pytest.mark.parametrize("now", OTHERS.values(), ids=OTHERS)
def test_a_pass_of_another_feed_is_closed_and_both_are_named(now):
    reason = judge_gate(passed(), now, NOW)
    assert FEED.describe() in reason
    assert all(feed.describe() in reason for feed in now)


def test_one_feed_of_two_that_passed_is_not_enough():
    both = [FEED, Feed("lab2", "c" * 64, FEED.started_at)]
    text = format_gate(both, [], "reno", NOW, TTL)
    assert judge_gate(text, both[::-1], NOW) == ""
    assert judge_gate(text, [FEED], NOW) != ""


DAMAGED = {
    "empty": "",
    "not JSON": "pass",
    "cut": passed()[:-9],
    "not an object": "[]",
    "null": "null",
    "deep": "[" * 100_000,
    "no outcome": json.dumps({key: value for key, value in json.loads(passed()).items() if key != "outcome"}),
    "failed": passed(outcome="fail"),
    "true": passed(outcome=True),
    "no feeds": passed(feeds=[]),
    "feeds are no list": passed(feeds=asdict(FEED)),
    "half a feed": passed(feeds=[{"host": "lab1"}]),
    "no end": passed(expires_at=None),
    "an end without a zone": passed(expires_at="2026-11-21T02:00:00"),
    "an end that is no time": passed(expires_at="soon"),
    "no beginning": passed(passed_at=""),
}


@pytest.mark.parametrize("text", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_pass_is_closed(text):
    assert judge_gate(text, [FEED], NOW) != ""


@pytest.mark.parametrize("text", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_pass_is_closed_also_where_nobody_looked_at_a_feed(text):
    assert judge_gate(text, [], NOW) != ""


def test_a_gate_that_cannot_be_read_is_closed(tmp_path: Path):
    path = tmp_path / "feed_gate.json"
    assert "closed" in read_gate(path, [FEED], NOW)
    path.mkdir()
    assert "cannot be read" in read_gate(path, [FEED], NOW)
    path.rmdir()
    path.write_bytes(b"\xff\xfe")
    assert "cannot be read" in read_gate(path, [FEED], NOW)
    path.write_text(passed(), encoding="utf-8")
    assert read_gate(path, [FEED], NOW) == ""


def opened(path: Path, dry_run: bool = False, **params: Any) -> dict[str, Any]:
    given = {"feeds": [asdict(FEED)], "checks": CHECKS, "ttl_seconds": TTL, "by": "reno"} | params
    return ensure_open(path, given, NOW, dry_run)


def test_opening_writes_the_pass_and_closing_takes_it_away(tmp_path: Path):
    path = tmp_path / "state" / "feed_gate.json"
    assert (opened(path)["outcome"], read_gate(path, [FEED], NOW)) == ("proven", "")
    assert path.stat().st_mode & 0o777 == 0o644
    first, second = ensure_closed(path, False), ensure_closed(path, False)
    assert [(run["outcome"], run["changed"]) for run in (first, second)] == [("proven", True), ("proven", False)]
    assert not path.exists()


def test_a_dry_run_neither_opens_nor_closes(tmp_path: Path):
    path = tmp_path / "feed_gate.json"
    planned = opened(path, dry_run=True)
    assert (planned["outcome"], planned["changed"], path.exists()) == ("planned", True, False)
    opened(path)
    planned = ensure_closed(path, True)
    assert (planned["outcome"], planned["changed"], path.exists()) == ("planned", True, True)


@pytest.mark.parametrize("wrong", [{"feeds": []}, {"feeds": [{}]}, {"ttl_seconds": 0}, {"ttl_seconds": 3601}])
def test_a_pass_that_would_never_count_is_not_written(tmp_path: Path, wrong):
    path = tmp_path / "feed_gate.json"
    refused = opened(path, **wrong)
    assert (refused["outcome"], refused["changed"], path.exists()) == ("refused", False, False)


def test_a_gate_that_cannot_be_written_or_removed_is_a_failure(tmp_path: Path):
    path = tmp_path / "feed_gate.json"
    path.mkdir()
    (path / "inside").touch()
    assert opened(path)["outcome"] == "failed"
    failed = ensure_closed(path, False)
    assert (failed["outcome"], failed["next_command"]) == ("failed", f"sudo rm -r {path}")


def test_a_dangling_link_is_closed_as_well(tmp_path: Path):
    path = tmp_path / "feed_gate.json"
    path.symlink_to(tmp_path / "nowhere")
    assert ensure_closed(path, False)["changed"] is True
    assert not path.is_symlink()
