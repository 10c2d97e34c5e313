"""Asks the hosts themselves, after the engine was killed and came back."""

import json

BOTS = {"always", "crashing", "stubborn", "one-off", "paused", "stray"}


def described(host, name):
    return json.loads(host.check_output(f"docker inspect molecule-{name}"))[0]


def test_every_kind_of_bot_is_down_and_would_stay_down(host):
    for name in BOTS:
        seen = described(host, name)
        assert seen["State"]["Running"] is False, name
        assert seen["State"]["Pid"] == 0, name
        assert seen["HostConfig"]["RestartPolicy"]["Name"] == "no", name


def test_only_the_deaf_bot_was_killed(host):
    killed = {name for name in BOTS if described(host, name)["State"]["ExitCode"] == 137}
    assert killed == {"stubborn"}


def test_latch_is_engaged_for_one_incident(host):
    latch = json.loads(host.file("/var/lib/trading-core/halt.json").content_string)
    assert latch["scope"] == "all"
    assert latch["reason"] == "molecule"
    assert len(latch["incident_ids"]) == 1


def test_stop_is_remembered_as_meant(host):
    desired = json.loads(host.file("/var/lib/trading-core/desired.json").content_string)["services"]
    assert desired["trading-molecule/bot"]["state"] == "stopped"


def test_feed_was_left_alone(host):
    running = host.check_output("docker ps --format '{{.Names}}'").split()
    assert not [name for name in running if name.startswith("molecule-")]
