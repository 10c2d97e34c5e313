"""A job through ansible-runner, with a stand-in for ./runbook: verdict, limit, stop, record, lock and ping."""

from __future__ import annotations

import http.server
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from trading_ops.jobs.job import Jobs, parse_jobs, render_document

ROOT = Path(__file__).parents[2]
RUNNER = """
import os, sys
from pathlib import Path
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/module_utils"]
import jobs.run
jobs.run.ROOT = Path(sys.argv[2])
jobs.run.KEPT_RUNS = int(os.environ.get("TEST_KEPT_RUNS", "30"))
sys.exit(jobs.run.main(sys.argv[3:]))
"""


class World:
    """A folder with a `runbook` of ours, and the jobs that call it."""

    def __init__(self, path: Path, ping_url: str = "") -> None:
        self.path, self.state = path, path / "state"
        self.jobs_file, ping = path / "jobs.json", path / "ping"
        ping.write_text(ping_url)
        definitions = {
            "backup": {"arguments": ["backup", "-e", "x=1"], "timeout_seconds": 60, "ping_on_success": True},
            "short": {"arguments": ["backup"], "timeout_seconds": 1},
        }
        environment = {"TRADING_CORE_INVENTORY": "/inventory/of/the/host", "https_proxy": "http://proxy.lan"}
        jobs = Jobs(parse_jobs(definitions), str(self.state), ping_url_path=str(ping), environment=environment)
        self.jobs_file.write_text(render_document(jobs, definitions))

    def does(self, script: str) -> None:
        (self.path / "runbook").write_text(f"#!/bin/sh\n{script}\n")
        (self.path / "runbook").chmod(0o755)

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen:
        argv = [sys.executable, "-c", RUNNER, str(ROOT), str(self.path), *arguments]
        settings = {**os.environ, "TRADING_CORE_JOBS_FILE": str(self.jobs_file), **environment}
        pipe = subprocess.PIPE
        return subprocess.Popen(argv, env=settings, stdout=pipe, stderr=pipe, text=True, stdin=subprocess.DEVNULL)

    def run(self, *arguments: str, **environment: str) -> tuple[int, str]:
        """Return exit code and last line."""
        process = self.start(*arguments, **environment)
        out, err = process.communicate(timeout=50)
        print(out, err)
        return process.returncode, out.rstrip().rsplit("\n", 1)[-1]

    def last(self, job: str = "backup") -> dict:
        return json.loads((self.state / "jobs" / job / "last.json").read_text())

    def printed(self, job: str = "backup") -> str:
        return "".join(path.read_text() for path in (self.state / "jobs" / job).rglob("stdout"))


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def wait_for(path: Path) -> None:
    end = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < end, path
        time.sleep(0.02)


def is_gone(pid_file: Path) -> bool:
    """Return whether the process runs no more; where nobody reaps it, it stays behind as a zombie."""
    process = Path("/proc", pid_file.read_text().strip())
    return not process.exists() or "State:\tZ" in (process / "status").read_text()


def test_a_job_ends_as_its_command_ends_and_leaves_a_record_that_only_its_owner_reads(world):
    world.does('echo "called with $*"; echo "VERDICT 0 backup: PROVEN: all is well"')
    assert world.run("backup", TRADING_CORE_OPERATOR="kim@desk") == (0, "VERDICT 0 backup: PROVEN: all is well")
    last = world.last()
    assert (last["exit_code"], last["how"], last["by"]) == (0, "ran", "kim@desk")
    assert "called with backup -e x=1" in world.printed()
    folder = world.state / "jobs" / "backup"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert list((folder / "artifacts").rglob("job_events/*")) == []


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        ('echo "VERDICT 13 backup: REFUSED: halted"; exit 13', 13, "REFUSED: halted"),
        ("exit 0", 1, "NOT PROVEN: without a verdict"),
        ("exit 2", 2, "NOT PROVEN: without a verdict"),
        ("kill -9 $$", 1, "NOT PROVEN: without a verdict"),
        ('echo "VERDICT 0 backup: PROVEN"; kill -9 $$', 1, "NOT PROVEN: ended with a signal after VERDICT 0 backup:"),
        ('echo "VERDICT 0 backup: PROVEN"; exit 3', 1, "NOT PROVEN: ended with 3 after VERDICT 0 backup:"),
        ('echo "VERDICT 1 backup: FAILED"; exit 0', 1, "NOT PROVEN: ended with 0 after VERDICT 1 backup:"),
    ],
)
def test_what_is_not_proven_is_a_failure(world, script, code, words):
    world.does(script)
    ended, line = world.run("backup")
    assert (ended, words in line) == (code, True), line
    assert world.last()["exit_code"] == code


def test_a_run_knows_no_secret_of_the_shell_it_was_started_from(world):
    world.does('env; echo "VERDICT 0 backup: PROVEN"')
    assert world.run("backup", RESTIC_PASSWORD="hunter2", TRADING_CORE_OPERATOR="kim@desk")[0] == 0
    kept = [path.read_text(errors="replace") for path in world.state.rglob("*") if path.is_file()]
    assert not [text for text in kept if "hunter2" in text]
    assert "TRADING_CORE_OPERATOR=kim@desk" in world.printed()
    assert "ANSIBLE_HOST_KEY_CHECKING=True" in world.printed()


def test_a_job_by_hand_is_the_one_that_systemd_starts(world):
    """Without the host's own inventory it would be the lab's that is backed up."""
    world.does('env; echo "VERDICT 0 backup: PROVEN"')
    assert world.run("backup", TRADING_CORE_INVENTORY="inventories/lab")[0] == 0
    assert "TRADING_CORE_INVENTORY=/inventory/of/the/host" in world.printed()
    assert "https_proxy=http://proxy.lan" in world.printed()


def test_what_runs_printed_is_kept_of_the_last_ones_only(world):
    world.does('echo "VERDICT 0 backup: PROVEN"')
    kept = world.state / "jobs" / "backup" / "artifacts"
    for number in range(4):
        (kept / f"backup-2026-{number}").mkdir(parents=True)
    assert world.run("backup", TEST_KEPT_RUNS="3")[0] == 0
    assert len(list(kept.iterdir())) == 3
    assert "VERDICT 0" in world.printed()


def test_over_its_limit_a_run_is_ended_with_what_it_started_elsewhere(world, tmp_path):
    world.does(f"setsid sh -c 'echo $$ >{tmp_path}/pid; exec sleep 60' & sleep 60")
    code, line = world.run("short")
    assert (code, "NOT PROVEN: over its time limit" in line) == (1, True), line
    assert is_gone(tmp_path / "pid")
    assert world.last("short")["how"] == "over its time limit"


def test_stopped_by_systemd_it_ends_its_run_and_says_so(world, tmp_path):
    world.does(f"touch {tmp_path}/begun; sleep 60")
    process = world.start("backup")
    wait_for(tmp_path / "begun")
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, "NOT PROVEN: stopped (SIGTERM)" in out) == (1, True), out
    assert world.last()["exit_code"] == 1


def test_two_starts_at_once_the_second_ends_with_75_and_names_the_first(world, tmp_path):
    world.does(
        f'touch {tmp_path}/begun; while [ ! -e {tmp_path}/go ]; do sleep 0.1; done; echo "VERDICT 0 backup: PROVEN"'
    )
    first = world.start("backup", TRADING_CORE_OPERATOR="kim@desk")
    wait_for(tmp_path / "begun")
    code, line = world.run("backup")
    began = world.last()["started_at"]
    assert (code, f"LOCKED: kim@desk started it at {began}" in line) == (75, True), line
    assert (world.last()["by"], world.last()["exit_code"]) == ("kim@desk", None)
    (tmp_path / "go").touch()
    first.communicate(timeout=30)
    assert first.returncode == 0


def test_what_a_killed_job_left_running_is_ended_by_the_next(world, tmp_path):
    world.does(f"echo $$ >{tmp_path}/pid; exec sleep 60")
    process = world.start("backup")
    wait_for(tmp_path / "pid")
    process.kill()
    process.wait()
    process.stdout.close()
    process.stderr.close()
    assert world.last()["exit_code"] is None
    assert not is_gone(tmp_path / "pid")
    world.does('echo "VERDICT 0 backup: PROVEN"')
    assert world.run("backup")[0] == 0
    assert is_gone(tmp_path / "pid")


class Switch(http.server.BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self):
        type(self).asked.append(self.path)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def switch():
    Switch.asked = []
    server = http.server.HTTPServer(("127.0.0.1", 0), Switch)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/ping/secret"
    server.shutdown()
    server.server_close()


def test_the_dead_mans_switch_hears_of_a_success_and_of_nothing_else(tmp_path, switch):
    world = World(tmp_path, switch)
    world.does('echo "VERDICT 1 backup: FAILED"; exit 1')
    assert world.run("backup")[0] == 1
    assert Switch.asked == []
    world.does('echo "VERDICT 0 backup: PROVEN"')
    assert world.run("backup")[0] == 0
    assert Switch.asked == ["/ping/secret"]


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/secret", "http://[secret", "secret", "http://h:secret/"])
def test_a_switch_that_is_away_fails_no_job_and_its_address_is_not_shown(tmp_path, address):
    world = World(tmp_path, address)
    world.does('echo "VERDICT 0 backup: PROVEN"')
    process = world.start("backup")
    out, err = process.communicate(timeout=30)
    assert (process.returncode, "was not reached" in err, "secret" in out + err) == (0, True, False)


@pytest.mark.parametrize("arguments", [["nosuch"], ["backup"]])
def test_without_such_a_job_or_any_file_nothing_is_done(world, arguments):
    if arguments == ["backup"]:
        world.jobs_file.unlink()
    code, line = world.run(*arguments)
    assert (code, "NOTHING WAS DONE" in line, line.endswith("NEXT: ./runbook schedule_setup")) == (12, True, True)
