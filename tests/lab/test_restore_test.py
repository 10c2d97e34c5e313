"""A backup and the restore test that proves it, as the jobs run them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.lab.estate import containers, on, runbook
from tests.lab.test_entry import CHECKED_WITH_REPOSITORY

HOST = "lab-restore"
METRICS = "/var/lib/prometheus/node-exporter"
PRODUCTION = ("lab1", "lab2", "lab-control")


def left() -> str:
    """Return whatever is there of a restore test: containers, volumes, networks, files."""
    label = "--filter label=trading-core.restore-test=true"
    lists = f"docker ps -aq {label}; docker volume ls -q {label}; docker network ls -q {label}"
    return on(HOST, f"{lists}; ls -A /var/lib/trading-core-restore-test 2>/dev/null || true")


def production() -> dict[str, object]:
    """Return what a restore test must not change."""
    return {
        host: (
            sorted((item.id, item.started_at, item.status) for item in containers(host)),
            sorted(on(host, "docker volume ls -q").split()),
        )
        for host in PRODUCTION
    }


def reported() -> tuple[dict[str, Any], str]:
    """Return the newest report, as data and as the page that people read."""
    folder = max(Path(os.environ["TRADING_CORE_REPORTS_PATH"], "restore_tests").glob("restore_test_*"))
    return json.loads((folder / "report.json").read_text()), (folder / "report.md").read_text().replace("\\", "")


@pytest.fixture
def backed_up(repository: None, trading: None) -> None:
    """A set of a moment ago, taken while both bots write."""
    assert runbook("backup").code == 0


@pytest.mark.before_others(2)
@pytest.mark.timeout(900)
def test_a_backup_taken_while_bots_write_is_proven_and_production_is_as_it_was(backed_up):
    before = production()
    tested = runbook("restore_test")
    assert tested.code == 0
    for words in ("rows are equal", "RefStrat_01 version", "the bot wrote", "checks pass", "RPO", "RTO"):
        assert words in tested.verdict
    assert left() == ""
    assert production() == before
    found, page = reported()
    assert all(table["is_equal"] for table in found["comparison"]) and found["rows"] > 0
    for words in ("| outcome | GOOD |", "| trading | public.bars |", "| prediction |", "| rows written to", "(RTO)"):
        assert words in page
    assert "NOT EQUAL" not in page
    assert "trading_core_restore_test_last_success_timestamp_seconds" in on("lab-control", f"cat {METRICS}/*")
    assert "trading_core_backup_size_bytes" in on("lab-control", f"cat {METRICS}/*")


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_dry_runs_change_no_container_anywhere(backed_up):
    before = production()
    for call in CHECKED_WITH_REPOSITORY:
        dry = runbook(*call, "--check", "--diff")
        assert (dry.code, "DRY RUN: nothing was changed" in dry.verdict) == (0, True), dry.verdict
        assert (production(), left()) == (before, ""), call


@pytest.mark.faults
def test_a_host_that_is_halted_is_refused(repository):
    on(HOST, """echo '{"scope": "all", "incident_ids": ["INC-1"]}' > /var/lib/trading-core/halt.json""")
    try:
        tested = runbook("restore_test")
    finally:
        on(HOST, "rm -f /var/lib/trading-core/halt.json /var/lib/trading-core/latch/halt.json")
    assert tested.code == 13
    assert "INC-1" in tested.verdict
    assert left() == ""
