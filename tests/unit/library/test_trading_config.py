"""The border with Ansible of what changes and reads the trading configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import drift_log_info
import pytest
import trading_config
import yaml
from ansible.module_utils.testing import patch_module_args

SHIPPED = Path(__file__).parents[3] / "lab/ai_trading_core/config/trading.yml"


@pytest.fixture
def params(tmp_path):
    (tmp_path / "trading.yml").write_bytes(SHIPPED.read_bytes())
    return {
        "path": str(tmp_path / "trading.yml"),
        "changes": "sizing.position_ratio=0.05,venue.enabled=false",
        "reason": "spreads are wide",
        "state_path": str(tmp_path),
    }


def run(module: Any, capsys: pytest.CaptureFixture[str], params: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return the result; a module is given the options it has."""
    known = {**params, "documentation_path": str(Path(params["path"]).with_name("page.md")), "by": "reno"}
    known = {key: value for key, value in known.items() if key in module.ARGUMENT_SPEC} | more
    with patch_module_args(known), pytest.raises(SystemExit) as ended:
        module.main()
    result = json.loads(capsys.readouterr().out)
    assert bool(ended.value.code) == bool(result.get("failed"))
    return result


def test_values_as_they_are_typed_are_seen_changed_and_listed(params, capsys):
    seen = run(trading_config, capsys, params, _ansible_check_mode=True)
    assert (seen["outcome"], len(seen["changes"])) == ("planned", 2)
    assert Path(params["path"]).read_bytes() == SHIPPED.read_bytes()
    assert (run(trading_config, capsys, params)["changed"], run(trading_config, capsys, params)["changed"]) == (
        True,
        False,
    )
    content = yaml.safe_load(Path(params["path"]).read_text())
    assert (content["sizing"]["position_ratio"], content["venue"]["enabled"]) == (0.05, False)
    listed = run(drift_log_info, capsys, params)
    assert (listed["outcome"], listed["documentation_due"]) == ("proven", ["sizing.position_ratio", "venue.enabled"])
    assert listed["lines"][0].endswith("sizing.position_ratio 0.1 -> 0.05, reno: spreads are wide")


@pytest.mark.parametrize("is_dry_run", [True, False])
def test_what_is_refused_fails_with_the_same_keys_and_its_outcome(is_dry_run, params, capsys, tmp_path):
    good = run(trading_config, capsys, params, _ansible_check_mode=True)
    wrong = run(trading_config, capsys, params, changes={"nosuch": 1}, _ansible_check_mode=is_dry_run)
    assert (wrong["failed"], wrong["outcome"], wrong["msg"]) == (True, "usage", wrong["summary"])
    (tmp_path / "halt.json").write_text('{"scope": "all", "incident_ids": ["INC-1"]}')
    refused = run(
        trading_config, capsys, params, changes={"sizing.position_ratio": 0.2}, _ansible_check_mode=is_dry_run
    )
    assert (refused["outcome"], refused["next_command"]) == ("refused", "./runbook halt_release -e incident_id=INC-1")
    for result in (wrong, refused):
        assert set(good) - {"invocation"} <= set(result)


def test_a_damaged_drift_log_is_unknown_and_no_failure_of_the_module(params, capsys, tmp_path):
    (tmp_path / "drift_log.jsonl").write_text("garbage\n")
    seen = run(drift_log_info, capsys, params)
    assert (seen["outcome"], seen.get("failed")) == ("unknown", None)
