"""Which machine: two names with one address, another machine behind a name, and a control host that trades."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.estate import ROOT, TRADING_HOSTS, on, runbook, running_bots

LAB1, LAB2, RESTORE = "172.29.77.11", "172.29.77.12", "172.29.77.13"


@pytest.fixture
def estate(lab: None, tmp_path: Path) -> Path:
    """A copy of the lab's inventory. Its host keys are pinned by address, as those of a copied line are."""
    shutil.copytree(ROOT / "inventories" / "lab", tmp_path / "inv")
    return tmp_path / "inv"


def readdress(estate: Path, before: str, after: str) -> None:
    path = estate / "hosts.yml"
    text = path.read_text()
    assert text.count(f"ansible_host: {before}\n") == 1
    path.write_text(text.replace(f"ansible_host: {before}\n", f"ansible_host: {after}\n"))


def recorded(host: str) -> dict[str, str]:
    return json.loads(on(host, "cat /var/lib/trading-core/estate.json")).get("machines", {})


def machine_id(host: str) -> str:
    return on(host, "cat /etc/machine-id").strip()


@pytest.fixture
def forgotten(trading: None) -> Iterator[None]:
    """The machines are on record nowhere, as before the first host_setup."""
    for host in TRADING_HOSTS:
        on(host, "mv /var/lib/trading-core/estate.json /root/estate.kept")
    yield
    for host in TRADING_HOSTS:
        on(host, "mv /root/estate.kept /var/lib/trading-core/estate.json")


def test_lab_hosts_are_machines_of_their_own_and_on_record(trading):
    ids = {host: machine_id(host) for host in TRADING_HOSTS}
    assert len(set(ids.values())) == len(ids)
    assert runbook("host_setup").code == 0
    assert all(recorded(host) == ids for host in TRADING_HOSTS)


@pytest.mark.parametrize("command", [pytest.param("status", marks=pytest.mark.faults), "failsafe_stop"])
def test_two_names_with_one_address_are_unknown_and_both_named(forgotten, estate, command):
    readdress(estate, LAB2, LAB1)
    words = ["-e", "reason=same address"] if command == "failsafe_stop" else []
    ended = runbook(command, "-i", str(estate), *words)
    assert ended.code == 10, ended.verdict
    assert f"lab1 and lab2 are one machine (machine id {machine_id('lab1')})" in ended.verdict
    # The bots of the machine that was not reached trade on: this is what would have been a false "proven".
    assert running_bots()


@pytest.mark.faults
def test_halt_now_says_the_same(forgotten, estate, tmp_path):
    readdress(estate, LAB2, LAB1)
    environment = {"XDG_STATE_HOME": str(tmp_path / "state")}
    runbook("status", "-i", str(estate), env=environment)
    ended = runbook("halt-now", "-i", str(estate), "same", "address", env=environment)
    assert (ended.code, "lab1 and lab2 are one machine" in ended.verdict) == (10, True), ended.verdict


@pytest.fixture
def restore_host() -> Iterator[None]:
    """The host of the restore test, which a stop that is led there halts too."""
    yield
    on("lab-restore", "rm -f /var/lib/trading-core/halt.json /var/lib/trading-core/latch/halt.json")


@pytest.mark.faults
def test_another_machine_than_the_recorded_one_is_named_by_both_ways(trading, restore_host, estate, tmp_path):
    assert runbook("host_setup").code == 0
    readdress(estate, LAB2, RESTORE)
    environment = {"XDG_STATE_HOME": str(tmp_path / "state")}
    stopped = runbook("failsafe_stop", "-i", str(estate), "-e", "reason=wrong machine", env=environment)
    words = f"lab2: answers from another machine (machine id {machine_id('lab-restore')})"
    assert (stopped.code, words in stopped.verdict) == (10, True), stopped.verdict
    again = runbook("halt-now", "-i", str(estate), "wrong", "machine", env=environment)
    assert (again.code, words in again.verdict) == (10, True), again.verdict
    refused = runbook("host_setup", "--check", "-i", str(estate), env=environment)
    assert "lab2 is another machine than the one on record here" in refused.output


def test_onboarding_names_two_names_for_one_machine(forgotten, estate):
    readdress(estate, LAB2, LAB1)
    seen = runbook("host_setup", "--check", "-i", str(estate))
    assert (seen.code, "lab1 and lab2 are one machine" in seen.verdict) == (10, True), seen.verdict


@pytest.mark.faults
def test_a_control_host_that_trades_is_proven_by_its_own_stop(trading):
    """The controller is lab1 itself, as far as the verdict can see: its machine id is this machine's for the run."""
    own = Path("/etc/machine-id").read_text().strip()
    on("lab1", f"cp /etc/machine-id /root/machine-id.kept && echo {own} >/etc/machine-id")
    try:
        unrecorded = runbook("status")
        assert (unrecorded.code, "lab1: answers from" in unrecorded.verdict) == (10, True), unrecorded.verdict
        assert runbook("host_setup", "-e", json.dumps({"forget_hosts": ["lab1"]})).code == 0
        stopped = runbook("failsafe_stop", "-e", "reason=own machine")
        assert stopped.code == 0, stopped.verdict
    finally:
        on("lab1", "cp /root/machine-id.kept /etc/machine-id")
        assert runbook("host_setup", "-e", json.dumps({"forget_hosts": ["lab1"]})).code == 0
