"""The onboarding report: each mismatch is named with the line that fixes it, notes do not fail it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from trading_ops.core.bots import BotRules
from trading_ops.core.starters import HostFiles
from trading_ops.host.engine import EngineError
from trading_ops.oncall.onboarding import FEED_METRICS, LEVELS, Estate, observe_onboarding, parse_metric_names

from tests.unit.fakes import FakeContainer, FakeEngine, bot

ESTATE = Estate(BotRules(images=("stray/bot:*",)), "trading-", "/var/lib/trading-core", False, "core")
NO_FILES = HostFiles()
ACTIVE = {"state": "active", "summary": "guard active"}
ABSENT = {"state": "absent", "summary": "guard absent: …"}
PAGE = "".join(f'{name}{{symbol="A"}} 1\n' for name in FEED_METRICS)


class Describing(FakeEngine):
    """An engine that also tells environment, mounts and stop timeout: `more` by container name."""

    def __init__(self, *containers: FakeContainer) -> None:
        super().__init__(*containers)
        self.more: dict[str, dict[str, Any]] = {}

    def inspect(self, container_id: str) -> dict[str, Any] | None:
        seen = super().inspect(container_id)
        if seen is None:
            return None
        more = self.more.get(seen["Name"].lstrip("/"), {})
        mode = seen["Config"]["Labels"].get("trading-core.mode", "paper")
        is_bot = seen["Config"]["Labels"].get("com.docker.compose.service") == "bot"
        seen["Config"]["Env"] = more.get("env", [f"TRADING_MODE={mode}", "PATH=/bin"] if is_bot else ["PATH=/bin"])
        seen["Config"]["StopTimeout"] = more.get("timeout", 15)
        seen["Mounts"] = more.get("mounts", [{"Source": "/var/lib/trading-core/latch"}])
        return seen


def report(
    engine: FakeEngine,
    estate: Estate = ESTATE,
    guard: dict[str, str] = ACTIVE,
    page: Any = PAGE,
    files: HostFiles = NO_FILES,
):
    def fetch() -> str:
        if isinstance(page, Exception):
            raise page
        return str(page)

    return observe_onboarding(lambda: engine, fetch, estate, guard, files)


def mismatches(result: dict[str, Any]) -> list[str]:
    assert all(item["level"] in LEVELS and item["fix"] and item["expected"] for item in result["findings"])
    return [f"{item['about']}: {item['seen']}" for item in result["findings"] if item["level"] == "mismatch"]


def test_estate_that_matches_is_green():
    seen = report(Describing(bot("a"), bot("b", mode="live", project="trading-live")))
    assert (seen["outcome"], seen["changed"], seen["findings"]) == ("proven", False, [])


@pytest.mark.parametrize(
    ("container", "more", "words"),
    [
        (bot("a", mode=None, project="trading-live"), {}, "label trading-core.mode is missing, so it counts as live"),
        (bot("a", labels={"trading-core.mode": "demo"}, mode=None, project="trading-live"), {}, "is 'demo'"),
        (bot("a"), {"env": ["TRADING_MODE=live"]}, "says paper, its environment TRADING_MODE=live"),
        (bot("a"), {"env": []}, "says paper, its environment TRADING_MODE=(nothing)"),
        (bot("a", labels={"trading-core.cancels-orders": ""}), {}, "cancels-orders is missing"),
        (bot("a"), {"timeout": -1}, "its stop timeout is -1 s"),
        (bot("a"), {"timeout": 3600}, "its stop timeout is 3600 s"),
        (bot("a", project="trading-shadow"), {}, "its Compose project is trading-shadow"),
    ],
)
def test_each_mismatch_of_a_bot_is_named_and_fails_the_report(container, more, words):
    engine = Describing(container)
    engine.more["a"] = more
    seen = report(engine)
    assert seen["outcome"] == "failed"
    (found,) = mismatches(seen)
    assert words in found
    assert words in seen["summary"]
    assert "fix: " in seen["summary"]


def test_restart_policy_is_a_mismatch_only_where_no_guard_takes_it_away():
    engine = Describing(bot("a", restart_policy="always"))
    assert mismatches(report(engine)) == []
    (found,) = mismatches(report(engine, guard=ABSENT))
    assert found == "a: restart policy always"


@pytest.mark.parametrize(
    ("more", "labels"),
    [
        ({"mounts": []}, {}),
        ({"mounts": [{"Source": "/var/lib/trading-core"}]}, {}),
        ({"mounts": [{"Source": "/var/lib/trading-core/latch"}, {"Source": "/var/lib"}]}, {}),
        ({}, {"trading-core.cancels-orders": "false"}),
    ],
    ids=["no latch mounted", "of the older layout", "more than the latch mounted", "says that it does not cancel"],
)
def test_what_weakens_but_does_not_break_the_stop_is_a_note(more, labels):
    engine = Describing(bot("a", labels=labels))
    engine.more["a"] = more
    seen = report(engine)
    assert (seen["outcome"], mismatches(seen), len(seen["findings"])) == ("proven", [], 1)
    assert "note: a: " in seen["summary"]


def service(name: str, project: str = "trading-paper", image: str = "other:1", **more: Any) -> FakeContainer:
    labels = {"com.docker.compose.service": name, "com.docker.compose.project": project}
    return FakeContainer(more.pop("container_name", f"{project}-{name}-1"), labels, image, **more)


def test_renamed_bot_that_a_stop_would_miss_is_named():
    engine = Describing(bot("a"), service("trader"))
    engine.more["trading-paper-trader-1"] = {"env": ["TRADING_MODE=live"]}
    (found,) = mismatches(report(engine))
    assert found.startswith("trading-paper-trader-1: it has TRADING_MODE in its environment, and no rule takes it")


COMMAND = ("python", "-m", "trading_lab.bot")


def test_container_with_image_and_command_of_a_bot_that_no_rule_matches_is_named():
    engine = Describing(bot("a", command=COMMAND), FakeContainer("by-hand", {}, "foo:1", command=COMMAND))
    (found,) = mismatches(report(engine))
    assert found.startswith("by-hand: it has image and command of the bot a, and no rule takes it for a bot")


def test_image_of_a_bot_with_another_command_is_no_lost_bot():
    gui = service("gui", command=("python", "-m", "trading_lab.gui"))
    assert report(Describing(bot("a", command=COMMAND), gui))["findings"] == []


def test_image_of_a_framework_is_named_with_both_ways_to_make_it_known():
    seen = report(Describing(bot("a"), service("freqtrade", "ft_userdata", "freqtradeorg/freqtrade:stable")))
    (found,) = seen["findings"]
    assert (seen["outcome"], found["level"]) == ("failed", "mismatch")
    assert found["fix"] == (
        'add "freqtrade" to trading_core_bot_services and "ft_userdata" to trading_core_bot_projects; '
        "where it is no bot, "
        '"ft_userdata/freqtrade/freqtradeorg/freqtrade:stable" to trading_core_other_services in the inventory'
    )


def test_image_of_a_framework_that_the_estate_exempts_is_a_note():
    rules = replace(ESTATE.rules, others=("ui/web/freqtradeorg/freqtrade:stable",))
    seen = report(
        Describing(bot("a"), service("web", "ui", "freqtradeorg/freqtrade:stable")), replace(ESTATE, rules=rules)
    )
    assert (seen["outcome"], [item["level"] for item in seen["findings"]]) == ("proven", ["note"])
    assert "ui/web/freqtradeorg/freqtrade:stable" in seen["summary"]


def test_no_service_of_the_estate_hides_a_container_that_says_its_mode():
    engine = Describing(bot("a"), service("gui"))
    engine.more["trading-paper-gui-1"] = {"env": ["TRADING_MODE=paper"]}
    assert len(mismatches(report(engine))) == 1


def test_what_looks_like_our_bot_is_named_in_any_state_and_an_old_backtest_is_not():
    engine = Describing(
        bot("a"),
        service("trader", status="created"),
        service("old", "x", "freqtradeorg/freqtrade:stable", status="exited"),
    )
    engine.more["trading-paper-trader-1"] = {"env": ["TRADING_MODE=live"]}
    (found,) = mismatches(report(engine))
    assert found.startswith("trading-paper-trader-1: it has TRADING_MODE in its environment")


def test_restore_test_is_no_lost_bot():
    labels = {"trading-core.restore-test": "true", "com.docker.compose.project": "restoretest-20261121-013000-0a1b2c"}
    engine = Describing(bot("a"), FakeContainer("r", labels))
    engine.more["r"] = {"env": ["TRADING_MODE=paper"]}
    assert report(engine)["findings"] == []


@pytest.mark.parametrize("labels", [{}, {"com.docker.compose.service": "trader"}], ids=["a bot", "no rule matches it"])
def test_label_of_a_restore_test_on_anything_else_is_named(labels):
    engine = Describing(bot("a"), bot("b", labels={"trading-core.restore-test": "true", **labels}))
    (found,) = mismatches(report(engine))
    assert found.startswith("b: it bears the label trading-core.restore-test") or "carries the label" in found


@pytest.mark.parametrize("names", [("nas",), ("nas", "tv", "paperless")])
def test_no_bot_while_others_run_is_a_mismatch_where_bots_are_expected(names):
    engine = Describing(*(FakeContainer(name, {}, "other:1") for name in names))
    (found,) = mismatches(report(engine))
    assert found.startswith(f"bots: no bot found, and {len(names)} other container")
    assert mismatches(report(engine, replace(ESTATE, is_trading_host=False))) == []


def test_mode_of_a_bot_is_never_guessed():
    engine = Describing(bot("a", mode=None, project="trading-live"))
    engine.more["a"] = {"env": []}
    (found,) = report(engine)["findings"]
    assert found["fix"] == "labels: {trading-core.mode: paper or live, which it is} in the service, then start it again"


def test_feed_that_the_owners_own_command_started_is_found():
    engine = Describing(bot("a"), service("live_connector", "compose", container_name="live_connector"))
    assert report(engine, replace(ESTATE, is_feed_host=True))["findings"] == []


def test_no_bot_at_all_is_told():
    seen = report(Describing())
    assert seen["outcome"] == "proven"
    assert "no bot container is here yet" in seen["summary"]


FEED = replace(ESTATE, is_feed_host=True)


def feed(*names: str, status: str = "running") -> Describing:
    engine = Describing(bot("a"))
    for name in names:
        engine.add(service(name.rstrip("2"), "core", container_name=name, status=status))
    return engine


def test_feed_host_with_its_names_and_metrics_is_green():
    seen = report(feed("live_connector", "prometheus"), FEED)
    assert (seen["outcome"], seen["findings"]) == ("proven", [])


@pytest.mark.parametrize("name", ["live_connector", "prometheus", "grafana", "alertmanager"])
def test_container_that_the_owners_commands_would_not_find_is_named(name):
    (found,) = mismatches(report(feed(f"{name}2", *{"live_connector"} - {name}), FEED))
    assert found == f"{name}2: the container is named otherwise"


def test_missing_metrics_are_named():
    page = PAGE.replace("gaps_total", "gap_total").replace("feed_bars_total", "bars_total")
    (found,) = mismatches(report(feed("live_connector"), FEED, page=page))
    assert found == "live_connector: metrics are missing: feed_bars_total, gaps_total"


@pytest.mark.parametrize("page", ["", "<html>"])
def test_page_without_metrics_is_no_feed(page):
    (found,) = mismatches(report(feed("live_connector"), FEED, page=page))
    assert all(name in found for name in FEED_METRICS)


def test_metrics_that_cannot_be_read_are_a_mismatch():
    (found,) = mismatches(report(feed("live_connector"), FEED, page=OSError("connection refused")))
    assert "connection refused" in found


@pytest.mark.parametrize("engine", [feed(), feed("live_connector", status="exited")], ids=["not there", "stopped"])
def test_feed_that_does_not_run_is_a_note_that_says_what_was_not_looked_at(engine):
    seen = report(engine, FEED, page=OSError("must not be asked"))
    assert (seen["outcome"], mismatches(seen)) == ("proven", [])
    assert "its metrics were not looked at" in seen["summary"]


def test_engine_that_does_not_answer_leaves_everything_unknown():
    engine = Describing(bot("a"))
    engine.broken = {"containers": "The engine could not list its containers: timed out."}
    assert report(engine)["outcome"] == "unknown"

    def nobody() -> FakeEngine:
        raise EngineError("The engine could not answer: gone.")

    assert observe_onboarding(nobody, lambda: PAGE, ESTATE, ACTIVE, NO_FILES)["outcome"] == "unknown"


def test_histogram_counts_under_its_own_name():
    text = '# TYPE x_ms histogram\nx_ms_bucket{le="1"} 0\nx_ms_count 0\ny_total 3\n# z_total 4\n'
    assert {"x_ms", "y_total"} <= parse_metric_names(text)
    assert "z_total" not in parse_metric_names(text)


def test_what_could_start_a_bot_again_is_a_note_with_what_holds_it_off():
    engine = Describing(
        bot("a"),
        FakeContainer("watchtower", image="nickfedor/watchtower:1"),
        FakeContainer("own", image="other:1"),
        FakeContainer("dozzle", image="other:1"),
        service("node_exporter"),
    )
    for name in ("own", "dozzle", "trading-paper-node_exporter-1"):
        engine.more[name] = {"mounts": [{"Source": "/var/run/docker.sock"}]}
    rules = replace(ESTATE.rules, others=("node_exporter", "dozzle", "watchtower", "own-not"))
    files = HostFiles({"/etc/crontab": "@reboot root docker start a\n# @reboot root docker start a\n"})
    seen = report(engine, replace(ESTATE, rules=rules), files=files)
    assert (seen["outcome"], mismatches(seen)) == ("proven", [])
    found = {item["about"]: item["fix"] for item in seen["findings"] if "starts a bot again" in item["expected"]}
    assert found == {
        "container watchtower": "while halted: docker stop watchtower (on the host)",
        "cron line 1 of /etc/crontab": "while halted: sed -i '1s/^/#/' /etc/crontab (on the host)",
        "container own": "while halted: docker stop own (on the host)",
    }
    assert "note: container watchtower: its image is of Watchtower" in seen["summary"]
