"""The timeline: what is appended is read again, and every change of it is named with its line."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trading_ops.incident.timeline import (
    NOTHING_BEFORE,
    Entry,
    TimelineError,
    as_dict,
    format_new_lines,
    parse_entry,
    parse_timeline,
)

from tests.properties import examples

NOW = "2026-11-21T08:00:00.000Z"


def entry(number=1, **more):
    return Entry(**{"id": f"run-{number}", "at": NOW, "recorded_at": NOW, "kind": "note", "text": f"{number}", **more})


def chain(count=4):
    return format_new_lines(b"", [entry(number, facts={"n": number}) for number in range(1, count + 1)])


def lines_of(content):
    return content.rstrip(b"\n").split(b"\n")


def joined(lines):
    return b"".join(line + b"\n" for line in lines)


def defects(content):
    return [(defect.line, defect.why) for defect in parse_timeline(content).defects]


def test_a_line_carries_the_hash_of_the_line_before_and_its_own():
    first, second = lines_of(chain(2))
    found = json.loads(second)
    assert json.loads(first)["previous"] == NOTHING_BEFORE
    assert found["previous"] == hashlib.sha256(first).hexdigest()
    own = found.pop("hash")
    written = json.dumps(found, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    assert own == hashlib.sha256(written.encode()).hexdigest()
    assert parse_timeline(chain(2)).head == hashlib.sha256(second).hexdigest()


@examples(60)
@given(texts=st.lists(st.text(max_size=30), max_size=6), more=st.lists(st.text(max_size=30), max_size=6))
def test_whatever_is_written_is_read_again_and_sound(texts, more):
    entries = [entry(n, text=text, facts={"said": text}) for n, text in enumerate([*texts, *more])]
    content = format_new_lines(b"", entries[: len(texts)])
    content += format_new_lines(content, entries)
    timeline = parse_timeline(content)
    assert (timeline.defects, [item.id for item in timeline.entries]) == ((), [item.id for item in entries])
    assert content.count(b"\n") == len(entries)


def test_appending_is_idempotent_by_id():
    content = chain(2)
    assert format_new_lines(content, [entry(1, text="another"), entry(2)]) == b""
    assert format_new_lines(content, [entry(3), entry(3)]).count(b"\n") == 1


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_an_edited_line_is_named_and_so_is_the_one_that_followed_it(number):
    lines = lines_of(chain())
    lines[number - 1] = lines[number - 1].replace(b'"text":"', b'"text":"not ')
    found = defects(joined(lines))
    assert found[0] == (number, "it was changed after it was written: its own hash does not fit")
    assert found[1:] == (
        [(number + 1, f"line {number} is not what stood there when it was written")] if number < 4 else []
    )


def test_a_line_that_was_edited_with_a_fitting_hash_of_its_own_breaks_the_next():
    lines = lines_of(chain())
    lines[1] = format_new_lines(lines[0] + b"\n", [entry(2, text="rewritten")]).rstrip(b"\n")
    assert defects(joined(lines)) == [(3, "line 2 is not what stood there when it was written")]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda lines: lines[1:], [1]),
        (lambda lines: [lines[0], *lines[2:]], [2]),
        (lambda lines: [lines[0], lines[2], lines[1], lines[3]], [2, 3, 4]),
        (lambda lines: [*lines[:2], lines[1], *lines[2:]], [3, 3]),
        (lambda lines: [*lines[:2], b"", *lines[2:]], [3, 4]),
        (lambda lines: [*lines[:2], b"garbage", *lines[2:]], [3, 4]),
        (lambda lines: [lines[0].replace(b'"at"', b' "at"'), *lines[1:]], [1, 2]),
    ],
    ids=["first removed", "removed", "swapped", "doubled", "empty line", "garbage", "only a space"],
)
def test_a_line_removed_added_moved_or_garbled_is_named(change, expected):
    assert [line for line, _ in defects(joined(change(lines_of(chain()))))] == expected


def test_every_flipped_byte_is_noticed():
    content = chain(3)
    for place in range(0, len(content), 7):
        flipped = bytearray(content)
        flipped[place] ^= 1
        assert parse_timeline(bytes(flipped)).defects, place


def test_a_line_that_a_crash_cut_off_is_named_and_swallows_no_other():
    content = chain(2)[:-20]
    content += format_new_lines(content, [entry(2), entry(3)])
    timeline = parse_timeline(content)
    assert [item.id for item in timeline.entries] == ["run-1", "run-2", "run-3"]
    assert [defect.line for defect in timeline.defects] == [2]
    assert [line for line, _ in defects(chain(2)[:-1])] == [2], "no line end"


@pytest.mark.parametrize("content", [b"\xff\n", b"[" * 100_000 + b"\n", b'{"a":1,"a":2}\n', b'{"id":1e999}\n', b"3\n"])
def test_nothing_that_stands_in_the_file_raises(content):
    assert [line for line, _ in defects(content)] == [1]


def test_a_timeline_cut_at_its_end_is_sound_in_itself_and_has_another_head():
    whole, cut = parse_timeline(chain(4)), parse_timeline(joined(lines_of(chain(4))[:3]))
    assert cut.defects == ()
    assert (whole.head in whole.heads, whole.head in cut.heads) == (True, False)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "gossip"},
        {"id": ""},
        {"id": "a\nb"},
        {"at": "yesterday"},
        {"recorded_at": "2026-11-21T08:00:00+01:00"},
        {"facts": {"record": "no object"}},
        {"facts": {"value": float("nan")}},
        {"text": 3},
    ],
    ids=str,
)
def test_what_is_no_entry_is_not_written(change):
    with pytest.raises(TimelineError):
        format_new_lines(b"", [replace(entry(), **change)])


def test_an_entry_travels_as_an_object_of_json():
    assert parse_entry(as_dict(entry())) == replace(entry(), facts={})
    for wrong in (3, {}, {**as_dict(entry()), "more": 1}, {"id": "x", "at": NOW, "kind": "note"}):
        with pytest.raises(TimelineError):
            parse_entry(wrong)
