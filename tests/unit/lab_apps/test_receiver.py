import json

import pytest
from trading_lab.faults import FaultBoard
from trading_lab.receiver import FAULTS, Messages, build_routes
from trading_lab.web import dispatch


class Receiver:
    """The receiver with a clock that the test sets, and sleeps that only add up."""

    def __init__(self):
        self.now, self.slept = 1_790_000_000.0, 0.0
        self.routes = build_routes(Messages(), FaultBoard(FAULTS), lambda: self.now, self._sleep)

    def _sleep(self, seconds):
        self.slept += seconds

    def ask(self, method, path, body=None):
        return dispatch(self.routes, method, path, json.dumps(body or {}).encode())

    def kept(self, query=""):
        return [item["body"]["message"] for item in self.ask("GET", f"/messages?{query}").payload["messages"]]


@pytest.fixture
def receiver():
    return Receiver()


def test_it_keeps_what_it_got_by_channel_and_time(receiver):
    receiver.ask("POST", "/ops", {"message": "first"})
    receiver.now += 60
    receiver.ask("POST", "/on-call", {"message": "second"})
    assert receiver.kept() == ["first", "second"]
    assert receiver.kept("channel=ops") == ["first"]
    assert receiver.kept("since=2026-09-21T14:14:00Z") == ["second"]


def test_one_that_is_down_keeps_nothing_and_says_so(receiver):
    receiver.ask("POST", "/admin/faults", {"down": True})
    assert receiver.ask("POST", "/ops", {"message": "x"}).status == 503
    assert receiver.kept() == []


def test_one_that_is_slow_keeps_at_once_and_answers_late(receiver):
    receiver.ask("POST", "/admin/faults", {"slow": {"seconds": 60}})
    assert receiver.ask("POST", "/ops", {"message": "x"}).status == 200
    assert (receiver.kept(), receiver.slept) == (["x"], 60)
