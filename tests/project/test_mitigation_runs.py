"""Whole runs of mitigate on this machine, through ./runbook: all hosts or none, on record, undone by what it prints."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.project.repository import ROOT
from tests.project.test_strategy_runs import SHIPPED, estate, files, hold_lease  # noqa: F401 (a fixture)
from tests.tiers import first_of

# Several whole runs each, of up to a minute where the lab's tests run beside them.
pytestmark = pytest.mark.timeout(900)

INCIDENT = "INC-20261121-080000-spreads"
HALVE = ("-e", "reason=spreads are wide", "-e", "scale_sizing=0.5")


def run(command: str, *options: str, estate: Path) -> tuple[int, str, str]:  # noqa: F811
    """Return exit code, verdict and the whole output; `command` as one would type it."""
    done = subprocess.run(
        [str(ROOT / "runbook"), *shlex.split(command)[1:], *options],
        env={
            **os.environ,
            "ANSIBLE_HOME": str(estate.parent / "home"),
            "TRADING_CORE_INVENTORY": str(estate),
            "TRADING_CORE_INCIDENTS_PATH": str(estate.parent / "incidents"),
        },
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    print(done.stdout + done.stderr)
    return done.returncode, done.stdout.rstrip().rsplit("\n", 1)[-1], done.stdout


def mitigate(estate: Path, *options: str) -> tuple[int, str, str]:  # noqa: F811
    return run(f"./runbook mitigate -e incident_id={INCIDENT}", *options, estate=estate)


def configs(estate: Path) -> list[bytes]:  # noqa: F811
    return [(estate.parent / host / "config/trading.yml").read_bytes() for host in ("one", "two")]


def noted(estate: Path) -> list[dict]:  # noqa: F811
    path = estate.parent / "incidents" / INCIDENT / "pending.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [entry for entry in map(json.loads, lines) if entry["kind"] == "mitigation"]


def test_check_shows_the_diff_a_run_makes_it_on_record_and_what_it_prints_restores_the_bytes(estate):  # noqa: F811
    # Two hosts that differ get each its own value back.
    two = estate.parent / "two/config/trading.yml"
    two.write_text(SHIPPED.read_text().replace("position_ratio: 0.10", "position_ratio:   0.080 # less here"))
    before, every = configs(estate), files(estate)
    code, verdict, output = mitigate(estate, "--check", "--diff", *HALVE)
    assert (code, files(estate), noted(estate)) == (0, every, [])
    assert "DRY RUN: nothing was changed" in verdict
    assert "+sizing.position_ratio: 0.05" in output and "+sizing.position_ratio: 0.04" in output

    code, verdict, output = mitigate(estate, *HALVE)
    assert (code, "PROVEN" in verdict) == (0, True)
    assert "one: sizing.position_ratio 0.1 -> 0.05" in verdict and "two: sizing.position_ratio 0.08 -> 0.04" in verdict
    assert [(entry["facts"]["host"], entry["outcome"]) for entry in noted(estate)] in (
        [("one", "proven"), ("two", "proven")],
        [("two", "proven"), ("one", "proven")],
    )
    for host in ("one", "two"):
        assert "spreads are wide" in (estate.parent / host / "state/drift_log.jsonl").read_text()

    (undo,) = set(re.findall(r"undo: (\./runbook mitigate .*? -e reason=undo)", verdict))
    assert f"-i {estate}" in undo
    code, verdict, _ = run(undo, estate=estate)
    assert (code, configs(estate)) == (0, before)
    assert len(noted(estate)) == 4


def test_what_one_host_refuses_is_changed_on_none(estate):  # noqa: F811
    (estate.parent / "two/config/trading.yml").write_text("venue: {name: exchange}\n")
    before = files(estate)
    code, verdict, _ = mitigate(estate, *HALVE)
    assert (code, files(estate), noted(estate)) == (1, before, [])
    assert "two: The configuration has no number under sizing" in verdict


@pytest.mark.faults
def test_where_one_lease_is_held_no_host_is_changed_and_none_keeps_a_lease(estate):  # noqa: F811
    hold_lease(estate, "two")
    before = files(estate)
    code, verdict, _ = mitigate(estate, *HALVE)
    assert (code, "kim@desk" in verdict, files(estate), noted(estate)) == (75, True, before, []), verdict


@pytest.mark.parametrize(
    ("options", "expected", "words"),
    first_of(
        [
            (["-e", "reason=x"], 2, "One fix at a time"),
            (["-e", "reason=x", "-e", "disable=venue", "-e", "enable=venue"], 2, "One fix at a time"),
            (["-e", "disable=venue"], 2, "missing required arguments: reason"),
            (["-e", "reason=x", "-e", "disable=nosuch"], 2, "'nosuch' is none of venue, exchange"),
            (["-e", "reason=x", "-e", "undo=MIT-20261121-080000-1"], 13, "No host has made the fix"),
        ]
    ),
    ids=["no fix", "two fixes", "no reason", "no such thing", "no such fix"],
)
def test_without_reason_or_with_a_fix_that_is_none_nothing_is_done(estate, options, expected, words):  # noqa: F811
    before = files(estate)
    code, verdict, _ = mitigate(estate, *options)
    assert (code, words in verdict, files(estate)) == (expected, True, before)
