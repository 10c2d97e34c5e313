"""Where notifications of the lab go: keeps what it got, one channel per path, and can be slow or down."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from trading_lab.faults import FaultBoard, fault_routes
from trading_lab.timestamps import iso_utc
from trading_lab.web import Request, Response, Route, start_server, stop_signal

FAULTS: Mapping[str, Mapping[str, Any]] = {"down": {}, "slow": {"seconds": 60.0}}
_KEPT_MESSAGES = 1000


class Messages:
    """What arrived, oldest first, as long as there is room."""

    def __init__(self) -> None:
        self._kept: deque[dict[str, Any]] = deque(maxlen=_KEPT_MESSAGES)
        self._lock = threading.Lock()

    def keep(self, channel: str, arrived: float, body: Mapping[str, Any]) -> None:
        with self._lock:
            self._kept.append({"time": iso_utc(arrived), "channel": channel, "body": dict(body)})

    def kept(self, channel: str | None, since: str) -> list[dict[str, Any]]:
        """What arrived after a time (text as iso_utc writes it), on one channel or on all."""
        with self._lock:
            return [item for item in self._kept if channel in (None, item["channel"]) and item["time"] > since]


def build_routes(
    messages: Messages, faults: FaultBoard, clock: Callable[[], float], sleep: Callable[[float], None]
) -> list[Route]:
    """The receiver's HTTP interface. Only taking a message is subject to faults."""

    def take(request: Request) -> Response:
        if faults.parameters("down") is not None:
            return Response({"error": "the receiver is down"}, 503)
        messages.keep(request.path["channel"], clock(), request.body)
        slow = faults.parameters("slow")
        if slow:
            sleep(float(slow["seconds"]))
        return Response({"kept": True})

    def show(request: Request) -> Response:
        return Response({"messages": messages.kept(request.query.get("channel"), request.query.get("since", ""))})

    return [
        Route("GET", "/health", lambda _: Response({"down": faults.parameters("down") is not None})),
        Route("GET", "/messages", show),
        *fault_routes(faults),
        Route("POST", "/(?P<channel>[a-z0-9-]+)", take),
    ]


def main() -> None:
    stopping = stop_signal()
    routes = build_routes(Messages(), FaultBoard(FAULTS), time.time, time.sleep)
    server = start_server(int(os.environ.get("PORT", "8910")), routes)
    print("receiver: listening", flush=True)
    stopping.wait()
    server.shutdown()


if __name__ == "__main__":
    main()
