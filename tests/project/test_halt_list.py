"""The host list of halt-now is in step with what Ansible itself makes of each inventory."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from trading_ops.core.bots import OTHER_SERVICES

from tests.project.repository import ROOT

BIN = Path(sys.executable).parent
NOT_OURS = re.compile(
    "^-tt?$|KbdInteractiveAuthentication|PreferredAuthentications=gssapi|PasswordAuthentication|NumberOfPasswordPrompts"
)
"""What Ansible adds where it has no password: BatchMode has the same effect."""

STATUS = str(ROOT / "playbooks" / "status.yml")


def listed(path: Path) -> dict[str, dict[str, list[str]]]:
    """Return the list's lines by host and word."""
    hosts: dict[str, dict[str, list[str]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        word, _, value = line.partition(" ")
        if word == "host":
            current = hosts.setdefault(value, {})
        elif hosts:
            current.setdefault(word, []).append(value)
    return hosts


def write_list(folder: Path, inventory: Path, *options: str) -> Path:
    path = folder / "state" / "hosts"
    done = subprocess.run(
        [str(BIN / "ansible-playbook"), "-i", str(inventory), STATUS, "--tags", "nosuch", *options],
        env={**os.environ, "TRADING_CORE_HALT_LIST": str(path), "TRADING_CORE_HALT_FINGERPRINT": "1-2"},
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )
    assert path.exists(), done.stdout + done.stderr
    return path


@pytest.fixture
def write(tmp_path):
    return partial(write_list, tmp_path)


@pytest.fixture(scope="module")
def list_of_the_lab(tmp_path_factory):
    return write_list(tmp_path_factory.mktemp("lab"), ROOT / "inventories" / "lab")


@pytest.mark.parametrize("name", ["lab", "homelab", "laptop"])
def test_list_holds_every_trading_host_the_way_ansible_reaches_it(write, tmp_path, name):
    inventory = ROOT / "inventories" / name
    hosts = listed(write(inventory))
    ssh = tmp_path / "ssh"
    ssh.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{tmp_path}/asked-$$\n')
    ssh.chmod(0o755)
    ansible = [str(BIN / "ansible"), "-i", str(inventory), "trading_hosts", "-m", "raw", "-a", "true"]
    reached = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_SSH_EXECUTABLE": str(ssh)}
    said = subprocess.run(ansible, env=reached, capture_output=True, text=True, check=True).stdout
    assert set(hosts) == set(re.findall(r"^(\S+) \| CHANGED", said, re.MULTILINE))
    asked = [path.read_text().splitlines() for path in tmp_path.glob("asked-*")]
    over_ssh = {name: found for name, found in hosts.items() if found["connection"] == ["ssh"]}
    assert len(asked) == len(over_ssh)
    for found in over_ssh.values():
        (argv,) = [words for words in asked if found["argv"][-1] in words]
        own = argv[: argv.index(found["argv"][-1])]
        assert {word for word in own if not NOT_OURS.search(word)} <= set(found["argv"])


def test_rules_of_the_estate_are_on_the_list(list_of_the_lab):
    for host in listed(list_of_the_lab).values():
        options = dict(zip(host["option"][::2], host["option"][1::2], strict=True))
        assert options["--images"] == "trading-core-lab/bot:*"
        assert options["--projects"] == "trading-* trading"
        assert options["--other-services"].split() == list(OTHER_SERVICES)
        assert options["--stop-unexpected"] == "false"
        assert options["--grace-seconds"] == "10"
        assert options["--state-path"] == "/var/lib/trading-core"


def test_limit_and_extra_variables_do_not_change_the_list(write, list_of_the_lab):
    narrowed = ("--limit", "lab1", "-e", "trading_core_bot_services=x")
    assert write(ROOT / "inventories" / "lab", *narrowed).read_text() == list_of_the_lab.read_text()


def test_list_is_for_its_owner_only(list_of_the_lab):
    assert list_of_the_lab.stat().st_mode & 0o777 == 0o600


def test_a_variable_that_no_stop_needs_may_be_a_secret_that_is_not_there(write, tmp_path):
    """A vault that is not open, as in every stop."""
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(
        "trading_hosts:\n  hosts: {good: {ansible_host: 10.0.0.1}}\n"
        "  vars: {trading_core_grace_period_seconds: 3, trading_core_mlflow_password: '{{ vault_x }}'}\n"
    )
    found = listed(write(inventory))["good"]
    options = dict(zip(found["option"][::2], found["option"][1::2], strict=True))
    assert options["--grace-seconds"] == "3"


def test_host_whose_variables_break_is_on_the_list_with_defaults(write, tmp_path):
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(
        "trading_hosts:\n  hosts:\n    good: {ansible_host: 10.0.0.1}\n    bad: {ansible_host: '{{ nosuch }}'}\n"
    )
    hosts = listed(write(inventory))
    assert hosts["good"]["argv"][-1] == "10.0.0.1"
    assert hosts["bad"]["argv"][-1] == "bad"
    assert "nosuch" in hosts["bad"]["trouble"][0]


def test_raw_ansible_writes_no_list(tmp_path):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TRADING_CORE_")}
    subprocess.run(
        [str(BIN / "ansible-playbook"), "-i", str(ROOT / "inventories/lab"), STATUS, "--tags", "nosuch"],
        env={**environment, "XDG_STATE_HOME": str(tmp_path)},
        capture_output=True,
        check=False,
    )
    assert list(tmp_path.rglob("hosts-*")) == []


def test_machines_on_record_come_from_the_run_that_saw_them_and_stay_on_the_list(write, tmp_path):
    one, two = "1" * 32, "2" * 32
    estate = {"trading_hosts": ["here"], "machines": {"here": one, "gone": two}}
    (tmp_path / "estate.json").write_text(json.dumps(estate))
    here = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "trading_core_state_path": str(tmp_path),
        "trading_core_docker_url": f"unix://{tmp_path}/no.sock",
    }
    inventory = tmp_path / "hosts.json"
    inventory.write_text(json.dumps({"trading_hosts": {"hosts": {"here": here, "new": here}}}))
    assert all("machine" not in host for host in listed(write(inventory)).values())
    # The options come after `--tags nosuch`, and Ansible adds tags up.
    seen = listed(write(inventory, "--tags", "all"))
    assert (seen["here"]["machine"], seen["here"]["connection"], "machine" in seen["new"]) == ([one], ["local"], False)
    assert listed(write(inventory))["here"]["machine"] == [one]
