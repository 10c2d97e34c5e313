"""The border with Ansible of backup, repository and restore."""

from __future__ import annotations

import json
from typing import Any

import backup
import backup_check_info
import backup_info
import backup_prune
import backup_server
import pytest
import restore
from ansible.module_utils.testing import patch_module_args

SET = "SET-20261121-023000"
MODULES = [backup, backup_check_info, backup_info, backup_prune, backup_server, restore]


def run(module: Any, capsys: pytest.CaptureFixture[str], tmp_path, **more: Any) -> dict[str, Any]:
    """Return the result on a machine without any of the secrets; a module is given the options it has."""
    known = {
        "repository": str(tmp_path / "repository"),
        "password_path": str(tmp_path / "password"),
        "project_name": "trading-paper",
        "host": "lab1",
        "keep_within": "90d",
        "set": SET,
        "confirm_restore": SET,
        "scratch_path": str(tmp_path / "scratch"),
        "data_path": str(tmp_path / "data"),
        "key_path": str(tmp_path / "key"),
    }
    known = {key: value for key, value in known.items() if key in module.ARGUMENT_SPEC} | more
    with patch_module_args(known), pytest.raises(SystemExit) as ended:
        module.main()
    result = json.loads(capsys.readouterr().out)
    assert bool(ended.value.code) == bool(result.get("failed"))
    return result


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_what_is_missing_is_refused_with_a_sentence_and_nothing_is_made(module, capsys, tmp_path):
    for check in (True, False):
        seen = run(module, capsys, tmp_path, _ansible_check_mode=check)
        assert (seen["outcome"], seen["changed"]) == ("refused", False)
        assert seen.get("msg", seen["summary"]) == seen["summary"] != ""
    assert list(tmp_path.iterdir()) == []


def test_passwords_are_never_shown():
    for name in ("client_password", "repository_password"):
        assert backup_server.ARGUMENT_SPEC[name]["no_log"] is True
