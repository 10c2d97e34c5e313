"""The border with Ansible of what a person on call uses."""

from __future__ import annotations

import json
from typing import Any

import alert_history_info
import alertmanager_info
import alertmanager_silence
import handover
import host_access_info
import host_status_info
import metric_checks_info
import oncall_access_info
import pytest
import shift_entry
import shift_info
import shift_report
import yaml
from ansible.module_utils.testing import patch_module_args

from tests.unit.fake_prometheus import catalogue_item
from tests.unit.shift_world import estate

NOWHERE = "http://127.0.0.1:1"


def run(
    module: Any, capsys: pytest.CaptureFixture[str], check: bool = False, **params: Any
) -> tuple[int, dict[str, Any]]:
    with patch_module_args({**params, "_ansible_check_mode": check}), pytest.raises(SystemExit) as ended:
        module.main()
    return ended.value.code or 0, json.loads(capsys.readouterr().out)


def returned(module: Any) -> set[str]:
    return set(yaml.safe_load(module.RETURN))


def test_anyone_who_is_away_is_unknown_and_ends_no_run(tmp_path, capsys):
    code, seen = run(alertmanager_info, capsys, alertmanager_url=NOWHERE)
    assert (code, seen["outcome"]) == (0, "unknown")
    assert returned(alertmanager_info) <= seen.keys()
    code, seen = run(alert_history_info, capsys, prometheus_url=NOWHERE)
    assert (code, seen["outcome"]) == (0, "unknown")
    assert returned(alert_history_info) <= seen.keys()
    checks = [catalogue_item(id="psi"), catalogue_item(id="gaps")]
    code, seen = run(metric_checks_info, capsys, prometheus_url=NOWHERE, checks=checks, curves=["psi"])
    assert (code, seen["outcome"]) == (0, "unknown")
    assert [(each["id"], each["status"]) for each in seen["curves"]["checks"]] == [("psi", "failed")]
    assert run(metric_checks_info, capsys, prometheus_url=NOWHERE, checks=checks)[1]["curves"] == {}


def test_a_silence_that_cannot_be_made_fails(capsys):
    asked = {"matchers": {"alertname": "Psi"}, "minutes": 5, "incident_id": "INC-1", "reason": "x", "by": "anna"}
    code, seen = run(alertmanager_silence, capsys, alertmanager_url=NOWHERE, **asked)
    assert (code, seen["outcome"], seen["changed"]) == (1, "failed", False)
    assert returned(alertmanager_silence) <= seen.keys()
    code, seen = run(alertmanager_silence, capsys, alertmanager_url=NOWHERE, state="absent")
    assert (code, seen["outcome"]) == (1, "usage")


def test_a_host_without_an_engine_is_looked_at_all_the_same(tmp_path, capsys):
    away = {"docker_url": f"unix://{tmp_path}/no.sock", "state_path": str(tmp_path), "docker_root_path": str(tmp_path)}
    code, seen = run(host_status_info, capsys, **away)
    assert (code, seen["outcome"], len(seen["trouble"])) == (0, "unknown", 1)
    assert returned(host_status_info) <= seen.keys()
    assert seen["machine"]["memory_bytes"] > 0
    assert any(each["holds_engine"] for each in seen["filesystems"])
    code, seen = run(host_access_info, capsys, paths=[str(tmp_path)], docker_url=away["docker_url"])
    assert (code, seen["outcome"]) == (0, "failed")
    assert seen["access"][-1] == {
        "what": str(tmp_path),
        "outcome": "pass",
        "text": "can be read and edited",
        "fix": "",
    }


def test_what_happened_is_kept_on_record_once_and_read_again(tmp_path, capsys):
    alert = {
        "fingerprint": "d059425acb157b72",
        "alertname": "Psi",
        "starts_at": "2026-11-21T05:30:00.000Z",
        "labels": {},
    }
    asked = {"kind": "alert_taken", "by": "anna", "facts": [alert], "state_path": str(tmp_path)}
    code, kept = run(shift_entry, capsys, **asked)
    assert (code, kept["outcome"]) == (1, "usage")
    asked["common"] = {"next": "trains it"}
    code, kept = run(shift_entry, capsys, check=True, **asked)
    assert (code, kept["outcome"], kept["changed"], list(tmp_path.iterdir())) == (0, "planned", True, [])
    for changed in (True, False):
        code, kept = run(shift_entry, capsys, **asked)
        assert (code, kept["outcome"], kept["changed"]) == (0, "proven", changed)
    code, kept = run(shift_entry, capsys, check=True, **asked)
    assert (kept["outcome"], kept["changed"]) == ("planned", False)
    code, seen = run(shift_info, capsys, state_path=str(tmp_path))
    assert (code, [take["by"] for take in seen["takes"]]) == (0, ["anna"])
    assert returned(shift_info) <= seen.keys()


def test_a_report_that_is_not_green_ends_no_run(tmp_path, capsys):
    params = {**estate(), "reports_path": str(tmp_path)}
    params["hosts"]["lab2"] = {}
    code, seen = run(shift_report, capsys, **params)
    assert (code, seen["outcome"]) == (0, "unknown")
    assert returned(shift_report) <= seen.keys()
    params["since"] = "yesterday"
    code, seen = run(shift_report, capsys, **params)
    assert (code, seen["outcome"]) == (0, "usage")
    names = ("hosts", "checks", "alerts", "incidents", "shift")
    quiet = {"lab1": {"outcome": "proven", "alerts": []}}
    code, seen = run(
        handover, capsys, history=quiet, reports_path=str(tmp_path), **{name: params[name] for name in names}
    )
    assert (code, seen["outcome"]) == (0, "unknown")
    assert returned(handover) <= seen.keys()


def test_an_access_that_fails_shows_no_secret(capsys):
    services = [{"name": "Grafana", "url": NOWHERE, "username": "anna", "password": "s3cret-x"}]
    code, seen = run(
        oncall_access_info, capsys, hosts={}, services=services, notification_urls=["ops=nonsense://t0ken-y/z"]
    )
    assert (code, seen["outcome"]) == (0, "failed")
    assert "s3cret-x" not in json.dumps(seen)
    assert "t0ken-y" not in json.dumps(seen)
    assert returned(oncall_access_info) <= seen.keys()
