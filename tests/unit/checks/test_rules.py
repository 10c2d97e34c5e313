from __future__ import annotations

import json
from dataclasses import replace

import pytest
from trading_ops.checks.catalogue import Check
from trading_ops.checks.rules import WATCHDOG, alert_expr, alert_name, build_rules, render_document

CHECK = Check(
    id="feed_latency_p99",
    title="Transport latency, p99",
    section="LiveFeed_Runbook 6",
    group="feed",
    query="latency",
    unit="ms",
    condition="<",
    threshold=500.0,
    window_seconds=20,
    labels=("symbol",),
    expected=((("symbol", "BTCUSDT"),), (("symbol", 'ET"H$1'),)),
    source="raw",
    is_counter=True,
    severity="critical",
    action="stop_bots",
    for_seconds=10,
    gates=("feed",),
    no_data="Nothing came.",
    basis="owner",
)


def alerts(*checks, seconds=5):
    return {rule["alert"]: rule for group in build_rules(checks, seconds)["groups"] for rule in group["rules"]}


def digest(*checks):
    return alerts(*checks)[WATCHDOG]["annotations"]["digest"]


def test_an_expression_says_what_is_good_and_raises_for_everything_else():
    good = "(latency) < 500 > -Inf"
    fresh = "max by (symbol) (time() - timestamp(raw)) <= 10"
    steady = "max by (symbol) (resets(raw[20s]) and timestamp(raw offset 20s) > time() - 30) == 0"
    expected = (
        'label_replace(vector(NaN), "symbol", "BTCUSDT", "", "")'
        ' or label_replace(vector(NaN), "symbol", "ET\\"H$$1", "", "")'
    )
    on = "on(symbol)"
    assert alert_expr(CHECK, 5) == (
        f"((latency) unless {on} (({good}) and {on} ({fresh}) and {on} ({steady}) and {on} ({expected})))"
        f" or (({expected}) unless {on} (latency))"
    )


def test_an_alert_outlasts_its_cause_where_the_check_says_so():
    assert "keep_firing_for" not in alerts(CHECK)[alert_name(CHECK.id)]
    assert alerts(replace(CHECK, keep_firing_seconds=21))[alert_name(CHECK.id)]["keep_firing_for"] == "21s"


@pytest.mark.parametrize(
    ("condition", "finite"), [("<", " > -Inf"), ("<=", " > -Inf"), (">", " < Inf"), (">=", " < Inf"), ("==", "")]
)
def test_an_infinite_value_is_good_under_no_condition(condition, finite):
    assert f"(latency) {condition} 500{finite})" in alert_expr(replace(CHECK, condition=condition), 5)


def test_a_check_that_is_always_fresh_asks_for_no_age_and_one_without_labels_for_no_label():
    alone = replace(CHECK, labels=(), expected=((),), source="", is_counter=False)
    assert alert_expr(alone, 5) == (
        "((latency) unless on() (((latency) < 500 > -Inf) and on() (vector(NaN))))"
        " or ((vector(NaN)) unless on() (latency))"
    )


def test_an_alert_carries_what_its_receiver_routes_by_and_a_person_reads():
    rule = alerts(CHECK)["FeedLatencyP99"]
    assert rule["for"] == "10s"
    assert rule["labels"] == {
        "severity": "critical",
        "action": "stop_bots",
        "check": "feed_latency_p99",
        "group": "feed",
        "section": "LiveFeed_Runbook 6",
    }
    assert rule["annotations"]["summary"] == (
        'Transport latency, p99: symbol={{ $labels.symbol }} {{ printf "%.6g" $value }} ms, wanted: < 500 ms'
    )
    assert rule["annotations"]["next_command"] == './runbook failsafe_stop -e reason="Transport latency, p99"'
    assert "Nothing came." in rule["annotations"]["no_data"]


ABOUT_A_BOT = replace(CHECK, id="sharpe", group="strategy", labels=("host", "mode"), action="none")
UNSEEN = 'ALERTS{check="bot_seen",alertstate="firing"}'


def test_what_is_said_of_a_bot_is_held_back_while_it_is_not_seen():
    expr = alerts(ABOUT_A_BOT)["Sharpe"]["expr"]
    assert expr == f"({alert_expr(ABOUT_A_BOT, 5)}) unless on(host, mode) {UNSEEN}"


def test_a_known_loss_of_a_live_bot_is_never_held_back():
    loss = replace(ABOUT_A_BOT, id="live_drawdown", group="bots", action="stop_live")
    inner = alert_expr(loss, 5)
    expr = alerts(loss)["LiveDrawdown"]["expr"]
    assert expr == f"(({inner}) >= -Inf) or (({inner}) unless on(host, mode) {UNSEEN})"


def test_that_a_bot_is_not_seen_and_what_is_said_of_others_is_never_held_back():
    unseen = replace(ABOUT_A_BOT, id="bot_seen", group="bots")
    for check in (unseen, CHECK):
        assert alerts(check)[alert_name(check.id)]["expr"] == alert_expr(check, 5)


def test_names_of_alerts_are_words():
    assert alert_name("feed_latency_p99") == "FeedLatencyP99"


def test_the_watchdog_always_fires_and_knows_its_rules():
    assert alerts(CHECK)[WATCHDOG]["expr"] == "vector(1)"
    assert digest(CHECK) == digest(CHECK)
    assert digest(CHECK) != digest(replace(CHECK, threshold=501.0))
    assert (
        alerts(CHECK)[WATCHDOG]["annotations"]["digest"] != alerts(CHECK, seconds=6)[WATCHDOG]["annotations"]["digest"]
    )


def test_groups_are_evaluated_as_often_as_things_are_scraped():
    groups = build_rules((CHECK, replace(CHECK, id="gaps", group="data_quality")), 7.5)["groups"]
    assert [(group["name"], group["interval"]) for group in groups] == [
        ("trading_core_feed", "7500ms"),
        ("trading_core_data_quality", "7500ms"),
        ("trading_core_watchdog", "7500ms"),
    ]


def test_a_document_reads_back():
    document = build_rules((CHECK,), 5)
    assert json.loads(render_document(document)) == document
