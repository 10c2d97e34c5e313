"""Modules import the package as Ansible gives it to them, tests by its own name; here both are the same objects.

Two copies would have two EngineErrors, and neither would catch the other.
"""

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import ansible.module_utils
import pytest

TESTS = Path(__file__).parent
MODULE_UTILS = TESTS.parent / "module_utils"

ansible.module_utils.__path__.append(str(MODULE_UTILS))
for path in sorted((MODULE_UTILS / "trading_ops").rglob("*.py")):
    words = path.relative_to(MODULE_UTILS).with_suffix("").parts
    name = ".".join(words[:-1] if words[-1] == "__init__" else words)
    sys.modules[name] = importlib.import_module(f"ansible.module_utils.{name}")


def _engine_trouble() -> str:
    if os.environ.get("TRADING_CORE_NO_ENGINE"):
        return os.environ["TRADING_CORE_NO_ENGINE"]
    if not shutil.which("docker"):
        return "no docker here; ./runbook test says what to type"
    asked = subprocess.run(["docker", "version"], capture_output=True, text=True, timeout=20, check=False)
    return "" if asked.returncode == 0 else asked.stderr.strip().splitlines()[-1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the lab's hosts, and skip it with `tests/engine` where no engine answers; in CI that fails."""
    folders = {item: item.path.relative_to(TESTS).parts[0] for item in items}
    for item in (item for item in items if folders[item] == "lab"):
        item.add_marker(pytest.mark.lab)
    items.sort(key=lambda item: min((mark.args[0] for mark in item.iter_markers("before_others")), default=9))
    here = [item for item in items if folders[item] in {"lab", "engine"}]
    if not here or not (trouble := _engine_trouble()):
        return
    if os.environ.get("CI") == "true":
        pytest.exit(f"CI needs a Docker Engine for {len(here)} tests: {trouble}", returncode=1)
    for item in here:
        item.add_marker(pytest.mark.skip(reason=f"no Docker Engine: {trouble}"))


@pytest.fixture(autouse=True, scope="session")
def own_locks(tmp_path_factory):
    """Tests hold locks of their own: those of this machine belong to what runs on it."""
    locks = importlib.import_module("trading_ops.core.locks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(locks, "FOLDER", tmp_path_factory.mktemp("run") / "lock" / "trading-core")
        yield locks.FOLDER


@pytest.fixture(autouse=True, scope="session")
def no_incident_in_the_checkout(tmp_path_factory):
    """Runs of tests write their records elsewhere: the checkout's are the operator's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADING_CORE_INCIDENTS_PATH", str(tmp_path_factory.mktemp("incidents")))
        patch.delenv("TRADING_CORE_INCIDENT_ID", raising=False)
        yield os.environ["TRADING_CORE_INCIDENTS_PATH"]
