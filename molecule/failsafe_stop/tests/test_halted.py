"""Asks the hosts themselves, after the engine was restarted."""

import json

import pytest

BOTS = ("always", "crashing", "stubborn", "one-off", "paused", "stray")


@pytest.fixture
def bots(host):
    """What the host's engine says of each bot, by the bot's short name."""
    names = " ".join(f"molecule-{name}" for name in BOTS)
    described = json.loads(host.check_output(f"docker inspect {names}"))
    return {item["Name"].removeprefix("/molecule-"): item for item in described}


def test_every_kind_of_bot_is_down_and_would_stay_down(bots):
    assert set(bots) == set(BOTS)
    assert {name: item["State"]["Running"] for name, item in bots.items()} == dict.fromkeys(BOTS, False)
    assert {name: item["State"]["Pid"] for name, item in bots.items()} == dict.fromkeys(BOTS, 0)
    policies = {name: item["HostConfig"]["RestartPolicy"]["Name"] for name, item in bots.items()}
    assert policies == dict.fromkeys(BOTS, "no")


def test_only_the_deaf_bot_was_killed(bots):
    assert {name for name, item in bots.items() if item["State"]["ExitCode"] == 137} == {"stubborn"}


def test_halt_is_engaged_for_one_incident_and_remembered_as_meant(host):
    latch = json.loads(host.check_output("cat /var/lib/trading-core/halt.json"))
    assert (latch["scope"], latch["reason"], len(latch["incident_ids"])) == ("all", "molecule", 1)
    desired = json.loads(host.check_output("cat /var/lib/trading-core/desired.json"))["services"]
    assert desired["trading-molecule/bot"]["state"] == "stopped"
