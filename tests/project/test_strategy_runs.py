"""Whole runs of strategy_change on this machine, through ./runbook: values as they are typed, all hosts or none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from trading_ops.core.clock import format_utc

from tests.project.repository import ROOT
from tests.tiers import first_of

# Several whole runs each, of up to a minute where the lab's tests run beside them.
pytestmark = pytest.mark.timeout(900)

SHIPPED = ROOT / "lab" / "ai_trading_core" / "config" / "trading.yml"
HALVE = ("-e", "reason=spreads are wide", "-e", "changes=sizing.position_ratio=0.05,venue.enabled=false")


@pytest.fixture
def estate(tmp_path: Path) -> Path:
    """An inventory of two trading hosts, which both are this machine, each with a checkout and a state of its own."""
    groups: dict[str, dict[str, object]] = {}
    for host, mode in (("one", "paper"), ("two", "live")):
        (tmp_path / host / "config").mkdir(parents=True)
        (tmp_path / host / "state").mkdir()
        (tmp_path / host / "config" / "trading.yml").write_bytes(SHIPPED.read_bytes())
        settings = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "trading_core_root_path": str(tmp_path / host),
            "trading_core_state_path": str(tmp_path / host / "state"),
        }
        groups[f"{mode}_hosts"] = {"hosts": {host: settings}}
    path = tmp_path / "hosts.json"
    path.write_text(json.dumps({"trading_hosts": {"children": groups}}))
    return path


def runbook(estate: Path, name: str, *options: str) -> tuple[int, str]:
    """Return exit code and verdict."""
    done = subprocess.run(
        [str(ROOT / "runbook"), name, "-i", str(estate), *options],
        env={**os.environ, "ANSIBLE_HOME": str(estate.parent / "home")},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    print(done.stdout + done.stderr)
    return done.returncode, done.stdout.rstrip().rsplit("\n", 1)[-1]


def files(estate: Path) -> dict[str, bytes]:
    """Return the content of every file of both hosts, but the audit log, which the lease writes too."""
    found = (path for host in ("one", "two") for path in sorted((estate.parent / host).rglob("*")) if path.is_file())
    return {
        str(path): path.read_bytes() for path in found if path.name != "audit.jsonl" and not path.name.endswith(".lock")
    }


def test_a_dry_run_shows_a_change_and_a_run_makes_it_on_every_host_and_on_record(estate):
    before = files(estate)
    code, verdict = runbook(estate, "strategy_change", "--check", *HALVE)
    assert (code, files(estate)) == (0, before)
    assert "DRY RUN: nothing was changed" in verdict
    code, verdict = runbook(estate, "strategy_change", *HALVE)
    assert (code, "PROVEN" in verdict) == (0, True)
    for host in ("one", "two"):
        assert f"{host}: sizing.position_ratio 0.1 -> 0.05, venue.enabled true -> false; documentation due: " in verdict
        entries = (estate.parent / host / "state" / "drift_log.jsonl").read_text().splitlines()
        assert [json.loads(line)["why"] for line in entries] == ["spreads are wide"] * 2
    code, verdict = runbook(estate, "drift_log")
    assert (code, verdict.count("2 changes on record; documentation due")) == (0, 2)


@pytest.mark.faults
def test_the_same_change_again_changes_nothing(estate):
    assert runbook(estate, "strategy_change", *HALVE)[0] == 0
    after = files(estate)
    assert runbook(estate, "strategy_change", "--check", *HALVE)[0] == 0
    code, verdict = runbook(estate, "strategy_change", *HALVE)
    assert (code, "already" in verdict, files(estate)) == (0, True, after)


def test_what_one_host_refuses_is_changed_on_none(estate):
    config = estate.parent / "two" / "config" / "trading.yml"
    config.write_text(SHIPPED.read_text().replace("position_ratio: 0.20", "position_ratio: 0.12"))
    before = files(estate)
    code, verdict = runbook(estate, "strategy_change", "-e", "reason=x", "-e", "changes=sizing.position_ratio=0.15")
    assert (code, files(estate)) == (2, before)
    assert "two: sizing.position_ratio would be 0.15, above risk_limits.position_ratio, which is 0.12" in verdict


def hold_lease(estate: Path, host: str) -> None:
    """Have another run hold the lease of a host."""
    now = datetime.now(UTC)
    lease = {"holder": "kim@desk", "purpose": "test", "since": format_utc(now)}
    path = estate.parent / host / "state" / "lease.json"
    path.write_text(json.dumps({**lease, "expires": format_utc(now + timedelta(minutes=5))}))
    return path


def test_where_one_lease_is_held_no_host_is_changed_and_none_keeps_a_lease(estate):
    hold_lease(estate, "two")
    before = files(estate)
    code, verdict = runbook(estate, "strategy_change", *HALVE)
    assert (code, "kim@desk" in verdict, files(estate)) == (75, True, before), verdict


@pytest.mark.faults
def test_a_mode_narrows_the_change_to_its_hosts(estate):
    code, verdict = runbook(estate, "strategy_change", "-e", "mode=live", *HALVE)
    assert (code, "two: " in verdict, "one: " in verdict) == (0, True, False)
    assert (estate.parent / "one" / "config" / "trading.yml").read_bytes() == SHIPPED.read_bytes()


@pytest.mark.parametrize(
    ("options", "expected", "words"),
    first_of(
        [
            (["-e", "changes=venue.enabled=false"], 2, "missing required arguments: reason"),
            (["-e", "reason=", "-e", "changes=venue.enabled=false"], 2, "what is changed, and why"),
            (["-e", "reason=x"], 2, "missing required arguments: changes"),
            (["-e", "reason=x", "-e", "changes=venue.enabled"], 2, "argument 'changes'"),
            (["-e", "reason=x", "-e", "changes=venue.nosuch=1"], 2, "venue.nosuch does not exist"),
            (["-e", "reason=x", "-e", "mode=all", "-e", "changes=venue.enabled=false"], 12, "NOTHING WAS DONE"),
        ]
    ),
    ids=["no reason", "empty reason", "no change", "no value", "no such setting", "no such mode"],
)
def test_without_reason_or_with_a_change_that_is_none_nothing_is_done(estate, options, expected, words):
    before = files(estate)
    code, verdict = runbook(estate, "strategy_change", *options)
    assert (code, words in verdict, files(estate)) == (expected, True, before)


def test_while_halted_larger_is_refused_with_the_release_and_smaller_goes_through(estate):
    for host in ("one", "two"):
        (estate.parent / host / "state" / "halt.json").write_text('{"scope": "all", "incident_ids": ["INC-1"]}')
    larger = ("-e", "reason=x", "-e", "changes=sizing.position_ratio=0.15")
    code, verdict = runbook(estate, "strategy_change", *larger)
    assert (code, f"NEXT: ./runbook halt_release -i {estate} -e incident_id=INC-1" in verdict) == (13, True)
    assert runbook(estate, "strategy_change", *HALVE)[0] == 0
