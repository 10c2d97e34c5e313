"""The border with Ansible: what goes in, how a result leaves. The lease itself is tested with its module_utils."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import state_lease
from ansible.module_utils.testing import patch_module_args
from trading_ops.state.lease import Clock


def run(capsys: pytest.CaptureFixture[str], state_path: Path, state: str, run_id: str, **more: Any) -> dict[str, Any]:
    params = {"state": state, "run_id": run_id, "by": "reno", "state_path": str(state_path), **more}
    with patch_module_args(params), pytest.raises(SystemExit) as ended:
        state_lease.main()
    result = json.loads(capsys.readouterr().out)
    assert bool(ended.value.code) == bool(result.get("failed"))
    return result


def test_one_run_takes_it_another_is_locked_until_it_is_freed(capsys, tmp_path):
    assert run(capsys, tmp_path, "present", "1", purpose="x")["outcome"] == "proven"
    locked = run(capsys, tmp_path, "present", "2")
    assert (locked["failed"], locked["outcome"], locked["msg"]) == (True, "locked", locked["summary"])
    assert run(capsys, tmp_path, "absent", "2")["warnings"]
    assert run(capsys, tmp_path, "absent", "1")["changed"] is True
    assert run(capsys, tmp_path, "present", "2")["outcome"] == "proven"


def test_waiting_is_bounded_by_its_time_out_and_never_done_in_check_mode(capsys, tmp_path, monkeypatch):
    slept: list[float] = []
    clock = iter([0.0, 0.0, 1.0, 2.0, 0.0, 0.0])
    monkeypatch.setattr(state_lease, "Clock", partial(Clock, monotonic=lambda: next(clock), sleep=slept.append))
    run(capsys, tmp_path, "present", "1")
    slept.clear()
    clock = iter([0.0, 0.0, 1.0, 2.0])
    assert run(capsys, tmp_path, "present", "2", wait_timeout_seconds=2)["outcome"] == "locked"
    assert slept == [1.0, 1.0]
    clock = iter([0.0, 0.0])
    checked = run(capsys, tmp_path, "present", "2", wait_timeout_seconds=60, _ansible_check_mode=True)
    assert (checked["outcome"], slept) == ("locked", [1.0, 1.0])


def test_good_and_bad_results_have_the_same_keys(capsys, tmp_path):
    good = run(capsys, tmp_path, "present", "1")
    assert set(good) - {"invocation"} <= set(run(capsys, tmp_path, "present", "2"))
    assert set(good) - {"invocation"} <= set(run(capsys, tmp_path, "absent", "1"))
