import io
import json
from collections import deque

import pytest
from trading_lab.exchange import FAULTS, Venue, build_routes, read_record
from trading_lab.faults import FaultBoard
from trading_lab.web import dispatch

ORDER = {"client": "trading-paper/a", "mode": "paper", "symbol": "BTCUSDT", "quantity": 1}


class Exchange:
    """The venue with a clock and a price that the test sets."""

    def __init__(self, past=()):
        self.now, self.price, self.file, self.slept = 1_790_000_000.0, 100.0, io.StringIO(), 0.0
        self.venue = Venue(lambda symbol, time: self.price, self.file, deque(past))
        self.routes = build_routes(self.venue, FaultBoard(FAULTS), self._clock, self._sleep)

    def _clock(self):
        self.now += 0.001
        return self.now

    def _sleep(self, seconds):
        self.slept += seconds

    def ask(self, method, path, body=None):
        return dispatch(self.routes, method, path, json.dumps(body or {}).encode())

    def answer(self, method, path, body=None):
        response = self.ask(method, path, body)
        assert response.status == 200, response.payload
        return response.payload

    def place(self, **changes):
        return self.answer("POST", "/orders", {**ORDER, "side": "buy", "kind": "limit", "price": 90, **changes})

    def record(self, query=""):
        return self.answer("GET", f"/record?{query}")["records"]

    def open(self, client="trading-paper/a"):
        return [order["order_id"] for order in self.answer("GET", f"/orders/open?client={client}")["orders"]]


@pytest.fixture
def exchange():
    return Exchange()


def test_every_order_is_recorded_with_time_and_client(exchange):
    exchange.place()
    (entry,) = exchange.record()
    assert (entry["kind"], entry["client"], entry["mode"], entry["result"]) == (
        "order",
        "trading-paper/a",
        "paper",
        "open",
    )
    assert entry["time"] == "2026-09-21T14:13:20.001000Z"


def test_the_file_holds_what_the_record_holds(exchange):
    exchange.place()
    exchange.answer("POST", "/orders/cancel-all", {"client": "trading-paper/a"})
    assert [json.loads(line) for line in exchange.file.getvalue().splitlines()] == exchange.record()


def test_record_since_leaves_out_that_moment_and_what_came_before(exchange):
    exchange.place()
    (first,) = exchange.record()
    exchange.place()
    assert [entry["sequence"] for entry in exchange.record(f"since={first['time']}")] == [2]


def test_record_can_be_asked_for_one_client_and_kind(exchange):
    exchange.place()
    exchange.place(client="trading-live/b")
    exchange.answer("POST", "/orders/cancel-all", {"client": "trading-live/b"})
    assert [entry["kind"] for entry in exchange.record("client=trading-live/b")] == ["order", "cancel"]
    assert len(exchange.record("kind=order")) == 2


@pytest.mark.parametrize(
    ("kind", "side", "price", "moved_to", "fills"),
    [
        ("limit", "buy", 90, 90, True),
        ("limit", "buy", 90, 91, False),
        ("limit", "sell", 110, 111, True),
        ("limit", "sell", 110, 109, False),
        ("stop", "sell", 90, 89, True),
        ("stop", "sell", 90, 91, False),
        ("stop", "buy", 110, 111, True),
        ("stop", "buy", 110, 109, False),
    ],
)
def test_a_resting_order_fills_when_the_price_gets_there(exchange, kind, side, price, moved_to, fills):
    order_id = exchange.place(kind=kind, side=side, price=price)["order_id"]
    assert exchange.open() == [order_id]
    exchange.price = moved_to
    assert exchange.open() == ([] if fills else [order_id])
    cancelled = exchange.answer("POST", f"/orders/{order_id}/cancel", {"client": "trading-paper/a"})
    assert cancelled["status"] == ("filled" if fills else "cancelled")
    assert cancelled["price"] == (moved_to if fills else None)


def test_a_market_order_fills_at_the_current_price(exchange):
    assert exchange.place(kind="market", price=0) == {"order_id": "o-1", "status": "filled", "price": 100.0}


def test_a_client_cancels_its_own_orders_only(exchange):
    mine, other = exchange.place()["order_id"], exchange.place(client="trading-live/b")["order_id"]
    assert exchange.answer("POST", f"/orders/{other}/cancel", {"client": "trading-paper/a"})["status"] == "not_found"
    assert exchange.answer("POST", "/orders/cancel-all", {"client": "trading-paper/a"}) == {"cancelled": [mine]}
    assert exchange.open("trading-live/b") == [other]


@pytest.mark.parametrize(
    "changes",
    [
        {"client": ""},
        {"symbol": None},
        {"side": "hold"},
        {"kind": "iceberg"},
        {"quantity": 0},
        {"quantity": "nan"},
        {"quantity": "many"},
        {"price": 0},
        {"price": [1]},
    ],
)
def test_what_is_no_order_is_refused(exchange, changes):
    body = {**ORDER, "side": "buy", "kind": "limit", "price": 90, **changes}
    assert exchange.ask("POST", "/orders", body).status == 400
    assert exchange.open() == []


def test_a_venue_that_is_down_refuses_all_but_its_record_and_records_arrivals(exchange):
    exchange.place()
    exchange.answer("POST", "/admin/faults", {"down": True})
    body = {**ORDER, "side": "buy", "kind": "limit", "price": 90}
    assert exchange.ask("POST", "/orders", body).status == 503
    assert exchange.ask("POST", "/orders/cancel-all", {"client": "trading-paper/a"}).status == 503
    assert exchange.ask("POST", "/orders/o-1/cancel", {"client": "trading-paper/a"}).status == 503
    assert exchange.ask("GET", "/orders/open").status == 503
    assert [entry["result"] for entry in exchange.record("kind=order")] == ["open", "unavailable"]
    exchange.answer("DELETE", "/admin/faults")
    assert exchange.open() == ["o-1"]


def test_a_slow_venue_acts_at_once_and_answers_late(exchange):
    exchange.answer("POST", "/admin/faults", {"slow": {"seconds": 3}})
    exchange.place()
    assert exchange.slept == 3
    assert exchange.record()[0]["time"] < "2026-09-21T14:13:21"


def test_a_rejecting_venue_opens_nothing(exchange):
    exchange.answer("POST", "/admin/faults", {"reject": True})
    assert exchange.place()["status"] == "rejected"
    assert exchange.open() == []


@pytest.mark.parametrize(("side", "price"), [("buy", 150.0), ("sell", 50.0)])
def test_slippage_makes_market_orders_worse_and_leaves_limits_alone(exchange, side, price):
    exchange.answer("POST", "/admin/faults", {"slippage": {"percent": 50}})
    assert exchange.place(kind="market", side=side)["price"] == pytest.approx(price)
    assert exchange.place(side="buy", price=100)["price"] == 100.0
    exchange.answer("POST", "/admin/faults", {"slippage": {"percent": 50, "mode": "live"}})
    assert exchange.place(kind="market", side=side)["price"] == 100.0
    assert exchange.place(kind="market", side=side, mode="live")["price"] == pytest.approx(price)


def test_a_venue_that_starts_again_keeps_its_record_and_counts_on(exchange, tmp_path):
    exchange.place()
    path = tmp_path / "record.jsonl"
    path.write_text(exchange.file.getvalue() + '{"sequence": 2, "ti')
    again = Exchange(read_record(path))
    assert again.place()["order_id"] == "o-2"
    assert [entry["sequence"] for entry in again.record()] == [1, 2]


def test_no_record_file_is_an_empty_record(tmp_path):
    assert not read_record(tmp_path / "none.jsonl")
