"""The bot's side of the venue: the orders of one client, and no other's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote

from trading_lab.http_json import call, understood


@dataclass(frozen=True)
class OrderState:
    """An order as the venue answered: its id, its status there, its price (the fill price once filled)."""

    order_id: str
    status: str
    price: float


class Venue(Protocol):
    """What the bot needs of a venue. Every call may raise CallFailed, and may have worked all the same."""

    def place(self, symbol: str, side: str, kind: str, quantity: float, price: float) -> OrderState: ...
    def cancel(self, order_id: str) -> OrderState: ...
    def cancel_all(self) -> None: ...
    def open_order_ids(self) -> list[str]: ...


@dataclass(frozen=True)
class HttpVenue:
    """The venue over HTTP."""

    url: str
    client: str
    mode: str

    def place(self, symbol: str, side: str, kind: str, quantity: float, price: float) -> OrderState:
        order = {"symbol": symbol, "side": side, "kind": kind, "quantity": quantity, "price": price}
        answer = call("POST", f"{self.url}/orders", {"client": self.client, "mode": self.mode, **order})
        with understood(self.url):
            return OrderState(str(answer["order_id"]), str(answer["status"]), float(answer["price"]))

    def cancel(self, order_id: str) -> OrderState:
        answer = call("POST", f"{self.url}/orders/{quote(order_id)}/cancel", {"client": self.client})
        with understood(self.url):
            return OrderState(order_id, str(answer["status"]), float(answer["price"] or 0.0))

    def cancel_all(self) -> None:
        call("POST", f"{self.url}/orders/cancel-all", {"client": self.client})

    def open_order_ids(self) -> list[str]:
        answer = call("GET", f"{self.url}/orders/open?client={quote(self.client, safe='')}")
        with understood(self.url):
            return [str(order["order_id"]) for order in answer["orders"]]
