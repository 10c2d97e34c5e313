"""The stop without Python on this side: from a checkout without environment, past a frozen host, root or engine."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.lab.conftest import release_halt, start_trading
from tests.lab.estate import (
    ROOT,
    TRADING_HOSTS,
    Run,
    bots,
    command,
    docker,
    latch,
    now,
    on,
    orders,
    runbook,
    running_bots,
    wait_until,
)

STOPPED_SECONDS = 15
SUDO = "/etc/sudoers.d/ops"
HALT_RULE = "/etc/sudoers.d/trading-core"
CHECKED_OUT = ("runbook", "ansible.cfg", "breakglass", "roles", "playbooks", "inventories", "runbooks")


@pytest.fixture
def bare(lab: None, tmp_path: Path) -> Path:
    """A checkout without .venv, where nothing can make one; the lab's host list is there as the last run left it."""
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    for name in CHECKED_OUT:
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, checkout / name)
    environment = {"XDG_STATE_HOME": str(tmp_path / "state")}
    runbook("status", "-i", str(checkout / "inventories" / "lab"), env=environment)
    return checkout


def halt_now(checkout: Path, *words: str) -> Run:
    environment = {"XDG_STATE_HOME": str(checkout.parent / "state"), "PATH": "/usr/bin:/bin"}
    environment["TRADING_CORE_INVENTORY"] = str(checkout / "inventories" / "lab")
    return command(str(checkout / "runbook"), "halt-now", *words, env=environment)


@pytest.fixture
def without_sudo() -> Iterator[None]:
    """The operator may become root for nothing but the installed trading-halt."""
    on("lab1", f"mv {SUDO} /etc/ops.kept && gpasswd --delete ops sudo")
    yield
    on("lab1", f"mv /etc/ops.kept {SUDO} && gpasswd --add ops sudo")


@pytest.fixture
def without_root(without_sudo: None) -> Iterator[None]:
    on("lab1", f"mv {HALT_RULE} /etc/trading-core.kept")
    yield
    on("lab1", f"mv /etc/trading-core.kept {HALT_RULE}")


def test_without_an_environment_every_bot_is_stopped_and_every_host_latched(trading, bare):
    begun = now()
    # The stop takes less than the time between two orders: without this the record would show nothing.
    wait_until(lambda: orders(begun), 30, "an order before the stop")
    stopped = halt_now(bare, "bars", "look", "wrong")
    assert stopped.code == 0, stopped.verdict
    assert stopped.seconds <= STOPPED_SECONDS
    assert not (bare / ".venv").exists()
    assert running_bots() == []
    assert {latch(host)["incident_ids"][0] for host in TRADING_HOSTS} == {stopped.incident_id}
    assert all(bot.restart_policy == "no" for host in TRADING_HOSTS for bot in bots(host))
    assert stopped.incident_id.endswith("-bars-look-wrong")
    assert "orders: 2 cancelled" in stopped.verdict
    after = now()
    time.sleep(3)
    assert orders(after) == []


@pytest.mark.faults
def test_frozen_host_is_named_and_delays_nobody(trading, bare):
    docker("pause", "lab2")
    try:
        stopped = halt_now(bare)
    finally:
        docker("unpause", "lab2")
    assert stopped.code == 10
    assert "lab2: did not answer" in stopped.verdict
    assert "By hand" in stopped.verdict
    assert stopped.seconds <= STOPPED_SECONDS
    assert running_bots(["lab1"]) == []
    assert halt_now(bare).code == 0
    assert running_bots() == []


@pytest.mark.faults
def test_sudo_for_the_installed_command_alone_is_enough(trading, bare, without_sudo):
    stopped = halt_now(bare)
    assert stopped.code == 0, stopped.verdict
    assert all(latch(host) for host in TRADING_HOSTS)
    assert running_bots() == []


@pytest.mark.faults
def test_without_root_the_bots_are_stopped_and_the_verdict_says_not_latched(trading, bare, without_root):
    stopped = halt_now(bare)
    assert stopped.code == 10
    assert "STOPPED, NOT LATCHED" in stopped.verdict
    assert "lab1: " in stopped.verdict
    assert running_bots() == []
    assert (latch("lab1"), latch("lab2") is None) == (None, False)


@pytest.mark.faults
def test_frozen_engine_does_not_keep_its_bots_alive(trading, bare):
    on("lab1", "kill -STOP $(pidof dockerd)")
    try:
        begun = now()
        stopped = halt_now(bare)
        left = on("lab1", "pgrep -fa '[t]rading_lab.bot'; true")
    finally:
        on("lab1", "kill -CONT $(pidof dockerd)")
    assert stopped.seconds <= STOPPED_SECONDS + 5
    assert left == ""
    assert latch("lab1")
    last_allowed = datetime.fromisoformat(begun) + timedelta(seconds=30)
    assert [entry for entry in orders(begun) if datetime.fromisoformat(entry["time"]) > last_allowed] == []
    wait_until(lambda: running_bots() == [], 30, "no bot once the engine is back")
    assert halt_now(bare).code == 0


# ---- as the first wave of failsafe_stop


@pytest.mark.faults
def test_first_wave_stops_sooner_than_ansible_alone_and_names_one_incident(trading):
    assert runbook("status").code == 0  # the host list is this inventory's
    both, with_wave = seconds_to_last_bot()
    assert both.code == 0, both.verdict
    assert [latch(host)["incident_ids"] for host in TRADING_HOSTS] == [[both.incident_id]] * 2
    assert "2 of them now" in both.verdict
    release_halt()
    start_trading()
    # An option that leaves the stop to Ansible, though it names every host.
    alone, without_wave = seconds_to_last_bot("--limit", "lab1,lab2")
    assert alone.code == 0, alone.verdict
    assert "no first wave" in alone.output
    assert with_wave < without_wave - 0.5, f"{with_wave:.1f} s with the first wave, {without_wave:.1f} s without"


def seconds_to_last_bot(*options: str) -> tuple[Run, float]:
    begun = datetime.fromisoformat(now())
    stopped = runbook("failsafe_stop", "-e", "reason=first wave", *options)
    return stopped, (datetime.fromisoformat(stopped.last_bot_ended) - begun).total_seconds()


@pytest.mark.faults
@pytest.mark.parametrize("option", [["--check"], ["--limit", "nosuchhost"]], ids=["check", "limit"])
def test_what_must_not_reach_every_host_starts_no_first_wave(trading, option):
    assert runbook("status").code == 0
    before = running_bots()
    done = runbook("failsafe_stop", "-e", "reason=test", *option)
    assert "no first wave" in done.output
    assert running_bots() == before
    assert [latch(host) for host in TRADING_HOSTS] == [None, None]


@pytest.mark.faults
def test_first_waves_verdict_counts_where_ansible_is_broken(trading, bare, tmp_path):
    fake = bare / ".venv" / "bin"
    fake.mkdir(parents=True)
    for name in ("python", "ansible-playbook"):
        (fake / name).write_text("#!/bin/sh\n[ $# -eq 2 ] || { echo broken >&2; exit 1; }\n")
        (fake / name).chmod(0o755)
    environment = {
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "TRADING_CORE_INVENTORY": str(bare / "inventories" / "lab"),
        "HOME": os.environ["HOME"],
    }
    stopped = command(str(bare / "runbook"), "failsafe_stop", "-e", "reason=x", env=environment)
    assert stopped.code == 0, stopped.verdict
    assert "VERDICT 0 halt-now" in stopped.verdict
    assert running_bots() == []
