"""The border with Ansible of the alert receiver, Alertmanager's way to it, and the look at both."""

from __future__ import annotations

import json
from typing import Any

import alert_delivery
import alert_path_info
import alert_receiver
import pytest
from ansible.module_utils.testing import patch_module_args

from tests.unit.fake_prometheus import catalogue_item

TOKEN = "t0ken-" * 8
NOBODY = "http://127.0.0.1:9"


def run(
    module: Any, capsys: pytest.CaptureFixture[str], check: bool = False, **params: Any
) -> tuple[int, dict[str, Any], str]:
    with patch_module_args({**params, "_ansible_check_mode": check}), pytest.raises(SystemExit) as ended:
        module.main()
    out = capsys.readouterr().out
    return ended.value.code or 0, json.loads(out), out


def test_a_token_that_is_none_is_wrong_usage_and_is_not_repeated(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("ansible.module_utils.trading_ops.alerts.receiver.PROGRAMS", {})
    params = {
        "token": "a-short-token",
        "address": "192.0.2.14",
        "checks": [catalogue_item()],
        "alertmanager_url": NOBODY,
        "checkout_path": str(tmp_path),
    }
    code, result, out = run(alert_receiver, capsys, **params)
    assert (code, result["outcome"], "a-short-token" in out) == (1, "usage", False)


def test_a_receiver_that_is_not_there_gives_no_answer(tmp_path):
    assert alert_receiver.request("127.0.0.1", "9", "POST", "/alerts", {}, b"") is None


def test_delivery_is_planned_in_check_and_writes_nothing(tmp_path, capsys):
    params = {
        "token": TOKEN,
        "certificate": "-----BEGIN CERTIFICATE-----\nx\n",
        "path": str(tmp_path / "alert-receiver"),
        "init_container": "there-is-no-such-container",
        "alertmanager_url": NOBODY,
    }
    code, result, _ = run(alert_delivery, capsys, check=True, **params)
    assert (code, result["outcome"], (tmp_path / "alert-receiver").exists()) == (0, "planned", False)


def test_a_host_without_a_receiver_is_unknown(tmp_path, capsys):
    code, result, _ = run(alert_path_info, capsys, state_path=str(tmp_path))
    assert (code, result["outcome"], result["next_command"]) == (1, "unknown", "./runbook alert_receiver_setup")
    code, result, _ = run(alert_path_info, capsys, check=True, state_path=str(tmp_path))
    assert (code, result["outcome"]) == (1, "unknown")


def test_a_heartbeat_that_is_waited_for_is_planned_in_check(tmp_path, capsys):
    code, result, _ = run(alert_path_info, capsys, check=True, wait_seconds=150, state_path=str(tmp_path))
    assert (code, result["outcome"]) == (0, "planned")
