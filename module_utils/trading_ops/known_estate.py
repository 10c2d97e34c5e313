"""The trading hosts as host_setup last recorded them on each of them: a host that an inventory lost is noticed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from .durable import bounded

ESTATE_FILE: Final = "estate.json"
READ_SECONDS: Final = 1


def parse_known_hosts(text: str) -> list[str]:
    """Return the host names in `{"trading_hosts": [...], ...}`. Raises ValueError for anything else."""
    data = json.loads(text)
    names = data.get("trading_hosts") if isinstance(data, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise ValueError("it has no list of host names under trading_hosts")
    return sorted(names)


def read_known_hosts(state_path: Path) -> tuple[list[str], list[str]]:
    """Return the recorded hosts, empty where nothing was ever recorded, and a warning where a record is unreadable."""
    path = state_path / ESTATE_FILE
    try:
        return parse_known_hosts(bounded(lambda: path.read_text(encoding="utf-8"), READ_SECONDS)), []
    except FileNotFoundError:
        return [], []
    except (OSError, ValueError, RecursionError) as error:
        return [], [f"{path} can not be understood: {error}. Record it again: ./runbook host_setup"]
