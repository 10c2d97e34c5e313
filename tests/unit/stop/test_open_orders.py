import threading
from typing import Any

import pytest
from trading_ops.host.http import MAX_BYTES
from trading_ops.stop import open_orders as open_orders
from trading_ops.stop.open_orders import OpenOrdersError, observe, parse_open_orders, parse_timeout

URL = "http://venue.lan:8900/orders/open"


@pytest.mark.parametrize(
    ("text", "key", "count"),
    [
        ('{"orders": []}', "orders", 0),
        ('{"orders": [{"order_id": "o-1"}]}', "orders", 1),
        ('{"data": [{"a": 1}, {"a": 1}], "time": 7, "error": null}', "data", 2),
        (' {"orders": [{"price": 1e400}]}\n', "orders", 1),
    ],
)
def test_open_orders_are_counted(text, key, count):
    assert parse_open_orders(text, key) == count


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not JSON"),
        ("<!doctype html><title>Log in</title>", "not JSON"),
        ('{"orders": [{"order_id": "o-1"}', "not JSON"),
        ('{"orders": []} {"orders": []}', "not JSON"),
        ('{"orders": [{"price": NaN}]}', "NaN"),
        ('{"orders": [{"price": -Infinity}]}', "Infinity"),
        ('{"orders": [{"order_id": "o-1"}], "orders": []}', "twice"),
        ("[" * 100_000, "not JSON"),
        ("null", "not a JSON object"),
        ("[]", "not a JSON object"),
        ("0", "not a JSON object"),
        ("{}", "no 'orders'"),
        ('{"Orders": []}', "no 'orders'"),
        ('{"data": {"orders": []}}', "no 'orders'"),
        ('{"orders": null}', "not a list"),
        ('{"orders": 0}', "not a list"),
        ('{"orders": {}}', "not a list"),
        ('{"orders": "none"}', "not a list"),
        ('{"orders": [1]}', "not a list"),
        ('{"orders": [null]}', "not a list"),
        ('{"orders": [{}]}', "not a list"),
        ('{"orders": [[]]}', "not a list"),
        ('{"orders": [], "error": "no permission"}', "error"),
        ('{"orders": [], "errors": [1]}', "error"),
    ],
    ids=lambda text: text[:40] or "empty",
)
def test_anything_else_is_not_an_answer(text, why):
    with pytest.raises(OpenOrdersError, match=why):
        parse_open_orders(text, "orders")


def seen(status: int = 200, body: bytes = b'{"orders": []}', url: str = URL) -> dict[str, Any]:
    return observe(url, "orders", lambda: (status, body), 3)


def test_no_order_is_none_and_some_are_open():
    none, some = seen(), seen(body=b'{"orders": [{"a": 1}, {"a": 2}]}')
    assert (none["outcome"], none["orders"], none["count"]) == ("proven", "none", 0)
    assert (some["outcome"], some["orders"], some["count"]) == ("proven", "open", 2)
    assert some["summary"] == f"2 open orders at {URL}"


def unverified(result: dict[str, Any], why: str) -> bool:
    words = (result["outcome"], result["orders"], result["count"], result["changed"])
    return words == ("unknown", "UNVERIFIED", None, False) and why in result["summary"]


@pytest.mark.parametrize("status", [201, 204, 206, 302, 401, 500])
def test_another_status_is_unverified_whatever_the_body_says(status):
    assert unverified(seen(status), f"HTTP status {status}")


@pytest.mark.parametrize(
    ("body", "why"),
    [(b"", "not JSON"), (b"\xff\xfe", "utf-8"), (b" " * (MAX_BYTES + 1), "longer"), (b"<html>", "not JSON")],
)
def test_an_answer_that_is_none_is_unverified(body, why):
    assert unverified(seen(body=body), why)


def test_an_estate_without_an_endpoint_is_unverified_and_nobody_is_asked():
    def never() -> tuple[int, bytes]:
        raise AssertionError("asked")

    assert unverified(observe("", "orders", never, 3), "trading_core_open_orders_url")


@pytest.mark.parametrize("error", [OSError("refused"), ValueError(), RuntimeError("odd"), KeyError("x")], ids=repr)
def test_whatever_asking_raises_is_unverified(error):
    def fail() -> tuple[int, bytes]:
        raise error

    assert unverified(observe(URL, "orders", fail, 3), str(error) or type(error).__name__)


def test_a_venue_that_does_not_end_its_answer_costs_the_time_out_and_no_more():
    never = threading.Event()

    def hang() -> tuple[int, bytes]:
        never.wait(30)
        return 200, b'{"orders": []}'

    assert unverified(observe(URL, "orders", hang, 0.05), "no whole answer within 0.05 s")
    never.set()


def test_words_of_a_library_that_repeat_the_address_do_not_tell_its_secrets():
    url = "https://user:secret@venue.lan/open?key=hidden"

    def fail() -> tuple[int, bytes]:
        raise ValueError(f"unknown url type: {url}")

    result = observe(url, "orders", fail, 3)
    assert unverified(result, "https://venue.lan/open")
    assert not any(word in str(result) for word in ("secret", "hidden"))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(3, 3), ("2.5", 2.5), (0, 0.1), (-1, 0.1), (600, 10), ("inf", 10), ("nan", 3), ("soon", 3), (None, 3), ([], 3)],
    ids=repr,
)
def test_no_value_makes_the_time_out_endless(value, seconds):
    assert parse_timeout(value) == seconds == min(seconds, open_orders.MAX_TIMEOUT_SECONDS)
