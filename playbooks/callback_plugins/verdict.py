# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Progress, verdict line and exit code of every run.

It stands beside the playbooks, where ansible-playbook loads it from any directory, with or without ansible.cfg.
A play names in its variable `must_prove` the module whose result it owes from each of its hosts. What is owed is read
from the whole inventory, so that --limit, --tags, --skip-tags and --start-at-task cannot make it less. A play that has
`best_effort: true` comes after the proof, and can neither fail nor better it, but for the open orders that a stop
asks for; a `must_prove` that it names and does not give is reported as missing. Where not all hosts of a play owe its
proof, `must_prove_on` is the pattern of those that do.
"""

from __future__ import annotations

DOCUMENTATION = """
name: verdict
type: notification
short_description: Ends a run with one verdict line and one exit code
description:
  - Holds the results that the plays owe against those that came, and exits with the most serious outcome.
"""

import json
import os
import re
import sys
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible import context
from ansible.plugins.callback import CallbackBase
from ansible.template import Templar

ROOT = Path(__file__).resolve().parents[2]
ESTATE_DEFAULTS = ROOT / "roles" / "estate" / "defaults" / "main.yml"
LAB = ROOT / "inventories" / "lab"  # what ./runbook takes where no estate is named

sys.path.insert(0, str(ROOT / "module_utils"))

from trading_ops.core.clock import utc_now
from trading_ops.core.ids import build_incident_id
from trading_ops.core.shown_urls import show_url
from trading_ops.host.machine import this_controller
from trading_ops.incident.entry import read_origin
from trading_ops.incident.notes import Notes, describe_play, has_changed, was_turned_down
from trading_ops.report.identity import Controller
from trading_ops.report.verdict import (
    IDENTITY_PROOFS,
    STOP_PROOFS,
    STOPS,
    BestEffortProof,
    Expected,
    Result,
    Run,
    Verdict,
    judge,
)

INCIDENT_ID = "TRADING_CORE_INCIDENT_ID"
INCIDENTS_PATH = "TRADING_CORE_INCIDENTS_PATH"
RECORDER = "incident_record"
"""The role that brings the record home. A note of it could only wait for the next one."""
WRITES_ITSELF = "incident_"
"""Procedures about the record: they write entries of their own, and reading it is no entry."""

RUN_ID = "TRADING_CORE_RUN_ID"
LEASE_RUN_ID = "TRADING_CORE_LEASE_RUN_ID"
STARTED_AT = "TRADING_CORE_STARTED_AT"
VERDICT_FILE = "TRADING_CORE_VERDICT_FILE"
COMMAND = "TRADING_CORE_COMMAND"
OPERATOR = "TRADING_CORE_OPERATOR"
FIRST_WAVE = "TRADING_CORE_FIRST_WAVE_FILE"
FIRST_WAVE_BYTES = 100_000
STOP_SAID = "TRADING_CORE_STOP_SAID"
"""What people are told of the stop: workers inherit the environment, and the message is made in one."""

VENUE_URL = "trading_core_open_orders_url"

NEXT = " NEXT: "
"""In the message of a failed assertion: what follows is the next command to type."""

OUTCOME_OF_FAILED = {"validate_argument_spec": "usage", "assert": "refused"}
"""What it means when a task of Ansible's own fails; our modules say it themselves."""


@dataclass(frozen=True)
class _Places:
    """How many of each there were before the play began."""

    expected: int = 0
    results: int = 0
    best_effort_results: int = 0
    unreachable: int = 0


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "verdict"
    CALLBACK_NEEDS_ENABLED = False

    def __init__(self) -> None:
        super().__init__()
        self._began = _started_at()
        self._procedure = ""
        self._sources: list[Path] = []
        self._venues: dict[str, str] | None = None
        self._last_play: Any = None
        self._plays: list[Any] = []
        self._expected: list[Expected] = []
        self._controller = this_controller()
        self._local_hosts: set[str] = set()
        self._results: list[Result] = []
        self._best_effort_results: list[Result] = []
        self._best_effort_expected: list[BestEffortProof] = []
        self._is_best_effort = False
        self._step = ""
        self._page_step = ""
        self._unreachable: list[tuple[str, str]] = []
        self._notes: Notes | None = None
        self._before_play = _Places()
        self._reported_instead: list[Result] = []
        # Workers inherit the environment: this is how all hosts of one run agree on one incident id.
        run_id = os.environ.setdefault(RUN_ID, datetime.now(UTC).strftime("%Y%m%d-%H%M%S"))
        # Two runs that begin in the same second are two holders of a lease.
        os.environ[LEASE_RUN_ID] = f"{run_id}.{os.getpid()}"

    def v2_playbook_on_start(self, playbook: Any) -> None:
        self._procedure = Path(playbook._file_name).stem
        self._plays = playbook.get_plays()
        _write_verdict_file(None)
        if self._procedure == "incident":
            self._name_incident()

    def v2_playbook_on_play_start(self, play: Any) -> None:
        inventory = play.get_variable_manager()._inventory
        self._sources = [Path(str(source)) for source in inventory._sources]
        self._end_note()
        self._last_play = play
        self._is_best_effort = play.vars.get("best_effort") is True
        self._step = play.get_name()
        self._begin_note(play)
        if self._is_best_effort:
            self._hand_on_what_is_proven()
            return
        self._page_step = self._step
        proof = play.vars.get("must_prove")
        if not proof:
            self._results.append(Result("", "", "failed", f"play {play.get_name()!r} names no proof"))
            return
        owing = play.vars.get("must_prove_on") or play.hosts
        for host in inventory.get_hosts(owing, ignore_limits=True, ignore_restrictions=True):
            for module in [proof] if isinstance(proof, str) else proof:
                self._expected.append(Expected(host.name, module))
                if module in IDENTITY_PROOFS and _is_local(play, host):
                    self._local_hosts.add(host.name)
        if not self._best_effort_expected:
            self._expect_best_efforts(inventory)

    def _expect_best_efforts(self, inventory: Any) -> None:
        """Note what the best-effort plays owe, all of them now: where every stop fails, none begins."""
        for play in self._plays:
            if play.vars.get("best_effort") is True and (owed := play.vars.get("must_prove")):
                for host in inventory.get_hosts(play.hosts, ignore_limits=True, ignore_restrictions=True):
                    self._best_effort_expected.append(BestEffortProof(play.get_name(), host.name, owed))

    def _hand_on_what_is_proven(self) -> None:
        """Let the plays after a stop say in one sentence how it ended, and which orders are open."""
        if self._procedure in STOPS:
            os.environ[STOP_SAID] = judge(replace(self._run(), best_effort_expected=(), record="")).said

    def _read_venues(self) -> dict[str, str]:
        """Return the endpoint for open orders that the estate names, by the host that owes a stop."""
        if self._venues is None:
            owing = {item.host for item in self._expected if item.proof in STOP_PROOFS}
            is_asked = self._procedure in STOPS and owing and self._last_play is not None
            self._venues = _venues_of(self._last_play, owing) if is_asked else {}
        return self._venues

    def _name_incident(self) -> None:
        """Say early which incident this is, and let all hosts and plays name it so."""
        extra = self._plays[0].get_variable_manager().extra_vars
        made_up = build_incident_id(os.environ[RUN_ID], str(extra.get("reason") or ""), utc_now())
        name = str(extra.get("incident_id") or os.environ.setdefault(INCIDENT_ID, made_up))
        self._display.display(f"incident {name}")

    def v2_runner_on_ok(self, result: Any) -> None:
        self._note(result)

    def v2_runner_item_on_ok(self, result: Any) -> None:
        self._note(result)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        if result._result.get("unreachable"):
            self.v2_runner_on_unreachable(result)
        elif not self._note(result, failed=True):
            self.v2_runner_on_failed(result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        if self._is_best_effort:
            self._reported_instead.append(Result(_host(result), "", "proven", "nothing to do"))

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        if "results" in result._result or self._note(result, failed=True):
            return  # each item of a loop has been reported
        if self._is_best_effort:
            text = f"{result._task.get_name()}: {_one_line(result._result.get('msg') or 'no message')}"
            self._show(f"{result._host.get_name()}: {text}")
            self._best_effort_results.append(Result(_host(result), "", "failed", text, step=self._step))
            return
        outcome = OUTCOME_OF_FAILED.get(result._task.action.rpartition(".")[2], "failed")
        wrong = result._result.get("argument_errors")
        if outcome == "usage" and wrong:
            self._results.append(Result("", "", outcome, ", ".join(wrong)))
            return
        text = _one_line(result._result.get("msg") or result._result.get("stderr") or "no message")
        outcome = "failed" if outcome == "usage" else outcome
        text, _, next_command = text.partition(NEXT)
        summary = text if outcome == "refused" else f"{result._task.get_name()}: {text}"
        self._results.append(Result(_host(result), "", outcome, summary, next_command))

    def v2_runner_on_unreachable(self, result: Any) -> None:
        if "results" in result._result:
            return
        if self._is_best_effort:
            text = f"did not answer ({_one_line(result._result.get('msg', ''))})"
            self._best_effort_results.append(Result(_host(result), "", "unknown", text, step=self._step))
            return
        self._unreachable.append((_host(result), _one_line(result._result.get("msg", ""))))

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._end_note()
        self._keep_notes()
        try:
            verdict = judge(self._run())
        except Exception as error:
            # Ansible would swallow it and end with 0 where no task failed.
            verdict = Verdict(1, "failed", f"VERDICT 1 {self._procedure}: FAILED. The verdict itself broke: {error!r}.")
        self._display.display("")
        self._display.display(verdict.line, color="green" if verdict.exit_code == 0 else "red")
        _write_verdict_file(verdict)
        sys.stdout.flush()
        raise SystemExit(verdict.exit_code)

    def _begin_note(self, play: Any) -> None:
        """Write the beginning of a play onto the timeline of the incident that the run belongs to, if to any."""
        self._before_play = _Places(
            len(self._expected), len(self._results), len(self._best_effort_results), len(self._unreachable)
        )
        self._reported_instead = []
        roles = {role.get_name() for role in play.get_roles()}
        if RECORDER in roles:
            self._keep_notes()
        if context.CLIARGS.get("check") or RECORDER in roles or self._procedure.startswith(WRITES_ITSELF):
            return
        try:
            self._notes = self._notes or self._build_notes(play.get_variable_manager().extra_vars)
            self._warn(self._notes.begin(play.get_name()))
        except Exception as error:
            self._warn([f"The timeline could not be written: {error!r}"])

    def _end_note(self) -> None:
        """Write how the play ended. Whatever goes wrong in here is shown, and changes neither verdict nor exit code."""
        if self._notes is None:
            return
        try:
            self._warn(self._notes.end(*describe_play(self._play_run(), self._is_best_effort, self._reported_instead)))
            if self._notes.incident_id:
                # Workers inherit the environment: what follows in this run belongs to the same incident.
                os.environ[INCIDENT_ID] = self._notes.incident_id
        except Exception as error:
            self._warn([f"The timeline could not be written: {error!r}"])

    def _keep_notes(self, is_sure: bool = False) -> None:
        """Write what waits for an id that this checkout does not know, unless the run was turned down."""
        try:
            if self._notes and (is_sure or not was_turned_down(self._run())):
                self._warn(self._notes.keep())
        except Exception as error:
            self._warn([f"The timeline could not be written: {error!r}"])

    def _build_notes(self, extra: Any) -> Notes:
        return Notes(
            procedure=self._procedure,
            run_id=os.environ[LEASE_RUN_ID],
            by=str(extra.get("by") or os.environ.get(OPERATOR) or os.environ.get("USER") or "unknown"),
            origin=read_origin(),
            incidents_path=Path(os.environ.get(INCIDENTS_PATH) or ROOT / "incidents"),
            now=utc_now,
            given_id=str(extra.get("incident_id") or ""),
            fallback_id=os.environ.get(INCIDENT_ID, ""),
            reason=str(extra.get("reason") or ""),
        )

    def _play_run(self) -> Run:
        places = self._before_play
        return replace(
            self._run(),
            expected=tuple(self._expected[places.expected :]),
            results=tuple(self._results[places.results :]),
            best_effort_results=tuple(self._best_effort_results[places.best_effort_results :]),
            unreachable=tuple(self._unreachable[places.unreachable :]),
            venues={},  # a play of its own asks nobody for another
            best_effort_expected=(),  # and what comes after it has not been missed
            record="",
        )

    def _record(self) -> str:
        """Return the folder of the incident in this checkout, where there is one."""
        if self._notes is None or not self._notes.incident_id:
            return ""
        folder = self._notes.incidents_path / self._notes.incident_id
        return str(folder) if folder.is_dir() else ""

    def _warn(self, errors: list[str]) -> None:
        for error in errors:
            self._display.warning(error)

    def _run(self) -> Run:
        return Run(
            procedure=self._procedure,
            inventory=" + ".join(source.name for source in self._sources) or "(none)",
            dry_run=bool(context.CLIARGS.get("check")),
            seconds=max(0.0, _now() - self._began),
            expected=tuple(self._expected),
            results=tuple(self._results),
            best_effort_results=tuple(self._best_effort_results),
            best_effort_expected=tuple(self._best_effort_expected),
            unreachable=tuple(self._unreachable),
            venues=self._read_venues(),
            first_wave=_first_wave_said(),
            inventory_option="" if self._sources == [LAB] else " ".join(f"-i {source}" for source in self._sources),
            is_lab=self._sources == [LAB],
            record=self._record(),
            controller=Controller(self._controller, frozenset(self._local_hosts)),
            page=_page_of(self._page_step),
            retry_command=os.environ.get(COMMAND) or f"./runbook {self._procedure}",
        )

    def _note(self, result: Any, failed: bool = False) -> bool:
        """Keep a result of one of our modules; return whether it was one.

        One that only observed, did not fail and proves nothing is shown and not kept: the role judges what it saw. A
        task that is always a dry run only observes, and proves nothing in a run that acts.
        """
        fields = result._result
        if not isinstance(fields.get("outcome"), str):
            return False
        found = Result(
            host=_host(result),
            proof=result._task.action,
            outcome=fields["outcome"],
            summary=str(fields.get("summary", "")),
            next_command=str(fields.get("next_command", "")),
            fields=fields,
            step=self._step if self._is_best_effort else "",
        )
        if self._notes:
            self._notes.see(found)
        is_owed = Expected(found.host, found.proof) in self._expected
        is_rehearsal = bool(result._task.check_mode) and not context.CLIARGS.get("check")
        is_kept = (is_owed or not found.proof.endswith("_info") or self._is_best_effort) and not is_rehearsal
        if is_rehearsal and not failed:
            self._reported_instead.append(found)
        if failed or is_kept:
            (self._best_effort_results if self._is_best_effort else self._results).append(found)
        if is_kept and not self._is_best_effort and has_changed(found) and found.proof not in STOP_PROOFS:
            # A run that dies from here on leaves its notes. A stop in the middle of another run does not wait for them.
            self._keep_notes(is_sure=True)
        self._show(f"{found.host}: {found.outcome}: {found.summary}")
        for line in fields.get("lines", []):
            self._show(str(line))
        return True

    def _show(self, text: str) -> None:
        """Show text from logs, labels and people. A terminal would do what control characters in them say."""
        self._display.display("    " + "".join(char if char.isprintable() else " " for char in text))


def _page_of(step: str) -> str:
    """Return page and number of the section that a play carries out, empty where no page has it."""
    heading = re.compile(rf"^#+ {re.escape(step.partition(' (')[0])}(?: \(|$)", re.MULTILINE)
    for path in sorted((ROOT / "runbooks").glob("*.md")) if step[:1].isdigit() else []:
        with suppress(OSError, ValueError):
            if heading.search(path.read_text(encoding="utf-8")):
                return f"runbooks/{path.name} {step.partition(' ')[0]}"
    return ""


def _venues_of(play: Any, names: Collection[str]) -> dict[str, str]:
    """Return what the estate names as the endpoint for open orders, by host; what cannot be read counts as named."""
    manager, loader = play.get_variable_manager(), play.get_loader()
    found = {}
    for name in names:
        try:
            defaults = loader.load_from_file(str(ESTATE_DEFAULTS), trusted_as_template=True)
            known = defaults | manager.get_vars(host=manager._inventory.get_host(name))
            url = str(Templar(loader=loader, variables=known).template(known[VENUE_URL]) or "")
        except Exception as error:
            found[name] = f"the venue, whose address cannot be read ({_one_line(error)[:100]})"
            continue
        if url:
            found[name] = show_url(url) or "an address that is none"
    return found


def _first_wave_said() -> dict[str, str]:
    """Return what the first wave has said of each host so far, where there is one."""
    try:
        text = Path(os.environ[FIRST_WAVE]).read_bytes()[:FIRST_WAVE_BYTES].decode("utf-8", "replace")
    except (KeyError, OSError):
        return {}
    lines = [line.split("|", 2) for line in text.splitlines()]
    return {line[0]: f"{line[1]}: {line[2][:200]}" for line in lines if len(line) == 3}


def _host(result: Any) -> str:
    """Return the host that a result is about: where a task is delegated, the one it was delegated to."""
    return str(result._task.delegate_to or result._host.get_name())


def _is_local(play: Any, host: Any) -> bool:
    """Return whether the inventory says that a host is this machine; what -e says is this run's alone."""
    manager = play.get_variable_manager()
    given, manager._extra_vars = manager._extra_vars, {}
    try:
        connection = str(manager.get_vars(host=host, include_hostvars=False).get("ansible_connection", ""))
    except Exception:
        return False
    finally:
        manager._extra_vars = given
    return connection.removeprefix("ansible.builtin.") == "local"


def _now() -> float:
    """Return seconds since boot: monotonic, and comparable with what the entry script read from /proc/uptime."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _started_at() -> float:
    try:
        return min(float(os.environ[STARTED_AT]), _now())
    except (KeyError, ValueError):
        return _now()


def _one_line(text: object) -> str:
    line = " ".join(str(text).split())
    return line.removeprefix("Task failed: ").removeprefix("Failed to connect to the host via ssh: ")[:300]


def _write_verdict_file(verdict: Verdict | None) -> None:
    """Tell the entry script how far the run came: an empty object once plays begin, the verdict at the end."""
    path = os.environ.get(VERDICT_FILE)
    if path:
        seen = {"exit_code": verdict.exit_code, "line": verdict.line} if verdict else {}
        try:
            Path(path).write_text(json.dumps(seen) + "\n", encoding="utf-8")
        except OSError as error:
            print(f"verdict: {path} could not be written: {error}", file=sys.stderr)
