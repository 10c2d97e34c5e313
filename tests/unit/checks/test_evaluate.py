"""What opens a gate, and the corpus of answers that never do."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from trading_ops.checks.evaluate import Limits, controller_distrust, evaluate, evaluate_all, queries_of
from trading_ops.checks.results import Tools, observe_once, wait
from trading_ops.host.http import MAX_BYTES, HttpError

from tests.unit.fake_prometheus import FakePrometheus, Reply, Sample, answer, catalogue_item, sample


def outcomes(result: dict[str, Any]) -> list[str]:
    return [check["outcome"] for check in result["checks"]]


# ---- the corpus -----------------------------------------------------------------------------------------------------


def status(code: int, body: bytes | None = None) -> Reply:
    return lambda samples: (code, answer(samples)[1] if body is None else body)


def body(change: Callable[[bytes], bytes]) -> Reply:
    return lambda samples: (200, change(answer(samples)[1]))


def whole(**more: Any) -> Reply:
    return lambda samples: answer(samples, **more)


def data(**more: Any) -> Reply:
    return lambda samples: answer([], data={"resultType": "vector", "result": samples} | more)


def samples(change: Callable[[list[Sample]], list[Any]]) -> Reply:
    return lambda healthy: answer(change(healthy))


def first(**more: Any) -> Reply:
    """Change the first sample's fields; None takes one away."""

    def change(healthy: list[Sample]) -> list[Any]:
        changed = {key: value for key, value in (healthy[0] | more).items() if value is not None}
        return [changed, *healthy[1:]]

    return samples(change)


def value(word: object) -> Reply:
    return samples(lambda healthy: [healthy[0] | {"value": [healthy[0]["value"][0], word]}, *healthy[1:]])


def evaluated(offset_seconds: float) -> Reply:
    return samples(lambda healthy: [h | {"value": [h["value"][0] + offset_seconds, h["value"][1]]} for h in healthy])


def raising(error: Exception) -> Reply:
    def fail(_: list[Sample]) -> tuple[int, bytes]:
        raise error

    return fail


LOGIN = b"<!doctype html><html><title>Log in</title><form action=/login></form></html>"
REFUSED = b'{"status": "error", "errorType": "execution", "error": "query timed out in expression evaluation"}'

NO_ANSWER: dict[str, Reply] = {
    "connection refused": raising(ConnectionRefusedError(111, "Connection refused")),
    "connection reset": raising(ConnectionResetError(104, "Connection reset by peer")),
    "no address": raising(HttpError("http://prometheus.lan: Name or service not known.")),
    "time-out": raising(TimeoutError("timed out")),
    "hangs up in the middle": raising(http.client.IncompleteRead(b'{"status"')),
    "speaks no HTTP": raising(http.client.BadStatusLine("SSH-2.0")),
    "starting, 503": status(503, b"Service Unavailable"),
    "500 with a healthy body": status(500),
    "500 with Prometheus' words": status(500, REFUSED),
    "error with 200": status(200, REFUSED),
    "bad query, 400": status(400, REFUSED),
    "redirect": status(302, b""),
    "redirect with a healthy body": status(302),
    "no rights, 401": status(401, b"Unauthorized"),
    "no content, 204": status(204, b""),
    "206 with a healthy body": status(206),
    "HTML login page": status(200, LOGIN),
    "empty body": status(200, b""),
    "white space": status(200, b" \n"),
    "no UTF-8": status(200, b"\xff\xfe\x00"),
    "cut in the middle": body(lambda text: text[: len(text) // 2]),
    "cut before the last brace": body(lambda text: text[:-1]),
    "two answers": body(lambda text: text + text),
    "a name twice, the bad one first": body(
        lambda text: text.replace(b'{"status"', b'{"status": "error", "status"', 1)
    ),
    "data twice": body(lambda text: text.replace(b'"data"', b'"data": {}, "data"', 1)),
    "a value twice": body(lambda text: text.replace(b'"value"', b'"value": [7, "NaN"], "value"', 1)),
    "longer than anybody asked": body(lambda text: text + b" " * MAX_BYTES),
    "a hundred thousand brackets": status(200, b"[" * 100_000),
    "null": status(200, b"null"),
    "a list": body(lambda text: b"[" + text + b"]"),
    "a word": status(200, b'"success"'),
    "no status": body(lambda text: text.replace(b'"status"', b'"stat"', 1)),
    "another status": whole(status="Success"),
    "warnings": whole(warnings=["PromQL warning: partial data"]),
    "infos": whole(infos=["PromQL info: metric might not be a counter"]),
    "partial": whole(isPartial=True),
    "error beside success": whole(error="some blocks could not be read"),
    "no data": whole(data=None),
    "a matrix": data(resultType="matrix"),
    "a scalar": data(resultType="scalar", result=[7, "1"]),
    "no result type": data(resultType=None),
    "result null": data(result=None),
    "result an object": data(result={}),
}
DAMAGED: dict[str, Reply] = {
    "empty": samples(lambda _: []),
    "an entry null": samples(lambda healthy: [None, *healthy[1:]]),
    "a sample without a value": first(value=None),
    "a sample without labels": first(metric=None),
    "a histogram in place of a value": first(value=None, histogram=[7, {"count": "1"}]),
    "a histogram beside a value": first(histogram=[7, {"count": "1"}]),
    "labels a list": first(metric=[["symbol", "BTCUSDT"]]),
    "a label a number": first(metric={"symbol": 7}),
    "values of a range": first(value=None, values=[[7, "1"]]),
    "the time as text": first(value=["7", "1"]),
    "the time true": first(value=[True, "1"]),
    "the time without an end": body(lambda text: text.replace(b'"value": [', b'"value": [1e999, "1"], "x": [', 1)),
    "the value a number": value(1),
    "the value null": value(None),
    "the value empty": value(""),
    "the value in words": value("healthy"),
    "NaN": value("NaN"),
    "NaN as a constant": body(lambda text: text.replace(b"[1", b"[NaN, 1", 1)),
    "+Inf": value("+Inf"),
    "-Inf": value("-Inf"),
    "too large for a number": value("1e999"),
    "an infinity as Python writes it": value("inf"),
    "one series twice": samples(lambda healthy: [*healthy, healthy[0]]),
    "one series of two instances": samples(
        lambda healthy: [*healthy, healthy[0] | {"metric": healthy[0]["metric"] | {"instance": "other"}}]
    ),
    "looked an hour ago": evaluated(-3600),
    "looked 2.1 s before it was asked": evaluated(-2.1),
    "looked 2.1 s after it answered": evaluated(2.1),
}
SERIES: dict[str, Reply] = {
    "the first series missing": samples(lambda healthy: healthy[1:]),
    "the last series missing": samples(lambda healthy: healthy[:-1]),
    "the label missing": first(metric={"__name__": "feed_bars_total"}),
    "another series in place of one": first(metric={"symbol": "DOGEUSDT"}),
    "a series spelled otherwise": first(metric={"symbol": "btcusdt"}),
    "the label empty": first(metric={"symbol": ""}),
}
"""Only where a series has labels."""

CORPUS = NO_ANSWER | DAMAGED | SERIES
SURPLUS: dict[str, Reply] = {
    "a series too many": samples(lambda healthy: [*healthy, sample({"symbol": "XRP"}, "1", healthy[0]["value"][0])]),
}
BEYOND: dict[str, Reply] = {"no bars of one symbol": value("0"), "fewer than none": value("-1")}
AGE_ONLY: dict[str, Reply] = {
    "stale, two scrapes and a bit": value("10.01"),
    "stale for minutes": value("290"),
    "from 2.1 s ahead": value("-2.1"),
}
RESETS_ONLY: dict[str, Reply] = {
    "reset once": value("1"),
    "reset many times": value("12"),
    "resets below none": value("-1"),
}
ROWS = [
    *(("unknown", asked, reply, name) for asked in ("value", "age", "resets") for name, reply in CORPUS.items()),
    *(("unknown", "value", reply, name) for name, reply in SURPLUS.items()),
    *(("unknown", "age", reply, name) for name, reply in AGE_ONLY.items()),
    *(("unknown", "resets", reply, name) for name, reply in RESETS_ONLY.items()),
    *(("fail", "value", reply, name) for name, reply in BEYOND.items()),
]
row = pytest.mark.parametrize(
    ("outcome", "asked", "reply"), [row[:3] for row in ROWS], ids=[f"{row[1]}, {row[3]}" for row in ROWS]
)


def test_the_corpus_is_large_enough_to_mean_something():
    assert len(CORPUS | SURPLUS | AGE_ONLY | RESETS_ONLY | BEYOND) >= 80


@row
def test_a_bad_answer_never_opens_the_gate(prometheus, outcome, asked, reply):
    prometheus.replies[queries_of(prometheus.checks[0])[asked]] = reply
    seen = observe_once(prometheus.params(), prometheus.tools)
    assert outcomes(seen) == [outcome, "pass"]
    assert seen["checks"][0]["reason"]
    assert seen["outcome"] == {"fail": "failed", "unknown": "unknown"}[outcome]
    closed = wait(prometheus.params(stable_seconds=0, timeout_seconds=12), prometheus.tools)
    assert (closed["outcome"], closed["closed_by"][0]["id"], closed["steps"]) == ("refused", "feed_bars", 4)
    assert json.dumps([seen, closed], allow_nan=False)


@row
def test_a_bad_answer_at_the_last_step_of_the_window_starts_the_window_again(time, prometheus, outcome, asked, reply):
    query = queries_of(prometheus.checks[0])[asked]
    time.events = [(20.0, lambda: prometheus.replies.update({query: reply})), (25.0, prometheus.replies.clear)]
    opened = wait(prometheus.params(stable_seconds=20), prometheus.tools)
    assert (opened["outcome"], opened["waited_seconds"], opened["steps"]) == ("proven", 45.0, 10)


# ---- one look -------------------------------------------------------------------------------------------------------


def test_a_check_that_failed_on_one_series_has_failed_whatever_is_not_known_of_another(prometheus):
    prometheus.values[prometheus.checks[0].query] = [({"symbol": "ETHUSDT"}, "0")]
    seen = observe_once(prometheus.params(), prometheus.tools)
    assert (outcomes(seen), seen["outcome"]) == (["fail", "pass"], "failed")
    assert "no sample (The feed is not scraped)" in seen["checks"][0]["reason"]


def test_series_with_one_trouble_are_named_together_the_first_three_of_them(time):
    symbols = [{"symbol": name} for name in ("A", "B", "C", "D", "E")]
    prometheus = FakePrometheus(time, catalogue_item(expected=symbols))
    prometheus.values[prometheus.checks[0].query] = []
    (check,) = observe_once(prometheus.params(), prometheus.tools)["checks"]
    assert check["reason"] == "symbol=A / symbol=B / symbol=C and 2 more: no sample (The feed is not scraped)"


def test_without_prometheus_everything_is_unknown_and_the_reason_stands_once(prometheus):
    for query in prometheus.values:
        prometheus.replies[query] = raising(ConnectionRefusedError(111, "Connection refused"))
    seen = observe_once(prometheus.params(), prometheus.tools)
    assert (seen["outcome"], outcomes(seen)) == ("unknown", ["unknown", "unknown"])
    assert "\n".join(seen["lines"]).count("Connection refused") == seen["summary"].count("Connection refused") == 1
    assert "feed_bars / feed_latency: " in seen["summary"]


@pytest.mark.parametrize(
    ("value", "age", "expected"),
    [("499.999", "10", "pass"), ("500", "10", "fail"), ("0", "-2", "pass"), ("0", "10.001", "unknown")],
)
def test_limits_are_part_of_what_is_said_of_them(prometheus, value, age, expected):
    latency = prometheus.checks[1]
    prometheus.values[latency.query], prometheus.values[latency.age_query] = [({}, value)], [({}, age)]
    assert outcomes(observe_once(prometheus.params(), prometheus.tools)) == ["pass", expected]


def test_each_query_is_asked_once_however_many_checks_need_it(time):
    twice = [catalogue_item(id="one"), catalogue_item(id="other", threshold=0.5)]
    prometheus = FakePrometheus(time, *twice)
    assert outcomes(observe_once(prometheus.params(), prometheus.tools)) == ["pass", "pass"]
    assert sorted(prometheus.asked) == sorted(set(prometheus.asked))
    assert len(prometheus.asked) == 3


def test_a_query_that_nobody_asked_is_unknown(prometheus):
    assert evaluate(prometheus.checks[0], {}, Limits()).outcome == "unknown"


def test_labels_of_others_are_not_looked_at_where_a_selection_is_given(prometheus):
    bars = prometheus.checks[0]
    prometheus.values[bars.query] = [({"symbol": "ETHUSDT"}, "1"), ({"symbol": "BTCUSDT"}, "0")]
    seen = observe_once(prometheus.params(select={"symbol": "ETHUSDT"}), prometheus.tools)
    assert (outcomes(seen), len(seen["checks"][0]["series"])) == (["pass", "pass"], 1)
    prometheus.values[bars.query] = [({"symbol": "BTCUSDT"}, "1")]
    assert observe_once(prometheus.params(select={"symbol": "ETHUSDT"}), prometheus.tools)["outcome"] == "unknown"


def test_a_sample_without_the_label_is_never_taken_for_somebody_elses(prometheus):
    prometheus.values[prometheus.checks[0].query] = [({"symbol": "ETHUSDT"}, "1"), ({}, "1")]
    seen = observe_once(prometheus.params(select={"symbol": "ETHUSDT"}), prometheus.tools)
    assert "a sample without the label symbol" in seen["checks"][0]["reason"]


# ---- clocks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [-2.5, 2.5, 3600])
def test_a_prometheus_whose_clock_differs_is_believed_in_nothing(prometheus, offset):
    prometheus.clock_offset_seconds = offset
    seen = observe_once(prometheus.params(), prometheus.tools)
    assert outcomes(seen) == ["unknown", "unknown"]
    assert "clocks differ" in seen["summary"]


@pytest.mark.parametrize("looked_after_seconds", [0.0, 4.0])
def test_a_slow_answer_is_not_taken_for_a_clock_that_differs(time, prometheus, looked_after_seconds):
    def slow(healthy: list[Sample]) -> tuple[int, bytes]:
        time.sleep(4.0)
        return evaluated(looked_after_seconds)(healthy)

    prometheus.replies[prometheus.checks[1].query] = slow
    assert outcomes(observe_once(prometheus.params(query_timeout_seconds=30.0), prometheus.tools)) == ["pass", "pass"]


def test_a_host_that_is_behind_the_controller_believes_nothing_and_does_not_wait(time, prometheus):
    ahead = time.now().timestamp() + 2.5
    seen = observe_once(prometheus.params(controller_epoch=ahead), prometheus.tools)
    assert (seen["outcome"], outcomes(seen)) == ("unknown", ["unknown", "unknown"])
    assert "2.5 s behind the controller's" in seen["summary"]
    closed = wait(prometheus.params(controller_epoch=ahead), prometheus.tools)
    assert (closed["outcome"], closed["steps"], closed["waited_seconds"]) == ("refused", 1, 0.0)


@pytest.mark.parametrize("age", [None, 1.9, 0.0, -30.0])
def test_a_task_that_took_its_time_to_get_here_is_no_difference_of_clocks(age):
    epoch = None if age is None else 1000.0 + age
    assert controller_distrust(epoch, 1000.0, Limits()) == ""


# ---- waiting --------------------------------------------------------------------------------------------------------


def test_a_window_is_stable_when_every_step_of_it_passed(prometheus):
    opened = wait(prometheus.params(), prometheus.tools)
    assert (opened["outcome"], opened["waited_seconds"], opened["steps"]) == ("proven", 60.0, 13)
    assert opened["summary"] == "all 2 checks passed at every step for 60 s"
    assert (opened["next_command"], opened["closed_by"]) == ("", [])


def test_a_fault_that_ends_opens_the_gate_a_window_later(time, prometheus):
    prometheus.replies[prometheus.checks[0].query] = value("0")
    time.events = [(31.0, prometheus.replies.clear)]
    opened = wait(prometheus.params(), prometheus.tools)
    assert (opened["outcome"], opened["waited_seconds"]) == ("proven", 95.0)


def test_what_closed_the_gate_is_named_also_when_it_passes_again_too_late(time, prometheus):
    prometheus.replies[prometheus.checks[0].query] = value("0")
    time.events = [(30.0, prometheus.replies.clear)]
    closed = wait(prometheus.params(timeout_seconds=70), prometheus.tools)
    assert (closed["outcome"], outcomes(closed)) == ("refused", ["pass", "pass"])
    assert "feed_bars: symbol=BTCUSDT: 0, must be > 0 (bars/s)" in closed["summary"]
    assert "since then all passed, for 40 of 60 s" in closed["summary"]


def test_watching_ends_at_the_first_step_that_does_not_pass(time, prometheus):
    time.events = [(20.0, lambda: prometheus.replies.update({prometheus.checks[0].query: value("NaN")}))]
    watch = prometheus.params(stable_seconds=180, fail_fast=True)
    closed = wait(watch, prometheus.tools)
    assert (closed["outcome"], closed["waited_seconds"], closed["steps"]) == ("refused", 20.0, 5)
    prometheus.replies.clear()
    assert wait(watch, prometheus.tools)["waited_seconds"] == 180.0


def test_a_watch_begins_once_all_is_well_and_then_forgives_nothing(time, prometheus):
    bad, query = value("NaN"), prometheus.checks[0].query
    watch = prometheus.params(stable_seconds=180, fail_fast=True, settle_seconds=60)
    prometheus.replies[query] = bad
    time.events = [(30.0, prometheus.replies.clear)]
    assert (wait(watch, prometheus.tools)["outcome"], time.seconds) == ("proven", 210.0)

    begun = time.seconds
    time.events = [
        (begun + 10, lambda: prometheus.replies.update({query: bad})),
        (begun + 20, prometheus.replies.clear),
    ]
    closed = wait(watch, prometheus.tools)
    assert (closed["outcome"], closed["waited_seconds"]) == ("refused", 10.0)


def test_a_watch_that_never_begins_is_over_with_its_time_to_settle(time, prometheus):
    prometheus.replies[prometheus.checks[0].query] = value("NaN")
    closed = wait(prometheus.params(stable_seconds=180, fail_fast=True, settle_seconds=60), prometheus.tools)
    assert (closed["outcome"], closed["waited_seconds"]) == ("refused", 60.0)


def test_time_in_which_nobody_looked_is_no_part_of_a_window(time, prometheus):
    """A machine that sleeps comes back with its clock ahead: two good looks with an hour between them prove nothing."""

    def suspended() -> None:
        time.seconds += 3600

    time.events = [(10.0, suspended)]
    opened = wait(prometheus.params(timeout_seconds=7200), prometheus.tools)
    assert (opened["outcome"], opened["waited_seconds"]) == ("proven", 3670.0)


# ---- asking ---------------------------------------------------------------------------------------------------------


def test_a_prometheus_that_hangs_costs_two_time_limits_in_all_and_no_more(time):
    """With 30 queries and eight at once. The threads really wait, for some hundredths of a second."""
    items = [catalogue_item(id=f"check_{number}", query=f"q{number}[60s]", source=f"s{number}") for number in range(10)]
    never = threading.Event()

    def hang(_: list[Sample]) -> tuple[int, bytes]:
        never.wait(30)
        return answer([])

    prometheus = FakePrometheus(time, *items)
    prometheus.replies = dict.fromkeys(prometheus.values, hang)
    limits = Limits(query_timeout_seconds=0.05)
    spent = iter([0.0, *[0.04] * 8, *[0.09] * 8, *[0.11] * 99])
    results = evaluate_all(prometheus.checks, prometheus.fetch, lambda: 0.0, lambda: next(spent), limits)
    never.set()
    assert {result.outcome for result in results} == {"unknown"}
    assert len(prometheus.asked) == 16
    assert "no whole answer within" in results[0].reason
    assert "not asked any more" in results[9].reason


def test_at_most_eight_queries_are_on_their_way_at_once(time):
    items = [catalogue_item(id=f"check_{number}", query=f"q{number}[60s]") for number in range(20)]
    prometheus = FakePrometheus(time, *items)
    lock, under_way, most = threading.Lock(), 0, 0

    def fetch(query: str) -> tuple[int, bytes]:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        threading.Event().wait(0.002)
        with lock:
            under_way -= 1
        return prometheus.fetch(query)

    tools = prometheus.tools
    assert observe_once(prometheus.params(), Tools(fetch, tools.now, tools.clock, tools.sleep))["outcome"] == "proven"
    assert 1 < most <= 8
