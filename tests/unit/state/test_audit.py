import json

import pytest
from trading_ops.state import audit

NOW = "2026-11-21T01:30:00.000Z"


def test_an_entry_is_one_line_whatever_people_write():
    line = audit.format_entry("engaged", "Åse\nX", NOW, reason='a "b"\n{}')
    assert line.count("\n") == 1
    assert json.loads(line) == {"time": NOW, "event": "engaged", "by": "Åse\nX", "reason": 'a "b"\n{}'}


def test_an_event_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match="unknown audit event 'started'"):
        audit.format_entry("started", "reno", NOW)


def test_entries_are_appended_in_order_and_stay(tmp_path):
    for by in ("reno", "kim"):
        audit.append(tmp_path, "released", by, NOW)
    lines = (tmp_path / audit.AUDIT_FILE).read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["by"] for line in lines] == ["reno", "kim"]


def test_a_log_that_cannot_be_written_is_a_warning_that_names_it(tmp_path):
    away = tmp_path / "away"
    (warning,) = audit.record_quietly(away, "released", "reno", NOW)
    assert str(away) in warning
    assert audit.record_quietly(tmp_path, "released", "reno", NOW) == []


SINCE = "2026-11-21T01:30:00Z"


def stopped(name: str, second: int) -> str:
    return audit.format_entry(
        "stopped while halted",
        "guard",
        f"2026-11-21T01:30:{second:02}.500Z",
        container=name,
        why="started while halted",
    )


def read(path, *lines: str, since: str = SINCE) -> list[tuple[str, int, str]]:
    (path / audit.AUDIT_FILE).write_text("".join(lines), encoding="utf-8")
    return [(each.name, each.times, each.since) for each in audit.read_guard_stops(path, since)]


def test_stops_of_the_guard_are_counted_by_bot_since_the_halt(tmp_path):
    seen = read(tmp_path, stopped("a", 0), stopped("b", 1), stopped("b", 2), since="2026-11-21T01:30:01Z")
    assert seen == [("b", 2, "2026-11-21T01:30:01.500Z")]
    assert read(tmp_path, stopped("a", 0), stopped("b", 1), stopped("b", 2))[1] == ("a", 1, "2026-11-21T01:30:00.500Z")


def test_a_release_ends_the_count_where_nobody_knows_since_when_it_is_halted(tmp_path):
    released = audit.format_entry("released", "reno", "2026-11-21T01:30:05.000Z")
    assert read(tmp_path, stopped("a", 1), stopped("a", 2), released, stopped("a", 9), since="") == [
        ("a", 1, "2026-11-21T01:30:09.500Z")
    ]


@pytest.mark.parametrize(
    "line", ["{", "[]\n", "7\n", '{"event": "stopped while halted"}\n', '{"time": 3, "event": 4}\n']
)
def test_a_line_that_nobody_understands_hides_no_other(tmp_path, line):
    assert [times for _, times, _ in read(tmp_path, stopped("a", 1), line, "\n", stopped("a", 2))] == [2]


def test_of_a_long_log_the_newest_part_is_read_and_of_none_nothing(tmp_path, monkeypatch):
    assert audit.read_guard_stops(tmp_path, SINCE) == []
    monkeypatch.setattr(audit, "NEWEST_BYTES", 3 * len(stopped("a", 1)) + 20)
    ((name, times, since),) = read(tmp_path, *(stopped("a", second) for second in range(9)))
    assert (name, times, since) == ("a", 3, "2026-11-21T01:30:06.500Z")
