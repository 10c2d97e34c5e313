"""am-init: Alertmanager's configuration out of the environment, in place only when amtool takes it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

SCRIPT = Path(__file__).parents[3] / "lab/images/alertmanager/am-init"


@pytest.fixture
def am_init(tmp_path):
    """Runs am-init with an amtool that ends with the code a test says; returns the run and where the file goes."""
    target = tmp_path / "alertmanager.yml"

    def run(amtool_code: int = 0, **environment: str) -> tuple[subprocess.CompletedProcess[str], Path]:
        amtool = tmp_path / "amtool"
        amtool.write_text(f"#!/bin/sh\nexit {amtool_code}\n")
        amtool.chmod(0o755)
        done = subprocess.run(
            ["sh", str(SCRIPT)],
            env={
                "PATH": f"{tmp_path}:{os.environ['PATH']}",
                "ALERTMANAGER_CONFIG": str(target),
                "ALERT_WEBHOOK_URL": "http://receiver.invalid/alerts",
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
        return done, target

    return run


def route(target: Path, **labels: str) -> dict[str, str]:
    """Return the first route that takes an alarm with these labels, over the defaults of the top."""
    top = yaml.safe_load(target.read_text())["route"]
    wanted = {"Watchdog": 'alertname="Watchdog"'}.get(labels.get("alertname", ""))
    if labels.get("action") in {"stop_bots", "stop_live"}:
        wanted = 'action=~"stop_bots|stop_live"'
    return {**top, **next((each for each in top["routes"] if each["matchers"] == [wanted]), {})}


@pytest.mark.parametrize("action", ["stop_bots", "stop_live"])
def test_an_alarm_that_asks_for_a_stop_waits_for_no_other_and_is_said_again_soon(am_init, action):
    done, target = am_init()
    assert done.returncode == 0, done.stderr
    taken = route(target, action=action)
    assert (taken["group_wait"], taken["repeat_interval"], taken["receiver"]) == ("0s", "1m", "on-call")


def test_the_watchdog_is_a_heartbeat(am_init):
    _, target = am_init(ALERT_HEARTBEAT_INTERVAL="2m")
    assert route(target, alertname="Watchdog")["repeat_interval"] == "2m"


@pytest.mark.parametrize("action", ["pause_deploys", "none"])
def test_other_alarms_keep_the_times_of_the_environment(am_init, action):
    _, target = am_init(ALERT_REPEAT_INTERVAL="3h", ALERT_GROUP_WAIT="30s")
    taken = route(target, action=action)
    assert (taken["group_wait"], taken["repeat_interval"]) == ("30s", "3h")


def test_alarms_about_a_bot_are_held_back_only_while_that_very_bot_is_not_seen(am_init):
    _, target = am_init()
    (rule,) = yaml.safe_load(target.read_text())["inhibit_rules"]
    assert rule == {
        "source_matchers": ['check="bot_seen"'],
        "target_matchers": ['group=~"bots|strategy|drift"', 'check!="bot_seen"'],
        "equal": ["host", "mode"],
    }


def test_a_configuration_that_amtool_refuses_replaces_nothing(am_init):
    _, target = am_init()
    before = target.read_text()
    done, _ = am_init(amtool_code=1, ALERT_REPEAT_INTERVAL="7h")
    assert done.returncode != 0
    assert target.read_text() == before
    assert [path.name for path in target.parent.glob(".alertmanager*")] == []


def test_without_an_address_it_refuses(am_init):
    done, target = am_init(ALERT_WEBHOOK_URL="")
    assert (done.returncode != 0, target.exists()) == (True, False)
    assert "ALERT_WEBHOOK_URL" in done.stderr
