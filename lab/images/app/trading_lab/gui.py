"""A small page with the bot's state."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping
from typing import Any

from trading_lab.http_json import CallFailed, call
from trading_lab.web import Request, Response, Route, start_server, stop_signal


def render_page(state: Mapping[str, Any] | None) -> str:
    """The page; a bot that does not answer is said to be unknown, not stopped."""
    if state is None:
        body = "<p><strong>UNKNOWN</strong>: the bot does not answer.</p>"
    else:
        rows = "".join(
            f"<tr><th>{html.escape(str(name))}</th><td>{html.escape(str(value))}</td></tr>"
            for name, value in state.items()
        )
        body = f"<table>{rows}</table>"
    head = '<meta charset="utf-8"><meta http-equiv="refresh" content="5"><title>RefStrat_01</title>'
    return f"<!doctype html><html><head>{head}</head><body><h1>RefStrat_01</h1>{body}</body></html>\n"


def build_routes(bot_url: str) -> list[Route]:
    """The page, the same as JSON, and the page server's own health."""

    def state() -> Mapping[str, Any] | None:
        try:
            answer: Mapping[str, Any] = call("GET", f"{bot_url}/state")
        except CallFailed:
            return None
        return answer

    def serve_state(_: Request) -> Response:
        found = state()
        return Response(found, 200) if found is not None else Response({"phase": "unknown"}, 503)

    return [
        Route("GET", "/", lambda _: Response(render_page(state()), content_type="text/html; charset=utf-8")),
        Route("GET", "/state", serve_state),
        Route("GET", "/health", lambda _: Response({"bot_url": bot_url})),
    ]


def main() -> None:
    stopping = stop_signal()
    server = start_server(int(os.environ.get("PORT", "8080")), build_routes(os.environ["BOT_URL"]))
    stopping.wait()
    server.shutdown()


if __name__ == "__main__":
    main()
