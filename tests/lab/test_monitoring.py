"""Alerts and dashboards on the lab's feed host: installed, proven by Prometheus, raised by real faults."""

from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from trading_ops.checks.dashboards import DASHBOARDS

from tests.catalogue import catalogue
from tests.lab.estate import FEED_HOST, feed_fault, no_feed_fault, on, runbook, wait_until

ADDRESS = "http://172.29.77.11"
COMPOSE = "/opt/ai_trading_core/ops/compose"
RULES = f"{COMPOSE}/prometheus/rules/trading_core.yml"


def get(path: str, port: int = 9090) -> Any:
    with urllib.request.urlopen(f"{ADDRESS}:{port}{path}", timeout=10) as answer:
        return json.load(answer)


def ask(query: str) -> list[dict[str, Any]]:
    """Return the samples of an instant query."""
    answer = get(f"/api/v1/query?{urllib.parse.urlencode({'query': query})}")
    assert answer["status"] == "success" and not answer.get("warnings"), answer
    return answer["data"]["result"]


def firing() -> dict[str, dict[str, str]]:
    """Return the labels of the alerts that Prometheus has open, by name."""
    alerts = get("/api/v1/alerts")["data"]["alerts"]
    return {alert["labels"]["alertname"]: alert["labels"] for alert in alerts if alert["state"] == "firing"}


@pytest.fixture
def installed(stacks: None) -> Iterator[None]:
    assert runbook("monitoring_setup").code == 0
    yield
    no_feed_fault()


@pytest.mark.faults
def test_rules_and_dashboards_are_installed_once_and_prometheus_says_so(stacks):
    on(FEED_HOST, f"rm -rf {RULES} {COMPOSE}/grafana/dashboards/*")
    looked = runbook("monitoring_setup", "--check")
    assert (looked.code, "DRY RUN: nothing was changed" in looked.verdict) == (0, True)
    assert on(FEED_HOST, f"test -e {RULES} && echo there || true") == ""
    first, second = runbook("monitoring_setup"), runbook("monitoring_setup")
    count = len(catalogue("lab")) + 1
    assert (first.code, "changed=1" in first.output, f"{count} rules loaded and healthy" in first.verdict) == (
        0,
        True,
        True,
    )
    assert (second.code, "changed=1" in second.output) == (0, False)
    loaded = [rule for group in get("/api/v1/rules")["data"]["groups"] for rule in group["rules"]]
    assert (len(loaded), {rule["health"] for rule in loaded}) == (count, {"ok"})


@pytest.mark.faults
def test_rules_that_prometheus_refuses_leave_the_ones_before_in_place(installed):
    before = on(FEED_HOST, f"cat {RULES}")
    foreign = f"{COMPOSE}/prometheus/rules/foreign.yml"
    on(FEED_HOST, f"echo 'groups: [{{name: x, rules: [{{alert: X, expr: \"sum((\"}}]}}]' > {foreign}")
    try:
        refused = runbook("monitoring_setup", "-e", '{"trading_core_feed_latency_p99_limit_ms": 400}')
    finally:
        on(FEED_HOST, f"rm -f {foreign}")
    assert (refused.code, "refuses the rules" in refused.verdict) == (1, True)
    assert on(FEED_HOST, f"cat {RULES}") == before
    assert on(FEED_HOST, "ls /var/lib/trading-core/lease.json 2>/dev/null || true") == ""
    assert runbook("monitoring_setup").code == 0


@pytest.mark.faults
def test_every_query_of_the_dashboards_is_answered_with_the_series_it_shows(trading, installed):
    by_query = {check.query: check for check in catalogue("lab")}
    for dashboard in DASHBOARDS:
        text = on(FEED_HOST, f"cat {COMPOSE}/grafana/dashboards/{dashboard.uid}.json")
        panels = [panel for panel in json.loads(text)["panels"] if panel["type"] == "timeseries"]
        assert panels, dashboard.title
        for panel in panels:
            check = by_query[panel["targets"][0]["expr"]]
            expected = set(map(frozenset, check.expected))
            wait_until(
                lambda query=check.query, expected=expected: (
                    {frozenset(sample["metric"].items()) for sample in ask(query)} == expected
                ),
                120,
                f"the series of {check.id}",
            )


def test_a_slow_feed_raises_its_alert_and_alertmanager_is_told(trading, installed):
    wait_until(lambda: "FeedLatencyP99" not in firing() and "Watchdog" in firing(), 120, "a calm start")
    feed_fault("latency", milliseconds=900)
    labels = wait_until(lambda: firing().get("FeedLatencyP99"), 60, "the alert in Prometheus")
    assert (labels["severity"], labels["action"], labels["section"]) == ("critical", "stop_bots", "LiveFeed_Runbook 6")
    wait_until(
        lambda: [alert for alert in get("/api/v2/alerts", 9093) if alert["labels"].get("check") == "feed_latency_p99"],
        30,
        "the alert in Alertmanager",
    )
    no_feed_fault()
    wait_until(lambda: "FeedLatencyP99" not in firing(), 90, "the end of the alert")


@pytest.mark.faults
def test_alerts_about_a_bot_that_is_not_seen_are_held_back_behind_the_one_that_says_so(trading, installed):
    on("lab2", "docker stop trading-live-bot-1")
    wait_until(lambda: "BotSeen" in firing(), 90, "the alert that says so")
    end = time.monotonic() + 30  # three times as long as the others wait before they fire
    while time.monotonic() < end:
        assert "LivePnlDay" not in firing()
        time.sleep(1)

    def states() -> dict[str, str]:
        alerts = get("/api/v2/alerts", 9093)
        about = [alert for alert in alerts if alert["labels"].get("mode") == "live"]
        return {alert["labels"]["check"]: alert["status"]["state"] for alert in about}

    assert (states().get("bot_seen"), "live_pnl_day" in states()) == ("active", False)
