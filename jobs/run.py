"""Run one job through ansible-runner: `./runbook job NAME`, or `./runbook job --list`.

A job is a `./runbook` command as a person could type it, so verdict and exit code are those of its procedure. Around
it: one run at a time (75 names the other one), a time limit, a private folder with what it printed, a record of how it
ended, and a sign of life to the dead-man's switch. On a terminal the output is shown as it comes.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import ansible_runner

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "module_utils")]

from trading_ops.core.clock import utc_now  # noqa: E402
from trading_ops.core.durable import write_durably  # noqa: E402
from trading_ops.jobs.job import JOBS_PATH, Job, Jobs, JobsError, build_arguments, parse_document  # noqa: E402
from trading_ops.jobs.results import RAN, RESULT_FILE, STOPPED, build_record, job_path, render_record  # noqa: E402

from jobs.environment import adopt_environment  # noqa: E402
from jobs.lock import Locked, held  # noqa: E402
from jobs.ping import ping  # noqa: E402
from jobs.processes import RUN_VARIABLE, end_processes  # noqa: E402

KEPT_RUNS = 30
INTERVAL_SECONDS = 1
"""How often a run is looked at whether it is to end."""
NO_VERDICT = "without a verdict"

_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass
class Limit:
    """When a run has to end: at its time limit, when somebody stops the job, or when it is superseded."""

    run_id: str
    deadline: float
    is_superseded: Callable[[], bool]
    why: str = ""
    asked: list[int] = field(default_factory=list)

    def ask(self, number: int, frame: FrameType | None) -> None:
        """Take a signal down; the run is ended where ansible-runner asks for it."""
        self.asked.append(number)

    def is_over(self) -> bool:
        """Return whether the run ends now; then none of its processes is left."""
        if self.asked:
            self.why = f"{STOPPED} ({signal.Signals(self.asked[0]).name})"
        elif time.monotonic() > self.deadline:
            self.why = "over its time limit"
        elif self.is_superseded():
            self.why = "ended for one that does more"
        if self.why:
            end_processes(self.run_id)
        return bool(self.why)


def run_job(
    jobs: Jobs, job: Job, by: str, is_shown: bool, is_superseded: Callable[[], bool] = lambda: False
) -> tuple[int, str]:
    """Return exit code and last line of one run of the job, which ends once it `is_superseded`."""
    folder = job_path(jobs.state_path, job.name)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    began = utc_now()
    run_id = f"{job.name}-{re.sub('[^0-9]', '', began)}-{os.getpid()}"
    about = {"job": job.name, "run_id": run_id, "by": by, "started_at": began}
    try:
        with held(folder / "lock", about) as left:
            if left.get("run_id"):
                print(f"job: the run {left['run_id']} died in the middle; ending what is left of it", file=sys.stderr)
                end_processes(left["run_id"])
            _record(folder, build_record(about))
            ended = _run(jobs, job, folder, about, is_shown, is_superseded)
            _record(folder, build_record(about, ended))
    except Locked as locked:
        other = locked.holder
        who = f"{other.get('by', 'somebody')} started it at {other.get('started_at', 'an unknown time')}"
        return 75, _verdict(
            75, job, f"LOCKED: {who} (run {other.get('run_id', 'unknown')}).", f"./runbook job {job.name}"
        )
    if ended["exit_code"] == 0 and job.ping_on_success:
        ping(jobs.ping_url_path)
    return ended["exit_code"], ended["verdict"]


def run_unrecorded(jobs: Jobs, job: Job, by: str, is_superseded: Callable[[], bool]) -> int | None:
    """Return the exit code of one run that leaves no record and holds no lock, None where it had to be ended."""
    run_id = f"{job.name}-unrecorded-{os.getpid()}"
    environment = {**os.environ, RUN_VARIABLE: run_id, "TRADING_CORE_OPERATOR": by}
    deadline = time.monotonic() + job.timeout_seconds
    process = subprocess.Popen([ROOT / "runbook", *build_arguments(jobs, job)], env=environment)
    try:
        while process.poll() is None and time.monotonic() < deadline and not is_superseded():
            time.sleep(INTERVAL_SECONDS)
        return process.poll()
    finally:
        end_processes(run_id)
        process.wait()


def _run(
    jobs: Jobs, job: Job, folder: Path, about: Mapping[str, str], is_shown: bool, is_superseded: Callable[[], bool]
) -> dict[str, Any]:
    # From a file: given as an argument it is lost where there is no such file.
    (folder / "env").mkdir(mode=0o700, exist_ok=True)
    (folder / "env" / "settings").write_text(json.dumps({"pexpect_timeout": INTERVAL_SECONDS}), encoding="utf-8")
    begun, limit = time.monotonic(), Limit(about["run_id"], time.monotonic() + job.timeout_seconds, is_superseded)
    before = {number: signal.signal(number, limit.ask) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        output, code = _run_command(build_arguments(jobs, job), folder, about, is_shown, limit)
    finally:
        is_all_ended = end_processes(about["run_id"])
        for number, handler in before.items():
            signal.signal(number, handler)
    verdict = _last_verdict(output)
    how = limit.why or _describe_end(verdict, code, is_all_ended)
    if how != RAN:
        code = code if how == NO_VERDICT and code else 1
        shown = folder / "artifacts" / about["run_id"] / "stdout"
        verdict = _verdict(code, job, f"NOT PROVEN: {how}, after {time.monotonic() - begun:.0f} s.", f"less {shown}")
    return {
        "exit_code": code,
        "how": how,
        "verdict": verdict,
        "seconds": round(time.monotonic() - begun, 1),
        "finished_at": utc_now(),
    }


def _run_command(
    arguments: list[str], folder: Path, about: Mapping[str, str], is_shown: bool, limit: Limit
) -> tuple[str, int | None]:
    """Return what `./runbook` printed, and its exit code; None where it was killed."""
    output, _, code = ansible_runner.run_command(
        str(ROOT / "runbook"),
        arguments,
        private_data_dir=str(folder),
        ident=about["run_id"],
        host_cwd=str(ROOT),
        envvars={
            RUN_VARIABLE: about["run_id"],
            "TRADING_CORE_OPERATOR": about["by"],
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_HOST_KEY_CHECKING": "True",  # ansible-runner would switch it off
        },
        rotate_artifacts=KEPT_RUNS,
        quiet=not is_shown,
        cancel_callback=limit.is_over,
        # The events repeat the output, with all that modules returned: none is kept.
        event_handler=lambda event: False,
    )
    return output, code


def _describe_end(verdict: str, code: int | None, is_all_ended: bool) -> str:
    """Return RAN only where the verdict and the exit code agree: a run that was killed has no code."""
    if not verdict:
        return NO_VERDICT
    if not verdict.startswith(f"VERDICT {code} "):
        return f"ended with {'a signal' if code is None else code} after {' '.join(verdict.split()[:3])}"
    return RAN if is_all_ended else "some of its processes could not be ended"


def _last_verdict(output: str) -> str:
    lines = [_ESCAPES.sub("", line).strip() for line in output.splitlines()]
    return next((line for line in reversed(lines) if line.startswith("VERDICT ")), "")


def _verdict(code: int, job: Job, text: str, next_command: str) -> str:
    return f"VERDICT {code} job {job.name}: {text} NEXT: {next_command}"


def _record(folder: Path, result: Mapping[str, Any]) -> None:
    write_durably(folder / RESULT_FILE, render_record(result))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one job; return its exit code."""
    parser = argparse.ArgumentParser(prog="./runbook job", description="Run a job of this control host.")
    parser.add_argument("name", nargs="?", help="the job")
    parser.add_argument("--list", action="store_true", help="the jobs there are")
    options = parser.parse_args(arguments)
    path = Path(os.environ.get("TRADING_CORE_JOBS_FILE") or JOBS_PATH)
    try:
        jobs = parse_document(path.read_text(encoding="utf-8"))
        if options.list or not options.name:
            for job in jobs.jobs:
                print(f"{job.name:20} {job.calendar or 'started by hand':28} ./runbook {' '.join(job.arguments)}")
            return 0 if options.list else 2
        job = jobs.find(options.name)
    except (OSError, JobsError) as error:
        print(f"VERDICT 12 job: NOTHING WAS DONE: {error} NEXT: ./runbook schedule_setup")
        return 12
    adopt_environment(jobs)
    by = os.environ.get("TRADING_CORE_OPERATOR") or f"{os.environ.get('USER', 'unknown')}@{os.uname().nodename}"
    is_shown = sys.stdout.isatty()
    code, verdict = run_job(jobs, job, by, is_shown)
    print(verdict, flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
