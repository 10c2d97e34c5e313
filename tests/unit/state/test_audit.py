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
