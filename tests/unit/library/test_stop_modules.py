"""The border with Ansible: what goes in, how a result leaves."""

from __future__ import annotations

import json
from typing import Any

import bot_stop
import kill_switch
import kill_switch_info
import pytest
from ansible.module_utils.testing import patch_module_args

from tests.unit.fakes import FakeEngine, bot, trading_host

MODULES = {"kill_switch": kill_switch, "kill_switch_info": kill_switch_info, "bot_stop": bot_stop}


@pytest.fixture
def engine(monkeypatch):
    fake = FakeEngine(bot("a"), bot("b", mode="live"))
    for module in MODULES.values():
        monkeypatch.setattr(module, "this_host", lambda _url, path: trading_host(fake, path))
    return fake


def run(module: Any, capsys: pytest.CaptureFixture[str], **params: Any) -> tuple[int, dict[str, Any]]:
    with patch_module_args(params), pytest.raises(SystemExit) as ended:
        module.main()
    return ended.value.code or 0, json.loads(capsys.readouterr().out)


def test_proven_stop_exits_well_and_twice_changes_once(engine, tmp_path, capsys):
    params = {"state": "engaged", "reason": "x", "state_path": str(tmp_path)}
    code, result = run(kill_switch, capsys, **params)
    assert (code, result["outcome"], result["changed"]) == (0, "proven", True)
    code, result = run(kill_switch, capsys, **params)
    assert (code, result["changed"]) == (0, False)


def test_check_mode_changes_nothing(engine, tmp_path, capsys):
    code, result = run(kill_switch, capsys, state="engaged", state_path=str(tmp_path), _ansible_check_mode=True)
    assert (code, result["outcome"], result["changed"]) == (0, "planned", True)
    assert all(item.running for item in engine.by_id.values())
    assert list(tmp_path.iterdir()) == []


def test_stop_that_is_not_proven_fails_with_the_same_keys(engine, tmp_path, capsys):
    _, good = run(kill_switch, capsys, state="engaged", state_path=str(tmp_path))
    engine.add(bot("c", immortal=True))
    code, bad = run(kill_switch, capsys, state="engaged", state_path=str(tmp_path))
    assert (code, bad["failed"], bad["outcome"], bad["msg"]) == (1, True, "running", bad["summary"])
    assert set(good) - {"invocation"} <= set(bad)


def test_nonsense_values_are_warned_about_and_do_not_refuse(engine, tmp_path, capsys):
    code, result = run(kill_switch, capsys, state="engaged", state_path=str(tmp_path), grace_period_seconds="soon")
    assert code == 0
    assert "soon" in str(result["warnings"])


def test_refused_release_fails(engine, tmp_path, capsys):
    run(kill_switch, capsys, state="engaged", incident_id="INC-1", state_path=str(tmp_path))
    code, result = run(kill_switch, capsys, state="released", incident_id="INC-2", state_path=str(tmp_path))
    assert (code, result["outcome"]) == (1, "refused")


def test_planned_stop_takes_one_mode_and_no_latch(engine, tmp_path, capsys):
    code, result = run(bot_stop, capsys, mode="paper", state_path=str(tmp_path))
    assert (code, [item["name"] for item in result["bots"]]) == (0, ["a"])
    assert not (tmp_path / "halt.json").exists()


def test_info_reads_only(engine, tmp_path, capsys):
    code, result = run(kill_switch_info, capsys, state_path=str(tmp_path))
    assert (code, result["changed"], len(result["bots"])) == (0, False, 2)
    assert {call[0] for call in engine.calls} == {"containers", "inspect"}
    assert list(tmp_path.iterdir()) == []
