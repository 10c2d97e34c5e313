"""The mock venue. What it records is the ground truth: which orders arrived, from whom, and when."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from trading_lab import market
from trading_lab.faults import FaultBoard, fault_routes
from trading_lab.http_json import call, understood
from trading_lab.timestamps import iso_utc
from trading_lab.web import BadRequest, Request, Response, Route, start_server, stop_signal

FAULTS: Mapping[str, Mapping[str, Any]] = {
    "down": {},
    "slow": {"seconds": 3.0},
    "reject": {},
    "slippage": {"percent": 95.0, "mode": ""},
}
KINDS = frozenset({"market", "limit", "stop"})
DOWN = Response({"error": "the venue is down"}, 503)
_KEPT_RECORDS = 500_000


@dataclass(frozen=True)
class Order:
    """One order as the venue holds it; price is the limit or stop price, then the fill price."""

    order_id: str
    client: str
    symbol: str
    side: str
    kind: str
    quantity: float
    price: float
    status: str


def feed_price(url: str) -> Callable[[str, float], float]:
    """What gives a symbol's last close at a feed, whatever the time: so a venue can stand beside a replay."""

    def price(symbol: str, _: float) -> float:
        answer = call("GET", f"{url}/bars?symbol={quote(symbol, safe='')}&limit=1")
        with understood(url):
            return float(answer["bars"][-1]["close"])

    return price


def fills_at(order: Order, current: float) -> bool:
    """Whether an order trades at the current price."""
    if order.kind == "market":
        return True
    buys = order.side == "buy"
    below, above = current <= order.price, current >= order.price
    if order.kind == "limit":
        return below if buys else above
    return above if buys else below


class Venue:
    """Orders and the record of everything that arrived. Times are this machine's wall clock, UTC."""

    def __init__(self, price: Callable[[str, float], float], record: IO[str], past: deque[dict[str, Any]]) -> None:
        self._price, self._file, self._record = price, record, past
        self._sequence = int(past[-1]["sequence"]) if past else 0
        self._orders: dict[str, Order] = {}
        self._closed: dict[str, Order] = {}
        self._lock = threading.Lock()

    def place(
        self, wanted: Mapping[str, Any], arrived: float, refused: str | None = None, slippage: float = 0.0
    ) -> Order:
        """Record an order that arrived; hold it, fill it, or refuse it with the given status.

        A market order gets a price that is worse by `slippage` (a share of it).
        """
        with self._lock:
            number = self._sequence + 1
            order = Order(f"o-{number}", status=refused or "open", **_parse_order(wanted))
            if refused is None:
                current = self._price(order.symbol, arrived)
                if order.kind == "market":
                    current *= 1 + slippage if order.side == "buy" else 1 - slippage
                if fills_at(order, current):
                    order = replace(order, status="filled", price=current)
                else:
                    self._orders[order.order_id] = order
            mode = str(wanted.get("mode", ""))
            self._append("order", arrived, order.client, mode=mode, **_shown(order), result=order.status)
            return order

    def cancel(self, order_id: str, client: str, arrived: float) -> str:
        """Record a cancellation; returns cancelled, filled or not_found."""
        with self._lock:
            self._fill_what_trades(arrived)
            order = self._orders.get(order_id)
            if order is not None and order.client == client:
                del self._orders[order_id]
                result = "cancelled"
            else:
                result = "filled" if order_id in self._closed else "not_found"
            self._append("cancel", arrived, client, order_id=order_id, result=result)
            return result

    def cancel_all(self, client: str, arrived: float) -> list[str]:
        """Record and cancel every open order of a client; returns their ids."""
        with self._lock:
            self._fill_what_trades(arrived)
            ids = [order.order_id for order in self._orders.values() if order.client == client]
            for order_id in ids:
                del self._orders[order_id]
                self._append("cancel", arrived, client, order_id=order_id, result="cancelled")
            return ids

    def open_orders(self, client: str | None, now: float) -> list[Order]:
        """Open orders, of one client or of all."""
        with self._lock:
            self._fill_what_trades(now)
            return [order for order in self._orders.values() if client in (None, order.client)]

    def filled(self, order_id: str) -> Order | None:
        """The order as it was filled, None where it was not."""
        return self._closed.get(order_id)

    def record(self, since: str, client: str | None, kind: str | None) -> list[dict[str, Any]]:
        """What arrived after a time (text as iso_utc writes it), oldest first."""
        with self._lock:
            return [
                entry
                for entry in self._record
                if entry["time"] > since and client in (None, entry["client"]) and kind in (None, entry["kind"])
            ]

    def _fill_what_trades(self, now: float) -> None:
        current_prices = {symbol: self._price(symbol, now) for symbol in {o.symbol for o in self._orders.values()}}
        for order in list(self._orders.values()):
            current = current_prices[order.symbol]
            if fills_at(order, current):
                del self._orders[order.order_id]
                self._closed[order.order_id] = replace(order, status="filled", price=current)
                self._append("fill", now, order.client, **_shown(self._closed[order.order_id]), result="filled")

    def _append(self, kind: str, arrived: float, client: str, **details: Any) -> None:
        self._sequence += 1
        entry = {"sequence": self._sequence, "time": iso_utc(arrived), "kind": kind, "client": client, **details}
        self._record.append(entry)
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()


def _shown(order: Order) -> dict[str, Any]:
    return {
        "order_id": order.order_id,
        "symbol": order.symbol,
        "side": order.side,
        "order_kind": order.kind,
        "quantity": order.quantity,
        "price": order.price,
    }


def _parse_order(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an order that a client sent; BadRequest names the one that is wrong."""
    client, symbol = str(wanted.get("client") or ""), str(wanted.get("symbol") or "")
    side, kind = wanted.get("side"), wanted.get("kind")
    if not client or not symbol:
        raise BadRequest("an order names its client and its symbol")
    if side not in ("buy", "sell") or kind not in KINDS:
        raise BadRequest(f"side is buy or sell, kind is one of {sorted(KINDS)}")
    try:
        quantity, price = float(wanted.get("quantity", 0)), float(wanted.get("price") or 0)
    except (TypeError, ValueError):
        raise BadRequest("quantity and price are numbers") from None
    if not quantity > 0 or (kind != "market" and not price > 0):
        raise BadRequest("quantity, and the price of a limit or stop order, are above 0")
    return {"client": client, "symbol": symbol, "side": side, "kind": kind, "quantity": quantity, "price": price}


class _Desk:
    """Answers for the venue; while it is down or slow, so are the answers to who trades."""

    def __init__(self, venue: Venue, faults: FaultBoard, clock: Callable[[], float]) -> None:
        self._venue, self._faults, self._clock = venue, faults, clock

    def place(self, request: Request, arrived: float) -> Response:
        # An order that reaches a venue that is down is recorded too: it was sent, and that is the question.
        rejects = self._faults.parameters("reject") is not None
        refused = "unavailable" if self._is_down() else "rejected" if rejects else None
        slips = self._faults.parameters("slippage") or {"percent": 0.0, "mode": ""}
        percent = float(slips["percent"]) if slips["mode"] in ("", request.body.get("mode")) else 0.0
        order = self._venue.place(request.body, arrived, refused, percent / 100)
        if self._is_down():
            return DOWN
        return Response({"order_id": order.order_id, "status": order.status, "price": order.price})

    def cancel(self, request: Request, arrived: float) -> Response:
        if self._is_down():
            return DOWN
        order_id = request.path["order_id"]
        status = self._venue.cancel(order_id, str(request.body.get("client", "")), arrived)
        filled = self._venue.filled(order_id)
        return Response({"order_id": order_id, "status": status, "price": filled.price if filled else None})

    def cancel_all(self, request: Request, arrived: float) -> Response:
        if self._is_down():
            return DOWN
        return Response({"cancelled": self._venue.cancel_all(str(request.body.get("client", "")), arrived)})

    def open_orders(self, request: Request, arrived: float) -> Response:
        if self._is_down():
            return DOWN
        orders = self._venue.open_orders(request.query.get("client"), arrived)
        return Response({"orders": [{"client": order.client, **_shown(order)} for order in orders]})

    def record(self, request: Request) -> Response:
        query = request.query
        entries = self._venue.record(query.get("since", ""), query.get("client"), query.get("kind"))
        return Response({"now": iso_utc(self._clock()), "records": entries})

    def health(self, _: Request) -> Response:
        return Response({"down": self._is_down()})

    def _is_down(self) -> bool:
        return self._faults.parameters("down") is not None


def build_routes(
    venue: Venue, faults: FaultBoard, clock: Callable[[], float], sleep: Callable[[float], None]
) -> list[Route]:
    """The venue's HTTP interface. Its record, health and admin pages answer whatever fault is on."""
    desk = _Desk(venue, faults, clock)

    def trading(answer: Callable[[Request, float], Response]) -> Callable[[Request], Response]:
        """The answer, given late where the venue is slow: by then a client may have hung up."""

        def answer_with_faults(request: Request) -> Response:
            response = answer(request, clock())
            slow = faults.parameters("slow")
            if slow:
                sleep(float(slow["seconds"]))
            return response

        return answer_with_faults

    return [
        Route("GET", "/health", desk.health),
        Route("POST", "/orders", trading(desk.place)),
        Route("POST", "/orders/cancel-all", trading(desk.cancel_all)),
        Route("POST", "/orders/(?P<order_id>[^/]+)/cancel", trading(desk.cancel)),
        Route("GET", "/orders/open", trading(desk.open_orders)),
        Route("GET", "/record", desk.record),
        *fault_routes(faults),
    ]


def read_record(path: Path) -> deque[dict[str, Any]]:
    """What an earlier run recorded; a half-written last line (a kill) is left out."""
    entries: deque[dict[str, Any]] = deque(maxlen=_KEPT_RECORDS)
    if not path.exists():
        return entries
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entries.append(json.loads(line))
        except ValueError:
            continue
    return entries


def main() -> None:
    stopping = stop_signal()
    path = Path(os.environ.get("RECORD_PATH", "/var/lib/exchange/record.jsonl"))
    past = read_record(path)
    with path.open("a", encoding="utf-8") as record:
        feed_url = os.environ.get("PRICE_FEED_URL")
        venue = Venue(feed_price(feed_url) if feed_url else market.price, record, past)
        faults = FaultBoard(FAULTS)
        server = start_server(int(os.environ.get("PORT", "8900")), build_routes(venue, faults, time.time, time.sleep))
        print("exchange: open", flush=True)
        stopping.wait()
        server.shutdown()


if __name__ == "__main__":
    main()
