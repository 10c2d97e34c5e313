"""Modules import the package as Ansible gives it to them, tests by its own name; here both are the same objects.

Two copies would have two EngineErrors, and neither would catch the other.
"""

import importlib
import sys
from pathlib import Path

import ansible.module_utils
import ansible.module_utils.common.warnings
import pytest

MODULE_UTILS = Path(__file__).parents[2] / "module_utils"

ansible.module_utils.__path__.append(str(MODULE_UTILS))
for path in sorted((MODULE_UTILS / "trading_ops").glob("*.py")):
    name = "trading_ops" if path.stem == "__init__" else f"trading_ops.{path.stem}"
    sys.modules[name] = importlib.import_module(f"ansible.module_utils.{name}")


@pytest.fixture(autouse=True)
def no_warning_of_another_test(monkeypatch):
    """A module on a host begins without warnings; here they would pass from one to the next."""
    monkeypatch.setattr(ansible.module_utils.common.warnings, "_global_warnings", {})
