import pytest
from trading_lab.http_json import CallFailed
from trading_lab.venue import HttpVenue
from trading_lab.web import Response, Route, start_server


class Answers:
    """A server that gives the answer the test chose, and keeps what it was asked."""

    def __init__(self):
        self.payload, self.asked = {}, []
        answer = self._answer
        self.server = start_server(0, [Route(method, ".*", answer) for method in ("GET", "POST")])
        url = f"http://127.0.0.1:{self.server.server_port}"
        self.venue = HttpVenue(url, "trading-paper/a b&c", "paper")

    def _answer(self, request):
        self.asked.append((dict(request.query), dict(request.body)))
        return Response(self.payload)


@pytest.fixture(scope="module")
def server():
    answers = Answers()
    yield answers
    answers.server.shutdown()
    answers.server.server_close()


@pytest.fixture
def answers(server):
    server.payload, server.asked[:] = {}, []
    return server


def test_an_order_carries_client_and_mode(answers):
    answers.payload = {"order_id": "o-1", "status": "open", "price": 5}
    assert answers.venue.place("BTCUSDT", "buy", "limit", 1.0, 5.0).status == "open"
    ((_, body),) = answers.asked
    assert (body["client"], body["mode"]) == ("trading-paper/a b&c", "paper")


def test_open_orders_are_asked_for_this_client_whatever_its_name(answers):
    answers.payload = {"orders": [{"order_id": "o-1"}]}
    assert answers.venue.open_order_ids() == ["o-1"]
    assert answers.asked == [({"client": "trading-paper/a b&c"}, {})]


@pytest.mark.parametrize("payload", [{}, [], None, {"orders": None}, {"orders": [{}]}, {"orders": "none"}])
def test_no_list_of_orders_is_never_taken_for_an_empty_one(answers, payload):
    answers.payload = payload
    with pytest.raises(CallFailed):
        answers.venue.open_order_ids()


@pytest.mark.parametrize("payload", [{}, {"order_id": "o-1", "status": "open", "price": "dear"}])
def test_an_answer_to_an_order_that_makes_no_sense_is_a_failed_call(answers, payload):
    answers.payload = payload
    with pytest.raises(CallFailed):
        answers.venue.place("BTCUSDT", "buy", "limit", 1.0, 5.0)
    with pytest.raises(CallFailed):
        answers.venue.cancel("o-1")
