"""Bring named services of a Compose project to a state and prove it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..host.engine import EngineError
from .config import ComposeError
from .request import Tools, parse_request
from .result import Report, Row, format_result
from .start import ensure_up
from .stop import ensure_stopped


def ensure_services(params: Mapping[str, Any], tools: Tools, dry_run: bool) -> dict[str, Any]:
    """Return the module result of bringing the services to their state; with `dry_run` nothing is changed.

    Never raises for what can go wrong on a host: the outcome word says it, with the same keys as on success.
    """
    try:
        request = parse_request(params)
        ensure = ensure_stopped if request.state == "stopped" else ensure_up
        return format_result(ensure(request, tools, dry_run))
    except ComposeError as error:
        return _nothing_done(params, str(error), error.outcome, error.next_command)
    except EngineError as error:
        return _nothing_done(params, str(error), "unknown", "docker info")


def _nothing_done(params: Mapping[str, Any], sentence: str, outcome: str, next_command: str) -> dict[str, Any]:
    rows = tuple(Row(service, params["project_name"], "none") for service in params["services"] or ())
    return format_result(Report(outcome, sentence, rows=rows, next_command=next_command))
