"""The same verdict by ./runbook and by raw ansible-playbook, from anywhere, whatever is left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.estate import ROOT, TRADING_HOSTS, command, containers, docker, runbook, running_bots
from tests.tiers import first_of

PLAYBOOK = str(ROOT / "playbooks" / "failsafe_stop.yml")
INVENTORY = str(ROOT / "inventories" / "lab")
RAW = str(ROOT / ".venv" / "bin" / "ansible-playbook")

SOON_SECONDS = 20
"""Far above what it takes, and far below the minute that ssh waits for a frozen host: the machine may be busy."""

NARROWED = [["--limit", "nosuchhost"], ["--tags", "nosuch"], ["--skip-tags", "all"], ["--start-at-task", "nosuch"]]


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, Path]:
    return {"cwd": tmp_path}


def test_raw_ansible_from_another_directory_without_config_stops_with_the_same_verdict(trading, bare):
    stopped = command(RAW, "-i", INVENTORY, PLAYBOOK, "-e", "reason=raw", **bare)
    assert stopped.code == 0
    assert "2 bots proven stopped on 2 of 2 hosts (2 of them now), latched on 2" in stopped.verdict
    assert running_bots() == []


@pytest.mark.parametrize("narrowed", first_of(NARROWED), ids=" ".join)
def test_a_stop_that_reaches_nothing_is_never_zero(lab, bare, tmp_path, narrowed):
    assert command(RAW, "-i", INVENTORY, PLAYBOOK, *narrowed, **bare).code != 0
    wrapped = runbook("failsafe_stop", *narrowed)
    assert wrapped.code == 12
    assert "NOTHING WAS STOPPED" in wrapped.verdict
    assert wrapped.seconds < SOON_SECONDS


@pytest.mark.faults
def test_limit_to_one_host_stops_it_and_says_that_the_other_is_unknown(trading):
    stopped = runbook("failsafe_stop", "-e", "reason=test", "--limit", "lab1")
    assert stopped.code == 10
    assert "lab2: no result" in stopped.verdict
    assert [name.split("/")[0] for name in running_bots()] == ["lab2"]


CHECKED = [
    ("failsafe_stop",),
    ("halt_release", "-e", "incident_id=INC-20261121-013000-none"),
    ("status",),
    ("feed_start",),
    ("feed_stop",),
    ("observability_start",),
    ("alerting_start",),
    ("bot_start", "-e", "mode=paper"),
    ("bot_start", "-e", "mode=live", "-e", "confirm_live=trading-live"),
    ("bot_stop", "-e", "mode=all"),
    ("host_setup",),
    ("feed_gate",),
    ("checks",),
    ("monitoring_setup",),
    ("controlled_restart", "-e", "incident_id=INC-20261121-013000-none"),
    ("strategy_change", "-e", "reason=test", "-e", "changes=sizing.position_ratio=0.05"),
    ("drift_log",),
    ("schedule_setup",),
    ("job_notice", "-e", "job=backup"),
    ("incident_note", "-e", "incident_id=INC-20261121-013000-none", "-e", "text=test"),
    ("incident_info",),
    ("incident_verify", "-e", "incident_id=INC-20261121-013000-none"),
    ("incident_classify", "-e", "incident_id=INC-20261121-013000-none"),
    ("incident_close", "-e", "incident_id=INC-20261121-013000-none"),
    ("incident", "-e", "reason=test"),
    ("inform", "-e", "incident_id=INC-20261121-013000-none", "-e", "reason=test"),
    ("escalate", "-e", "incident_id=INC-20261121-013000-none", "-e", "reason=test"),
    ("evidence_collection", "-e", "rehearsal=true"),
    ("mitigate", "-e", "incident_id=INC-20261121-013000-none", "-e", "reason=test", "-e", "disable=venue"),
    ("service_restart", "-e", "services=grafana", "-e", "reason=test"),
    ("oncall_access",),
    ("shift_start",),
    ("alerts",),
    ("alert_take", "-e", "alert=Watchdog", "-e", "next_step=test"),
    (
        "silence",
        "-e",
        "alert=Psi",
        "-e",
        "minutes=5",
        "-e",
        "incident_id=INC-20261121-013000-none",
        "-e",
        "reason=test",
    ),
    ("silence_end", "-e", "id=00000000-0000-0000-0000-000000000000"),
    ("handover",),
    ("handover_accept", "-e", "by=test"),
    ("deploy", "-e", "revision=main"),
    ("rollback", "-e", "release=REL-20261121-013000", "-e", "reason=test"),
    ("releases",),
    ("deploy_pause", "-e", "reason=test"),
    ("deploy_resume", "-e", "reason=test"),
    ("alert_receiver_setup",),
    ("alert_path",),
    ("alert_notice", "-e", "reason=test"),
]


# These need a repository: test_restore_test.py has their dry runs.
CHECKED_WITH_REPOSITORY = [
    ("backup_setup",),
    ("backup",),
    ("backup_info",),
    ("backup_check",),
    ("backup_prune",),
    ("restore_test",),
]


# What these say is about the estate, which other tests leave well or not: their dry run is one whatever they find.
JUDGES = {"checks", "shift_start", "handover", "alert_path", "incident_verify"}
# What would stop or start the most; the tests of each procedure have its dry run as well.
EVERY_RUN = {"failsafe_stop", "bot_start", "controlled_restart"}


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "calls",
    [
        pytest.param([call for call in CHECKED if call[0] in EVERY_RUN], id="what stops or starts all"),
        pytest.param(
            [call for call in CHECKED if call[0] not in EVERY_RUN], id="the others", marks=[pytest.mark.faults]
        ),
    ],
)
def test_dry_run_of_every_playbook_changes_no_container(trading, calls):
    before = {host: containers(host) for host in TRADING_HOSTS}
    otherwise = {}
    for call in calls:
        dry = runbook(*call, "--check", "--diff")
        expected = {0, 1, 10} if call[0] in JUDGES else {0}
        if dry.code not in expected or "DRY RUN: nothing was changed" not in dry.verdict:
            otherwise[call] = dry.verdict
        assert {host: containers(host) for host in TRADING_HOSTS} == before, call
    assert otherwise == {}


@pytest.mark.faults
def test_live_is_refused_without_the_confirmation_that_names_it(stacks):
    for confirmation in ([], ["-e", "confirm_live=yes"], ["-e", "confirm_live=trading-paper"]):
        refused = runbook("bot_start", "-e", "mode=live", *confirmation)
        assert refused.code == 13
        assert "confirm_live=trading-live" in refused.verdict


@pytest.mark.faults
def test_wrong_variables_are_wrong_usage(lab):
    assert runbook("bot_stop").code == 2
    assert runbook("bot_start").code == 2
    assert runbook("bot_stop", "-e", "mode=demo").code == 2
    assert runbook("nosuch").code == 2


def test_status_says_what_trades_where(trading):
    seen = runbook("status")
    assert seen.code == 0
    assert seen.seconds < SOON_SECONDS
    assert "1 paper bot running" in seen.verdict
    assert "1 live bot running" in seen.verdict


def test_status_does_not_wait_for_a_frozen_host(trading):
    docker("pause", "lab2")
    try:
        seen = runbook("status")
    finally:
        docker("unpause", "lab2")
    assert (seen.code, "lab2: did not answer" in seen.verdict) == (10, True)
    assert "1 paper bot running" in seen.verdict
    assert seen.seconds < SOON_SECONDS
