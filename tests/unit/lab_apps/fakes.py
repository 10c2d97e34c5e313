"""A venue and a journal with behaviour, for tests of the bot."""

from trading_lab.http_json import CallFailed
from trading_lab.venue import OrderState


class FakeVenue:
    """Holds the orders of one client; can fail before or after it acted, and fill what rests."""

    def __init__(self):
        self.calls = []
        self.open = {}
        self.filled = {}
        self.failure = None

    def place(self, symbol, side, kind, quantity, price):
        self.calls.append((kind, side))
        self._fail("before")
        order_id = f"o-{len(self.calls)}"
        if kind == "market":
            state = OrderState(order_id, "filled", price)
        else:
            self.open[order_id] = price
            state = OrderState(order_id, "open", price)
        self._fail("after")
        return state

    def cancel(self, order_id):
        self.calls.append(("cancel", order_id))
        self._fail("before")
        if order_id in self.filled:
            return OrderState(order_id, "filled", self.filled[order_id])
        status = "cancelled" if self.open.pop(order_id, None) is not None else "not_found"
        self._fail("after")
        return OrderState(order_id, status, 0.0)

    def cancel_all(self):
        self.calls.append(("cancel_all", ""))
        self._fail("before")
        self.open.clear()
        self._fail("after")

    def open_order_ids(self):
        self._fail("before")
        return list(self.open)

    def fill_open(self):
        self.filled |= self.open
        self.open.clear()

    @property
    def orders(self):
        return [call for call in self.calls if call[0] in ("market", "limit", "stop")]

    def _fail(self, when):
        if self.failure == when:
            raise CallFailed("the venue did not answer")


class FakeJournal:
    def __init__(self):
        self.rows = []

    def add(self, table, *row):
        self.rows.append((table, row))

    def table(self, name):
        return [row for table, row in self.rows if table == name]
