"""Modules import the package as Ansible gives it to them, tests by its own name; here both are the same objects.

Two copies would have two EngineErrors, and neither would catch the other.
"""

import importlib
import os
import sys
from pathlib import Path

import ansible.module_utils
import pytest

MODULE_UTILS = Path(__file__).parents[1] / "module_utils"

ansible.module_utils.__path__.append(str(MODULE_UTILS))
for path in sorted((MODULE_UTILS / "trading_ops").rglob("*.py")):
    words = path.relative_to(MODULE_UTILS).with_suffix("").parts
    name = ".".join(words[:-1] if words[-1] == "__init__" else words)
    sys.modules[name] = importlib.import_module(f"ansible.module_utils.{name}")


@pytest.fixture(autouse=True, scope="session")
def no_incident_in_the_checkout(tmp_path_factory):
    """Runs of tests write their records elsewhere: the checkout's are the operator's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADING_CORE_INCIDENTS_PATH", str(tmp_path_factory.mktemp("incidents")))
        patch.delenv("TRADING_CORE_INCIDENT_ID", raising=False)
        yield os.environ["TRADING_CORE_INCIDENTS_PATH"]
