"""The border with Ansible: what goes in, how a result leaves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import compose_services
import compose_services_info
import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from trading_ops.compose.request import Tools

from tests.unit.compose_world import PROJECT, ServiceSpec, World

MODULES = {"compose_services": compose_services, "compose_services_info": compose_services_info}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(tmp_path, bot=ServiceSpec())
    for module in MODULES.values():
        monkeypatch.setattr(module, "docker_engine", lambda _url: world.engine)
        monkeypatch.setattr(module, "Tools", lambda connect: replace(world.tools(), connect=connect))
    return world


def request(world: World, **more: Any) -> dict[str, Any]:
    return {
        "project_src": str(world.path),
        "files": ["docker-compose.yml"],
        "project_name": PROJECT,
        "services": ["bot"],
        "state_path": str(world.path / "state"),
    } | more


def run(module: Any, capsys: pytest.CaptureFixture[str], params: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    with patch_module_args(params), pytest.raises(SystemExit) as ended:
        module.main()
    return ended.value.code or 0, json.loads(capsys.readouterr().out)


def test_tools_reach_the_real_things_by_default():
    tools = Tools(connect=lambda: None)
    assert tools.run.__name__ == "run_command"
    assert tools.now().tzinfo is not None


def test_check_run_check_run(world, capsys):
    results = [run(compose_services, capsys, request(world, _ansible_check_mode=dry)) for dry in (True, False) * 2]
    assert [(code, result["changed"]) for code, result in results] == [(0, True), (0, True), (0, False), (0, False)]
    assert [result["outcome"] for _, result in results] == ["planned", "proven"] * 2
    assert results[0][1]["diff"] == results[1][1]["diff"]


def test_failure_has_the_same_keys_as_success(world, capsys):
    _, good = run(compose_services, capsys, request(world))
    code, bad = run(compose_services, capsys, request(world, services=["nosuch"]))
    assert (code, bad["failed"], bad["outcome"], bad["msg"]) == (1, True, "failed", bad["summary"])
    assert set(good) - {"invocation"} <= set(bad)


def test_stop_needs_neither_place_nor_files(world, capsys):
    run(compose_services, capsys, request(world))
    params = {"project_name": PROJECT, "services": ["bot"], "state": "stopped", "state_path": str(world.path / "state")}
    code, result = run(compose_services, capsys, params)
    assert (code, result["outcome"], world.one("bot").status) == (0, "proven", "exited")


def test_kept_file_is_a_warning(world, capsys):
    (world.path / "state").mkdir()
    (world.path / "state" / "desired.json").write_text("garbage", encoding="utf-8")
    _, result = run(compose_services, capsys, request(world))
    assert "was kept as" in str(result["warnings"])


def test_empty_list_of_services_is_wrong_usage(world, capsys):
    for module in MODULES.values():
        code, result = run(module, capsys, request(world, services=[]))
        assert (code, result["outcome"]) == (1, "usage")


def test_info_reads_only(world, capsys):
    code, result = run(compose_services_info, capsys, request(world))
    assert (code, result["changed"], result["services"][0]["configured"]["action"]) == (0, False, "create")
    assert world.engine.by_id == {}
    assert not (world.path / "state").exists()


def test_info_that_could_not_see_everything_fails_with_what_it_saw(world, capsys):
    (world.path / "docker-compose.yml").unlink()
    code, result = run(compose_services_info, capsys, request(world))
    assert (code, result["outcome"]) == (1, "unknown")
    assert result["services"][0]["observed"]["state"] == "absent"


@pytest.mark.parametrize("name", MODULES)
def test_documented_results_are_the_returned_ones(world, capsys, name):
    documented = yaml.safe_load(MODULES[name].RETURN)
    _, result = run(MODULES[name], capsys, request(world))
    assert set(result) - {"changed", "diff", "invocation", "warnings"} == set(documented)
    assert set(result["services"][0]) == set(documented["services"]["contains"])
