"""Which orders are open at the venue, as the venue says. Stopped bots are not a flat account."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from ..core.durable import bounded
from ..core.result import build_result
from ..core.shown_urls import show_url
from ..core.strict_json import parse_json
from ..host.http import MAX_BYTES, http_ask, parse_endpoint

TIMEOUT_SECONDS: Final = 3
MAX_TIMEOUT_SECONDS: Final = 10

UNVERIFIED: Final = "UNVERIFIED"


class OpenOrdersError(Exception):
    """The venue did not say which orders are open. The text is a sentence."""


def parse_open_orders(text: str, key: str) -> int:
    """Return how many orders `{key: [{…}, …]}` lists. Raises OpenOrdersError for anything that is not exactly that."""
    try:
        answer = parse_json(text)
    except ValueError as error:
        raise OpenOrdersError(f"The answer is not JSON: {error}.") from error
    if not isinstance(answer, dict):
        raise OpenOrdersError("The answer is not a JSON object.")
    if answer.get("error") or answer.get("errors"):
        raise OpenOrdersError("The answer holds an error.")
    if key not in answer:
        raise OpenOrdersError(f"The answer has no {key!r}.")
    orders = answer[key]
    if not isinstance(orders, list) or not all(isinstance(order, dict) and order for order in orders):
        raise OpenOrdersError(f"{key!r} in the answer is not a list of orders.")
    return len(orders)


def build_ask(params: Mapping[str, Any], timeout_seconds: float) -> Callable[[], tuple[int, bytes]]:
    """Return what asks the endpoint that a module's parameters name; its address may carry a query."""

    def ask() -> tuple[int, bytes]:
        parts = urlsplit(params["url"])
        server = {**params, "url": f"{parts.scheme}://{parts.netloc}", "timeout_seconds": timeout_seconds}
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        return http_ask(parse_endpoint(server, "url", "timeout_seconds"))("GET", target)

    return ask


def observe(url: str, key: str, ask: Callable[[], tuple[int, bytes]], timeout_seconds: float) -> dict[str, Any]:
    """Return the module result: `orders` is `none`, `open` or `UNVERIFIED`. Never raises, never takes longer.

    `ask` returns the status and the body, cut after MAX_BYTES + 1; it may raise anything.
    """
    shown = show_url(url)
    if not url:
        return _unverified("the estate names no endpoint for open orders (trading_core_open_orders_url)", shown)
    try:
        # The bound is on the whole exchange: a time-out of a socket starts again with each byte that drips in.
        status, body = bounded(ask, timeout_seconds)
        if status != 200:
            raise OpenOrdersError(f"HTTP status {status}.")
        if len(body) > MAX_BYTES:
            raise OpenOrdersError(f"The answer is longer than {MAX_BYTES} bytes.")
        count = parse_open_orders(body.decode("utf-8"), key)
    except TimeoutError:
        return _unverified(f"{shown} gave no whole answer within {timeout_seconds:g} s", shown)
    except Exception as error:  # whatever a network, a proxy or a library comes up with is one thing: not verified
        # A library's error can repeat the address as it was given.
        reason = str(error).replace(url, shown).rstrip(".") or type(error).__name__
        return _unverified(f"{shown}: {reason}", shown)
    orders = "open" if count else "none"
    summary = f"{count} open order{'s' * (count != 1)} at {shown}" if count else f"no open order at {shown}"
    return build_result("proven", summary, orders=orders, count=count, url=shown)


def parse_timeout(value: object) -> float:
    """Return the seconds an answer may take; the default for what is no number. Never more than 10."""
    try:
        seconds = float(str(value))
    except ValueError:
        return TIMEOUT_SECONDS
    return min(max(seconds, 0.1), MAX_TIMEOUT_SECONDS) if seconds == seconds else TIMEOUT_SECONDS


def _unverified(why: str, shown: str) -> dict[str, Any]:
    summary = f"open orders {UNVERIFIED}: {why}"
    return build_result("unknown", summary, orders=UNVERIFIED, count=None, url=shown)
