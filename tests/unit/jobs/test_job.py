"""Jobs as data, their units, and what is said of how one ended."""

from __future__ import annotations

import json

import pytest
from trading_ops.jobs.job import Jobs, JobsError, build_arguments, parse_document, parse_jobs, render_document
from trading_ops.jobs.results import build_record, describe_result, render_record
from trading_ops.jobs.units import NOTICE_UNIT, build_units

BACKUP = {
    "arguments": ["backup"],
    "calendar": "*-*-* 02:15:00 UTC",
    "random_delay_seconds": 900,
    "timeout_seconds": 7200,
}
ACCESS = {"arguments": ["status"], "timeout_seconds": 300, "notice_on_failure": False}
DEFINITIONS = {"access": ACCESS, "backup": BACKUP}


def jobs(**more) -> Jobs:
    return Jobs(parse_jobs(DEFINITIONS), "/var/lib/trading-core", **more)


def test_the_file_says_again_what_was_defined():
    wanted = jobs(
        variables_path="/etc/trading-core/variables.yml", ping_url_path="/etc/trading-core/ping", environment={"A": "b"}
    )
    assert parse_document(render_document(wanted, DEFINITIONS)) == wanted


@pytest.mark.parametrize(
    ("definitions", "words"),
    [
        ({}, "at least one job"),
        ([], "at least one job"),
        ({"Back up": BACKUP}, "'Back up' is no name"),
        ({"a/../b": BACKUP}, "is no name"),
        ({"backup": "backup"}, "is no mapping"),
        ({"backup": {**BACKUP, "argument": []}}, "nothing reads 'argument'"),
        ({"backup": {**BACKUP, "arguments": []}}, "arguments has to be a list of words"),
        ({"backup": {**BACKUP, "arguments": "backup"}}, "arguments has to be a list of words"),
        ({"backup": {**BACKUP, "arguments": ["../x"]}}, "'../x' is no procedure"),
        ({"backup": {"arguments": ["backup"]}}, "timeout_seconds has to be a whole number of at least 1, not None"),
        ({"backup": {**BACKUP, "timeout_seconds": True}}, "timeout_seconds"),
        ({"backup": {**BACKUP, "timeout_seconds": 0}}, "timeout_seconds"),
        ({"backup": {**BACKUP, "random_delay_seconds": -1}}, "random_delay_seconds"),
        ({"backup": {**BACKUP, "memory_max_mebibytes": 1}}, "memory_max_mebibytes"),
        ({"backup": {**BACKUP, "ping_on_success": "yes"}}, "ping_on_success has to be true or false"),
        ({"backup": {**BACKUP, "calendar": "daily\nExecStartPost=/bin/sh"}}, "calendar has to be systemd's words"),
    ],
)
def test_a_definition_that_is_none_is_refused_with_its_place(definitions, words):
    with pytest.raises(JobsError, match=words.replace("(", r"\(")):
        parse_jobs(definitions)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"jobs": {}}', '{"environment": []}', "[" * 100_000])
def test_a_file_that_cannot_be_read_is_no_list_of_jobs(text):
    with pytest.raises(JobsError):
        parse_document(text)


def test_a_job_that_is_not_defined_is_named_with_those_that_are():
    with pytest.raises(JobsError, match="no job 'restore', only access, backup"):
        jobs().find("restore")


def test_every_run_gets_the_variables_of_the_host():
    with_variables = jobs(variables_path="/etc/x.yml")
    assert build_arguments(with_variables, with_variables.find("backup")) == ["backup", "-e", "@/etc/x.yml"]
    assert build_arguments(jobs(), jobs().find("backup")) == ["backup"]


def test_a_job_has_a_limit_of_systemds_and_a_notice_and_only_one_with_an_hour_a_timer():
    units = build_units(jobs(environment={"A": "b c"}), "/opt/x/current", "schedule@lab-control")
    assert units.keys() == {
        NOTICE_UNIT,
        "trading-core-job-access.service",
        "trading-core-job-backup.service",
        "trading-core-job-backup.timer",
    }
    service = units["trading-core-job-backup.service"].splitlines()
    assert {
        "Type=oneshot",
        "OnFailure=trading-core-notice@backup.service",
        "ExecStart=/opt/x/current/runbook job backup",
        "TimeoutStartSec=7320",
        "MemoryMax=1024M",
        'Environment="A=b c"',
        'Environment="TRADING_CORE_OPERATOR=schedule@lab-control"',
    } <= set(service)
    assert "OnFailure" not in units["trading-core-job-access.service"]
    timer = units["trading-core-job-backup.timer"].splitlines()
    assert {"OnCalendar=*-*-* 02:15:00 UTC", "RandomizedDelaySec=900", "Persistent=true"} <= set(timer)


def test_the_notice_gets_the_variables_too_because_its_channels_are_secrets():
    notice = build_units(jobs(variables_path="/etc/x.yml"), "/opt/x", "")[NOTICE_UNIT]
    assert "ExecStart=/opt/x/runbook job_notice -e job=%i -e @/etc/x.yml\n" in notice


@pytest.mark.parametrize("value", ['a"b', "a\nUser=x", "%h", "$HOME", "a\\"])
def test_what_a_unit_would_read_otherwise_is_refused(value):
    with pytest.raises(JobsError):
        build_units(jobs(environment={"A": value}), "/opt/x", "")


RUN = {"job": "backup", "run_id": "r", "by": "kim@desk", "started_at": "2026-11-21T02:15:00.000Z"}
ENDED = {"exit_code": 1, "how": "ran", "verdict": "VERDICT 1 backup: FAILED", "seconds": 3.0, "finished_at": "x"}


@pytest.mark.parametrize(
    ("text", "outcome", "words"),
    [
        (render_record(build_record(RUN, ENDED)), "proven", "ended with 1: VERDICT 1 backup: FAILED"),
        (
            render_record(build_record(RUN, {**ENDED, "verdict": "", "how": "stopped"})),
            "proven",
            "ended with 1: stopped",
        ),
        (render_record(build_record(RUN)), "unknown", "began at 2026-11-21T02:15:00.000Z and left no result: it died"),
        (None, "unknown", "has no record of a run"),
        ("{}", "unknown", "has no record of a run"),
        ('{"started_at"', "unknown", "cannot be read"),
        ("[]", "unknown", "cannot be read"),
        (json.dumps({**RUN, "exit_code": True}), "unknown", "left no result"),
    ],
)
def test_a_run_without_a_result_is_said_to_have_died(text, outcome, words):
    seen = describe_result("backup", text)
    assert (seen["outcome"], words in seen["summary"]) == (outcome, True), seen["summary"]
