"""Asks the host itself, after the feed degraded under the watch."""

import json


def test_bot_is_down_and_stays_down(host):
    bot = json.loads(host.check_output("docker inspect trading-paper-bot-1"))[0]
    assert (bot["State"]["Running"], bot["HostConfig"]["RestartPolicy"]["Name"]) == (False, "no")


def test_what_stands_beside_it_was_left_running(host):
    shown = "docker ps --quiet --filter label=com.docker.compose.project=trading-paper"
    assert len(host.check_output(shown).split()) == 3


def test_halt_names_the_start_and_the_lease_was_given_back(host):
    latch = json.loads(host.check_output("cat /var/lib/trading-core/halt.json"))
    assert (latch["scope"], "Watch feed and bot" in latch["reason"]) == ("all", True)
    assert not host.file("/var/lib/trading-core/lease.json").exists
