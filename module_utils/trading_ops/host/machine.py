"""Which machine this is, as its own files say it. Only reads."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ..core.durable import bounded
from ..core.machine import Machine, parse_id
from .engine import EngineError

MACHINE_ID_FILE: Final = "etc/machine-id"
BOOT_ID_FILE: Final = "proc/sys/kernel/random/boot_id"
READ_SECONDS: Final = 1

_MACHINE_ID: Final = re.compile(r"[0-9a-f]{32}")
_BOOT_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def observe_machine(engine_id: Callable[[], str], root: Path = Path("/")) -> Machine:
    """Return this machine's ids, empty where they cannot be read. Never raises.

    Where there is no /etc/machine-id the engine's ID stands for it; `engine_id` may raise EngineError.
    """
    machine_id = _read(root / MACHINE_ID_FILE, _MACHINE_ID)
    if not machine_id:
        try:
            machine_id = parse_id(engine_id())
        except EngineError:
            machine_id = ""
    return Machine(machine_id, _read(root / BOOT_ID_FILE, _BOOT_ID))


def this_controller(root: Path = Path("/")) -> Machine:
    """Return the machine that a command runs on, whose engine is not asked."""
    return observe_machine(lambda: "", root)


def _read(path: Path, pattern: re.Pattern[str]) -> str:
    try:
        text = bounded(lambda: path.read_text(encoding="ascii"), READ_SECONDS).strip()
    except (OSError, ValueError):
        return ""
    return text if pattern.fullmatch(text) else ""
