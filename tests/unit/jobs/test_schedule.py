"""Jobs installed on a control host: no timer before a job has worked, and a timer that waits is seen to wait."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from trading_ops.jobs.results import RESULT_FILE, build_record, job_path, render_record
from trading_ops.jobs.schedule import ControlHost, install

JOBS = {
    "access": {"arguments": ["status"], "timeout_seconds": 60},
    "backup": {"arguments": ["backup"], "calendar": "daily", "timeout_seconds": 60},
}


class World:
    """A control host on a folder. `probe`: the exit code of the job that is tried; `sick`: what timers show instead."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.units, self.state, self.checkout = root / "units", root / "state", root / "checkout"
        for folder in (self.units, self.state, self.checkout):
            folder.mkdir()
        (self.checkout / "runbook").touch()
        self.probe = 0
        self.refused = ""
        self.sick: dict[str, str] = {}
        self.leaves_record = True
        self.calls: list[list[str]] = []
        self.timers: dict[str, dict[str, str]] = {}

    def run(self, argv: Sequence[str]) -> tuple[int, str]:
        self.calls.append(list(argv))
        match list(argv):
            case ["systemd-analyze", *_]:
                return (1, self.refused) if self.refused else (0, "")
            case ["systemctl", "start", _]:
                if self.leaves_record:
                    folder = job_path(str(self.state), "access")
                    folder.mkdir(parents=True, exist_ok=True)
                    run = {"started_at": f"2026-11-21T02:15:{len(self.calls):02}.000Z"}
                    ended = {"exit_code": self.probe, "verdict": f"VERDICT {self.probe} status"}
                    (folder / RESULT_FILE).write_text(render_record(build_record(run, ended)))
                return self.probe, "" if self.probe == 0 else "Job failed.\nSee systemctl status."
            case ["systemctl", "enable", *timers]:
                for timer in timers:
                    self.timers.setdefault(timer, {})["UnitFileState"] = "enabled"
            case ["systemctl", "restart", *timers]:
                for timer in timers:
                    self.timers[timer] |= {"ActiveState": "active", "NeedDaemonReload": "no"}
            case ["systemctl", "show", _, timer]:
                shown = {**self.timers.get(timer, {}), **self.sick, "NextElapseUSecRealtime": "tonight"}
                return 0, "".join(f"{key}={value}\n" for key, value in shown.items())
            case ["systemctl", "disable", "--now", timer]:
                self.timers.pop(timer, None)
        return 0, ""

    def install(self, jobs=JOBS, dry_run: bool = False, probe: str = "access") -> dict:
        params = {
            "jobs": jobs,
            "probe": probe,
            "checkout_path": str(self.checkout),
            "environment": {"A": "b"},
            "by": "schedule@lab-control",
            "variables_path": None,
            "ping_url_path": None,
            "state_path": str(self.state),
        }
        return install(ControlHost(self.run, self.units, self.root / "etc" / "jobs.json"), params, dry_run)

    def files(self) -> dict[str, str]:
        found = [*self.units.rglob("*"), *(self.root / "etc").rglob("*")]
        return {path.name: path.read_text() for path in found if path.is_file()}

    def verbs(self) -> list[str]:
        return [call[1] for call in self.calls if call[0] == "systemctl" and call[1] != "show"]


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_check_run_check_run_changes_once_and_tries_a_job_each_time(world):
    looked = world.install(dry_run=True)
    assert (looked["outcome"], looked["changed"], world.files(), world.verbs()) == ("planned", True, {}, [])
    first = world.install()
    assert (first["outcome"], first["changed"]) == ("proven", True)
    assert first["summary"] == "1 timers wait (backup tonight); job access ran here and ended with 0"
    assert world.verbs() == ["daemon-reload", "start", "enable", "restart"]
    world.calls.clear()
    looked, second = world.install(dry_run=True), world.install()
    assert (looked["outcome"], looked["changed"]) == ("planned", False)
    assert (second["outcome"], second["changed"], world.verbs()) == ("proven", False, ["start"])


def test_where_the_job_that_is_tried_fails_no_timer_is_enabled(world):
    world.probe = 10
    failed = world.install()
    assert failed["outcome"] == "failed"
    assert "no timer was enabled: Job access, begun at" in failed["summary"]
    assert "ended with 10: VERDICT 10 status" in failed["summary"]
    assert world.timers == {}


def test_what_an_earlier_run_said_is_not_taken_for_this_ones(world):
    world.install()
    world.probe, world.leaves_record = 1, False
    failed = world.install()
    assert "Job access did not come to a record. Job failed." in failed["summary"]


@pytest.mark.parametrize(
    ("sick", "words"),
    [
        ({"ActiveState": "failed"}, "trading-core-job-backup.timer: ActiveState is failed"),
        ({"UnitFileState": "masked"}, "UnitFileState is masked"),
        ({"NeedDaemonReload": "yes"}, "NeedDaemonReload is yes"),
    ],
)
def test_a_timer_that_does_not_wait_is_no_proof(world, sick, words):
    world.sick = sick
    failed = world.install()
    assert (failed["outcome"], words in failed["summary"]) == ("failed", True), failed["summary"]


def test_units_that_systemd_refuses_are_not_written(world):
    world.refused = "bad.timer:4: Failed to parse calendar specification"
    failed = world.install()
    assert (failed["outcome"], world.refused in failed["summary"], world.files()) == ("failed", True, {})


def test_all_units_are_judged_together_under_names_that_systemd_knows(world):
    world.install()
    (judged,) = (call for call in world.calls if call[0] == "systemd-analyze")
    assert {Path(path).name for path in judged[2:]} == {
        "trading-core-notice@example.service",
        "trading-core-job-access.service",
        "trading-core-job-backup.service",
        "trading-core-job-backup.timer",
    }


def test_before_the_first_checkout_a_dry_run_says_that_nothing_was_verified(world):
    (world.checkout / "runbook").unlink()
    looked = world.install(dry_run=True)
    assert (looked["outcome"], "not verified" in looked["summary"]) == ("planned", True)
    assert not [call for call in world.calls if call[0] == "systemd-analyze"]


def test_a_job_that_is_no_longer_defined_is_taken_away_and_nothing_else(world):
    world.install()
    (world.units / "trading-core-guard.service").write_text("[Service]\n")
    gone = world.install({"access": JOBS["access"]})
    assert (gone["outcome"], gone["changed"]) == ("proven", True)
    assert ["systemctl", "disable", "--now", "trading-core-job-backup.timer"] in world.calls
    assert "trading-core-guard.service" in world.files()
    assert not [name for name in world.files() if "backup" in name]


def test_definitions_are_roots_alone(world):
    world.install()
    assert (world.root / "etc" / "jobs.json").stat().st_mode & 0o777 == 0o600


def test_a_probe_that_is_no_job_is_refused(world):
    refused = world.install(probe="nosuch")
    assert (refused["outcome"], world.files()) == ("usage", {})
