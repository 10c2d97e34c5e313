"""What a module's documentation says of its options is what it accepts; examples name it, and results are described."""

from __future__ import annotations

import importlib
import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
MODULES = sorted(path.stem for path in (ROOT / "library").glob("*.py"))
FALLBACKS = {"type": None, "elements": None, "required": False, "default": None, "choices": None}


def documented_options(module: Any) -> dict[str, dict[str, Any]]:
    """Return the options of a module with those of the fragments it extends."""
    documented = yaml.safe_load(module.DOCUMENTATION)
    options = dict(documented.get("options", {}))
    fragments = documented.get("extends_documentation_fragment", [])
    for name in [fragments] if isinstance(fragments, str) else fragments:
        found = runpy.run_path(str(ROOT / "playbooks" / "doc_fragments" / f"{name}.py"))
        options |= yaml.safe_load(found["ModuleDocFragment"].DOCUMENTATION).get("options", {})
    return options


def facts(options: dict[str, dict[str, Any]], inner: str) -> dict[str, Any]:
    """Return what has to be alike of options; those of a dictionary stand below `inner`."""
    return {
        name: [option.get(key, fallback) for key, fallback in FALLBACKS.items()] + [facts(option.get(inner, {}), inner)]
        for name, option in options.items()
    }


@pytest.mark.parametrize("name", MODULES)
def test_documented_options_are_the_accepted_ones(name):
    module = importlib.import_module(name)
    assert facts(documented_options(module), "suboptions") == facts(module.ARGUMENT_SPEC, "options")


@pytest.mark.parametrize("name", MODULES)
def test_examples_use_the_module_and_results_are_described(name):
    module = importlib.import_module(name)
    assert any(name in task for task in yaml.safe_load(module.EXAMPLES))
    assert all(result.get("description") for result in yaml.safe_load(module.RETURN).values())
