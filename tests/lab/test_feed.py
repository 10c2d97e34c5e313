"""LF-1 and IN-4.2 on real hosts: the feed stack starts whole, and stops only after the bots."""

from __future__ import annotations

import json

import pytest

from tests.lab.estate import FEED_HOST, TRADING_HOSTS, bots, containers, docker, on, runbook, running_bots


def by_name(host: str) -> dict[str, object]:
    return {item.name: item for item in containers(host)}


def finished_at(host: str, name: str) -> str:
    return on(host, f"docker inspect -f '{{{{.State.FinishedAt}}}}' {name}").strip()


def test_feed_stops_after_the_last_bot_and_is_remembered_as_meant(trading):
    try:
        stopped = runbook("feed_stop", "-e", "reason=gaps", "-e", "by=tester")
        assert stopped.code == 0, stopped.verdict
        assert running_bots() == []
        assert not by_name(FEED_HOST)["live_connector"].is_running
        assert by_name(FEED_HOST)["prometheus"].is_running
        ends = [finished_at(host, bot.id) for host in TRADING_HOSTS for bot in bots(host)]
        assert max(ends) < finished_at(FEED_HOST, "live_connector")
        desired = json.loads(on(FEED_HOST, "cat /var/lib/trading-core/desired.json"))["services"]
        meant = desired["ai_trading_core/live_connector"]
        assert (meant["state"], meant["by"], meant["why"]) == ("stopped", "tester", "gaps")

        again = runbook("feed_stop", "-e", "reason=gaps")
        assert (again.code, "changed=1" in again.output) == (0, False)
    finally:
        assert runbook("feed_start").code == 0


def test_feed_stays_up_while_a_trading_host_is_unknown(trading):
    docker("pause", "lab2")
    try:
        stopped = runbook("feed_stop", "-e", "reason=gaps")
    finally:
        docker("unpause", "lab2")
    assert (stopped.code, "lab2: did not answer" in stopped.verdict) == (10, True)
    assert by_name(FEED_HOST)["live_connector"].is_running


@pytest.mark.faults
def test_feed_is_not_touched_when_the_proof_of_the_bots_is_left_out(trading):
    for narrowed in (
        ["--limit", FEED_HOST],
        ["--start-at-task", "feed_stack : Bring the services into the asked state*"],
    ):
        stopped = runbook("feed_stop", "-e", "reason=gaps", *narrowed)
        assert (stopped.code, "The feed stays up" in stopped.verdict) == (10, True)
        assert by_name(FEED_HOST)["live_connector"].is_running


@pytest.mark.faults
def test_starting_again_what_runs_changes_nothing(stacks):
    before = containers(FEED_HOST)
    for call in ("feed_start", "observability_start", "alerting_start"):
        again = runbook(call)
        assert (again.code, "changed=1" in again.output) == (0, False), call
    assert containers(FEED_HOST) == before
