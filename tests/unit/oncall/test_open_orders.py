"""Orders at the venue in the reports: whose they are decides whether they are good."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from trading_ops.oncall.handover import build_record
from trading_ops.oncall.open_orders import venue_words

from tests.unit.shift_world import bad, estate, only, points

URL = "http://exchange.lan:8900/orders/open"
NONE = {"url": URL, "orders": "none", "count": 0, "outcome": "proven", "summary": f"no open order at {URL}"}
TWO = {"url": URL, "orders": "open", "count": 2, "outcome": "proven", "summary": f"2 open orders at {URL}"}
SILENT = {"url": URL, "orders": "UNVERIFIED", "count": None, "outcome": "unknown", "summary": f"UNVERIFIED: {URL}: 503"}
NO_VENUE = {"url": "", "orders": "UNVERIFIED", "count": None, "outcome": "unknown", "summary": "no endpoint"}


def without_bots(**orders):
    params = estate() | {"orders": orders}
    for name in ("lab1", "lab2"):
        for each in params["hosts"][name]["containers"]:
            if each["service"] == "bot":
                each["state"] = "exited"
    return params


@pytest.mark.parametrize(
    ("orders", "words"),
    [
        ({}, []),
        ({"lab1": NO_VENUE, "lab2": {}}, []),
        ({"lab1": NONE, "lab2": NONE}, ["pass"]),
        ({"lab1": NONE, "lab2": TWO}, ["fail"]),
        ({"lab1": SILENT, "lab2": NONE}, ["unknown"]),
        ({"lab1": SILENT, "lab2": TWO}, ["fail"]),
        ({"lab1": NONE, "lab2": TWO | {"url": "http://other"}}, ["pass", "fail"]),
        ({"lab1": {"failed": True, "msg": "'vault_key' is undefined"}}, ["unknown"]),
        ({"lab1": {"failed": True, "unreachable": True, "msg": "timed out"}}, []),  # the host is a point of its own
    ],
)
def test_each_venue_is_one_word_and_the_worst_answer_counts(orders, words):
    found = sorted(venue_words(without_bots(**orders)), key=lambda each: each.url)
    assert [each.outcome for each in found] == words


def test_orders_of_a_bot_that_runs_are_its_business_and_are_told():
    params = estate() | {"orders": {"lab1": TWO}}
    assert bad(params) == []
    assert any(each.section == "2.3" and "2 open orders at http" in each.text for each in points(params))


def test_open_orders_while_no_bot_runs_make_a_shift_red():
    found = [each for each in bad(without_bots(lab1=TWO)) if "order" in each.subject]
    assert [(each.section, each.outcome) for each in found] == [("2.3", "fail")]
    assert "no bot runs that would look after them" in found[0].text
    assert found[0].fix == "runbooks/Incident_Handling.md 4.1, By hand, at the venue"


def test_a_venue_that_does_not_say_is_unknown_in_a_shift():
    only(estate() | {"orders": {"lab1": SILENT}}, "2.3", "unknown", "503")


@pytest.mark.parametrize(
    ("answer", "outcome", "table"), [(NONE, "proven", None), (TWO, "failed", "open"), (SILENT, "unknown", "unknown")]
)
def test_a_handover_is_not_complete_while_orders_are_open_that_are_nobodys(answer, outcome, table):
    params = without_bots(lab1=answer) | {"history": {}, "since": "2026-11-20T18:00:00.000Z"}
    record = build_record(params, datetime(2026, 11, 21, 6, tzinfo=UTC))
    assert record["outcome"] == outcome
    assert any(URL in row[0] for row in record["tables"]["status"])
    if table:
        assert any(URL in row[0] for row in record["tables"][table])
        assert "exchange.lan" in record["summary"]
