"""Jobs as data: each is a `./runbook` command with limits, started by systemd on the control host, or by a person."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

JOBS_PATH: Final = "/etc/trading-core/jobs.json"

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
# What a unit file and a shell read alike: no quotes, no line ends, none of systemd's specifiers and variables.
_PLAIN: Final = re.compile(r"[^\"\\%$\n\r]*")
_KEYS: Final = {
    "arguments",
    "calendar",
    "random_delay_seconds",
    "timeout_seconds",
    "memory_max_mebibytes",
    "notice_on_failure",
    "ping_on_success",
}


class JobsError(Exception):
    """The definitions are none: which job, and why. The text is a sentence."""


@dataclass(frozen=True)
class Job:
    """One job.

    arguments: of `./runbook`; the first is the procedure.
    calendar: when, in systemd's words; empty where something else starts it.
    random_delay_seconds: it starts up to that much later, so that not everything starts at once.
    timeout_seconds: its hard limit.
    ping_on_success: whether the dead-man's switch hears of each success.
    """

    name: str
    arguments: tuple[str, ...]
    timeout_seconds: int
    calendar: str = ""
    random_delay_seconds: int = 0
    memory_max_mebibytes: int = 1024
    notice_on_failure: bool = True
    ping_on_success: bool = False


@dataclass(frozen=True)
class Jobs:
    """What a control host runs, and where it keeps what came of it.

    environment: environment variables of every run, also of one by hand; no secrets.
    variables_path: file on the host with variables for every run, secrets among them; empty for none.
    ping_url_path: file on the host with the address of the dead-man's switch; empty for none.
    """

    jobs: tuple[Job, ...]
    state_path: str
    variables_path: str = ""
    ping_url_path: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)

    def find(self, name: str) -> Job:
        """Return the job of that name. JobsError with the names there are."""
        for job in self.jobs:
            if job.name == name:
                return job
        raise JobsError(f"There is no job {name!r}, only {', '.join(job.name for job in self.jobs)}.")


def parse_jobs(definitions: object) -> tuple[Job, ...]:
    """Return the jobs of a mapping by name, at least one. Raises JobsError for the first that is not sound."""
    if not isinstance(definitions, Mapping) or not definitions:
        raise JobsError("A mapping of jobs by name is needed, with at least one job.")
    return tuple(_parse_job(name, definition) for name, definition in definitions.items())


def parse_document(text: str) -> Jobs:
    """Return what the file JOBS_PATH says. Raises JobsError."""
    try:
        document = json.loads(text)
        return Jobs(
            parse_jobs(document["jobs"]),
            str(document["state_path"]),
            str(document["variables_path"]),
            str(document["ping_url_path"]),
            {str(name): str(value) for name, value in document["environment"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise JobsError(f"The definitions cannot be read: {error!r}.") from error


def render_document(jobs: Jobs, definitions: Mapping[str, Any]) -> str:
    """Return the file JOBS_PATH for definitions that parse_jobs has taken."""
    document = {
        "jobs": definitions,
        "state_path": jobs.state_path,
        "variables_path": jobs.variables_path,
        "ping_url_path": jobs.ping_url_path,
        "environment": dict(jobs.environment),
    }
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def build_arguments(jobs: Jobs, job: Job) -> list[str]:
    """Return the arguments of `./runbook` for a run of the job."""
    return [*job.arguments, *(["-e", f"@{jobs.variables_path}"] if jobs.variables_path else [])]


def is_plain(text: str) -> bool:
    """Return whether a unit file takes the text as it is."""
    return bool(_PLAIN.fullmatch(text))


def _parse_job(name: object, definition: object) -> Job:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise JobsError(f"{name!r} is no name of a job: small letters, digits and _ are.")
    if not isinstance(definition, Mapping):
        raise JobsError(f"Job {name} is no mapping.")
    for key in definition:
        if key not in _KEYS:
            raise JobsError(f"Job {name}: nothing reads {key!r}.")
    arguments = definition.get("arguments")
    if not isinstance(arguments, list) or not arguments or not all(isinstance(word, str) for word in arguments):
        raise JobsError(f"Job {name}: arguments has to be a list of words, the procedure first.")
    if not _NAME.fullmatch(arguments[0]):
        raise JobsError(f"Job {name}: {arguments[0]!r} is no procedure.")
    calendar = definition.get("calendar", "")
    if not isinstance(calendar, str) or not is_plain(calendar):
        raise JobsError(f"Job {name}: calendar has to be systemd's words, not {calendar!r}.")
    return Job(
        name,
        tuple(arguments),
        _whole(name, definition, "timeout_seconds", 1, None),
        calendar,
        _whole(name, definition, "random_delay_seconds", 0, 0),
        _whole(name, definition, "memory_max_mebibytes", 64, 1024),
        _flag(name, definition, "notice_on_failure", True),
        _flag(name, definition, "ping_on_success", False),
    )


def _whole(name: str, definition: Mapping[str, Any], key: str, least: int, default: int | None) -> int:
    value = definition.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise JobsError(f"Job {name}: {key} has to be a whole number of at least {least}, not {value!r}.")
    return value


def _flag(name: str, definition: Mapping[str, Any], key: str, default: bool) -> bool:
    value = definition.get(key, default)
    if not isinstance(value, bool):
        raise JobsError(f"Job {name}: {key} has to be true or false, not {value!r}.")
    return value
