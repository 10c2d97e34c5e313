"""What the modules for metric checks return: the same keys whatever happened, and text that a terminal may have."""

import pytest
from trading_ops.checks.results import observe_once, wait

from tests.unit.fake_prometheus import catalogue_item


def test_healthy_answers_pass_with_value_unit_and_age(prometheus):
    seen = observe_once(prometheus.params(), prometheus.tools)
    assert (seen["outcome"], seen["summary"], seen["next_command"]) == ("proven", "2 of 2 checks pass", "")
    bars, latency = seen["checks"]
    assert (bars["outcome"], bars["value"], bars["unit"], bars["age_seconds"]) == ("pass", 1.0, "bars/s", 1.5)
    assert [each["labels"] for each in bars["series"]] == [{"symbol": "BTCUSDT"}, {"symbol": "ETHUSDT"}]
    assert (latency["value"], latency["reason"]) == (499, "")
    assert seen["lines"] == [
        "      check         value           must be  unit    age    runbook",
        "PASS  feed_bars     1 (worst of 2)  > 0      bars/s  1.5 s  LiveFeed_Runbook 6",
        "PASS  feed_latency  499             < 500    ms      1.5 s  LiveFeed_Runbook 6",
    ]


def test_a_value_beyond_its_limit_fails_with_the_worst_series_in_words(prometheus):
    bars, latency = prometheus.checks
    prometheus.values[bars.query] = [({"symbol": "BTCUSDT"}, "1"), ({"symbol": "ETHUSDT"}, "0")]
    prometheus.values[latency.query] = [({}, "812.5")]
    seen = observe_once(prometheus.params(), prometheus.tools)
    assert seen["outcome"] == "failed"
    assert seen["checks"][0]["value"] == 0
    assert seen["summary"] == (
        "0 of 2 checks pass; feed_bars: symbol=ETHUSDT: 0, must be > 0 (bars/s); "
        "feed_latency: 812.5, must be < 500 (ms)"
    )
    assert seen["next_command"] == "runbooks/LiveFeed_Runbook.md 6"
    assert seen["lines"][2].strip() == "symbol=ETHUSDT: 0, must be > 0 (bars/s)"


def test_a_selection_that_leaves_nothing_is_invalid_not_healthy(prometheus):
    for call in (observe_once, wait):
        seen = call(prometheus.params(select={"symbol": "DOGEUSDT"}), prometheus.tools)
        assert (seen["outcome"], seen["checks"]) == ("invalid", [])
        assert "symbol=DOGEUSDT" in seen["summary"]
    assert prometheus.asked == []


def test_a_bad_catalogue_is_invalid_and_named_with_its_line(prometheus):
    text = "check_catalogue_checks:\n  - id: feed_bars\n    threshold: many\n"
    bad = prometheus.params(checks=[catalogue_item(threshold="many")], catalogue_text=text)
    for call in (observe_once, wait):
        seen = call(bad, prometheus.tools)
        assert seen["outcome"] == "invalid"
        assert seen["summary"].startswith("roles/check_catalogue/vars/main.yml line 3: feed_bars: threshold: ")
    assert observe_once(prometheus.params(checks=[]), prometheus.tools)["outcome"] == "invalid"


def test_control_characters_of_a_label_do_not_reach_the_terminal(prometheus):
    prometheus.values[prometheus.checks[0].query].append(({"symbol": "\x1b[2J\nPASS"}, "1"))
    seen = observe_once(prometheus.params(), prometheus.tools)
    assert all(line.isprintable() for line in [*seen["lines"], seen["summary"]])


def test_result_carries_the_clocks_for_the_caller_to_compare(time, prometheus):
    seen = wait(prometheus.params(controller_epoch=5.0), prometheus.tools)
    assert (seen["controller_epoch"], seen["host_epoch"]) == (5.0, time.now().timestamp())


def test_a_gate_that_stays_closed_names_check_value_and_unit(prometheus):
    prometheus.values[prometheus.checks[1].query] = [({}, "812")]
    closed = wait(prometheus.params(timeout_seconds=70), prometheus.tools)
    assert (closed["outcome"], closed["waited_seconds"]) == ("refused", 70.0)
    assert closed["summary"] == "closed after 70 s by feed_latency: 812, must be < 500 (ms)"
    assert closed["next_command"] == "./runbook checks"
    assert [(each["id"], each["value"], each["unit"]) for each in closed["closed_by"]] == [("feed_latency", 812, "ms")]


@pytest.mark.parametrize(
    "times",
    [
        {"stable_seconds": 61, "timeout_seconds": 60},
        {"stable_seconds": -1},
        {"interval_seconds": 0},
        {"stable_seconds": float("nan")},
    ],
    ids=str,
)
def test_times_that_make_no_sense_are_wrong_usage_and_nobody_is_asked(prometheus, times):
    assert wait(prometheus.params(**times), prometheus.tools)["outcome"] == "usage"
    assert prometheus.asked == []


def test_success_refusal_and_nonsense_have_the_same_keys(prometheus):
    good = wait(prometheus.params(stable_seconds=0), prometheus.tools)
    usage = wait(prometheus.params(stable_seconds=-1), prometheus.tools)
    invalid = wait(prometheus.params(checks=[]), prometheus.tools)
    prometheus.values[prometheus.checks[1].query] = []
    refused = wait(prometheus.params(timeout_seconds=60), prometheus.tools)
    words = [each["outcome"] for each in (good, refused, usage, invalid)]
    assert words == ["proven", "refused", "usage", "invalid"]
    assert good.keys() == refused.keys() == usage.keys() == invalid.keys()
