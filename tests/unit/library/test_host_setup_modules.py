"""The border with Ansible of what sets a host up."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import host_prerequisites_info
import known_estate
import machine_info
import onboarding_info
import pytest
import trading_guard
from ansible.module_utils.testing import patch_module_args
from trading_ops.core.machine import Machine
from trading_ops.host.engine import EngineError

from tests.unit.fakes import FakeEngine, bot

ROOT = Path(__file__).parents[3]


def run(module: Any, capsys: pytest.CaptureFixture[str], **params: Any) -> tuple[int, dict[str, Any]]:
    with patch_module_args(params), pytest.raises(SystemExit) as ended:
        module.main()
    return ended.value.code or 0, json.loads(capsys.readouterr().out)


SENT = """
import json, sys
import ansible.module_utils
ansible.module_utils.__path__.append(sys.argv[1] + "/module_utils")
sys.path.insert(0, sys.argv[1] + "/library")
import trading_guard
print(json.dumps(trading_guard.package.loaded_sources()))
"""


def test_what_a_host_gets_is_all_that_its_guard_needs(tmp_path):
    """In processes of their own: this one has the whole package loaded."""
    asked = [sys.executable, "-c", SENT, str(ROOT)]
    sources = json.loads(subprocess.run(asked, check=True, capture_output=True, text=True).stdout)
    for name, text in sources.items():
        assert text == (ROOT / "module_utils" / "trading_ops" / name).read_text()
        (tmp_path / "trading_ops" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "trading_ops" / name).write_text(text)
    begun = [
        sys.executable,
        "-c",
        "import trading_ops.guard.__main__, trading_ops.core.package as own; print(len(own.loaded_sources()))",
    ]
    alone = subprocess.run(begun, env={"PYTHONPATH": str(tmp_path)}, check=True, capture_output=True, text=True)
    assert 15 < int(alone.stdout) <= len(sources)


def test_dropped_host_is_refused_with_the_command_that_drops_it(tmp_path, capsys):
    params = {"trading_hosts": ["a", "b"], "state_path": str(tmp_path)}
    code, first = run(known_estate, capsys, **params)
    assert (code, first["outcome"], first["changed"]) == (0, "proven", True)
    code, refused = run(known_estate, capsys, **params | {"trading_hosts": ["a"]})
    assert (code, refused["outcome"], refused["msg"]) == (1, "refused", refused["summary"])
    assert set(first) - {"invocation"} <= set(refused)


def test_host_without_an_engine_is_refused_and_tells_its_clock(monkeypatch, tmp_path, capsys):
    def nobody(_url: str) -> None:
        raise EngineError("The engine could not answer: refused.")

    monkeypatch.setattr(host_prerequisites_info, "docker_engine", nobody)
    code, seen = run(host_prerequisites_info, capsys, controller_epoch=12.5, state_path=str(tmp_path))
    assert (code, seen["outcome"], seen["changed"], seen["controller_epoch"]) == (1, "refused", False, 12.5)
    assert "The engine could not answer: refused." in seen["summary"]
    assert seen["host_epoch"] > 1e9


@pytest.mark.parametrize(("mode", "expected"), [("paper", (0, "proven")), (None, (1, "failed"))])
def test_report_fails_on_a_mismatch_only(monkeypatch, tmp_path, capsys, mode, expected):
    class Describing(FakeEngine):
        def inspect(self, container_id: str) -> dict[str, Any] | None:
            seen = super().inspect(container_id)
            assert seen
            seen["Config"]["Env"] = ["TRADING_MODE=paper"]
            return seen

    engine = Describing(bot("a", mode=mode))
    monkeypatch.setattr(onboarding_info, "docker_engine", lambda _url: engine)
    code, seen = run(onboarding_info, capsys, state_path=str(tmp_path))
    assert (code, seen["outcome"], seen["changed"]) == (*expected, False)


def test_guard_is_judged_by_the_checker_before_anything_is_written(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(trading_guard.installed, "INSTALL_PATH", tmp_path / "lib")
    monkeypatch.setattr(trading_guard.installed, "observe_guard", lambda: {"state": "absent", "summary": "no guard"})
    file = {"path": str(tmp_path / "x"), "content": "if\n", "validate": ["sh", "-n", "%s"]}
    code, seen = run(trading_guard, capsys, files=[file])
    assert (code, seen["outcome"], list(tmp_path.iterdir())) == (1, "failed", [])
    file["content"] = "true\n"
    code, seen = run(trading_guard, capsys, files=[file], _ansible_check_mode=True)
    assert (code, seen["outcome"], seen["changed"], list(tmp_path.iterdir())) == (0, "planned", True, [])


def test_a_machine_tells_which_it_is(monkeypatch, capsys):
    monkeypatch.setattr(machine_info, "observe_machine", lambda _engine: Machine("1" * 32, "boot-of-it"))
    code, seen = run(machine_info, capsys)
    assert (code, seen["outcome"], seen["changed"]) == (0, "proven", False)
    assert seen["machine"] == {"machine_id": "1" * 32, "boot_id": "boot-of-it"}
    monkeypatch.setattr(machine_info, "observe_machine", lambda _engine: Machine("", "boot-of-it"))
    code, seen = run(machine_info, capsys)
    assert (code, seen["outcome"], "systemd-machine-id-setup" in seen["summary"]) == (1, "unknown", True)
