"""The border with Ansible: what goes in, how a result leaves. What is decided is tested with the module_utils."""

from __future__ import annotations

import importlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from trading_ops.host.programs import LocalPrograms

NAMES = [
    "deploy_gate_info",
    "deploy_pause",
    "project_revision_info",
    "release",
    "release_fetch",
    "release_record",
    "release_way_back_info",
    "releases_info",
    "schema_info",
    "source_bundle",
    "source_revision_info",
]
ENGINE = "unix:///nonexistent/docker.sock"


def run(capsys: pytest.CaptureFixture[str], name: str, **params: Any) -> dict[str, Any]:
    with patch_module_args(params), pytest.raises(SystemExit) as ended:
        importlib.import_module(name).main()
    result = json.loads(capsys.readouterr().out)
    assert bool(ended.value.code) == bool(result.get("failed"))
    return result


def git(path: Path, *arguments: str) -> str:
    argv = ["git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments]
    return subprocess.run(argv, cwd=path, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path):
    path = tmp_path / "checkout"
    (path / "ops/compose").mkdir(parents=True)
    (path / "ops/compose/docker-compose.yml").write_text("name: x\n")
    git(path, "init", "--quiet", "--initial-branch=main")
    git(path, "add", "--all")
    git(path, "commit", "--quiet", "--message", "first")
    return path


@pytest.mark.parametrize("name", NAMES)
def test_examples_are_yaml_that_calls_the_module(name):
    module = importlib.import_module(name)
    assert all(name in task for task in yaml.safe_load(module.EXAMPLES))


def test_a_pause_is_set_seen_and_lifted(capsys, tmp_path):
    at = {"state_path": str(tmp_path)}
    paused = run(capsys, "deploy_pause", state="present", reason="parity", by="reno", **at)
    assert (paused["outcome"], paused["changed"], "backlog" in paused["lines"][0]) == ("proven", True, True)
    assert run(capsys, "releases_info", **at)["pause"]["reason"] == "parity"
    planned = run(capsys, "deploy_pause", state="absent", reason="fixed", _ansible_check_mode=True, **at)
    assert (planned["outcome"], planned["changed"]) == ("planned", True)
    assert run(capsys, "deploy_pause", state="absent", reason=" ", **at)["outcome"] == "usage"
    assert run(capsys, "deploy_pause", state="absent", reason="fixed", **at)["changed"] is True
    assert run(capsys, "releases_info", **at)["pause"] == {}


def test_an_unknown_release_fails_and_a_record_is_listed(capsys, tmp_path):
    at = {"state_path": str(tmp_path)}
    assert run(capsys, "releases_info", release_id="REL-1", **at)["failed"] is True
    seen = {"revision": "b" * 40, "revision_before": "a" * 40, "images": {}, "images_before": {}, "config": {}}
    recorded = run(capsys, "release_record", result="deployed", hosts={"h": seen | {"config_before": {}}}, **at)
    assert [line["result"] for line in recorded["releases"]] == ["found", "deployed"]
    listed = run(capsys, "releases_info", release_id=recorded["releases"][0]["id"], **at)
    assert listed["release"]["revision"] == "a" * 40


def test_a_revision_goes_from_one_checkout_to_another(capsys, checkout, tmp_path):
    base = run(capsys, "project_revision_info", root_path=str(checkout))["revision"]
    git(tmp_path, "clone", "--quiet", str(checkout), "host")
    (checkout / "ops/compose/docker-compose.yml").write_text("name: y\n")
    git(checkout, "commit", "--quiet", "--all", "--message", "second")
    seen = run(
        capsys, "source_revision_info", path=str(checkout), revision="main", bases=[base], folders=["ops/compose"]
    )
    assert seen["texts"] == {"ops/compose/docker-compose.yml": "name: y\n"}
    assert list(seen["changes"][base]) == ["ops/compose/docker-compose.yml"]
    assert seen["lines"] == ["changed: ops/compose/docker-compose.yml"]
    bundle = tmp_path / "new" / "b"
    at = {"path": str(checkout), "revision": seen["revision"], "bundle_path": str(bundle)}
    assert run(capsys, "source_bundle", _ansible_check_mode=True, **at)["outcome"] == "planned"
    assert not bundle.exists()
    assert run(capsys, "source_bundle", **at)["outcome"] == "proven"
    assert bundle.stat().st_mode & 0o777 == 0o600
    there = {"root_path": str(tmp_path / "host"), "revision": seen["revision"], "docker_url": ENGINE}
    assert run(capsys, "release_fetch", **there)["outcome"] == "failed"
    fetched = run(capsys, "release_fetch", bundle_path=str(bundle), **there)
    assert (fetched["outcome"], fetched["changed"]) == ("proven", True)
    assert run(capsys, "release_fetch", **there)["changed"] is False


def test_a_commit_that_only_a_host_has_is_not_lost_from_sight(capsys, checkout):
    seen = run(capsys, "source_revision_info", path=str(checkout), revision="main", bases=["f" * 40], folders=["ops"])
    assert (seen["outcome"], "a host runs ffffffffff" in seen["summary"]) == ("refused", True)
    assert run(capsys, "source_revision_info", path=str(checkout), revision="x", bases=[], folders=["o"])["failed"]


def test_without_an_engine_a_release_is_unknown_and_a_schema_too(capsys, checkout, tmp_path):
    released = run(
        capsys,
        "release",
        root_path=str(checkout),
        revision=git(checkout, "rev-parse", "HEAD"),
        groups=["feed_hosts"],
        docker_url=ENGINE,
        state_path=str(tmp_path),
        _ansible_check_mode=True,
    )
    assert (released["outcome"], released["failed"]) == ("unknown", True)
    schema = run(capsys, "schema_info", query="SELECT 1", docker_url=ENGINE)
    assert (schema["outcome"], schema["version"]) == ("unknown", None)


def test_stacks_that_take_all_their_time_leave_some_to_look_at_them(capsys, monkeypatch, checkout, tmp_path):
    module, limits = importlib.import_module("release"), []

    def programs(environment, clock, timeout_seconds, *user):
        limits.append(timeout_seconds)
        return LocalPrograms(environment, clock, timeout_seconds, *user)

    monkeypatch.setattr(module, "LocalPrograms", programs)
    at = {"root_path": str(checkout), "revision": "a" * 40, "groups": [], "docker_url": ENGINE}
    run(capsys, "release", state_path=str(tmp_path), timeout_seconds=600, **at)
    assert min(limits) >= 3 * 600 + module.OBSERVE_SECONDS


@pytest.mark.parametrize("name", ["release", "deploy_gate_info", "releases_info", "deploy_pause", "release_record"])
def test_documented_results_are_the_returned_ones(capsys, checkout, tmp_path, name):
    state = {"state_path": str(tmp_path)}
    params = {
        "release": {"root_path": str(checkout), "revision": "a" * 40, "groups": [], "docker_url": ENGINE, **state},
        "deploy_gate_info": {"demands": [], "hosts": [], "bots": {}},
        "releases_info": state,
        "deploy_pause": {"state": "present", "reason": "x", **state},
        "release_record": {"result": "deployed", "hosts": {}, **state},
    }[name]
    returned = run(capsys, name, **params).keys() - {"changed", "failed", "msg", "invocation", "diff", "warnings"}
    assert returned == yaml.safe_load(importlib.import_module(name).RETURN).keys()


def test_a_way_back_is_judged_from_what_was_registered(capsys):
    lease = {"item": "lab1", "outcome": "proven"}
    back = run(capsys, "release_way_back_info", leases=[lease], releases=[{"item": lease, "outcome": "proven"}])
    assert (back["outcome"], back["summary"]) == ("proven", "what ran before runs again")
    lost = run(capsys, "release_way_back_info", leases=[lease], releases=[{"item": lease, "unreachable": True}])
    assert (lost["not_back"], lost["next_command"], lost["changed"]) == (["lab1"], "./runbook releases", False)
