"""Faults that an admin switches on and off: each has parameters with defaults and takes nothing else."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from trading_lab.web import BadRequest, Request, Response, Route


class FaultBoard:
    """The faults that are on, with their parameters."""

    def __init__(self, known: Mapping[str, Mapping[str, Any]]) -> None:
        self._known = known
        self._engaged: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def parameters(self, fault: str) -> Mapping[str, Any] | None:
        """The fault's parameters, None while it is off."""
        with self._lock:
            return self._engaged.get(fault)

    def engaged(self) -> dict[str, dict[str, Any]]:
        """Every fault that is on."""
        with self._lock:
            return dict(self._engaged)

    def change(self, wanted: Mapping[str, Any]) -> None:
        """Switch each named fault: true or an object of parameters is on, false or null is off."""
        changes = {fault: self._settings(fault, value) for fault, value in wanted.items()}
        with self._lock:
            for fault, settings in changes.items():
                self._engaged.pop(fault, None)
                if settings is not None:
                    self._engaged[fault] = settings

    def clear(self) -> None:
        """Switch all faults off."""
        with self._lock:
            self._engaged.clear()

    def _settings(self, fault: str, value: Any) -> dict[str, Any] | None:
        if fault not in self._known:
            raise BadRequest(f"no fault {fault!r}; there are: {', '.join(sorted(self._known))}")
        if value is None or value is False:
            return None
        given = {} if value is True else value
        if not isinstance(given, dict) or set(given) - set(self._known[fault]):
            raise BadRequest(f"{fault} takes true, false or an object of {sorted(self._known[fault])}")
        return {**self._known[fault], **given}


def fault_routes(board: FaultBoard) -> list[Route]:
    """GET, POST and DELETE /admin/faults on a board."""

    def change(request: Request) -> Response:
        board.change(request.body)
        return Response(board.engaged())

    def clear(_: Request) -> Response:
        board.clear()
        return Response(board.engaged())

    return [
        Route("GET", "/admin/faults", lambda _: Response(board.engaged())),
        Route("POST", "/admin/faults", change),
        Route("DELETE", "/admin/faults", clear),
    ]
