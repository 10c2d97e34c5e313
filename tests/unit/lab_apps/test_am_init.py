"""am-init: Alertmanager's configuration out of the environment, in place only when amtool takes it."""

from __future__ import annotations

import os
import re
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


CONTROL = "https://control.invalid:9095/alerts"


@pytest.fixture
def secrets(tmp_path):
    """What alert_receiver_setup leaves on the feed host."""
    folder = tmp_path / "alert-receiver"
    folder.mkdir()
    (folder / "token").write_text("a-token\n")
    (folder / "ca.pem").write_text("a-certificate\n")
    return {"ALERT_CONTROL_URL": CONTROL, "ALERT_CONTROL_FILES": str(folder)}


def routes(target: Path, **labels: str) -> list[dict[str, str]]:
    """Return the routes that take an alert with these labels, over the defaults of the top."""
    top = yaml.safe_load(target.read_text())["route"]
    taken = []
    for each in top.get("routes", []):
        ((name, sign, value),) = re.findall(r'(\w+)(=~?)"([^"]+)"', each["matchers"][0])
        if re.fullmatch(value if sign == "=~" else re.escape(value), labels.get(name, "")):
            taken.append({**top, **each})
            if not each.get("continue"):
                break
    return taken or [top]


@pytest.mark.parametrize("action", ["stop_bots", "stop_live", "pause_deploys"])
def test_an_alert_that_acts_waits_for_no_other_and_is_said_again_soon_and_people_hear_of_it_too(
    am_init, secrets, action
):
    done, target = am_init(**secrets)
    assert done.returncode == 0, done.stderr
    control, people = routes(target, alertname="A", action=action)
    assert (control["group_wait"], control["repeat_interval"]) == ("0s", "5m")
    assert (control["receiver"], people["receiver"]) == ("trading-core-control", "on-call")


def test_nothing_holds_an_alert_back(am_init, secrets):
    _, target = am_init(**secrets)
    assert "inhibit_rules" not in yaml.safe_load(target.read_text())


def test_the_watchdog_is_a_heartbeat_for_the_control_host_alone(am_init, secrets):
    _, target = am_init(ALERT_HEARTBEAT_INTERVAL="2m", **secrets)
    (taken,) = routes(target, alertname="Watchdog", action="none")
    assert (taken["receiver"], taken["group_interval"], taken["group_wait"]) == ("trading-core-control", "2m", "0s")
    # Alertmanager repeats at the end of a group's interval, where more than repeat_interval has passed since it sent.
    assert taken["repeat_interval"] == "1s"


def test_other_alerts_are_for_people_and_keep_the_times_of_the_environment(am_init, secrets):
    _, target = am_init(ALERT_REPEAT_INTERVAL="3h", ALERT_GROUP_WAIT="30s", **secrets)
    (taken,) = routes(target, alertname="A", action="none")
    assert (taken["receiver"], taken["group_wait"], taken["repeat_interval"]) == ("on-call", "30s", "3h")


def test_the_control_host_is_reached_with_the_token_and_no_other_certificate_is_trusted(am_init, secrets):
    _, target = am_init(**secrets)
    (config,) = yaml.safe_load(target.read_text())["receivers"][1]["webhook_configs"]
    folder = target.parent
    assert config["url"] == CONTROL
    assert config["http_config"] == {
        "authorization": {"credentials_file": f"{folder}/receiver-token"},
        "tls_config": {"ca_file": f"{folder}/receiver-ca.pem"},
    }
    token = folder / "receiver-token"
    assert (token.read_text(), token.stat().st_mode & 0o777) == ("a-token\n", 0o400)
    assert "a-token" not in target.read_text()


@pytest.mark.parametrize("missing", ["token", "ca.pem"])
def test_before_the_receiver_is_set_up_every_alert_is_for_people(am_init, secrets, missing):
    Path(secrets["ALERT_CONTROL_FILES"], missing).unlink()
    done, target = am_init(**secrets)
    assert done.returncode == 0, done.stderr
    (taken,) = routes(target, alertname="A", action="stop_bots")
    assert taken["receiver"] == "on-call"
    assert CONTROL not in target.read_text()


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
