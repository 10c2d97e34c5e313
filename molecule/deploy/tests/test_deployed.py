"""Asks the hosts themselves, after a good release, the same once more, and one that did not run."""

import json

ROOT = "/opt/ai_trading_core"


def is_called(host, *names):
    return host.check_output("hostname") in names


def test_the_checkout_is_at_the_good_revision_and_whole(host):
    if not is_called(host, "lab1", "lab2"):
        return
    git = f"git -c safe.directory='*' -C {ROOT}"
    assert host.check_output(f"{git} log -1 --format=%s") == "good"
    assert host.check_output(f"{git} diff --name-only HEAD -- ops") == ""
    assert host.check_output(f"stat -c %U {ROOT}/ops/compose/docker-compose.yml") == "ops"


def test_what_was_good_runs_again_and_the_feed_was_never_touched(host):
    if not is_called(host, "lab1"):
        return
    grafana, feed = json.loads(host.check_output("docker inspect grafana live_connector"))
    assert "RELEASE=good" in grafana["Config"]["Env"]
    for seen in (grafana, feed):
        assert seen["State"]["Health"]["Status"] == "healthy"
    assert feed["State"]["StartedAt"] < grafana["State"]["StartedAt"]


def test_no_bot_was_started_and_the_lease_was_given_back(host):
    if not is_called(host, "lab1", "lab2"):
        return
    assert host.check_output("docker ps --quiet --filter label=com.docker.compose.service=bot") == ""
    assert not host.file("/var/lib/trading-core/lease.json").exists


def test_what_ran_before_the_release_and_the_failure_are_on_record_once_each(host):
    if not is_called(host, "lab-control"):
        return
    lines = host.check_output("cat /var/lib/trading-core/releases.jsonl").splitlines()
    releases = [json.loads(line) for line in lines]
    assert [release["result"] for release in releases] == ["found", "deployed", "failed"]
    found, deployed, failed = releases
    assert deployed["gate"]["outcome"] == "pass"
    assert failed["previous"] == deployed["id"]
    assert all("@sha256:" in pin for pin in deployed["images"].values())
    assert deployed["images"] == found["images"], "the same images, another configuration"
