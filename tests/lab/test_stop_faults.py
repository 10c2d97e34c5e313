"""Faults of the stop that need real hosts: many stops, a dead controller, a pulled cable, an endless grace period."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import faults
from tests.lab.conftest import flatten
from tests.lab.estate import ROOT, TRADING_HOSTS, bots, docker, latch, on, runbook, running_bots, wait_until
from tests.tiers import first_of


def begin_stop(reason: str, scratch: Path) -> subprocess.Popen[str]:
    """Start a stop in a process group of its own, so that all of it can be killed; its files are in `scratch`."""
    return subprocess.Popen(
        [str(ROOT / "runbook"), "failsafe_stop", "-e", f"reason={reason}"],
        cwd=ROOT,
        env={**os.environ, "TRADING_CORE_INVENTORY": str(ROOT / "inventories" / "lab"), "TMPDIR": str(scratch)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@pytest.mark.faults
def test_ten_stops_at_once_leave_one_incident_and_no_bot(trading, tmp_path):
    stops = [begin_stop("ten at once", tmp_path) for _ in range(10)]
    ended = [(stop.communicate(timeout=120)[0], stop.returncode) for stop in stops]
    print("\n".join(output.splitlines()[-1] for output, _ in ended))
    # Ten at once can be more than this machine's cores bear: a host may then be unknown to one of them, never stopped.
    assert {code for _, code in ended} <= {0, 10, 14}
    assert running_bots() == []
    after = runbook("failsafe_stop", "-e", "reason=after them")
    assert (after.is_proven_stop, after.changed) == (True, []), after.verdict
    # Each host keeps the incident of the run that reached it first, one id each; a later run names them all.
    held = [latch(host)["incident_ids"] for host in TRADING_HOSTS]
    assert [len(ids) for ids in held] == [1, 1]
    assert all(ids[0] in after.verdict for ids in held), (held, after.verdict)


@pytest.fixture
def stubborn(trading: None) -> Iterator[None]:
    """A bot that neither SIGTERM nor the latch stops."""
    faults.start(faults.STUBBORN)
    yield
    faults.remove(faults.STUBBORN)
    flatten()


def test_controller_killed_in_the_middle_leaves_a_latch_and_the_next_run_finishes(stubborn, tmp_path):
    stop = begin_stop("killed", tmp_path)
    wait_until(lambda: all(latch(host) for host in TRADING_HOSTS), 20, "the latch of both hosts")
    os.killpg(stop.pid, signal.SIGKILL)
    stop.communicate(timeout=20)
    finished = runbook("failsafe_stop", "-e", "reason=killed")
    assert finished.is_proven_stop, finished.verdict
    assert running_bots() == []


@pytest.mark.faults
def test_unplugged_host_is_named_and_the_others_stop(trading):
    docker("network", "disconnect", "trading-core-lab", "lab2")
    try:
        stopped = runbook("failsafe_stop", "-e", "reason=unplugged")
        assert running_bots(["lab1"]) == []
    finally:
        docker("network", "connect", "--ip", "172.29.77.12", "trading-core-lab", "lab2")
    assert stopped.code == 10
    assert "lab2: did not answer" in stopped.verdict
    assert f"-e incident_id={stopped.incident_id}" in stopped.verdict
    joined = runbook("failsafe_stop", "-e", "reason=unplugged", "-e", f"incident_id={stopped.incident_id}")
    assert joined.is_proven_stop, joined.verdict
    assert [latch(host)["incident_ids"] for host in TRADING_HOSTS] == [[stopped.incident_id]] * 2


@pytest.mark.parametrize("patience", first_of(["3600", "-1"]))
def test_our_grace_period_wins_over_an_endless_one(trading, patience):
    image = on("lab2", f"docker inspect -f '{{{{.Config.Image}}}}' {bots('lab2')[0].id}").strip()
    labels = "--label com.docker.compose.service=bot --label com.docker.compose.project=trading-patient"
    script = """'trap "" TERM; while :; do sleep 1; done'"""
    on("lab2", f"docker run -d --stop-timeout={patience} {labels} --entrypoint sh {image} -c {script}")
    begun = time.monotonic()
    stopped = runbook("failsafe_stop", "-e", "reason=patient", "-e", "grace_period_seconds=2")
    assert stopped.is_proven_stop, stopped.verdict
    assert time.monotonic() - begun < 30
    assert running_bots() == []
    assert "1 UNVERIFIED" in stopped.verdict
