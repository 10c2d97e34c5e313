"""The border with Ansible of the modules around an incident's record."""

from __future__ import annotations

import json
from typing import Any

import incident_classify
import incident_close
import incident_copy
import incident_entry
import incident_info
import incident_record
import incident_verify
import pytest
from ansible.module_utils.testing import patch_module_args
from trading_ops.incident.timeline import KINDS

ID = "INC-20261121-080000-gaps"


@pytest.fixture
def run(tmp_path, capsys):
    def run_module(module: Any, place: str, **params: Any) -> dict[str, Any]:
        params = {"incidents_path": str(tmp_path / place), "incident_id": ID, **params}
        with patch_module_args(params), pytest.raises(SystemExit) as ended:
            module.main()
        result = json.loads(capsys.readouterr().out)
        assert bool(ended.value.code) == bool(result.get("failed"))
        assert {"outcome", "summary", "next_command"} <= result.keys()
        return result

    return run_module


def test_a_note_says_of_the_record_what_is_not_empty(run, tmp_path):
    run(incident_entry, "copies", text="taken", record={"phase": "", "owner": "anna", "next_step": ""})
    run(incident_entry, "copies", text="seen", record={"owner": ""})
    lines = [json.loads(line) for line in (tmp_path / "copies" / ID / "pending.jsonl").read_text().splitlines()]
    assert [line.get("facts") or {} for line in lines] == [{"record": {"owner": "anna"}}, {}]


def test_from_a_note_to_a_verified_and_closed_record(run):
    assert run(incident_entry, "copies", text="x", _ansible_check_mode=True)["outcome"] == "planned"
    assert run(incident_info, "copies", incident_id="")["incidents"] == []
    noted = run(incident_entry, "copies", kind="detection", text="gaps", by="reno", facts={"record": {"reason": "x"}})
    assert (noted["changed"], bool(noted["entry_id"])) == (True, True)
    assert run(incident_entry, "copies", text="y", entry_id=noted["entry_id"])["changed"] is False
    judged = run(incident_classify, "copies", facts={"data_corruption": True}, by="reno")
    assert (judged["category"], judged["severity"], len(judged["lines"])) == ("A", "critical", 5)
    again = run(incident_classify, "copies", facts={"data_corruption": True}, by="reno")
    assert again["changed"] is False
    changed = run(incident_classify, "copies", category="E", severity="major", reason="the venue says so", by="reno")
    assert (changed["category"], changed["severity"]) == ("E", "major")
    assert changed["record"]["category"]["computed"]["letter"] == "A", "both are kept"

    pending = run(incident_info, "copies")["pending"][ID]
    assert run(incident_record, "home", entries=pending, _ansible_check_mode=True)["outcome"] == "planned"
    home = run(incident_record, "home", entries=pending, by="reno")
    assert (home["outcome"], home["changed"], home["record"]["reason"]) == ("proven", True, "x")
    assert run(incident_record, "home", entries=pending)["changed"] is False
    texts = {key: home[key] for key in ("timeline", "incident", "post_mortem")}
    assert run(incident_copy, "copies", **texts)["changed"] is True
    assert run(incident_copy, "copies", **texts)["changed"] is False
    for place in ("home", "copies"):
        assert run(incident_verify, place)["outcome"] == "proven"

    refused = run(incident_close, "home", actions="reno: fix")
    assert (refused["outcome"], refused["failed"]) == ("refused", True)
    closed = run(incident_close, "home", cause="a lost stream", actions="reno: fix")
    assert (closed["outcome"], closed["changed"]) == ("proven", True)
    assert run(incident_verify, "home", head=home["head"])["outcome"] == "proven"


def test_what_is_wrong_fails_with_its_outcome(run, tmp_path):
    assert run(incident_entry, "copies", incident_id="../x")["outcome"] == "failed"
    assert run(incident_entry, "copies", at="yesterday")["outcome"] == "failed"
    assert run(incident_record, "home", entries=[{"id": 1}])["outcome"] == "failed"
    assert run(incident_record, "home", incident_id="a/b")["outcome"] == "failed"
    assert run(incident_classify, "copies", category="F", reason="x")["outcome"] == "usage"
    assert run(incident_classify, "copies", severity="huge", reason="x")["outcome"] == "usage"
    assert run(incident_classify, "copies", category="A", reason=" ")["outcome"] == "usage"
    hours = run(incident_classify, "copies", facts={"reason": "x"}, trading_hours=["sometimes"])
    assert (hours["outcome"], "window of trading hours" in hours["summary"]) == ("failed", True)
    assert not (tmp_path / "copies").exists()
    assert run(incident_verify, "home")["outcome"] == "unknown"


def test_every_kind_of_entry_can_be_written():
    assert set(incident_entry.ARGUMENT_SPEC["kind"]["choices"]) == KINDS
