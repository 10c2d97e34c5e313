"""What a run writes onto an incident's timeline by itself: begin and end of each play, how it ended, who ran it.

Nothing in here may change how a run ends: what cannot be written is said, and that is all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ..core.outcome import GOOD, worst
from ..report.verdict import STOP_PROOFS, Result, Run, judge
from .folder import TIMELINE, UNSYNCED, FolderError, append, in_time, incident_path
from .timeline import Entry, TimelineError

TEXT_CHARACTERS: Final = 2000
_STOPS_AND_OPENS: Final = frozenset({"failsafe_stop", "incident"})
_STOPS: Final = _STOPS_AND_OPENS | {"bot_stop", "feed_stop"}
"""What begins with a stop, which waits for no disk and for nobody's lock: its first note is written when it is over."""

_NOTHING_CAME_OF_IT: Final = frozenset({"refused", "usage", "locked", "invalid"})


@dataclass
class Notes:
    """The notes of one run. They wait until it is known which incident the run belongs to; most belong to none.

    An id that was typed can be mistyped, and a note makes an incident of it: where this checkout does not know it, the
    notes of all but a stop wait until the run has done something, or was not turned down (`keep`).

    run_id: unlike any other run's. given_id: the incident that the run was told. fallback_id: the one that a stop makes
    up, which holds where no host says that it is halted for another.
    """

    procedure: str
    run_id: str
    by: str
    origin: str
    incidents_path: Path
    now: Callable[[], str]
    given_id: str = ""
    fallback_id: str = ""
    reason: str = ""
    incident_id: str = ""
    _waiting: list[Entry] = field(default_factory=list)
    _step: str = ""
    _began_at: str = ""
    _count: int = 0
    _is_kept: bool = False

    def begin(self, step: str) -> list[str]:
        """Note that a play begins; return what could not be done."""
        self._step, self._began_at = step, self.now()
        self.incident_id = self.incident_id or self.given_id
        is_the_stop = not self._count and self.procedure in _STOPS
        if not self._count and self.procedure in _STOPS_AND_OPENS:
            facts = {"record": {"reason": self.reason}} if self.reason else {}
            self._add("detection", text=f"Noticed: {self.reason or 'no reason given'}", facts=facts, step="")
        self._add("step", text="begins")
        return self.write() if self.incident_id and not is_the_stop else []

    def see(self, result: Result) -> None:
        """Take the incident's id from a halt, where nobody has named one: a stop can join one that is there."""
        ids = [str(name) for name in (result.fields.get("latch") or {}).get("incident_ids", [])]
        if result.proof == "kill_switch" and ids and not self.incident_id:
            self.incident_id = self.fallback_id if self.fallback_id in ids else ids[0]

    def end(self, outcome: str, text: str, facts: Mapping[str, Any]) -> list[str]:
        """Note how the play ended; return what could not be done."""
        if not self._step:
            return []
        self._add("step", outcome=outcome, text=text[:TEXT_CHARACTERS], facts={"began_at": self._began_at, **facts})
        self._step = ""
        self.incident_id = self.incident_id or self.fallback_id
        return self.write()

    def keep(self) -> list[str]:
        """Write also what waits for an id that is not known here; return what could not be done."""
        if not self._is_only_typed():
            return []
        self._is_kept = True
        return self.write()

    def write(self) -> list[str]:
        """Write down what waits, where it is known for which incident; return what could not be done."""
        if not self.incident_id or not self._waiting:
            return []
        try:
            folder = incident_path(self.incidents_path, self.incident_id)
            if self._is_only_typed() and not in_time(folder.is_dir, f"{folder} could not be read"):
                return []
            if (folder / TIMELINE).exists() or (folder / UNSYNCED).exists():
                # A second stop joins the incident; it was noticed before.
                self._waiting = [entry for entry in self._waiting if entry.kind != "detection"]
            append(folder, UNSYNCED, self._waiting)
        except (FolderError, TimelineError, OSError) as error:
            return [f"The timeline of {self.incident_id} could not be written: {error}"]
        self._waiting = []
        return []

    def _is_only_typed(self) -> bool:
        return self.incident_id == self.given_id and self.procedure not in _STOPS and not self._is_kept

    def _add(
        self, kind: str, text: str, outcome: str = "", facts: Mapping[str, Any] | None = None, **other: str
    ) -> None:
        self._count += 1
        moment = self.now()
        self._waiting.append(
            Entry(
                id=f"{self.run_id}-{self._count}",
                at=moment,
                recorded_at=moment,
                kind=kind,
                step=other.get("step", self._step),
                procedure=self.procedure,
                outcome=outcome,
                text=text,
                by=self.by,
                origin=self.origin,
                facts=facts or {},
            )
        )


def describe_play(run: Run, is_best_effort: bool, instead: Sequence[Result] = ()) -> tuple[str, str, dict[str, Any]]:
    """Return outcome, words and facts of one play, from what it owed and what came, as the verdict judges it.

    A best-effort play that looks (`_info`) and finds something wrong has done what it owes: its words say what it saw.
    Of a play without results `instead` tells: what was rehearsed in it, and what was skipped.
    """
    if instead and not run.results and not run.best_effort_results and not run.unreachable:
        lines = dict.fromkeys(f"{result.host}: {result.summary}" for result in instead)
        return worst(result.outcome for result in instead), "; ".join(lines), {}
    results = run.best_effort_results if is_best_effort else run.results
    if not is_best_effort:
        verdict = judge(run)
        return verdict.outcome, verdict.line.partition(": ")[2], _facts(results)
    away = [f"{host}: did not answer" for host, _ in run.unreachable]
    parts = [*away, *(f"{result.host}: {result.summary}" for result in results)]
    found = ("proven" if _only_saw(result) else result.outcome for result in results)
    outcome = worst([*("unknown" for _ in away), *found]) if parts else "unknown"
    return outcome, "; ".join(parts) or "no result", _facts(results)


def was_turned_down(run: Run) -> bool:
    """Return whether nothing came of a run but a refusal: what it was given as an incident's id may be none."""
    outcomes = {judge(run).outcome, *(result.outcome for result in run.results)} - GOOD
    return bool(outcomes) and outcomes <= _NOTHING_CAME_OF_IT and not any(map(has_changed, run.results))


def has_changed(result: Result) -> bool:
    """Return whether something is different by a result that is good."""
    return result.outcome in GOOD and bool(result.fields.get("changed"))


def _only_saw(result: Result) -> bool:
    return result.outcome == "failed" and result.proof.endswith("_info")


def _facts(results: Sequence[Result]) -> dict[str, Any]:
    stops = [item for item in results if item.proof in STOP_PROOFS and "bots" in item.fields and item.outcome in GOOD]
    ended = max((str(item.fields.get("last_stopped_at") or "") for item in stops), default="")
    return {"stopped": True} | ({"last_stopped_at": ended} if ended else {}) if stops else {}
