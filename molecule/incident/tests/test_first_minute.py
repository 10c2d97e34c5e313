"""Asks the hosts themselves, after the first minute of an incident in which the data was said to be wrong."""

import json
from datetime import datetime

import pytest

INCIDENT = "INC-20261121-000000-molecule"
HOME = f"/var/lib/trading-core/incidents/{INCIDENT}"


@pytest.fixture
def name(host):
    return host.check_output("hostname")


def ended(host, container):
    state = json.loads(host.check_output(f"docker inspect {container}"))[0]["State"]
    assert state["Status"] == "exited"
    return datetime.fromisoformat(state["FinishedAt"][:26].rstrip("Z") + "+00:00")


def test_bot_is_down_and_its_host_halted(host, name):
    if name not in {"lab1", "lab2"}:
        return
    ended(host, "molecule-trades")
    assert json.loads(host.check_output("cat /var/lib/trading-core/halt.json"))["incident_ids"] == [INCIDENT]


def test_feed_ended_after_the_bot_and_prometheus_runs(host, name):
    if name != "lab1":
        return
    assert ended(host, "live_connector") > ended(host, "molecule-trades")
    assert host.check_output("docker ps --quiet --filter name=^prometheus$ --filter status=running")


def test_record_with_its_evidence_is_on_the_control_host(host, name):
    if name != "lab-control":
        return
    entries = [json.loads(line) for line in host.check_output(f"cat {HOME}/timeline.jsonl").splitlines()]
    kinds = [entry["kind"] for entry in entries]
    assert {"detection", "step", "phase", "notification", "evidence", "category", "severity"} <= set(kinds)
    steps = [entry["step"] for entry in entries if entry["kind"] == "step" and entry["outcome"]]
    assert steps[0] == "4.1 Stop trading (fail-safe)"
    for trading_host in ("lab1", "lab2"):
        items = json.loads(host.check_output(f"cat {HOME}/evidence/{trading_host}/manifest.json"))["items"]
        assert "complete" in [item["status"] for item in items if item["name"] == "log molecule-trades"]
