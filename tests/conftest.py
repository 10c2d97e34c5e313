"""Modules import the package as Ansible gives it to them, tests by its own name; here both are the same objects.

Two copies would have two EngineErrors, and neither would catch the other.
"""

import importlib
import sys
from pathlib import Path

import ansible.module_utils

MODULE_UTILS = Path(__file__).parents[1] / "module_utils"

ansible.module_utils.__path__.append(str(MODULE_UTILS))
for path in sorted((MODULE_UTILS / "trading_ops").glob("*.py")):
    name = "trading_ops" if path.stem == "__init__" else f"trading_ops.{path.stem}"
    sys.modules[name] = importlib.import_module(f"ansible.module_utils.{name}")
