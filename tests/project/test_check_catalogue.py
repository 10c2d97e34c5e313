"""The check catalogue as each inventory resolves it: complete, of this estate, and with an alert for each check."""

from __future__ import annotations

import json
import re

import pytest
from trading_ops.alerts.actions import actions_of
from trading_ops.checks.catalogue import ACTIONS, GATES, GROUPS
from trading_ops.checks.rules import WATCHDOG, alert_name, build_rules

from tests.catalogue import catalogue, resolved
from tests.project.repository import PAGES, ROOT, headings

INVENTORIES = ["lab", "homelab", "laptop"]
inventory = pytest.mark.parametrize("inventory", INVENTORIES)
NAMED_BY_THE_RUNBOOKS = """
feed_latency_p99 feed_bar_close_lag_spread feed_bars_rate feed_reconnects gaps nan_records
bot_equity_move live_pnl_day live_drawdown paper_pnl_day paper_drawdown bot_trades sharpe tracking_error
psi psi_sample_size retrain_events host_cpu host_memory host_disk host_clock
feed_scraped host_scraped monitoring_scraped critical_alerts watchdog_firing
""".split()
OWNERS = {"feed_latency_p99": 500, "feed_bars_rate": 0, "paper_pnl_day": -2, "live_pnl_day": -2, "psi": 0.2}


def by_id(inventory):
    return {check.id: check for check in catalogue(inventory)}


def test_every_check_that_the_runbooks_name_is_there():
    assert set(NAMED_BY_THE_RUNBOOKS) <= by_id("lab").keys()
    assert {check.group for check in catalogue("lab")} == GROUPS
    assert {gate for check in catalogue("lab") for gate in check.gates} == GATES
    assert {check.action for check in catalogue("lab")} == ACTIONS


@inventory
def test_the_owners_numbers_are_the_owners_and_every_other_has_its_reason(inventory):
    checks = by_id(inventory)
    stated = {name: check.threshold for name, check in checks.items() if check.basis == "owner"}
    assert stated == {name: value for name, value in OWNERS.items() if name in checks}
    for check in checks.values():
        assert check.basis == "owner" or check.basis.endswith("; to be confirmed by the owner"), check.id


@inventory
def test_a_section_is_one_of_a_page(inventory):
    known = {f"{page.stem} {title.split()[0]}" for page in PAGES for title in headings(page)}
    assert [check.id for check in catalogue(inventory) if check.section not in known] == []


@inventory
def test_every_check_and_so_every_action_has_an_alert_of_its_own(inventory):
    rules = [rule for group in build_rules(catalogue(inventory), 15)["groups"] for rule in group["rules"]]
    alerts = {rule["alert"]: rule for rule in rules}
    assert len(alerts) == len(rules)
    assert alerts.keys() == {WATCHDOG, *(alert_name(check.id) for check in catalogue(inventory))}
    for check in catalogue(inventory):
        labels = alerts[alert_name(check.id)]["labels"]
        assert (labels["action"], labels["severity"], labels["check"]) == (check.action, check.severity, check.id)
        assert check.severity == "critical" or check.action in {"none", "pause_deploys"}, check.id


@inventory
def test_a_window_holds_four_scrapes_and_three_bars(inventory):
    scrape, bar = {"lab": (5, 1)}.get(inventory, (15, 60))
    for check in catalogue(inventory):
        assert not check.window_seconds or check.window_seconds >= 4 * scrape, check.id
    assert by_id(inventory)["feed_bars_rate"].window_seconds >= 3 * bar


def test_a_watch_waits_for_the_first_bar_and_outlasts_what_becomes_silent_a_minute_after_the_start():
    """With the defaults, which the homelab has: the lab is impatient."""
    settle, watch, bar, scrape = map(
        int,
        resolved(
            "homelab",
            "trading_core_watch_settle_seconds",
            "trading_core_watch_seconds",
            "trading_core_feed_bar_seconds",
            "trading_core_scrape_interval_seconds",
        ),
    )
    assert settle >= bar + 2 * scrape
    assert watch >= 60 + by_id("homelab")["feed_bars_rate"].window_seconds


@inventory
def test_the_alert_that_a_bot_is_not_seen_is_raised_before_those_it_silences(inventory):
    checks = by_id(inventory)
    silenced = [check for check in checks.values() if check.group in {"bots", "strategy", "drift"}]
    assert all(check.for_seconds > checks["bot_seen"].for_seconds for check in silenced if check.id != "bot_seen")


@inventory
def test_the_alert_that_a_bot_is_not_seen_outlasts_those_it_silences_until_a_started_bot_has_its_first_bar(inventory):
    """What they were raised for ends with the first bar; at its first scrape a bot is seen and has none."""
    checks, bar = by_id(inventory), {"lab": 1}.get(inventory, 60)
    assert checks["bot_seen"].keep_firing_seconds >= bar + checks["bot_bar_age"].for_seconds
    assert [check.id for check in checks.values() if check.keep_firing_seconds] == ["bot_seen"]


def test_the_page_shows_the_routes_that_the_labs_alertmanager_has():
    """Word for word but for the times, which the lab's environment can change."""
    page = (ROOT / "runbooks" / "LiveFeed_Runbook.md").read_text(encoding="utf-8")
    lab = (ROOT / "lab" / "images" / "alertmanager" / "am-init").read_text(encoding="utf-8")
    for name, text in re.findall(r"\$\{(ALERT_\w+):=(\w+)\}", lab):
        lab = lab.replace(f"${name}", text)
    shown = [re.sub(" +#.*", "", line).strip() for line in page.split("```yaml\n")[1].split("```")[0].splitlines()]
    written = {
        re.sub(r"\$folder/receiver-", "/etc/trading-core/alert-receiver/", line).strip() for line in lab.splitlines()
    }
    assert "receiver: trading-core-control" in shown
    assert [line for line in shown if line not in written and "CONTROL" not in line] == []
    assert "inhibit_rules" not in lab


@inventory
def test_an_alert_that_acts_holds_for_three_evaluations_in_a_row(inventory):
    checks = by_id(inventory).values()
    assert actions_of(checks, {"lab": 5}.get(inventory, 15))


def test_real_money_stops_at_its_limits_and_play_money_does_not_stop_it():
    for check in catalogue("lab"):
        if check.action == "stop_live":
            assert {dict(series)["mode"] for series in check.expected} == {"live"}, check.id
            assert 'mode="live"' in check.query and 'mode="live"' in check.source
    assert {name for name, check in by_id("lab").items() if check.action == "stop_live"} == {
        "live_pnl_day",
        "live_drawdown",
        "live_risk_limit",
    }


def test_an_estate_without_live_hosts_has_no_checks_of_live_bots():
    assert [check.id for check in catalogue("laptop") if "live" in str(check.expected)] == []


@pytest.mark.parametrize(
    ("groups", "modes"),
    [({"live_hosts": {"hosts": {"two": {}}}}, {"live"}), ({}, set())],
    ids=["live alone", "no bot at all"],
)
def test_an_estate_without_bots_of_a_mode_has_a_catalogue_without_them(tmp_path, groups, modes):
    """One check that expects nothing would make the whole catalogue invalid, and no gate could be passed."""
    path = tmp_path / "hosts.json"
    path.write_text(json.dumps({"feed_hosts": {"hosts": {"one": {}}}, "trading_hosts": {"children": groups}}))
    checks = catalogue(str(path))
    assert {dict(series)["mode"] for check in checks for series in check.expected if "mode" in dict(series)} == modes
    assert {"feed", "data_quality", "hosts", "monitoring", "backup"} <= {check.group for check in checks}


@inventory
def test_alerts_about_bots_keep_no_bot_from_starting(inventory):
    """While a bot is down, its alerts are open: they may not keep it down."""
    query = by_id(inventory)["critical_alerts"].query
    (left_out,) = re.findall(r'group!~"([^"]+)"', query)
    assert left_out.split("|") == ["bots", "strategy", "drift", "paper_kpi"]
    assert by_id(inventory)["critical_alerts"].severity == "warning", "it would keep itself open"
