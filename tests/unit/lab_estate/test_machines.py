from __future__ import annotations

from dataclasses import replace

import pytest

from lab import machines
from lab.machines import NETWORK, EstateError, Observed, build_host, create_argv, parse_machines, plan, specification

HOST = build_host("lab1", "172.29.77.11", "trading-core-lab/host:abc", identity="key-1")


def observed(state: str, networks: tuple[str, ...] = (NETWORK,)) -> Observed:
    return Observed(state, specification(HOST), networks)


def test_a_host_is_created_at_its_address_with_the_labels_that_down_looks_for():
    argv = create_argv(HOST)
    assert argv[:2] == ["docker", "create"]
    assert argv[-1] == "trading-core-lab/host:abc"
    for words in (["--label", "trading-core.lab=1"], ["--network", NETWORK], ["--ip", "172.29.77.11"]):
        assert " ".join(words) in " ".join(argv)
    assert "source=trading-core-lab-lab1" in " ".join(argv)
    assert "volume-label=trading-core.lab=1" in " ".join(argv)


def test_a_host_asks_for_no_more_than_an_engine_without_sys_resource_can_give():
    argv = create_argv(HOST)
    assert "--privileged" not in argv
    assert argv[argv.index("--cap-drop") + 1] == "SYS_RESOURCE"


@pytest.mark.parametrize(
    "change",
    [{"image": "trading-core-lab/host:def"}, {"address": "172.29.77.99"}, {"identity": "key-2"}, {"command": ("x",)}],
)
def test_whatever_makes_a_machine_differently_changes_its_specification(change):
    assert specification(replace(HOST, **change)) != specification(HOST)


@pytest.mark.parametrize(
    ("seen", "verbs"),
    [
        (None, ("create", "start")),
        (observed("running"), ()),
        (observed("paused"), ("unpause",)),
        (observed("created"), ("start",)),
        (observed("exited"), ("start",)),
        (observed("dead"), ("remove", "create", "start")),
        (observed("a word no engine has said yet"), ("remove", "create", "start")),
        (observed("running", networks=("",)), ("connect",)),
        (observed("paused", networks=("bridge",)), ("connect", "unpause")),
        (Observed("running", "of an older checkout", (NETWORK,)), ("remove", "create", "start")),
        (Observed("running", "", (NETWORK,)), ("remove", "create", "start")),
    ],
)
def test_the_plan_does_only_what_is_missing(seen, verbs):
    assert plan(HOST, seen) == verbs


def test_the_listing_is_read_back_with_containers_that_lack_labels_and_networks():
    listing = "lab1\trunning\tabc\ttrading-core-lab\nvenue\texited\t\t\nx\tpaused\tdef\ta,b\n"
    assert parse_machines(listing) == {
        "lab1": Observed("running", "abc", ("trading-core-lab",)),
        "venue": Observed("exited", "", ("",)),
        "x": Observed("paused", "def", ("a", "b")),
    }
    assert parse_machines("") == {}


def test_a_replaced_host_loses_its_old_volume_and_gets_its_files(docker):
    docker.add(replace(HOST, image="trading-core-lab/host:old"), "running")
    docker.volumes = {"trading-core-lab-lab1"}
    assert machines.ensure_machine(HOST, docker.containers["lab1"], b"tar") == ("remove", "create", "start")
    assert docker.containers["lab1"] == observed("running")
    assert docker.copied == {"lab1": b"tar"}


def test_a_network_is_made_once(docker):
    assert machines.ensure_network() is True
    assert machines.ensure_network() is False
    assert docker.networks == {NETWORK: machines.SUBNET}


def test_a_network_with_other_addresses_is_refused_with_the_line_that_helps(docker):
    docker.networks = {NETWORK: "10.0.0.0/24"}
    with pytest.raises(EstateError, match=r"docker network rm trading-core-lab"):
        machines.ensure_network()


def test_a_command_that_fails_is_told_with_its_last_words():
    with pytest.raises(EstateError, match=r"ended with 3: told you"):
        machines.run(["sh", "-c", "echo told you >&2; exit 3"])


def test_a_command_that_hangs_is_given_up():
    with pytest.raises(EstateError, match=r"did not end within 0.1 s"):
        machines.run(["sleep", "5"], timeout_seconds=0.1)


def test_a_missing_program_is_an_error_with_its_name():
    with pytest.raises(EstateError, match="no-such-program"):
        machines.run(["no-such-program"])
