"""The package's own source text: what a host's guard is given, and what a container is asked with."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Final

PACKAGE: Final = "trading_ops"


def sources_of(modules: Iterable[ModuleType]) -> dict[str, str]:
    """Return the source text of modules of this package by path below it, also out of the archive that Ansible runs.

    The whole path, because two rooms may have a file of one name.
    """
    found = {}
    for module in modules:
        spec = module.__spec__
        get_source = getattr(spec.loader, "get_source", None) if spec else None
        if spec and get_source:
            parts = spec.name.split(".")
            below = parts[parts.index(PACKAGE) + 1 :] + (["__init__"] if hasattr(module, "__path__") else [])
            found[f"{'/'.join(below)}.py"] = get_source(spec.name) or ""
    return found


def loaded_sources() -> dict[str, str]:
    """Return the source text of those modules of this package that this process has loaded."""
    package = __name__.rpartition(".core.")[0]
    names = [name for name in sys.modules if name == package or name.startswith(f"{package}.")]
    return sources_of(sys.modules[name] for name in sorted(names))
