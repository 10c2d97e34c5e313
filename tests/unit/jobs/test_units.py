"""The units of jobs: limits, notices, timers, and what a unit would read otherwise."""

from __future__ import annotations

import pytest
from trading_ops.jobs.job import JobsError
from trading_ops.jobs.units import NOTICE_UNIT, build_units

from tests.unit.jobs.test_job import jobs


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
