"""The copy of this package that a host carries for its guard: whether it is this version, and the guard lives."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..core.clock import uptime
from ..core.durable import bounded
from ..core.package import PACKAGE, loaded_sources

INSTALL_PATH: Final = Path("/usr/local/lib/trading-core") / PACKAGE
SETTINGS_PATH: Final = Path("/etc/trading-core/bots.conf")
HEARTBEAT_PATH: Final = Path("/run/trading-core/guard.json")
STALE_SECONDS: Final = 15
READ_SECONDS: Final = 1
FIX: Final = "./runbook host_setup"

GUARD_STATES: Final = frozenset({"active", "absent", "stale", "other version"})


@dataclass(frozen=True)
class Heartbeat:
    """The guard's last sign of life: when, in seconds since boot, and of which package."""

    uptime: float
    digest: str


def installed_sources(path: Path, settings_path: Path = SETTINGS_PATH) -> dict[str, str]:
    """Return the text of each installed module by its path below `path`, and of the guard's settings by file name.

    Empty where none is installed.
    The settings belong to it: a guard that was not restarted after they changed looks for other bots.
    """
    found = {str(item.relative_to(path)): item.read_text(encoding="utf-8") for item in sorted(path.rglob("*.py"))}
    if found and settings_path.exists():
        found[settings_path.name] = settings_path.read_text(encoding="utf-8")
    return found


def digest(sources: Mapping[str, str]) -> str:
    """Return the SHA-256 over names and texts."""
    seen = hashlib.sha256()
    for name in sorted(sources):
        seen.update(f"{name}\0{len(sources[name])}\0{sources[name]}".encode())
    return seen.hexdigest()


def parse_heartbeat(text: str) -> Heartbeat:
    """Return the sign of life in a file's text. Raises ValueError for anything else."""
    data = json.loads(text)
    if not isinstance(data, dict) or not isinstance(data.get("digest"), str):
        raise ValueError("it is not the guard's")
    return Heartbeat(float(data.get("uptime", "nan")), data["digest"])


def judge_guard(
    loaded: Mapping[str, str], installed: Mapping[str, str], heartbeat: Heartbeat | None, now: float
) -> dict[str, str]:
    """Return `state` (one of GUARD_STATES) and a `summary`. `now` is in seconds since boot.

    Only a guard that lives and runs the very code that asks is `active`.
    """
    if not installed:
        return _guard("absent", "nothing stops a bot that is started while halted", FIX)
    # A file that only one side has proves nothing by itself: the one that imports it differs as well.
    shared = loaded.keys() & installed.keys()
    if loaded and not shared:
        return _guard("other version", "it is laid out otherwise", FIX)
    differing = sorted(name for name in shared if installed[name] != loaded[name])
    if differing:
        return _guard("other version", f"its {', '.join(differing[:3])} is not of this version", FIX)
    # Written so that a time in the future and NaN are stale too.
    if heartbeat is None or not 0 <= now - heartbeat.uptime <= STALE_SECONDS:
        return _guard("stale", _last_sign(heartbeat, now), f"journalctl -u trading-core-guard, then {FIX}")
    if heartbeat.digest != digest(installed):
        return _guard("other version", "it was not restarted after its files changed", FIX)
    return {"state": "active", "summary": "guard active"}


def _last_sign(heartbeat: Heartbeat | None, now: float) -> str:
    if heartbeat is None:
        return "no sign of life since the boot"
    if heartbeat.uptime > now:
        return "its sign of life is of a moment that is still to come"
    return f"no sign of life for {now - heartbeat.uptime:.0f} s"


def observe_guard(install_path: Path = INSTALL_PATH, heartbeat_path: Path = HEARTBEAT_PATH) -> dict[str, str]:
    """Return what may be expected of this host's guard, as `judge_guard` says it."""
    try:
        installed = bounded(lambda: installed_sources(install_path), READ_SECONDS)
    except (OSError, ValueError) as error:
        return _guard("other version", f"its files cannot be read: {error}", FIX)
    try:
        heartbeat = parse_heartbeat(heartbeat_path.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, OverflowError):
        heartbeat = None
    return judge_guard(loaded_sources(), installed, heartbeat, uptime())


def _guard(state: str, why: str, fix: str) -> dict[str, str]:
    return {"state": state, "summary": f"guard {state}: {why} ({fix})"}
