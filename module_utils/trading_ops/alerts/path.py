"""Whether an alert would arrive and be carried out: the last heartbeat, what waits, and the units that do the work."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ..core.clock import format_utc
from ..core.result import build_result
from .actions import silence_of_path
from .settings import SETTINGS_PATH, SettingsError, parse_settings
from .units import ACTIONS_PATH, PROXY, RECEIVER, WATCH_TIMER

WAITING_SECONDS: Final = 60
"""A request older than this is one that nobody carries out."""

INTERVAL_SECONDS: Final = 1
HEARTBEAT_FILE: Final = "heartbeat.json"
_NOT_SEEN: Final[dict[str, Any]] = {"heartbeat_at": "", "waiting": 0, "is_set_up": True}
_SETUP: Final = "./runbook alert_receiver_setup"
_LOGS: Final = "journalctl -u 'trading-core-alert*' -n 50 (on the control host)"


@dataclass(frozen=True)
class ControlHost:
    """The control host, handed in. `run` gives exit code and output; `clock` seconds since 1970."""

    run: Callable[[Sequence[str]], tuple[int, str]]
    state_path: Path
    settings_path: Path = Path(SETTINGS_PATH)
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep


def observe(host: ControlHost, wait_seconds: float, dry_run: bool = False) -> dict[str, Any]:
    """Return the module result: `proven` where alerts arrive and are carried out. Never raises.

    wait_seconds: so long is waited for a heartbeat that comes from now on; 0 takes one that is young enough.
    dry_run: what is waited for is `planned`, since nothing was set up that could send it; a look is the same as else.
    """
    if dry_run and wait_seconds:
        return _observe(host, 0) | {"outcome": "planned", "next_command": ""}
    return _observe(host, wait_seconds)


def _observe(host: ControlHost, wait_seconds: float) -> dict[str, Any]:
    try:
        settings = parse_settings(host.settings_path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return _result("unknown", "no alert receiver was set up here: no alert stops a bot", _SETUP, is_set_up=False)
    except (OSError, SettingsError) as error:
        return _result("unknown", str(error), _SETUP)
    begun = host.clock()
    while wait_seconds and read_heartbeat(host.state_path / "alerts") < begun and host.clock() < begun + wait_seconds:
        host.sleep(INTERVAL_SECONDS)
    heartbeat_at, now = read_heartbeat(host.state_path / "alerts"), host.clock()
    wrong = [
        f"{unit} is {state}" for unit in (PROXY, RECEIVER, ACTIONS_PATH, WATCH_TIMER) if (state := _state(host, unit))
    ]
    if wait_seconds and heartbeat_at < begun:
        wrong.append(f"no heartbeat arrived within {wait_seconds:g} s")
    elif text := silence_of_path(heartbeat_at, 0, now, settings.silence_limit_seconds):
        wrong.append(text)
    if late := [name for name in _waiting(host) if now - int(name.partition("-")[0]) / 1e9 > WAITING_SECONDS]:
        wrong.append(f"{len(late)} requests wait for more than {WAITING_SECONDS} s")
    seen = f"the last heartbeat came {now - heartbeat_at:.0f} s ago" if heartbeat_at else "no heartbeat ever came"
    facts = {
        "heartbeat_at": format_utc(datetime.fromtimestamp(heartbeat_at, UTC)) if heartbeat_at else "",
        "waiting": len(_waiting(host)),
    }
    if wrong:
        return _result("unknown", "; ".join(wrong), _LOGS, **facts)
    return _result("proven", f"alerts arrive: {seen}, every unit is at work, no request waits", "", **facts)


def read_heartbeat(alerts_path: Path) -> float:
    """Return when the last heartbeat came, 0 where that is not on record or cannot be a time."""
    try:
        moment = float(json.loads((alerts_path / HEARTBEAT_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return 0.0
    return moment if math.isfinite(moment) else 0.0


def _waiting(host: ControlHost) -> list[str]:
    try:
        names = [path.name for path in (host.state_path / "alerts/spool").iterdir()]
    except OSError:
        return []
    return [name for name in names if name.isascii() and name.partition("-")[0].isdecimal()]


def _state(host: ControlHost, unit: str) -> str:
    """Return how a unit is that should be active, empty where it is."""
    words = host.run(["systemctl", "is-active", unit])[1].split()
    state = words[0] if words else "unknown"
    return "" if state == "active" else state


def _result(outcome: str, summary: str, next_command: str, **facts: Any) -> dict[str, Any]:
    return build_result(outcome, summary, next_command=next_command, **_NOT_SEEN | facts)
