"""Inventories: the same groups everywhere, and nothing safety needs depends on ansible.cfg."""

from __future__ import annotations

import configparser
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.project.repository import ROOT, load_yaml

GROUPS = {"feed_hosts", "trading_hosts", "paper_hosts", "live_hosts", "restore_hosts", "control"}
NAMES = ["lab", "homelab", "laptop"]
NOT_SET = {
    f"trading_core_{name}"
    for name in (
        *("own_path", "operator", "by", "reason", "incident_id", "lease_wait_seconds", "run_id", "halt_run_id"),
        *("control_said", "controller_epoch", "prometheus", "alertmanager", "open_orders", "mlflow"),
    )
}
"""A person's or a run's, or made of others: no inventory sets them."""
ESTATE = load_yaml(ROOT / "roles" / "estate" / "defaults" / "main.yml")


def resolved(name: str, tmp_path: Path) -> dict:
    """Return the inventory as Ansible reads it, from another directory and without ansible.cfg."""
    out = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-inventory"), "-i", str(ROOT / "inventories" / name), "--list"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true"},
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(out.stdout)


@pytest.mark.parametrize("name", NAMES)
def test_every_inventory_has_the_same_groups(name, tmp_path):
    seen = resolved(name, tmp_path)
    assert set(seen["all"]["children"]) - {"ungrouped"} == GROUPS - {"paper_hosts", "live_hosts"}
    assert set(seen["trading_hosts"]["children"]) == {"paper_hosts", "live_hosts"}


@pytest.mark.parametrize("name", ["lab", "homelab"])
def test_a_remote_host_is_reached_with_pinned_key_bounded_time_and_no_multiplexing(name, tmp_path):
    hosts = resolved(name, tmp_path)["_meta"]["hostvars"]
    assert len(hosts) >= 4
    for host, settings in hosts.items():
        options = settings["ansible_ssh_args"]
        for wanted in ("ControlMaster=no", "BatchMode=yes", "StrictHostKeyChecking=yes", "UserKnownHostsFile="):
            assert wanted in options, host
        assert int(re.search(r"ServerAliveInterval=(\d+)", options)[1]) <= 5, host
        assert int(re.search(r"ServerAliveCountMax=(\d+)", options)[1]) <= 3, host
        assert settings["ansible_timeout"] <= 10, host


def test_the_laptop_needs_neither_ssh_nor_root(tmp_path):
    (settings,) = resolved("laptop", tmp_path)["_meta"]["hostvars"].values()
    assert settings["ansible_connection"] == "local"
    assert settings["ansible_become"] is False
    assert "ansible_playbook_python" in settings["ansible_python_interpreter"]
    assert settings["trading_core_state_path"].startswith(("{{", str(tmp_path)))


def test_the_template_shows_every_estate_variable_with_its_default():
    text = (ROOT / "inventories/homelab/group_vars/all/estate.yml").read_text(encoding="utf-8")
    lines = [line[2:] for line in text.splitlines() if line.startswith(("# trading_core_", "#   "))]
    shown = yaml.safe_load("\n".join(lines))
    assert shown == {key: value for key, value in ESTATE.items() if key not in NOT_SET}


def test_no_inventory_sets_a_variable_that_nothing_reads(tmp_path):
    for name in NAMES:
        for host, settings in resolved(name, tmp_path)["_meta"]["hostvars"].items():
            unknown = {key for key in settings if key.startswith("trading_core_")} - ESTATE.keys()
            assert not unknown, f"{name}: {host}"


def test_the_template_reaches_no_real_host_and_holds_no_secret():
    homelab = ROOT / "inventories" / "homelab"
    addresses = re.findall(r"ansible_host: (\S+)", (homelab / "hosts.yml").read_text(encoding="utf-8"))
    assert addresses
    assert all(address.endswith(".invalid") for address in addresses)
    secrets = load_yaml(homelab / "vault.example-unencrypted.txt")
    assert all("FAKE" in value for value in secrets.values())
    assert not list(homelab.rglob("vault*.y*ml"))


def test_the_configuration_holds_comfort_only():
    config = configparser.ConfigParser()
    config.read(ROOT / "ansible.cfg")
    assert config.sections()
    assert not {"ssh_connection", "connection", "privilege_escalation"} & set(config.sections())
    assert not {"remote_user", "private_key_file", "become", "timeout"} & set(config["defaults"])
