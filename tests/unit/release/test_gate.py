"""What forbids a deploy: each demand is broken alone once, and a host that gives no answer counts against it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from trading_ops.release.gate import DEMANDS, Facts, judge

PAUSE = {
    "since": "2026-11-21T08:00:00.000Z",
    "by": "alertmanager",
    "reason": "tracking error",
    "source": "alert:tracking_error",
    "sentence": "Deploys are paused since …: tracking error.",
}
BOT = {"name": "trading-paper-bot-1", "mode": "paper", "running": True}


def host(*bots, engaged=False, **latch):
    return {"outcome": "proven", "summary": "", "bots": list(bots), "latch": {"engaged": engaged, **latch}}


def parity(*series):
    each = [
        {"labels": {"host": name, "mode": mode}, "outcome": outcome, "reason": "0.004, must be <= 0.001"}
        for name, mode, outcome in series
    ]
    return {"checks": [{"id": "tracking_error", "title": "Tracking error", "series": each}]}


GOOD = Facts(
    demands=tuple(word for word in DEMANDS if word != "named"),
    hosts=("lab1", "lab2"),
    database_hosts=("lab1",),
    bots={
        "lab1": host(BOT),
        "lab2": host(BOT | {"name": "trading-live-bot-1", "mode": "live", "running": False}),
    },
    metrics={"lab1": parity(("lab1", "paper", "pass"), ("lab2", "live", "unknown"))},
    backups={"lab1": {"outcome": "proven", "sets": [{"id": "SET-20261121-020000"}]}},
    schemas={"lab1": {"outcome": "proven", "version": 2}},
    releases={"outcome": "proven", "pause": {}},
    incidents={"outcome": "proven", "open": []},
    is_schema_kept=True,
    restore_set="",
    incident_id="",
    tracker_url="",
)


def refused(**changed):
    result = judge(replace(GOOD, **changed))
    assert result["outcome"] == "refused"
    return result


def test_where_nothing_is_wrong_it_goes_on_and_tells_what_runs():
    result = judge(GOOD)
    assert (result["outcome"], result["next_command"], result["pause_reason"]) == ("proven", "", "")
    assert result["running_bots"] == ["lab1/trading-paper-bot-1"]
    assert result["schema_versions"] == [2]


@pytest.mark.parametrize(
    ("changed", "word", "command"),
    [
        ({"incidents": {"outcome": "proven", "open": ["INC-1"]}}, "an incident is open: INC-1", "incident_close"),
        ({"incidents": {"outcome": "unknown", "open": []}}, "is not known", "incident_info"),
        ({"incidents": {}}, "is not known", "incident_info"),
        (
            {"bots": GOOD.bots | {"lab2": host(engaged=True, incident_ids=["INC-1"])}},
            "lab2 is halted",
            "halt_release",
        ),
        ({"bots": GOOD.bots | {"lab2": host() | {"latch": {}}}}, "whether lab2 is halted is not known", "status"),
        ({"bots": {"lab1": host()}}, "what runs on lab2 is not known", "status"),
        ({"bots": GOOD.bots | {"lab2": host() | {"outcome": "unknown"}}}, "lab2 is not known", "status"),
        ({"releases": {"outcome": "proven", "pause": PAUSE}}, "Deploys are paused", "deploy_resume"),
        ({"releases": {}}, "whether deploys are paused is not known", "releases"),
        ({"backups": {"lab1": {"outcome": "failed", "summary": "30.0 h old"}}}, "30.0 h old", "./runbook backup"),
        ({"backups": {}}, "no answer", "./runbook backup"),
        ({"metrics": {"lab1": parity(("lab1", "paper", "unknown"))}}, "parity is not known", "checks"),
        ({"metrics": {}}, "parity is not known: tracking_error of lab1/trading-paper-bot-1", "checks"),
        ({"hosts": ()}, "no host has a stack", "list"),
        ({"demands": ("parity", "nosuch")}, "no gate knows the demand nosuch", ""),
        ({"restore_set": "SET-1"}, "no backup SET-1", "backup_info"),
    ],
)
def test_each_demand_alone_forbids_it_and_names_what_helps(changed, word, command):
    result = refused(**changed)
    assert word in result["summary"]
    assert command in result["next_command"]


def test_parity_that_is_off_forbids_it_and_asks_for_a_pause():
    result = refused(metrics={"lab1": parity(("lab1", "paper", "fail"))})
    assert "Tracking error of host=lab1, mode=paper: 0.004, must be <= 0.001" in result["pause_reason"]
    assert "deploy_resume" in result["next_command"]


def test_a_bot_that_does_not_run_keeps_no_deploy_waiting():
    stopped = {name: host() for name in GOOD.hosts}
    assert judge(replace(GOOD, bots=stopped, metrics={}))["outcome"] == "proven"


def test_the_backlog_item_is_shown_where_an_alert_has_paused_deploys():
    text = "\n".join(refused(releases={"outcome": "proven", "pause": PAUSE})["lines"])
    assert "Analyse fill engine, strategy and feed again: tracking error" in text
    assert refused(releases={"outcome": "proven", "pause": PAUSE | {"source": "person"}})["lines"] == []


def test_a_rollback_demands_none_of_it_but_has_to_know_what_runs():
    in_trouble = replace(
        GOOD,
        demands=(),
        bots={name: host(engaged=True) for name in GOOD.hosts},
        metrics={},
        backups={},
        releases={"outcome": "proven", "pause": PAUSE},
        incidents={"outcome": "proven", "open": ["INC-1"]},
    )
    assert judge(in_trouble)["outcome"] == "proven"
    assert judge(replace(in_trouble, bots={}))["outcome"] == "refused"
    named = replace(in_trouble, backups=GOOD.backups, restore_set="SET-20261121-020000")
    assert judge(named)["outcome"] == "proven"


@pytest.mark.parametrize(("name", "outcome"), [("", "refused"), ("INC-2", "refused"), ("INC-1", "proven")])
def test_a_rollback_in_an_incident_names_it(name, outcome):
    opened = replace(GOOD, demands=("named",), incidents={"outcome": "proven", "open": ["INC-1"]}, incident_id=name)
    assert judge(opened)["outcome"] == outcome
    assert judge(replace(opened, incidents={"outcome": "unknown"}))["outcome"] == "proven", (
        "a damaged record stops nobody"
    )


def test_an_estate_without_a_database_needs_no_backup():
    assert judge(replace(GOOD, database_hosts=(), backups={}, schemas={}))["outcome"] == "proven"


def test_a_database_that_does_not_say_its_schema_is_not_known():
    assert judge(replace(GOOD, schemas={}))["schema_versions"] == [None]
    assert judge(replace(GOOD, schemas={}, is_schema_kept=False))["schema_versions"] == []
