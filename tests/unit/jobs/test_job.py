"""Jobs as data, their units, and what is said of how one ended."""

from __future__ import annotations

import pytest
from trading_ops.jobs.job import Jobs, JobsError, build_arguments, parse_document, parse_jobs, render_document

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
