from typing import Any

import pytest
from trading_ops.bots import BotRules
from trading_ops.engine import Engine, EngineError
from trading_ops.onboarding import Expectations, MetricsError, check_metrics, parse_metric_names, report

WANTED = Expectations(
    rules=BotRules(),
    project_prefix="trading-",
    base_services=("timescaledb", "mlflow", "gui"),
    state_path="/var/lib/trading-core",
)
FEED = Expectations(
    rules=BotRules(),
    project_prefix="trading-",
    base_services=(),
    state_path="/var/lib/trading-core",
    feed_project="ai_trading_core",
    feed_containers=("live_connector", "prometheus", "grafana"),
    metrics_url="http://127.0.0.1:8000/metrics",
    metrics=("feed_bars_total", "feed_transport_latency_ms"),
)
PAGE = """# HELP feed_bars_total Bars
feed_bars_total{symbol="BTCUSDT"} 3.0
feed_transport_latency_ms_bucket{le="5"} 1
feed_transport_latency_ms_count 1
"""
GOOD_LABELS = {
    "com.docker.compose.service": "bot",
    "com.docker.compose.project": "trading-paper",
    "trading-core.mode": "paper",
    "trading-core.cancels-orders": "true",
}


def container(name: str, labels: dict[str, str], **more: Any) -> dict[str, Any]:
    """Return an engine's description of a container that is a good bot but for what is given."""
    return {
        "Id": name,
        "Name": f"/{name}",
        "Config": {
            "Labels": labels,
            "Image": more.get("image", "bot:1"),
            "Env": more.get("env", ["TRADING_MODE=paper", "PATH=/bin"]),
            "StopTimeout": more.get("stop_timeout"),
        },
        "HostConfig": {"RestartPolicy": {"Name": more.get("policy", "no")}},
        "Mounts": [{"Source": more.get("mount", "/var/lib/trading-core")}],
    }


class Host:
    """An engine that only looks."""

    def __init__(self, *described: dict[str, Any]) -> None:
        self._described = {item["Id"]: item for item in described}

    def containers(self, labels: object = ()) -> list[dict[str, Any]]:
        return [
            {"Id": key, "Names": [item["Name"]], "Labels": item["Config"]["Labels"], "Image": item["Config"]["Image"]}
            for key, item in self._described.items()
        ]

    def inspect(self, container_id: str) -> dict[str, Any] | None:
        return self._described[container_id]


def look(*described: dict[str, Any], wanted: Expectations = WANTED, page: str = PAGE) -> dict[str, Any]:
    return report(lambda: Host(*described), lambda: page, wanted, trades=wanted is WANTED)


def findings(result: dict[str, Any]) -> list[tuple[str, str]]:
    return [(item["level"], item["subject"]) for item in result["findings"]]


def test_good_bot_has_no_finding():
    result = look(container("bot", GOOD_LABELS))
    assert (result["outcome"], result["findings"], result["summary"]) == ("proven", [], "0 mismatches, 0 notes")


@pytest.mark.parametrize(
    ("labels", "more", "level", "seen", "mend"),
    [
        ({"trading-core.mode": None}, {}, "mismatch", "counts as live", "labels: {trading-core.mode: ${TRADING_MODE}}"),
        ({"trading-core.mode": "prod"}, {}, "mismatch", "'prod'", "labels:"),
        ({}, {"env": ["TRADING_MODE=live"]}, "mismatch", "label paper and TRADING_MODE=live", "from one variable"),
        ({}, {"policy": "always"}, "mismatch", "restart policy always", "docker update --restart=no bot"),
        ({"com.docker.compose.project": "trading-old"}, {}, "mismatch", "project trading-old", "name: trading-paper"),
        ({"trading-core.cancels-orders": None}, {}, "note", "does not promise", "trading-core.cancels-orders"),
        ({}, {"stop_timeout": -1}, "note", "asks for -1 s", "stop_grace_period: 20s"),
        ({}, {"stop_timeout": 3600}, "note", "asks for 3600 s", "stop_grace_period: 20s"),
        (
            {},
            {"mount": "/elsewhere"},
            "note",
            "can not see the halt latch",
            "/var/lib/trading-core:/run/trading-core:ro",
        ),
    ],
)
def test_each_thing_that_does_not_match_is_named_with_its_mend(labels, more, level, seen, mend):
    merged = {key: value for key, value in {**GOOD_LABELS, **labels}.items() if value is not None}
    result = look(container("bot", merged, **more))
    (finding,) = result["findings"]
    assert (finding["level"], finding["subject"]) == (level, "bot")
    assert seen in finding["seen"]
    assert mend in finding["mend"]
    assert result["outcome"] == ("failed" if level == "mismatch" else "proven")
    assert finding["seen"] in result["summary"]


@pytest.mark.parametrize(
    ("labels", "mend"),
    [
        (
            {"com.docker.compose.service": "trader", "com.docker.compose.project": "trading-live"},
            "trading_core_bot_services: ['bot', 'trader']",
        ),
        (
            {"com.docker.compose.service": "trader", "com.docker.compose.project": "prod"},
            "trading_core_bot_projects: ['trading-*', 'prod']",
        ),
        ({}, "trading_core_bot_images"),
    ],
    ids=["renamed service", "renamed project", "no labels"],
)
def test_container_that_trades_and_that_no_rule_finds_is_a_mismatch(labels, mend):
    result = look(container("x", labels, env=["TRADING_MODE=live"]))
    assert findings(result) == [("mismatch", "x")]
    assert "would miss it" in result["summary"]
    assert mend in result["summary"]


def test_services_beside_the_bot_and_restore_tests_are_no_findings():
    beside = {"com.docker.compose.service": "gui", "com.docker.compose.project": "trading-paper"}
    restored = {**GOOD_LABELS, "trading-core.mode": "odd", "trading-core.restore-test": "true"}
    assert look(container("gui", beside), container("restored", restored))["findings"] == []


def feed(service: str, name: str) -> dict[str, Any]:
    labels = {"com.docker.compose.service": service, "com.docker.compose.project": "ai_trading_core"}
    return container(name, labels, env=[])


def test_feed_under_its_own_names_with_its_metrics_is_good():
    result = look(feed("live_connector", "live_connector"), feed("prometheus", "prometheus"), wanted=FEED)
    assert (result["outcome"], result["findings"]) == ("proven", [])


def test_renamed_and_missing_containers_of_the_feed_are_told_apart():
    result = look(feed("live_connector", "feed-live_connector-1"), wanted=FEED)
    assert findings(result) == [("mismatch", "live_connector"), ("mismatch", "prometheus")]
    assert "container_name: live_connector" in result["summary"]
    assert "no container of this service" in result["summary"]


def test_feed_that_was_never_started_is_a_note():
    result = look(wanted=FEED)
    assert findings(result) == [("note", "live_connector"), ("note", "prometheus")]


def test_each_missing_metric_is_named():
    both = [feed(name, name) for name in ("live_connector", "prometheus")]
    result = look(*both, wanted=FEED, page="feed_bars 1\n")
    assert findings(result) == [("mismatch", "feed_bars_total"), ("mismatch", "feed_transport_latency_ms")]


def test_metrics_page_that_does_not_answer_is_a_mismatch():
    def silent() -> str:
        raise MetricsError("no answer (refused)")

    (finding,) = check_metrics(silent, FEED)
    assert (finding.level, finding.seen) == ("mismatch", "no answer (refused)")


def test_names_of_counters_gauges_and_histograms_are_read():
    assert {"feed_bars_total", "feed_transport_latency_ms"} <= parse_metric_names(PAGE)
    assert parse_metric_names("<html>login</html>\n") & set(FEED.metrics) == set()


def test_engine_that_does_not_answer_is_unknown_and_not_a_clean_report():
    def silent() -> Engine:
        raise EngineError("The engine could not answer: timed out.")

    result = report(silent, lambda: PAGE, WANTED, trades=True)
    assert (result["outcome"], "timed out" in result["summary"]) == ("unknown", True)
