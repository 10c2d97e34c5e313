"""Requests of alerts carried out by the process that systemd starts, with a stand-in for ./runbook."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
from trading_ops.alerts.settings import render_settings
from trading_ops.jobs.job import Jobs, parse_jobs, render_document

from tests.unit.alerts.test_settings import SETTINGS

ROOT = Path(__file__).parents[2]
RUNNER = """
import sys
from pathlib import Path
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/module_utils"]
import jobs.alerts, jobs.run
jobs.run.ROOT = Path(sys.argv[2])
sys.exit(jobs.alerts.main(sys.argv[3:]))
"""
PROVEN = 'echo "$*" >>{path}/calls\necho "$TRADING_CORE_OPERATOR $TRADING_CORE_INVENTORY" >>{path}/who\n'
PROVEN += 'echo "VERDICT 0 $1: PROVEN"\n'


class World:
    """A control host in a folder: spool, settings, jobs, and a `runbook` of ours."""

    def __init__(self, path: Path) -> None:
        self.path, self.alerts = path, path / "state/alerts"
        (self.alerts / "spool").mkdir(parents=True)
        definitions = {"access": {"arguments": ["status"], "timeout_seconds": 60}}
        jobs = Jobs(
            parse_jobs(definitions), str(path / "state"), environment={"TRADING_CORE_INVENTORY": "/of/the/host"}
        )
        (path / "jobs.json").write_text(render_document(jobs, definitions))
        actions = {"Gaps": "stop_bots", "LiveDrawdown": "stop_live"}
        alertmanager = replace(SETTINGS.alertmanager, url="http://127.0.0.1:9")
        settings = replace(SETTINGS, actions=actions, alertmanager=alertmanager)
        (path / "alerts.json").write_text(render_settings(settings))
        self.does(PROVEN)

    def does(self, script: str) -> None:
        (self.path / "runbook").write_text(f"#!/bin/sh\n{script.replace('{path}', str(self.path))}")
        (self.path / "runbook").chmod(0o755)

    def arrives(self, name: str) -> None:
        body = {"alerts": [{"status": "firing", "labels": {"alertname": name}, "annotations": {}}]}
        (self.alerts / "spool" / f"{time.time_ns():020d}-aa.json").write_text(json.dumps(body))

    def start(self, *arguments: str) -> subprocess.Popen:
        environment = {
            **os.environ,
            "TRADING_CORE_JOBS_FILE": str(self.path / "jobs.json"),
            "TRADING_CORE_ALERTS_FILE": str(self.path / "alerts.json"),
            "TRADING_CORE_INCIDENTS_PATH": str(self.path / "copies"),
        }
        return subprocess.Popen([sys.executable, "-c", RUNNER, str(ROOT), str(self.path), *arguments], env=environment)

    def run(self, *arguments: str) -> int:
        return self.start(*arguments).wait(timeout=90)

    @property
    def calls(self) -> list[str]:
        path = self.path / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def incident_ids(self) -> set[str]:
        return {word for call in self.calls for word in call.split() if word.startswith("incident_id=")}

    def waiting(self) -> int:
        return len(list((self.alerts / "spool").iterdir()))

    def wait_for_calls(self, number: int) -> None:
        end = time.monotonic() + 60
        while len(self.calls) < number:
            assert time.monotonic() < end, self.calls
            time.sleep(0.05)


def wait_for(path: Path, limit_seconds: float) -> None:
    end = time.monotonic() + limit_seconds
    while not path.exists():
        assert time.monotonic() < end, path
        time.sleep(0.05)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_an_alert_becomes_the_command_that_a_person_would_have_typed(world):
    world.arrives("LiveDrawdown")
    assert world.run() == 0
    (call,) = world.calls
    assert call.startswith("incident -e scope=live -e incident_id=INC-")
    assert call.endswith("-e reason=alert LiveDrawdown")
    assert (world.path / "who").read_text() == "alertmanager /of/the/host\n"
    assert world.waiting() == 0
    assert list((world.path / "copies").iterdir())


def test_killed_in_the_middle_of_the_stop_it_is_carried_out_by_the_next_process_as_the_same_incident(world):
    world.does('echo "$*" >>{path}/calls\nsleep 60\n')
    world.arrives("Gaps")
    first = world.start()
    world.wait_for_calls(1)
    first.send_signal(signal.SIGKILL)
    first.wait(timeout=20)
    assert world.waiting() == 1
    world.does(PROVEN)
    assert world.run() == 0
    assert (world.waiting(), len(world.calls), len(world.incident_ids())) == (0, 2, 1)


def test_two_processes_at_once_are_one_run(world):
    world.does(f"sleep 3\n{PROVEN}")
    world.arrives("Gaps")
    first, second = world.start(), world.start()
    assert (first.wait(timeout=90), second.wait(timeout=90)) == (0, 0)
    assert len(world.calls) == 1


def test_a_wider_alert_ends_the_run_that_is_at_work(world):
    world.does('echo "$*" >>{path}/calls\ncase $* in *scope=live*) sleep 60 ;; esac\necho "VERDICT 0 $1: PROVEN"\n')
    world.arrives("LiveDrawdown")
    begun = time.monotonic()
    process = world.start()
    world.wait_for_calls(1)
    world.arrives("Gaps")
    assert process.wait(timeout=50) == 0
    assert time.monotonic() - begun < 45
    assert [call.split()[2] for call in world.calls] == ["scope=live", "scope=all"]
    assert (len(world.incident_ids()), world.waiting()) == (1, 0)


def test_a_stop_that_is_not_proven_is_told_and_ends_with_1_so_that_systemd_comes_again(world):
    world.does('echo "$*" >>{path}/calls\necho "VERDICT 10 $1: lab2 is unknown"\nexit 10\n')
    world.arrives("Gaps")
    assert world.run() == 1
    assert [call.split()[0] for call in world.calls] == ["incident", "alert_notice"]
    assert world.waiting() == 1


def test_the_watch_tells_of_a_path_that_is_silent_with_the_reason_in_words(world):
    os.utime(world.path / "alerts.json", (1, 1))
    assert world.run("--watch") == 0
    (call,) = world.calls
    assert call.startswith("alert_notice -e reason=No heartbeat of the alerts: none ever came")


def test_the_watch_tells_of_a_spool_that_is_gone(world):
    (world.alerts / "spool").rmdir()
    assert world.run("--watch") == 1
    (call,) = world.calls
    assert call.startswith("alert_notice -e reason=What alerts ask for cannot be read")


def test_the_watch_tells_once_of_settings_that_cannot_be_read(world):
    (world.path / "alerts.json").write_text("{")
    assert [world.run("--watch"), world.run("--watch")] == [12, 12]
    (call,) = world.calls
    assert call.startswith("alert_notice -e reason=No alert can stop a bot now, for what it may do cannot be read")


@pytest.fixture
def full(world):
    """Nothing that is to be kept can be written: lock, stop that was driven, runs, what was told."""
    for name in ("alerts/lock", "alerts/drive.json", "alerts/received.jsonl", "alerts/told.json"):
        (world.path / "state" / name).mkdir()
    (world.path / "state/jobs").touch()
    (world.path / "copies").touch()
    return world


def test_a_disk_that_takes_nothing_holds_up_no_stop(full):
    full.arrives("LiveDrawdown")
    assert full.run() == 0
    assert [call.split()[0] for call in full.calls] == ["incident"]
    assert (full.path / "who").read_text() == "alertmanager /of/the/host\n"
    assert full.waiting() == 0


def test_a_disk_that_takes_nothing_holds_up_no_wider_stop_and_no_notice(full):
    full.does('echo "$*" >>{path}/calls\ncase $* in *scope=live*) sleep 60 ;; *scope=all*) exit 10 ;; esac\n')
    full.arrives("LiveDrawdown")
    process = full.start()
    full.wait_for_calls(1)
    full.arrives("Gaps")
    assert process.wait(timeout=50) == 1
    assert [call.split()[:3][-1] for call in full.calls[:2]] == ["scope=live", "scope=all"]
    assert full.calls[2].startswith("alert_notice -e reason=AUTOMATIC STOP NOT PROVEN (alert Gaps")


def test_a_disk_that_takes_nothing_holds_up_no_notice_of_the_watch(full):
    os.utime(full.path / "alerts.json", (1, 1))
    assert full.run("--watch") == 1
    (call,) = full.calls
    assert call.startswith("alert_notice -e reason=No heartbeat of the alerts")


def test_without_settings_it_says_so_and_does_nothing(world):
    (world.path / "alerts.json").unlink()
    world.arrives("Gaps")
    assert (world.run(), world.calls, world.waiting()) == (12, [], 1)


@pytest.fixture
def short_folder():
    """What is killed leaves its files here; a socket's path has to be short."""
    with tempfile.TemporaryDirectory() as path:
        yield path


@pytest.mark.timeout(300)
def test_an_alert_reaches_the_latch_and_the_record_through_the_real_command(world, short_folder):
    """Without an engine. It is stopped on the way, as by a reboot, and the request stays for the next process."""
    here = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "trading_core_state_path": str(world.path / "state"),
        "trading_core_docker_url": f"unix://{world.path}/no.sock",
    }
    groups = {
        "trading_hosts": {"hosts": {"here": here}},
        **{group: {"hosts": {"here": {}}} for group in ("feed_hosts", "control")},
    }
    (world.path / "hosts.json").write_text(json.dumps(groups))
    definitions = {"access": {"arguments": ["status"], "timeout_seconds": 60}}
    environment = {
        "TRADING_CORE_INVENTORY": str(world.path / "hosts.json"),
        "TRADING_CORE_INCIDENTS_PATH": str(world.path / "copies"),
        "ANSIBLE_HOME": str(world.path / "home"),
        "TMPDIR": short_folder,
    }
    jobs = Jobs(parse_jobs(definitions), str(world.path / "state"), environment=environment)
    (world.path / "jobs.json").write_text(render_document(jobs, definitions))
    (world.path / "runbook").unlink()
    (world.path / "runbook").symlink_to(ROOT / "runbook")
    world.arrives("LiveDrawdown")
    process = world.start()
    wait_for(world.path / "state/halt.json", 120)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=90) == 1
    assert world.waiting() == 1
    assert [path.name for path in (world.path / "state/jobs").iterdir()] == ["alert_stop"]  # nobody was told
    latch = json.loads((world.path / "state/halt.json").read_text())
    assert (latch["scope"], latch["by"], latch["reason"]) == ("live", "alertmanager", "alert LiveDrawdown")
    (incident,) = latch["incident_ids"]
    assert incident.endswith("-alert-livedrawdown")
    assert json.loads((world.alerts / "drive.json").read_text())["incident_id"] == incident
    lines = [
        json.loads(line) for path in world.path.glob(f"*/{incident}/*.jsonl") for line in path.read_text().splitlines()
    ]
    (detection,) = {line["text"] for line in lines if line["kind"] == "detection"}
    assert detection == "Noticed by alert LiveDrawdown: LiveDrawdown"
    assert {line["by"] for line in lines} == {"alertmanager"}
