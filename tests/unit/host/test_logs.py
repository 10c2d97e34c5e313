import io
import json

import pytest
from trading_ops.host.logs import Seen, is_older, look_at_file, pieces_of_answer, pieces_of_file, seek_tail, split_lines

AT = "2026-11-21T05:{:02}:00.000000001Z"


def record(minute: int, text: str = "x\n") -> bytes:
    return (
        json.dumps({"log": text, "stream": "stdout", "time": AT.format(minute)}, separators=(",", ":")).encode() + b"\n"
    )


def texts(pieces) -> list[bytes]:
    return [mark + content for mark, content in pieces]


def test_what_goes_on_with_a_long_line_gets_no_stamp_of_its_own():
    seen = Seen()
    records = [f"{AT.format(minute)} {text}".encode() for minute, text in [(1, "long "), (2, "line\n"), (3, "next\n")]]
    assert texts(pieces_of_answer(records, False, seen)) == [records[0], b"line\n", records[2]]
    assert (seen.records, seen.newest) == (3, AT.format(3))


def test_a_terminals_answer_is_cut_into_lines_however_it_comes():
    text = f"{AT.format(1)} a\n{AT.format(2)} b\n".encode()
    for cut in range(len(text)):
        assert list(split_lines([text[:cut], text[cut:]])) == text.splitlines(keepends=True)


def test_a_damaged_record_is_yielded_as_far_as_it_goes_and_counted():
    seen = Seen()
    file = io.BytesIO(record(1) + b"\0\0\0" + record(2) + b'{"log":"torn' + b"\n" + record(3))
    found = texts(pieces_of_file(file, "", seen))
    assert found[-1] == AT.format(3).encode() + b" x\n"
    assert b'(damaged record) {"log":"torn\n' in found
    assert (seen.damaged, seen.records, seen.newest) == (2, 3, AT.format(3))


def test_records_from_before_the_moment_asked_for_are_left_out():
    found = texts(pieces_of_file(io.BytesIO(record(1) + record(2) + record(3)), AT.format(2), Seen()))
    assert [piece[:20] for piece in found] == [AT.format(2)[:20].encode(), AT.format(3)[:20].encode()]


@pytest.mark.parametrize(("records", "left"), [(0, 5), (1, 1), (3, 3), (5, 5), (9, 5)])
def test_the_tail_begins_at_a_record(records, left):
    file = io.BytesIO(b"".join(map(record, range(5))))
    seek_tail(file, records, 1 << 20)
    assert len(file.read().splitlines()) == left


def test_the_tail_is_never_longer_than_allowed_and_begins_with_a_whole_record():
    lines = list(map(record, range(5)))
    file = io.BytesIO(b"".join(lines))
    seek_tail(file, 5, len(lines[0]) * 2 + 10)
    assert file.read() == b"".join(lines[3:])


def test_a_file_is_counted_without_being_kept(tmp_path):
    path = tmp_path / "x-json.log"
    path.write_bytes(record(1) + b"garbage\n" + record(2))
    seen = look_at_file(path, 10, "", 1 << 20)
    assert (seen.records, seen.damaged, seen.newest) == (2, 1, AT.format(2))


@pytest.mark.parametrize(
    ("newest", "than", "expected"),
    [
        ("2026-11-21T05:00:00Z", "2026-11-21T05:00:00.000000001Z", True),
        ("2026-11-21T05:00:00.1Z", "2026-11-21T05:00:00.09Z", False),
        ("2026-11-21T05:00:00.5Z", "2026-11-21T05:00:00.500000000Z", False),
    ],
)
def test_stamps_are_compared_to_the_nanosecond(newest, than, expected):
    assert is_older(newest, than) is expected
