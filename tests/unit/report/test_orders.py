"""Who said what of open orders: the words, beside the verdict's exit code in test_verdict.py."""

from __future__ import annotations

import pytest
from trading_ops.report.orders import describe_answers, judge_orders
from trading_ops.report.verdict import Result

VENUE = "http://exchange.lan/orders"


def said(host="a", orders="none", count=0, url=VENUE, summary=""):
    outcome = "unknown" if orders == "UNVERIFIED" else "proven"
    text = summary or f"{host} heard {orders}"
    return Result(host, "open_orders_info", outcome, text, fields={"orders": orders, "count": count, "url": url})


def bot(orders="cancelled", name="x"):
    return {"name": name, "how": "stopped", "orders": orders}


@pytest.mark.parametrize(
    ("now", "asked", "venues", "text"),
    [
        ([bot()], [said()], {"a": VENUE}, "orders: none (bots: 1 cancelled; venue: a heard none)"),
        ([bot("none")], [], {}, "orders: none (bots' own exit: 1 none; nobody was asked at the venue)"),
        ([], [], {}, "orders: nobody was asked"),
        ([], [said()], {"a": VENUE}, "orders: none (venue: a heard none)"),
    ],
)
def test_what_is_settled_says_who_said_so(now, asked, venues, text):
    seen = judge_orders(["a"], now, asked, venues)
    assert (seen.text, seen.is_settled) == (text, True)


def test_without_a_venue_unverified_is_said_and_settled():
    seen = judge_orders(["a"], [bot("UNVERIFIED")], [said(orders="UNVERIFIED", count=None, url="")], {})
    assert seen.is_settled
    assert seen.text.startswith(
        "orders: UNVERIFIED (bots' own exit: 1 UNVERIFIED (x); nobody was asked at the venue: the estate names no "
    )
    assert "NOW at the venue" in seen.text


@pytest.mark.parametrize(
    "asked",
    [
        [],
        [said(orders="UNVERIFIED", count=None)],
        [said(orders="UNVERIFIED", count=None, url="")],
        [said(), said(orders="UNVERIFIED", count=None)],
        [Result("a", "open_orders_info", "failed", "boom")],
        [said(orders="nonsense")],
        [said("b")],
    ],
)
def test_a_named_venue_that_did_not_say_none_to_each_host_is_silent(asked):
    seen = judge_orders(["a"], [bot()], asked, {"a": VENUE})
    assert (seen.is_silent, seen.is_settled, "orders: UNVERIFIED" in seen.text) == (True, False, True)


@pytest.mark.parametrize(("count", "expected"), [(3, 3), (0, 1), (None, 1), (True, 1), ("7", 1), (-2, 1)])
def test_an_answer_that_says_open_is_one_order_at_least(count, expected):
    assert judge_orders(["a"], [], [said(orders="open", count=count)], {}).count == expected


def test_one_venue_that_two_hosts_asked_is_counted_once_and_at_its_worst():
    asked = [said(), said(orders="open", count=2), said("b", "open", 3), said("b", "open", 1, "http://other")]
    assert judge_orders(["a", "b"], [], asked, {}).count == 4


def test_a_run_that_stops_nothing_quotes_each_venue_once_and_nothing_where_there_is_none():
    two = [said(summary="2 open orders at x."), said("b", summary="2 open orders at x.")]
    assert describe_answers(two) == "orders: 2 open orders at x"
    assert describe_answers([said(orders="UNVERIFIED", url="")]) == ""
