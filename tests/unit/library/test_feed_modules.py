"""The border with Ansible of the modules around the feed gate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import data_corruption_info
import feed_gate
import feed_info
import pytest
from ansible.module_utils.testing import patch_module_args

from tests.unit.fakes import FakeContainer, FakeEngine

FEED = {"host": "lab1", "container_id": "f" * 64, "started_at": "2026-11-21T01:00:00Z"}


def run(module: Any, capsys: pytest.CaptureFixture[str], **params: Any) -> tuple[int, dict[str, Any]]:
    with patch_module_args(params), pytest.raises(SystemExit) as ended:
        module.main()
    return ended.value.code or 0, json.loads(capsys.readouterr().out)


def test_the_gate_opens_closes_and_is_checked_without_a_change(tmp_path: Path, capsys):
    path, place = tmp_path / "feed_gate.json", {"state_path": str(tmp_path)}
    code, planned = run(feed_gate, capsys, state="open", feeds=[FEED], _ansible_check_mode=True, **place)
    assert (code, planned["outcome"], planned["changed"], path.exists()) == (0, "planned", True, False)
    code, opened = run(feed_gate, capsys, state="open", feeds=[FEED], ttl_seconds=60, by="reno", **place)
    assert (code, opened["outcome"], json.loads(path.read_text())["by"]) == (0, "proven", "reno")
    code, closed = run(feed_gate, capsys, state="closed", **place)
    assert (code, closed["outcome"], path.exists()) == (0, "proven", False)


def test_a_gate_without_a_feed_is_refused_with_the_keys_of_success(tmp_path: Path, capsys):
    code, refused = run(feed_gate, capsys, state="open", state_path=str(tmp_path))
    assert (code, refused["outcome"], refused["msg"]) == (1, "refused", refused["summary"])
    assert {"changed", "outcome", "summary", "next_command"} <= refused.keys()


def test_the_feed_is_told_or_the_module_fails(monkeypatch: pytest.MonkeyPatch, capsys):
    labels = {"com.docker.compose.project": "p", "com.docker.compose.service": "live_connector"}
    engine = FakeEngine(FakeContainer("live_connector", labels))
    monkeypatch.setattr(feed_info, "docker_engine", lambda _url: engine)
    code, seen = run(feed_info, capsys, host="lab1", project_name="p")
    assert (code, seen["outcome"], seen["feed"]["host"]) == (0, "proven", "lab1")
    code, none = run(feed_info, capsys, host="lab1", project_name="other")
    assert (code, none["outcome"], none["feed"], none["msg"]) == (1, "refused", {}, none["summary"])
    assert seen.keys() - {"invocation"} <= none.keys()


@pytest.mark.parametrize(
    ("is_said", "check", "must_stop"), [(True, "pass", True), (False, "fail", True), (False, "pass", False)]
)
def test_wrong_data_is_decided_from_what_was_registered(is_said, check, must_stop, capsys):
    metrics = [{"checks": [{"id": "gaps", "group": "data_quality", "outcome": check}]}]
    stops = {"lab1": {"outcome": "proven"}}
    code, decided = run(data_corruption_info, capsys, is_said=is_said, metrics=metrics, stops=stops)
    assert (code, decided["must_stop"]) == (0, must_stop)
