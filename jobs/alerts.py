"""Carry out what alerts ask for: `./runbook alert-actions`, started by systemd when a request lies in the spool.

With --watch, once a minute, it also checks that alerts still arrive, and that nobody has silenced one that stops bots.
One process at a time reads the spool. A request leaves it only once it was carried out, so one that is there after a
reboot is carried out then.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import stat
import sys
import time
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "module_utils")]

from trading_ops.alerts import actions as alert_actions  # noqa: E402
from trading_ops.alerts.actions import (  # noqa: E402
    AGAIN_SECONDS,
    BY,
    MOST_TRIES,
    ORDERS_OPEN,
    PROVEN_STOPS,
    Act,
    AlertRequest,
    Drive,
    RequestError,
)
from trading_ops.alerts.alertmanager import AlertmanagerError, Silence, connect  # noqa: E402
from trading_ops.alerts.path import HEARTBEAT_FILE, read_heartbeat  # noqa: E402
from trading_ops.alerts.settings import (  # noqa: E402
    SETTINGS_PATH,
    Settings,
    SettingsError,
    describe_silences,
    parse_settings,
)
from trading_ops.alerts.spool import MOST_BYTES  # noqa: E402
from trading_ops.core.clock import format_utc, uptime, utc_now  # noqa: E402
from trading_ops.core.durable import append_durably, fsync_directory, write_durably  # noqa: E402
from trading_ops.host.http import Endpoint  # noqa: E402
from trading_ops.incident.entry import read_origin  # noqa: E402
from trading_ops.incident.folder import (  # noqa: E402
    TIMELINE,
    UNSYNCED,
    FolderError,
    append,
    incident_ids,
    incident_path,
    read_timeline,
)
from trading_ops.incident.record import project  # noqa: E402
from trading_ops.incident.timeline import Entry, TimelineError  # noqa: E402
from trading_ops.jobs.job import JOBS_PATH, Job, Jobs, JobsError, parse_document  # noqa: E402
from trading_ops.jobs.results import RAN, RESULT_FILE, STOPPED, job_path  # noqa: E402

from jobs.environment import adopt_environment  # noqa: E402
from jobs.lock import Locked, held  # noqa: E402
from jobs.ping import ping  # noqa: E402

STOP_SECONDS = 900
PAUSE_SECONDS = 300
NOTICE_SECONDS = 300
AT_ONCE = 1000
"""So many requests are read in one turn; the rest waits for the next one."""
MOST_LOG_BYTES = 5_000_000
LOCK_SECONDS = 1800
NO_SETTINGS = Settings({}, (), Endpoint(""), 0)
INTERVAL_SECONDS = 1


@dataclass(frozen=True)
class Ran:
    """How a command ended. `is_whole`: by itself, with a verdict; not killed, and not overtaken by another."""

    code: int
    verdict: str
    is_whole: bool


Run = Callable[[str, Sequence[str], int, Callable[[], bool]], Ran]
"""Runs `./runbook` (name of the job, arguments, time limit in seconds, whether to end it now); returns how it ended."""


@dataclass(frozen=True)
class Desk:
    """What this works on, handed in. `path` is the folder of the alerts, the next two hold records of incidents."""

    path: Path
    incidents_path: Path
    local_copies_path: Path
    settings: Settings
    settings_since: float
    run: Run
    silences: Callable[[], Sequence[Silence]]
    clock: Callable[[], float] = time.time

    @property
    def spool(self) -> Path:
        return self.path / "spool"


def carry_out(desk: Desk) -> int:
    """Carry out what lies in the spool, also what comes meanwhile; return 0, or 1 where a stop is not proven yet."""
    is_alive, before = False, None
    while requests := read_spool(desk):
        if requests == before:
            print("alert-actions: the spool cannot be emptied", file=sys.stderr)
            return 1
        before = requests
        wanted = alert_actions.plan(requests, desk.settings.actions)
        kept = read_heartbeat(desk.path)
        # One from the future is from before the clock was set back: it must not outlive its moment.
        is_ahead = kept > desk.clock() + desk.settings.silence_limit_seconds
        if wanted.heartbeat_at > (0 if is_ahead else kept):
            _keep(desk.path / HEARTBEAT_FILE, wanted.heartbeat_at)
            is_alive = True
        # One after the other, the stop first.
        for act in wanted.acts:
            is_overtaken = partial(_is_overtaken, desk, act, {request.file for request in requests})
            if not _act(desk, act, is_overtaken):
                if is_overtaken():
                    break
                return 1
        else:
            _record(desk, wanted.records)
            _remove(desk, requests)
    if is_alive:
        # Last: an address that does not answer must not hold up a stop.
        ping(desk.settings.heartbeat_url_path)
    return 0


def watch(desk: Desk) -> None:
    """Tell the channel of what is wrong with the path of the alerts: once, again after an hour, and when it is over."""
    wrong = {}
    limit_seconds = desk.settings.silence_limit_seconds
    try:
        # One that waits behind a long run has arrived all the same.
        waiting = alert_actions.plan(read_spool(desk), desk.settings.actions).heartbeat_at
        heartbeat_at = max(waiting, read_heartbeat(desk.path))
        text = alert_actions.silence_of_path(heartbeat_at, desk.settings_since, desk.clock(), limit_seconds)
    except OSError as error:
        text = f"What alerts ask for cannot be read, so no alert would stop a bot now: {error}"
    if text:
        wrong["path"] = text
    try:
        wrong |= describe_silences(desk.silences(), desk.settings.watched)
    except AlertmanagerError as error:
        if not text:  # else it is the same trouble, told once
            wrong["alertmanager"] = f"It cannot be seen whether alerts that stop bots are silenced: {error}"
    notify(desk, wrong)


def notify(desk: Desk, wrong: Mapping[str, str]) -> None:
    """Tell the channel of what is due, and keep what was told and when."""
    now = desk.clock()
    notified_path = desk.path / "told.json"
    notified = read_notified(notified_path)
    for key in alert_actions.due(wrong, notified, now):
        if _notify(desk, wrong[key]):
            notified[key] = now
    if "path" in notified and "path" not in wrong and _notify(desk, "Heartbeats of the alerts arrive again."):
        del notified["path"]
    kept = {key: moment for key, moment in notified.items() if key in wrong or key == "path"}
    _keep(notified_path, kept)


def read_spool(desk: Desk) -> list[AlertRequest]:
    """Return the oldest requests; what is none is taken away, on record.

    The account that writes there is not trusted: a link, a pipe or a giant is no request.
    """
    requests = []
    for path in sorted(desk.spool.iterdir())[:AT_ONCE]:
        try:
            requests.append(alert_actions.parse_request(path.name, _read_file(path)))
        except FileNotFoundError:
            continue  # the process that carries out was faster
        except (RequestError, OSError) as error:
            _record(desk, [{"received_at": desk.clock(), "what": f"refused: {error}"}])
            _remove_file(path)
    return requests


def read_notified(path: Path) -> dict[str, float]:
    """Return what was told and when; nothing where that cannot be read, so that it is told again."""
    try:
        return {str(key): float(moment) for key, moment in json.loads(path.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def read_drive(path: Path) -> Drive | None:
    """Return the stop that was driven last, None where there is none: then it is a new one."""
    try:
        return Drive(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _act(desk: Desk, act: Act, is_overtaken: Callable[[], bool]) -> bool:
    """Return whether the act is done with: proven, or tried so often that Alertmanager has to say it again."""
    return (_pause if act.action == "pause_deploys" else _stop)(desk, act, is_overtaken)


def _stop(desk: Desk, act: Act, is_overtaken: Callable[[], bool]) -> bool:
    path = desk.path / "drive.json"
    before = read_drive(path)
    stop = alert_actions.drive(before, act, before is not None and _is_over(desk, before), _now(desk))
    stop = replace(stop, tries=stop.tries + 1, driven_at=desk.clock())
    # On disk before the first bot stops: anyone who carries on after a crash drives the same incident.
    _keep(path, asdict(stop))
    if not stop.is_opened:
        _note_detection(desk, stop, act)
    ran = desk.run("alert_stop", alert_actions.stop_arguments(stop, act), STOP_SECONDS, is_overtaken)
    if not ran.is_whole and is_overtaken():
        _keep(path, asdict(replace(stop, tries=0)))
        return False
    is_proven = ran.code in PROVEN_STOPS
    is_done = is_proven or stop.tries >= MOST_TRIES
    is_opened = stop.is_opened or (ran.is_whole and (is_proven or _is_synced(desk, stop)))
    told_at = _tell_of_orders(desk, stop, act, ran, is_overtaken)
    kept = replace(stop, is_opened=is_opened, tries=0 if is_done else stop.tries, orders_told_at=told_at)
    _keep(path, asdict(kept))
    if not is_proven:
        _notify(
            desk,
            f"AUTOMATIC STOP NOT PROVEN ({act.reason}, try {stop.tries} of {MOST_TRIES}): {ran.verdict}",
            is_overtaken,
        )
    elif stop.is_opened:
        # The stop alone syncs no record.
        note = ["-e", f"incident_id={stop.incident_id}", "-e", f"text=stopped again, {act.reason}"]
        desk.run("alert_note", ["incident_note", *note], NOTICE_SECONDS, is_overtaken)
        if stop.tries > 1:
            _notify(desk, f"Automatic stop proven ({act.reason}, try {stop.tries} of {MOST_TRIES}).", is_overtaken)
    return is_done


def _tell_of_orders(desk: Desk, stop: Drive, act: Act, ran: Ran, is_overtaken: Callable[[], bool]) -> float:
    """Tell the channel of orders that a proven stop left open, once an hour; return when it was last told."""
    if ran.code != ORDERS_OPEN:
        return stop.orders_told_at
    if 0 <= desk.clock() - stop.orders_told_at < AGAIN_SECONDS:
        return stop.orders_told_at
    text = f"AUTOMATIC STOP PROVEN, ORDERS OPEN OR UNVERIFIED ({act.reason}): {ran.verdict}"
    return desk.clock() if _notify(desk, text, is_overtaken) else stop.orders_told_at


def _pause(desk: Desk, act: Act, is_overtaken: Callable[[], bool]) -> bool:
    ran = desk.run("alert_pause", alert_actions.pause_arguments(act), PAUSE_SECONDS, is_overtaken)
    if not ran.is_whole and is_overtaken():
        return False
    if ran.code != 0:
        _notify(desk, f"DEPLOYS ARE NOT PAUSED ({act.reason}): {ran.verdict}", is_overtaken)
    return True  # it is no emergency, and Alertmanager says it again


def _is_overtaken(desk: Desk, act: Act, known: Set[str]) -> bool:
    """Return whether a request that came meanwhile, its file not in `known`, stops more than `act`."""
    came = [request for request in read_spool(desk) if request.file not in known]
    return alert_actions.is_wider(alert_actions.plan(came, desk.settings.actions), act)


def _is_synced(desk: Desk, stop: Drive) -> bool:
    """Return whether something of this run is in the primary record, which is an incident's last step.

    It ends before that where no trading host proved its stop: nobody was told, and there is no evidence yet.
    """
    return bool(_since(_entries(desk, stop.incident_id), stop.driven_at))


def _is_over(desk: Desk, stop: Drive) -> bool:
    """Return whether the incident's halt has ended, as far as the primary records say."""
    entries = _entries(desk, stop.incident_id)
    if entries is None:
        is_over = False
    elif not entries:
        # Not synced yet, or nobody's any more.
        is_over = desk.clock() - stop.driven_at > alert_actions.AGAIN_SECONDS
    else:
        is_over = alert_actions.is_over(str(project(stop.incident_id, entries)["state"]), entries)
    return is_over or _was_released(desk, stop.driven_at)


def _was_released(desk: Desk, since: float) -> bool:
    """Return whether a halt was released since then under any incident: a latch is lifted as a whole."""
    try:
        # A stop waits for this: a record that nobody has written to since need not be read.
        written = [
            each
            for each in incident_ids(desk.incidents_path)
            if (path := desk.incidents_path / each / TIMELINE).exists() and path.stat().st_mtime > since
        ]
    except (FolderError, OSError):
        return False
    return any(alert_actions.is_over("", _since(_entries(desk, each), since)) for each in written)


def _entries(desk: Desk, incident_id: str) -> Sequence[Entry] | None:
    """Return what an incident's primary record says, None where it cannot be read."""
    try:
        return read_timeline(incident_path(desk.incidents_path, incident_id)).entries
    except (FolderError, TimelineError, OSError):
        return None


def _since(entries: Sequence[Entry] | None, moment: float) -> list[Entry]:
    begun = format_utc(datetime.fromtimestamp(moment, UTC))
    return [entry for entry in entries or () if entry.at >= begun]


def _note_detection(desk: Desk, stop: Drive, act: Act) -> None:
    """Write down which alerts it was noticed by. What cannot be written holds up no stop."""
    try:
        entry = alert_actions.detection_of(stop, act, _now(desk), read_origin())
        append(incident_path(desk.local_copies_path, stop.incident_id), UNSYNCED, [entry])
    except (FolderError, TimelineError, OSError) as error:
        print(f"alert-actions: the alert could not be written into the record: {error}", file=sys.stderr)


def _notify(desk: Desk, text: str, is_overtaken: Callable[[], bool] | None = None) -> bool:
    """Return whether the channel was told. `is_overtaken` is given for what came of a request, and may end it."""
    summary = " ".join(text.split())[:1000]
    # Two jobs: the watch runs beside the requests, and of one job there is one run at a time.
    job = "alert_action_notice" if is_overtaken else "alert_notice"
    arguments = ["alert_notice", "-e", f"reason={summary}"]
    return desk.run(job, arguments, NOTICE_SECONDS, is_overtaken or (lambda: False)).code == 0


def _now(desk: Desk) -> str:
    return format_utc(datetime.fromtimestamp(desk.clock(), UTC))


def _keep(path: Path, content: Any) -> None:
    """Write down what the next process wants to know. A disk that is full holds up no stop."""
    try:
        write_durably(path, json.dumps(content))
    except OSError as error:
        print(f"alert-actions: {path} could not be written: {error}", file=sys.stderr)


def _record(desk: Desk, records: Sequence[Mapping[str, Any]]) -> None:
    path = desk.path / "received.jsonl"
    try:
        if path.exists() and path.stat().st_size > MOST_LOG_BYTES:
            path.replace(path.with_suffix(".1.jsonl"))
        if records:
            # As ASCII: there is no text then that could not be written.
            lines = [json.dumps(each, sort_keys=True) + "\n" for each in records]
            append_durably(path, "".join(lines))
            path.chmod(0o600)
    except OSError as error:
        print(f"alert-actions: {path} could not be written: {error}", file=sys.stderr)


def _remove(desk: Desk, requests: Sequence[AlertRequest]) -> None:
    for request in requests:
        _remove_file(desk.spool / request.file)
    fsync_directory(desk.spool)


def _remove_file(path: Path) -> None:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        print(f"alert-actions: {path} could not be removed: {error}", file=sys.stderr)


def _read_file(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        seen = os.fstat(descriptor)
        if not stat.S_ISREG(seen.st_mode) or seen.st_size > MOST_BYTES:
            raise RequestError(f"{path.name!r} is no file of at most {MOST_BYTES} bytes.")
        return file.read(MOST_BYTES + 1)


def _runner(jobs: Jobs) -> Run:
    def run(name: str, arguments: Sequence[str], timeout_seconds: int, is_superseded: Callable[[], bool]) -> Ran:
        # Only now: a heartbeat comes every minute and needs none of it.
        from jobs.run import run_job, run_unrecorded

        job = Job(name, tuple(arguments), timeout_seconds)
        try:
            code, verdict = run_job(jobs, job, BY, False, is_superseded)
        except OSError as error:
            print(f"alert-actions: {name} runs without a record: {error}", file=sys.stderr)
            ended = run_unrecorded(jobs, job, BY, is_superseded)
            return Ran(1 if ended is None else ended, f"without a record, it ended with {ended}", ended is not None)
        print(verdict, flush=True)
        how = _read_how(jobs, name)
        if how.startswith(STOPPED):
            sys.exit(1)  # this process is to end: what lies in the spool is the next one's
        return Ran(code, verdict, how == RAN)

    return run


def _read_how(jobs: Jobs, name: str) -> str:
    try:
        return str(json.loads((job_path(jobs.state_path, name) / RESULT_FILE).read_text(encoding="utf-8"))["how"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out what is in the spool, and look at the path where that is asked for; return the exit code."""
    parser = argparse.ArgumentParser(prog="./runbook alert-actions", description="Carry out what alerts ask for.")
    parser.add_argument("--watch", action="store_true", help="also look whether alerts would arrive")
    options = parser.parse_args(arguments)
    jobs_path = Path(os.environ.get("TRADING_CORE_JOBS_FILE") or JOBS_PATH)
    settings_path = Path(os.environ.get("TRADING_CORE_ALERTS_FILE") or SETTINGS_PATH)
    try:
        jobs = parse_document(jobs_path.read_text(encoding="utf-8"))
    except (OSError, JobsError) as error:
        return _nothing_was_done(error)
    adopt_environment(jobs)
    try:
        settings = parse_settings(settings_path.read_text(encoding="utf-8"))
    except (OSError, SettingsError) as error:
        if options.watch:
            wrong = {"settings": f"No alert can stop a bot now, for what it may do cannot be read: {error}"}
            notify(_desk(jobs, NO_SETTINGS, 0), wrong)
        return _nothing_was_done(error)
    # A host that was off could hear nothing.
    desk = _desk(jobs, settings, max(settings_path.stat().st_mtime, time.time() - uptime()))
    # A process that only watches does not wait: the holder of the lock sees what came just now. One that was started
    # for a request has to wait: the spool is not empty yet, and systemd would start it again and again.
    try:
        code = _carry_out_alone(desk, 0 if options.watch else LOCK_SECONDS)
    except OSError as error:
        print(f"alert-actions: {error}", file=sys.stderr)
        code = 1
    if options.watch:
        watch(desk)
    return code


def _nothing_was_done(error: Exception) -> int:
    print(f"VERDICT 12 alert-actions: NOTHING WAS DONE: {error} NEXT: ./runbook alert_receiver_setup")
    return 12


def _desk(jobs: Jobs, settings: Settings, settings_since: float) -> Desk:
    state_path = Path(jobs.state_path)
    return Desk(
        path=state_path / "alerts",
        incidents_path=state_path / "incidents",
        local_copies_path=Path(os.environ.get("TRADING_CORE_INCIDENTS_PATH") or ROOT / "incidents"),
        settings=settings,
        settings_since=settings_since,
        run=_runner(jobs),
        silences=lambda: connect(settings.alertmanager).silences(),
    )


def _carry_out_alone(desk: Desk, wait_seconds: float) -> int:
    end = time.monotonic() + wait_seconds
    while True:
        try:
            lock = held(desk.path / "lock", {"by": BY, "started_at": utc_now(), "run_id": str(os.getpid())})
            with ExitStack() as stack:
                try:
                    stack.enter_context(lock)
                except OSError as error:
                    print(f"alert-actions: the lock could not be written: {error}", file=sys.stderr)
                    if not wait_seconds:
                        return 1  # only one process at a time is started for a request
                return carry_out(desk)
        except Locked:
            if time.monotonic() >= end:
                return 0
        time.sleep(INTERVAL_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
