"""The jobs of a control host installed, and proven: one of them really ran, and every timer waits for its hour."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..core.result import build_result
from ..host.files import HostFile, HostFileError, differs, ensure_file, read_text, remove
from .job import Jobs, JobsError, parse_jobs, render_document
from .results import RESULT_FILE, describe_result, job_path
from .units import UNIT_PREFIX, build_units, service_of, timer_of

Run = Callable[[Sequence[str]], tuple[int, str]]
"""Runs a command on the host; returns exit code and output."""

_SECRET_FREE_MODE: Final = 0o600
_TIMER_PROPERTIES: Final = "ActiveState,UnitFileState,NeedDaemonReload,NextElapseUSecRealtime"


@dataclass(frozen=True)
class ControlHost:
    """The host, handed in."""

    run: Run
    units_path: Path
    jobs_path: Path


def install(host: ControlHost, params: Mapping[str, Any], dry_run: bool) -> dict[str, Any]:
    """Return the module result for a module's parameters."""
    try:
        jobs = Jobs(
            parse_jobs(params["jobs"]),
            params["state_path"],
            params["variables_path"] or "",
            params["ping_url_path"] or "",
            {name: str(value) for name, value in params["environment"].items()},
        )
        jobs.find(params["probe"])
        units = build_units(jobs, params["checkout_path"], params["by"])
    except JobsError as error:
        return _result("usage", str(error), False, [], {"before": "", "after": ""})
    files = [
        HostFile(host.jobs_path, render_document(jobs, params["jobs"]), _SECRET_FREE_MODE),
        *(HostFile(host.units_path / name, text) for name, text in units.items()),
    ]
    return ensure_scheduled(host, jobs, files, params["probe"], Path(params["checkout_path"], "runbook"), dry_run)


def ensure_scheduled(
    host: ControlHost, jobs: Jobs, files: Sequence[HostFile], probe: str, entry_path: Path, dry_run: bool
) -> dict[str, Any]:
    """Return the module result of `files` in place, a probe that ended with 0 and every timer waiting.

    probe: the job that shows whether jobs work here at all: environment, inventory, keys, the way to every host. Where
    it fails no timer is enabled.
    """
    differing = [file for file in files if differs(file)]
    gone = _superfluous(host, files)
    timers = [timer_of(job.name) for job in jobs.jobs if job.calendar]
    diff = {
        "before": "".join(f"{path}\n{read_text(path)}" for path in [*gone, *(file.path for file in differing)]),
        "after": "".join(f"{file.path}\n{file.content}" for file in differing),
    }
    done = [*(str(file.path) for file in differing), *(f"{path} removed" for path in gone)]
    changed = bool(differing or gone or [timer for timer in timers if _find_problem(host, timer)])
    try:
        # Before the first installation there is no command yet that a unit could start.
        if differing and entry_path.exists():
            _verify(host, files)
        if dry_run:
            return _result("planned", _would(differing, gone, timers, entry_path), changed, done, diff)
        _replace_files(host, gone, differing)
        if changed:
            _systemctl(host, "daemon-reload")
        seen = _probe(host, jobs, probe)
        if changed and timers:
            _systemctl(host, "enable", *timers)
            # Not only started: a timer that waits goes on waiting for the hour it had before.
            _systemctl(host, "restart", *timers)
    except (HostFileError, OSError) as error:
        return _result("failed", str(error), changed, done, diff)
    sick = {timer: problem for timer in timers if (problem := _find_problem(host, timer))}
    if sick:
        return _result("failed", "; ".join(f"{name}: {why}" for name, why in sick.items()), changed, done, diff)
    planned = ", ".join(f"{job.name} {_next(host, timer_of(job.name))}" for job in jobs.jobs if job.calendar)
    return _result("proven", f"{len(timers)} timers wait ({planned or 'none'}); {seen}", changed, done, diff)


def _replace_files(host: ControlHost, gone: Sequence[Path], differing: Sequence[HostFile]) -> None:
    for path in gone:
        host.run(["systemctl", "disable", "--now", path.name])
        remove(path)
    for file in differing:
        ensure_file(file)


def _superfluous(host: ControlHost, files: Sequence[HostFile]) -> list[Path]:
    """Return our units that no definition asks for any more; timers first, which start the others."""
    wanted = {file.path for file in files}
    found = host.units_path.glob(f"{UNIT_PREFIX}*")
    ours = [path for path in found if path.suffix in {".service", ".timer"} and path not in wanted]
    return sorted(ours, key=lambda path: (path.suffix != ".timer", path.name))


def _verify(host: ControlHost, files: Sequence[HostFile]) -> None:
    """Have systemd judge all units together, since they name each other. Raises HostFileError."""
    with tempfile.TemporaryDirectory(prefix="trading-core-") as scratch:
        paths = []
        for file in files:
            if file.path.parent == host.units_path:
                path = Path(scratch, file.path.name.replace("@", "@example"))
                path.write_text(file.content, encoding="utf-8")
                paths.append(str(path))
        code, output = host.run(["systemd-analyze", "verify", *paths])
    if code != 0:
        raise HostFileError(f"Nothing was written, systemd-analyze refuses the units ({code}): {output.strip()}")


def _probe(host: ControlHost, jobs: Jobs, probe: str) -> str:
    """Run the probe as systemd will run every job; return what it says. Raises HostFileError where it failed."""
    path = job_path(jobs.state_path, probe) / RESULT_FILE
    before = read_text(path)
    code, output = host.run(["systemctl", "start", service_of(probe)])
    if code != 0:
        after = read_text(path)
        reported = (
            describe_result(probe, after)["summary"] if after != before else f"Job {probe} did not come to a record."
        )
        raise HostFileError(
            f"Jobs do not work here yet, so no timer was enabled: {reported} {' '.join(output.split())}"
        )
    return f"job {probe} ran here and ended with 0"


def _find_problem(host: ControlHost, timer: str) -> str:
    """Return why a timer will not start its job, empty where it will."""
    shown = dict(line.split("=", 1) for line in _shown(host, timer).splitlines() if "=" in line)
    wanted = {"ActiveState": "active", "UnitFileState": "enabled", "NeedDaemonReload": "no"}
    return ", ".join(
        f"{key} is {shown.get(key) or 'unknown'}" for key, word in wanted.items() if shown.get(key) != word
    )


def _next(host: ControlHost, timer: str) -> str:
    shown = dict(line.split("=", 1) for line in _shown(host, timer).splitlines() if "=" in line)
    return shown.get("NextElapseUSecRealtime") or "now"


def _shown(host: ControlHost, timer: str) -> str:
    return host.run(["systemctl", "show", f"--property={_TIMER_PROPERTIES}", timer])[1]


def _systemctl(host: ControlHost, *arguments: str) -> None:
    code, output = host.run(["systemctl", *arguments])
    if code != 0:
        raise HostFileError(f"systemctl {' '.join(arguments)} ended with {code}: {output.strip()}")


def _would(differing: Sequence[HostFile], gone: Sequence[Path], timers: Sequence[str], entry_path: Path) -> str:
    if not (differing or gone):
        return f"nothing to write; {len(timers)} timers"
    unseen = "" if entry_path.exists() else f"; not verified, since {entry_path} is not there yet"
    return f"would write {len(differing)} and remove {len(gone)} files, {len(timers)} timers{unseen}"


def _result(outcome: str, summary: str, changed: bool, files: list[str], diff: dict[str, str]) -> dict[str, Any]:
    logs = "journalctl -u 'trading-core-*' -n 50 (on the control host)" if outcome == "failed" else ""
    return build_result(outcome, summary, changed=changed, next_command=logs, files=files, diff=diff)
