"""Asks the host itself, after the quartets, the faults and the last stop."""

import json

import pytest

PROJECT = "molecule-compose-services"
PATH = "/opt/molecule_compose_services"


@pytest.fixture(scope="module")
def containers(host):
    """Everything of the project on the host's engine, by name without the project's."""
    ids = f"docker ps --all --quiet --filter label=com.docker.compose.project={PROJECT}"
    described = json.loads(host.check_output(f"docker inspect $({ids})"))
    return {item["Name"].removeprefix(f"/{PROJECT}-"): item for item in described}


@pytest.fixture(scope="module")
def states(containers):
    """Of each container: is it running, is there a process, with which code did it end."""
    described = {name: item["State"] for name, item in containers.items()}
    return {name: (state["Running"], state["Pid"] > 0, state["ExitCode"]) for name, state in described.items()}


def test_one_shot_ran_once_for_each_configuration(host):
    assert host.check_output(f"cat {PATH}/data/runs").split() == ["first", "second"]


def test_paused_service_ended_by_itself(states):
    assert states["steady-1"] == (False, False, 0)


def test_deaf_service_and_its_one_off_were_killed(states):
    assert states["deaf-1"] == (False, False, 137)
    assert states["/molecule-one-off"] == (False, False, 137)


def test_failing_one_shot_was_not_run_again(states):
    assert states["failing-1"] == (False, False, 3)


def test_what_was_not_asked_for_was_left_alone(states):
    assert states["database-1"] == (True, True, 0)
    assert set(states) == {"steady-1", "database-1", "deaf-1", "once-1", "sick-1", "failing-1", "/molecule-one-off"}


def test_present_configuration_was_running(containers):
    assert "echo second" in containers["steady-1"]["Config"]["Cmd"][2]


def test_restart_policies_are_as_asked_for(containers):
    policies = {name: containers[name]["HostConfig"]["RestartPolicy"]["Name"] for name in ("steady-1", "deaf-1")}
    assert policies == {"steady-1": "always", "deaf-1": "no"}


def test_last_wish_for_each_service_is_written_down(host):
    entries = json.loads(host.check_output(f"cat {PATH}/state/desired.json"))["services"]
    states = {name.removeprefix(f"{PROJECT}/"): entry["state"] for name, entry in entries.items()}
    assert states == {
        "steady": "stopped",
        "database": "started",
        "deaf": "stopped",
        "once": "completed",
        "sick": "started",
        "failing": "completed",
        "unpullable": "started",
        "nosuch": "stopped",
    }
    assert {entry["by"] for entry in entries.values()} == {"molecule"}


def test_nothing_of_this_was_written_to_the_estate(host):
    assert host.run("grep --recursive --files-with-matches %s /var/lib/trading-core", PROJECT).stdout == ""
