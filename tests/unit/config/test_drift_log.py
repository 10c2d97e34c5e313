"""The drift log: what was changed, and which documentation that leaves due."""

from __future__ import annotations

import json

import pytest
from trading_ops.config.drift_log import Entry, Log, digest, observe, parse_log, read, record, select_due


def entry(key="a", before=1, after=2, documentation="d1"):
    return Entry("2026-11-21T08:00:00.000Z", "reno", 'why "quoted" – ø\n', key, before, after, documentation)


def test_what_is_recorded_is_read_again_in_order(tmp_path):
    assert read(tmp_path) == Log(())
    record(tmp_path, [entry(), entry("b", True, False)])
    record(tmp_path, [entry("c", "x", "y")])
    assert read(tmp_path) == Log((entry(), entry("b", True, False), entry("c", "x", "y")))
    assert len((tmp_path / "drift_log.jsonl").read_text().splitlines()) == 3


KEY_OF_LIST = json.dumps(entry().__dict__ | {"key": []})


@pytest.mark.parametrize(
    "line", ["", "garbage", "[]", "3", "{}", '{"time": 1, "more": 2}', "[" * 100_000, "\ufffd", KEY_OF_LIST]
)
def test_a_line_that_cannot_be_understood_is_counted_and_the_others_are_read(line):
    good = json.dumps(entry().__dict__)
    assert parse_log(f"{good}\n{line}\n{good}\n") == Log((entry(), entry()), (2,))


@pytest.mark.parametrize("odd", ["\u2028", "\u2029", "\x85", "\r", "\x0b"])
def test_words_that_somebody_pasted_end_no_line(tmp_path, odd):
    words = f"sizing{odd}as agreed"
    record(tmp_path, [entry(words), entry()])
    assert read(tmp_path) == Log((entry(words), entry()))


@pytest.mark.parametrize(
    ("entries", "due"),
    [
        ([], {}),
        ([entry()], {"a": (1, 2)}),
        ([entry(), entry("a", 2, 3)], {"a": (1, 3)}),
        ([entry(), entry("a", 2, 1)], {}),
        ([entry(documentation="d0"), entry("a", 2, 3)], {"a": (2, 3)}),
        ([entry(documentation="d0")], {}),
        ([entry(), entry("b", 5, 6)], {"a": (1, 2), "b": (5, 6)}),
    ],
    ids=["none", "one", "two of one key", "undone", "documented in between", "documented", "two keys"],
)
def test_due_is_what_changed_while_the_documentation_read_as_now(entries, due):
    assert select_due(Log(tuple(entries)), "d1") == due


def test_missing_documentation_is_due_and_said_to_be_missing(tmp_path):
    page = tmp_path / "page.md"
    record(tmp_path, [entry(documentation=digest(page))])
    seen = observe(tmp_path, page)
    assert (seen["outcome"], seen["documentation_due"], len(seen["entries"])) == ("proven", ["a"], 1)
    assert f"1 change on record; documentation due: {page} (not there) for a 1 -> 2" == seen["summary"]
    page.write_text("now there\n")
    assert observe(tmp_path, page)["summary"] == "1 change on record; no documentation due"


def test_a_damaged_or_unreadable_log_is_unknown_and_never_clean(tmp_path):
    record(tmp_path, [entry()])
    with open(tmp_path / "drift_log.jsonl", "ab") as file:
        file.write(b"\xff half a li")
    record(tmp_path, [entry("b")])
    seen = observe(tmp_path, tmp_path / "page.md")
    assert (seen["outcome"], "cannot be understood in line 2" in seen["summary"]) == ("unknown", True)
    assert [item["key"] for item in seen["entries"]] == ["a", "b"], "a cut line swallows no other"
    (tmp_path / "drift_log.jsonl").unlink()
    (tmp_path / "drift_log.jsonl").mkdir()
    seen = observe(tmp_path, tmp_path / "page.md")
    assert (seen["outcome"], "could not be read" in seen["summary"]) == ("unknown", True)
