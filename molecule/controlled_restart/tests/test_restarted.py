"""Asks the hosts themselves, after the restart."""

import json

INCIDENT = "INC-20261121-000000-molecule"


def test_feed_prometheus_and_grafana_run_again(host):
    if host.check_output("hostname") != "lab1":
        return
    shown = json.loads(host.check_output("docker inspect live_connector prometheus grafana"))
    states = [(seen["State"]["Status"], seen["State"]["Health"]["Status"]) for seen in shown]
    assert states == [("running", "healthy")] * 3
    desired = json.loads(host.check_output("cat /var/lib/trading-core/desired.json"))["services"]
    assert {desired[f"ai_trading_core/{name}"]["state"] for name in ("live_connector", "prometheus", "grafana")} == {
        "started"
    }
    purposes = [
        json.loads(line).get("purpose")
        for line in host.file("/var/lib/trading-core/audit.jsonl").content_string.splitlines()
    ]
    assert f"controlled restart after {INCIDENT}, evidence waived: molecule" in purposes


def test_gate_is_open_halt_is_engaged_and_no_bot_runs(host):
    assert json.loads(host.check_output("cat /var/lib/trading-core/feed_gate.json"))["outcome"] == "pass"
    assert json.loads(host.check_output("cat /var/lib/trading-core/halt.json"))["incident_ids"] == [INCIDENT]
    assert host.check_output("docker ps --quiet --filter label=com.docker.compose.service=bot") == ""


def test_lease_was_given_back(host):
    assert not host.file("/var/lib/trading-core/lease.json").exists
