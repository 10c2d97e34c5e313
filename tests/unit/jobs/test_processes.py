"""Every process of a run is found and ended, also one in a session of its own; nobody else is touched."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from jobs.processes import RUN_VARIABLE, end_processes


@pytest.fixture
def spawned():
    processes: list[subprocess.Popen] = []

    def spawn(run_id: str, new_session: bool = False) -> subprocess.Popen:
        environment = {**os.environ, RUN_VARIABLE: run_id}
        process = subprocess.Popen(["sleep", "60"], env=environment, start_new_session=new_session)
        processes.append(process)
        return process

    yield spawn
    for process in processes:
        process.kill()
        process.wait()


def test_all_of_a_run_are_ended_and_no_other(spawned):
    own = [spawned("run-1"), spawned("run-1", new_session=True)]
    other = spawned("run-10")
    reaped = lambda seconds: [process.poll() for process in own]  # noqa: E731  a parent reaps, as ansible-runner would
    assert end_processes("run-1", sleep=reaped)
    assert [process.wait(5) for process in own] == [-signal.SIGKILL] * 2
    assert other.poll() is None


def test_one_that_cannot_be_ended_is_said(tmp_path):
    (tmp_path / "4711").mkdir()
    (tmp_path / "4711" / "environ").write_bytes(f"A=b\0{RUN_VARIABLE}=run-1\0".encode())
    (tmp_path / "4712").mkdir()  # ended between list and look
    (tmp_path / "uptime").write_text("1 1")
    killed: list[int] = []
    slept: list[float] = []
    assert not end_processes("run-1", tmp_path, lambda pid, number: killed.append(pid), slept.append)
    assert set(killed) == {4711}
    assert len(slept) == len(killed) > 10
