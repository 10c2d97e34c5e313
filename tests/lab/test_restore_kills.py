"""Restore tests that are killed in the middle, locked out, or just good, every time: the next run passes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from contextlib import suppress

import pytest

from tests.lab.backup_sets import GOOD, on_set
from tests.lab.estate import ROOT, on, runbook, wait_until
from tests.lab.test_restore_test import HOST, left, production

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

LOCK = "/run/lock/trading-core/var-lib-trading-core.restore_test"


def test_ten_healthy_runs_in_a_row_are_green(good_set):
    ended = [on_set(GOOD) for _ in range(10)]
    assert [run.code for run in ended] == [0] * 10
    assert left() == ""


def test_a_second_pair_later_is_green_as_well(good_set):
    before = production()
    assert runbook("backup").code == 0
    assert runbook("restore_test").code == 0
    assert production() == before


PHASES = {
    "fetching": "ls -d /var/lib/trading-core-restore-test/*/set",
    "starting the database": "docker ps -a --format '{{.Names}}' | grep restoretest.*timescaledb",
    "starting MLflow": "docker ps -a --format '{{.Names}}' | grep restoretest.*mlflow",
    "asking the model": "pgrep -f '[p]ython3 - http://mlflow'",
    "watching the bot": "docker ps --format '{{.Names}} {{.Status}}' | grep 'restoretest.*bot.*(healthy)'",
}
KILL_THE_MODULE = (
    f"for each in /proc/[0-9]*; do if ls -l $each/fd 2>/dev/null | grep -q {LOCK} && grep -q python3 $each/comm; "
    "then kill -9 ${each#/proc/}; fi; done"
)


def begun(path: str = GOOD) -> subprocess.Popen[bytes]:
    argv = [str(ROOT / "runbook"), "restore_test", "-i", str(ROOT / "inventories/lab"), "-e", f"set_path={path}"]
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)


def kill_tree(pid: int) -> None:
    """Kill a process with all it began, as systemd kills a job: Ansible's workers and their ssh have own sessions."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [tuple(map(int, line.split())) for line in listed.splitlines()]
    tree = [pid]
    for each in tree:
        tree += [child for child, parent in pairs if parent == each]
    for each in tree:
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)


def is_in(phase: str) -> bool:
    return bool(on(HOST, f"{PHASES[phase]} 2>/dev/null || true").strip())


THE_MODULE, THE_RUN = "the module on its host", "the run on the controller"


@pytest.mark.parametrize(
    ("phase", "victim"),
    [*((phase, THE_MODULE) for phase in PHASES), ("fetching", THE_RUN), ("watching the bot", THE_RUN)],
)
def test_after_a_kill_in_any_phase_the_next_run_passes_and_nothing_is_left(good_set, phase, victim):
    before = production()
    run = begun()
    try:
        wait_until(lambda: is_in(phase), 240, phase)
        if victim == THE_MODULE:
            on(HOST, KILL_THE_MODULE)
    finally:
        kill_tree(run.pid)
        run.wait()
    # A module whose caller is gone ends by itself, and removes what it made.
    wait_until(lambda: on(HOST, f"flock -n {LOCK} echo free || true").strip() == "free", 60, "the lock")
    assert on_set(GOOD).code == 0
    assert left() == ""
    assert production() == before


def test_a_run_whose_caller_is_gone_removes_what_it_made_by_itself(good_set):
    run = begun()
    wait_until(lambda: is_in("starting MLflow"), 240, "a stack that runs")
    kill_tree(run.pid)
    run.wait()
    wait_until(lambda: left() == "", 60, "nothing left")


def test_of_two_at_once_the_second_is_locked_out_and_names_the_first(good_set):
    run = begun()
    try:
        wait_until(lambda: is_in("starting the database"), 240, "the first")
        second = on_set(GOOD, "-e", "by=anna")
        assert second.code == 75
        assert re.search(r"another restore test runs on this host: .*, since 2", second.verdict)
    finally:
        assert run.wait(600) == 0
