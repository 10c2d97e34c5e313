"""What a benchmark leaves: a page in docs/benchmarks, and its raw data in a folder that Git ignores."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab.machines import run

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs/benchmarks"
RAW = ROOT / ".cache/benchmarks"


def made_on(seed: int) -> dict[str, Any]:
    """Return when, on which commit and on what kind of machine a benchmark was run."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": run(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]).strip(),
        "cpus": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "seed": seed,
    }


def raw_path(name: str, output: Path) -> Path:
    """Return where the raw data of a benchmark go; beside its page only where that is outside docs."""
    return (RAW if output == PAGES else output) / f"{name}.json"


def write(name: str, results: Mapping[str, Any], page: str, output: Path) -> None:
    """Write raw data and page."""
    raw = raw_path(name, output)
    for path, text in ((raw, json.dumps(results, indent=1) + "\n"), (output / f"{name}.md", page)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    print(f"written: {output / name}.md, raw data in {raw}", flush=True)


def how_to_repeat(name: str) -> str:
    """Return the sentence of a page that says how to measure again."""
    return (
        f"To measure again: `./runbook bench {name}`; raw data are then in `.cache/benchmarks/{name}.json`, not in Git."
    )
