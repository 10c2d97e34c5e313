"""What came of a job's last run: written when it begins and when it ends, so that one that died says so."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ..core.result import build_result

RESULT_FILE: Final = "last.json"
RAN: Final = "ran"
"""Ended by itself. Otherwise why not: over its time limit, stopped, or without a verdict."""


STOPPED: Final = "stopped"
"""How it ended begins with this where somebody stopped the process that ran it."""


def job_path(state_path: str, job: str) -> Path:
    """Return where a job keeps its lock, its last result and what its runs printed."""
    return Path(state_path, "jobs", job)


def build_record(run: Mapping[str, str], ended: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the record of a run that has begun, or with `ended` (exit_code, how, verdict, …) of one that has ended."""
    return {**run, "exit_code": None, "how": "", "verdict": "", "seconds": None, "finished_at": "", **(ended or {})}


def render_record(result: Mapping[str, Any]) -> str:
    """Return the record as a file's text."""
    return json.dumps(result, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def describe_result(job: str, text: str | None) -> dict[str, Any]:
    """Return the module result for the record's text, None where there is none: a sentence on how the job ended."""
    try:
        result = json.loads(text) if text is not None else {}
        began, code, verdict = (result.get(key) for key in ("started_at", "exit_code", "verdict"))
    except (ValueError, AttributeError, RecursionError):
        return build_result("unknown", f"Job {job}: its record cannot be read.", result={})
    if not began:
        return build_result("unknown", f"Job {job} has no record of a run.", result={})
    if not isinstance(code, int) or isinstance(code, bool):
        return build_result(
            "unknown", f"Job {job} began at {began} and left no result: it died, or still runs.", result=result
        )
    summary = str(verdict or result.get("how") or "without a verdict")
    return build_result("proven", f"Job {job}, begun at {began}, ended with {code}: {summary}", result=result)
