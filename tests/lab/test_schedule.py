"""Jobs on the lab's control host: a timer that fires, one run at a time, a death that is told, report and metrics."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.lab.estate import ROOT, command, docker, messages, now, on, runbook, wait_until
from tests.lab.test_restore import restic, sets

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

CONTROL = "lab-control"
JOBS = "/var/lib/trading-core/jobs"
CURRENT = "/opt/trading-core-runbooks/current"
ACCESS = {"arguments": ["status"], "timeout_seconds": 300, "notice_on_failure": False}


def set_up(jobs: dict[str, Any], *options: str) -> Any:
    return runbook("schedule_setup", "-e", json.dumps({"trading_core_jobs": {"access": ACCESS, **jobs}}), *options)


def last(job: str) -> dict[str, Any]:
    text = on(CONTROL, f"cat {JOBS}/{job}/last.json 2>/dev/null || true")
    return json.loads(text) if text else {"started_at": "", "exit_code": None}


def hold(job: str) -> str:
    """Start a job and stop its process in the middle of the run; return the process' id."""
    unit = f"trading-core-job-{job}"
    # One that is still ending would be all that this start joins.
    wait_until(lambda: "activating" not in on(CONTROL, f"systemctl is-active {unit} || true"), 60, "the end of the run")
    on(CONTROL, f"systemctl start --no-block {unit}")
    holder = json.loads(wait_until(lambda: on(CONTROL, f"cat {JOBS}/{job}/lock 2>/dev/null || true"), 60, "the lock"))
    pid = holder["run_id"].rpartition("-")[2]
    on(CONTROL, f"kill -STOP {pid}")
    return pid


@pytest.fixture(scope="module")
def packages(lab: None) -> Iterator[None]:
    """What a job's environment is made from, on a host without a way to PyPI; gone again with all that came of it."""
    subprocess.run([sys.executable, str(ROOT / "lab" / "estate.py"), "up", "--jobs"], check=True, timeout=900)
    yield
    kept = " ".join(f"/var/lib/trading-core/{name}" for name in ("jobs", "records", "reports", "checkout.tar.gz"))
    on(CONTROL, f"rm -rf /opt/trading-core-runbooks /var/cache/trading-core-lab /etc/trading-core/jobs.json {kept}")
    on(
        CONTROL,
        "rm -f /etc/systemd/system/trading-core-notice@.service /var/lib/prometheus/node-exporter/trading_core_*",
    )


@pytest.fixture
def gone(stacks: None, packages: None) -> Iterator[None]:
    yield
    units = "/etc/systemd/system/trading-core-job-*"
    on(
        CONTROL,
        f"systemctl disable --now 'trading-core-job-*.timer' 2>/dev/null; rm -f {units}; systemctl daemon-reload",
    )


def test_a_timer_starts_its_job_and_a_second_start_at_once_is_told_of_the_first(gone):
    every_15_seconds = {"probe": {"arguments": ["status"], "calendar": "*:*:0/15", "timeout_seconds": 120}}
    dry = set_up(every_15_seconds, "--check")
    assert (dry.code, "DRY RUN: nothing was changed" in dry.verdict) == (0, True)
    assert on(CONTROL, "ls /etc/systemd/system | grep trading-core-job || true") == ""
    begun = now()
    first = set_up(every_15_seconds)
    assert (first.code, "1 timers wait (probe" in first.verdict, "changed=" in first.output) == (0, True, True)
    again = set_up(every_15_seconds)
    assert (again.code, "changed=0" in again.output) == (0, True)
    since = now()
    wait_until(
        lambda: last("probe")["started_at"] > since and last("probe")["exit_code"] == 0, 90, "a run by the timer"
    )

    assert messages("ops", begun) == []  # a good one is quiet

    on(CONTROL, "systemctl stop trading-core-job-probe.timer")
    pid = hold("probe")
    second = command("docker", "exec", CONTROL, f"{CURRENT}/runbook", "job", "probe")
    on(CONTROL, f"kill -CONT {pid}")
    assert (second.code, "LOCKED: schedule@lab-control started it at" in second.verdict) == (75, True), second.verdict
    wait_until(lambda: last("probe")["exit_code"] == 0, 60, "the end of the first")
    left = on(CONTROL, f"stat -c %a {JOBS}/probe; find {JOBS}/probe -path '*/job_events/*'").split()
    assert left == ["700"]


def test_a_job_that_dies_without_a_word_is_told_of(gone):
    assert set_up({"probe": {"arguments": ["status"], "timeout_seconds": 120}}).code == 0
    begun = now()
    pid = hold("probe")
    on(CONTROL, f"kill -KILL {pid}")
    (told,) = wait_until(lambda: messages("ops", begun), 60, "a message on the channel")
    assert "Job probe began at" in told
    assert "left no result: it died, or still runs" in told
    wait_until(
        lambda: not on(CONTROL, "pgrep -f [a]nsible-playbook || true"), 30, "the end of the notice, and nothing else"
    )


def test_a_scheduled_backup_and_restore_test_leave_report_and_metrics(gone):
    def soon(seconds: float) -> str:
        return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%d %H:%M:%S UTC")

    assert runbook("backup_setup").code == 0
    assert set_up({}).code == 0  # makes the environment, so that what follows is quick
    before = now()
    assert set_up({"backup": {"arguments": ["backup"], "calendar": soon(90), "timeout_seconds": 600}}).code == 0
    wait_until(
        lambda: last("backup")["started_at"] > before and last("backup")["exit_code"] is not None, 300, "a backup"
    )
    assert last("backup")["exit_code"] == 0, last("backup")
    tested = {"restore_test": {"arguments": ["restore_test"], "calendar": soon(90), "timeout_seconds": 1200}}
    assert set_up(tested).code == 0
    wait_until(lambda: last("restore_test").get("exit_code") is not None, 900, "a restore test")
    assert last("restore_test")["exit_code"] == 0, last("restore_test")
    reports = "/var/lib/trading-core/reports/restore_tests"
    assert "GOOD" in on(CONTROL, f"cat {reports}/index.md")
    exported = on(CONTROL, "curl -s http://127.0.0.1:9100/metrics | grep ^trading_core_")
    values = {name: float(value) for name, value in (line.split() for line in exported.splitlines())}
    for kind in ("backup", "restore_test"):
        age = datetime.now(UTC).timestamp() - values[f"trading_core_{kind}_last_success_timestamp_seconds"]
        assert 0 <= age < 1800, kind
    assert values["trading_core_restore_test_rto_seconds"] > 0
    assert docker("exec", CONTROL, "sh", "-c", f"find {JOBS} -name stdout").strip()


def test_check_and_prune_are_good_as_the_jobs_that_systemd_starts(gone):
    assert runbook("backup_setup").code == 0
    assert runbook("backup").code == 0
    host = json.loads(restic("snapshots --json --tag trading-core"))[-1]["hostname"]
    old = "SET-20260102-000000"
    tags = f"--tag trading-core --tag set={old} --time '2026-01-02 00:00:00'"
    restic(f"backup --host {host} {tags} /etc/hostname")
    before = sets()
    assert old in before
    jobs = {name: {"arguments": [name], "timeout_seconds": 600} for name in ("backup_check", "backup_prune")}
    assert set_up(jobs).code == 0
    for name in jobs:
        begun = now()
        on(CONTROL, f"systemctl start --no-block trading-core-job-{name}")

        def ended(name: str = name, begun: str = begun) -> dict[str, Any] | None:
            seen = last(name)
            return seen if seen["started_at"] >= begun and seen["exit_code"] is not None else None

        assert wait_until(ended, 300, f"the end of {name}")["exit_code"] == 0, last(name)
        assert on(CONTROL, f"systemctl is-failed trading-core-job-{name} || true").strip() != "failed"
        assert messages("ops", begun) == []
    assert sets() == sorted({*before} - {old})
    restic("check")
