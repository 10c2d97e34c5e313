"""The systemd units of jobs, as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .job import Job, Jobs, JobsError, build_arguments, is_plain

UNIT_PREFIX: Final = "trading-core-job-"
OPERATOR: Final = "TRADING_CORE_OPERATOR"
NOTICE_UNIT: Final = "trading-core-notice@.service"
_NOTICE_SECONDS: Final = 300
_AFTER_LIMIT_SECONDS: Final = 120
"""A job ends itself at its limit and says so; systemd ends one that cannot even do that."""
_STOP_SECONDS: Final = 60


def build_units(jobs: Jobs, checkout_path: str, by: str) -> dict[str, str]:
    """Return the text of each unit by its file name. Raises JobsError where a value cannot stand in a unit.

    by: who its runs say has started them.
    """
    environment = {**jobs.environment, OPERATOR: by}
    for text in (checkout_path, jobs.variables_path, *environment, *environment.values()):
        if not is_plain(text):
            raise JobsError(f'A unit takes no quotes, no line ends and none of \\ % $, see "{text}".')
    common = _common(checkout_path, environment)
    units = {NOTICE_UNIT: _notice(jobs, common, checkout_path)}
    for job in jobs.jobs:
        units[service_of(job.name)] = _service(job, common, checkout_path)
        if job.calendar:
            units[timer_of(job.name)] = _timer(job)
    return units


def service_of(name: str) -> str:
    """Return the unit that runs a job."""
    return f"{UNIT_PREFIX}{name}.service"


def timer_of(name: str) -> str:
    """Return the unit that starts a job."""
    return f"{UNIT_PREFIX}{name}.timer"


def _common(checkout_path: str, environment: Mapping[str, str]) -> str:
    settings = "".join(f'Environment="{name}={value}"\n' for name, value in sorted(environment.items()))
    # User: systemd gives HOME to a service that names its account, and none to one that does not.
    return f"Type=oneshot\nUser=root\nUMask=0077\nNice=5\nWorkingDirectory={checkout_path}\n{settings}"


def _service(job: Job, common: str, checkout_path: str) -> str:
    notice = f"OnFailure={NOTICE_UNIT.replace('@', f'@{job.name}')}\n" if job.notice_on_failure else ""
    return (
        f"[Unit]\nDescription=AI_TRADING_CORE runbooks: {job.name}\n"
        f"Wants=network-online.target\nAfter=network-online.target\n{notice}\n"
        f"[Service]\n{common}"
        f"ExecStart={checkout_path}/runbook job {job.name}\n"
        # A oneshot service has no time limit of its own.
        f"TimeoutStartSec={job.timeout_seconds + _AFTER_LIMIT_SECONDS}\nTimeoutStopSec={_STOP_SECONDS}\n"
        f"MemoryMax={job.memory_max_mebibytes}M\n"
    )


def _timer(job: Job) -> str:
    return (
        f"[Unit]\nDescription=AI_TRADING_CORE runbooks: when {job.name} runs\n\n"
        f"[Timer]\nOnCalendar={job.calendar}\nRandomizedDelaySec={job.random_delay_seconds}\n"
        # A host that was off at the hour runs it once it is back.
        "Persistent=true\nAccuracySec=1s\n\n[Install]\nWantedBy=timers.target\n"
    )


def _notice(jobs: Jobs, common: str, checkout_path: str) -> str:
    command = build_arguments(jobs, Job("notice", ("job_notice", "-e", "job=%i"), _NOTICE_SECONDS))
    return (
        "[Unit]\nDescription=AI_TRADING_CORE runbooks: tell that %i failed\n"
        "Wants=network-online.target\nAfter=network-online.target\n\n"
        f"[Service]\n{common}"
        f"ExecStart={checkout_path}/runbook {' '.join(command)}\n"
        f"TimeoutStartSec={_NOTICE_SECONDS}\nMemoryMax=1024M\n"
    )
