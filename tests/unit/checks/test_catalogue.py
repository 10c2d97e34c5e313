from typing import Any

import pytest
import yaml
from trading_ops.checks.catalogue import CatalogueError, find_line, parse_checks, select_checks, select_gates

from tests.unit.fake_prometheus import LATENCY, catalogue_item

MISSING = "the field is not there"


def test_a_sound_catalogue_is_read_in_its_order():
    bars, latency = parse_checks([catalogue_item(), LATENCY])
    assert (bars.id, latency.id) == ("feed_bars", "feed_latency")
    assert bars.expected == ((("symbol", "BTCUSDT"),), (("symbol", "ETHUSDT"),))
    assert latency.expected == ((),)
    assert (bars.threshold, bars.window_seconds, bars.gates) == (0.0, 60, ("feed", "watch"))


def test_a_query_over_several_lines_becomes_one():
    (check,) = parse_checks([catalogue_item(query="sum by (symbol) (\n  rate(feed_bars_total[60s])\n)\n")])
    assert check.query == "sum by (symbol) ( rate(feed_bars_total[60s]) )"


def test_age_and_resets_are_asked_for_by_the_checks_labels_and_the_worst_sample_counts():
    bars, latency = parse_checks([catalogue_item(), LATENCY])
    assert bars.age_query == "max by (symbol) (time() - timestamp(feed_bars_total))"
    assert bars.resets_query == (
        "max by (symbol) (resets(feed_bars_total[60s]) and timestamp(feed_bars_total offset 60s) > time() - 90)"
    )
    assert latency.age_query == "max by () (time() - timestamp(feed_transport_latency_ms_count))"
    assert latency.resets_query == ""


def test_a_check_without_a_source_asks_for_no_age():
    (check,) = parse_checks([catalogue_item(source="", is_counter=False)])
    assert (check.age_query, check.resets_query) == ("", "")


@pytest.mark.parametrize(
    ("condition", "good", "bad"),
    [("<", 4, 5), ("<=", 5, 5.1), (">", 6, 5), (">=", 5, 4.9), ("==", 5, 5.1)],
)
def test_a_condition_is_met_on_its_own_side_of_the_threshold_only(condition, good, bad):
    (check,) = parse_checks([catalogue_item(condition=condition, threshold=5)])
    assert (check.is_met(good), check.is_met(bad)) == (True, False)
    assert not any(map(check.is_met, (float("nan"), float("inf"), float("-inf"))))


WRONG: list[tuple[str, Any, str]] = [
    ("id", "", "words of small letters"),
    ("id", None, "words of small letters"),
    ("id", "Feed-Bars", "words of small letters"),
    ("title", "", "text is needed"),
    ("title", 7, "text is needed"),
    ("section", "somewhere", "a page and its section"),
    ("group", "feeds", "none of"),
    ("query", " ", "text is needed"),
    ("query", "sum by (symbol) (rate(feed_bars_total[5m]))", "does not look back over"),
    ("unit", None, "text is needed"),
    ("condition", "!=", "none of"),
    ("condition", ["<"], "none of"),
    ("threshold", "500", "a number is needed"),
    ("threshold", True, "a number is needed"),
    ("threshold", float("nan"), "a number is needed"),
    ("threshold", float("inf"), "a number is needed"),
    ("threshold", None, "a number is needed"),
    ("window_seconds", -1, "whole seconds"),
    ("window_seconds", 60.0, "whole seconds"),
    ("window_seconds", "60", "whole seconds"),
    ("window_seconds", True, "whole seconds"),
    ("labels", "symbol", "a list"),
    ("labels", ["symbol", "symbol"], "without repetition"),
    ("labels", ["__name__"], "cannot stand here"),
    ("labels", ["sym bol"], "cannot stand here"),
    ("labels", [7], "cannot stand here"),
    ("expected", [], "at least one series"),
    ("expected", {}, "at least one series"),
    ("expected", [{}], "does not name exactly"),
    ("expected", ["BTCUSDT"], "does not name exactly"),
    ("expected", [{"symbol": "BTCUSDT", "host": "a"}], "does not name exactly"),
    ("expected", [{"symbol": ""}], "is no text"),
    ("expected", [{"symbol": 7}], "is no text"),
    ("expected", [{"symbol": "BTCUSDT"}, {"symbol": "BTCUSDT"}], "stands twice"),
    ("source", None, "text is needed"),
    ("source", "", "a counter needs"),
    ("is_counter", "yes", "true or false"),
    ("severity", "page", "none of"),
    ("action", "panic", "none of"),
    ("for_seconds", None, "whole seconds"),
    ("gates", ["feeds"], "cannot stand here"),
    ("gates", "feed", "a list"),
    ("no_data", "", "text is needed"),
    ("basis", "somebody said so", "either owner"),
    ("basis", "ours: ", "either owner"),
    ("colour", "red", "nothing reads it"),
    *((field, MISSING, "it is missing") for field in catalogue_item() if field != "id"),
]


@pytest.mark.parametrize(("field", "value", "why"), WRONG, ids=lambda part: repr(part)[:40])
def test_a_check_that_is_not_sound_is_refused_with_its_id_and_field(field, value, why):
    item = catalogue_item(**{field: value})
    if value is MISSING:
        del item[field]
    with pytest.raises(CatalogueError, match=why) as refused:
        parse_checks([LATENCY, item])
    wrong = "is_counter" if value == "" and field == "source" else field
    assert refused.value.field == wrong
    assert refused.value.check_id == ("feed_bars" if field != "id" else value or "")
    assert f"{wrong}: " in str(refused.value)


@pytest.mark.parametrize("items", [[], [None], ["feed_bars"], [[]]], ids=repr)
def test_a_catalogue_that_is_none_is_refused(items):
    with pytest.raises(CatalogueError):
        parse_checks(items)


def test_two_checks_of_one_id_are_refused():
    with pytest.raises(CatalogueError, match="stands twice"):
        parse_checks([catalogue_item(), LATENCY, catalogue_item()])


@pytest.mark.parametrize(
    ("gates", "left"),
    [
        ([], ["feed_bars", "live", "none"]),
        (["feed"], ["feed_bars"]),
        (["start", "live", "watch"], ["feed_bars", "live"]),
        (["start"], []),
    ],
)
def test_a_gate_asks_for_its_own_checks_and_two_of_them_for_each_once(gates, left):
    items = [catalogue_item(), catalogue_item(id="live", gates=["live"]), catalogue_item(id="none", gates=[])]
    assert [check["id"] for check in select_gates(items, gates)] == left


@pytest.mark.parametrize("item", [None, "feed_bars", {"id": "feed_bars"}, {"gates": "feed"}], ids=repr)
def test_what_does_not_say_its_gates_is_not_left_out_unseen(item):
    assert select_gates([item], ["live"]) == [item]


def test_selecting_leaves_the_series_of_one_and_those_that_are_nobodys_alone():
    checks = parse_checks([catalogue_item(), LATENCY])
    bars, latency = select_checks(checks, {"symbol": "ETHUSDT"})
    assert (bars.id, bars.expected) == ("feed_bars", ((("symbol", "ETHUSDT"),),))
    assert latency == checks[1]


def test_selecting_what_nobody_expects_leaves_nothing_not_what_is_nobodys_alone():
    checks = parse_checks([catalogue_item(), LATENCY])
    assert select_checks(checks, {"symbol": "DOGEUSDT"}) == ()
    assert select_checks(checks, {"symbol": "ETHUSDT", "mode": "live"}) == ()


def test_selecting_nothing_leaves_all():
    checks = parse_checks([catalogue_item(), LATENCY])
    assert select_checks(checks, {}) == checks


TEXT = """\
check_catalogue_checks:
  - id: feed_latency   # the owner's
    title: p99
    threshold: 500
  - id: "feed_bars"
    query: >-
      sum by (symbol)
    threshold: many
  - id: feed_latency
    threshold: 600
"""


@pytest.mark.parametrize(
    ("check_id", "field", "line"),
    [
        ("feed_bars", "threshold", 8),
        ("feed_bars", "id", 5),
        ("feed_bars", "source", 5),
        ("feed_latency", "id", 9),
        ("feed_latency", "threshold", 10),
        ("feed_gaps", "threshold", 0),
        ("feed_.*", "threshold", 0),
        ("", "id", 0),
    ],
)
def test_the_line_that_is_wrong_is_found_and_the_checks_own_where_a_field_is_missing(check_id, field, line):
    assert yaml.safe_load(TEXT)
    assert find_line(TEXT, CatalogueError(check_id, field, "why")) == line
