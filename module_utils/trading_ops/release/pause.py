"""The pause of deploys: one small JSON file on the control host. While it is there nothing new is deployed.

`{"since": ISO UTC, "by": text, "reason": text, "source": "person" | "alert:<name>"}`. A missing file is the only sign
of "not paused"; whatever cannot be understood is a pause. A person sets it, and an alert; only a person lifts it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from ..core.durable import bounded, fsync_directory, write_durably
from ..core.locks import locked
from ..core.result import build_result
from ..state import audit

PAUSE_FILE: Final = "deploy_pause.json"
LOCK: Final = "deploy_pause"
DISK_SECONDS: Final = 5
LIFT_COMMAND: Final = './runbook deploy_resume -e reason="what was found, and why it is safe again"'
_URL_CHARACTERS: Final = 6000
"""A tracker's address with a longer text in it is refused by most servers."""


@dataclass(frozen=True)
class Pause:
    """A pause that holds. `damaged` says why the file could not be understood, and is empty for a good one."""

    since: str
    by: str
    reason: str
    source: str
    damaged: str = ""

    def sentence(self) -> str:
        """Return as a sentence why nothing is deployed."""
        if self.damaged:
            return f"The pause of deploys is damaged ({self.damaged}) and counts as one."
        return f"Deploys are paused since {self.since} by {self.by} ({self.source}): {self.reason}."


def read(text: str | None) -> Pause | None:
    """Return the pause that a file's text means, None for no file; never raises: what is not understood pauses."""
    if text is None:
        return None
    try:
        fields = json.loads(text)
        texts = {name: fields[name] for name in ("since", "by", "reason", "source")}
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        return _damaged("empty" if not text.strip() else f"{type(error).__name__}: {error}")
    if not all(isinstance(text, str) and text for text in texts.values()):
        return _damaged("a field is empty or no text")
    return Pause(**texts)


def read_pause(state_path: Path) -> Pause | None:
    """Return the pause on disk, None where there is none; an unreadable one is a pause."""
    try:
        return read(bounded(lambda: (state_path / PAUSE_FILE).read_text(encoding="utf-8"), DISK_SECONDS))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        return _damaged(f"unreadable: {error}")


def ensure_paused(state_path: Path, wanted: Pause, tracker_url: str, dry_run: bool) -> dict[str, Any]:
    """Return the module result of deploys being paused. Never raises.

    The first one's time, person and reason stay; what comes later with another reason is a line of the audit log.
    """
    if not wanted.reason.strip():
        return _result("usage", "A pause needs a reason, in words.")

    kept = _kept(read_pause(state_path), wanted)
    warnings: list[str] = []

    def pause() -> Pause:
        with locked(state_path, LOCK):
            held = _kept(read_pause(state_path), wanted)
            if held is wanted:
                write_durably(state_path / PAUSE_FILE, _format(wanted))
            if held is wanted or (wanted.reason, wanted.source) != (held.reason, held.source):
                # After the pause: a log that cannot be written must not keep deploys going.
                facts = {"reason": wanted.reason, "source": wanted.source}
                warnings.extend(audit.record_quietly(state_path, "deploys paused", wanted.by, wanted.since, **facts))
            return held

    try:
        if not dry_run:
            kept = bounded(pause, DISK_SECONDS)
    except OSError as error:
        return _result(
            "failed", f"Deploys could not be paused: {error}.", next_command=f"ls -la {state_path} (on the host)"
        )
    if not dry_run and read_pause(state_path) != kept:
        return _result("failed", f"{state_path / PAUSE_FILE} does not hold what was written to it.")
    changed = kept is wanted
    text = f"would pause deploys: {wanted.reason}" if dry_run and changed else kept.sentence()
    lines = list(backlog_item(kept, tracker_url))
    outcome = "planned" if dry_run else "proven"
    return _result(outcome, text, kept, changed=changed, lines=lines, warnings=warnings)


def ensure_resumed(state_path: Path, reason: str, by: str, now: str, dry_run: bool) -> dict[str, Any]:
    """Return the module result of deploys not being paused. Who lifted it, and why, is written down first."""
    if not reason.strip():
        return _result("usage", "Lifting a pause needs a reason, in words.")
    present = read_pause(state_path)
    if present is None:
        return _result("planned" if dry_run else "proven", "Deploys are not paused.")
    if dry_run:
        return _result("planned", f"would lift: {present.sentence()}", changed=True, pause=present)

    def lift() -> Pause | None:
        with locked(state_path, LOCK):
            # Again: an alert may have set another one since.
            lifted = read_pause(state_path)
            if lifted:
                audit.append(state_path, "deploys resumed", by, now, reason=reason, was=lifted.sentence())
                (state_path / PAUSE_FILE).unlink()
                fsync_directory(state_path)
            return lifted

    try:
        lifted = bounded(lift, DISK_SECONDS)
    except OSError as error:
        return _result(
            "failed", f"The pause could not be lifted: {error}.", next_command=f"ls -la {state_path} (on the host)"
        )
    if lifted is None:
        return _result("proven", "Deploys are not paused.")
    return _result("proven", f"Deploys go on. Lifted: {lifted.sentence()}", changed=True)


def backlog_item(pause: Pause, tracker_url: str) -> tuple[str, ...]:
    """Return what has to be analysed again before deploys go on, ready to paste, and the tracker's address for it."""
    title = f"Analyse fill engine, strategy and feed again: {pause.reason}"
    body = (
        f"Deploys are paused since {pause.since} by {pause.by} ({pause.source}): {pause.reason}.",
        "- Fill engine: price, fee and delay of each fill against what the backtest has for the same bar.",
        "- Strategy: parameters, model version and sizing against those that were backtested (./runbook drift_log).",
        "- Feed: gaps, records that are no number and bar-close lag of the time in question (./runbook checks).",
        f"- Then: {LIFT_COMMAND}",
    )
    lines = (f"backlog: {title}", *(f"backlog:   {line}" for line in body))
    if not tracker_url:
        return lines
    filled = tracker_url.replace("{title}", quote(title, safe="")).replace("{body}", quote("\n".join(body), safe=""))
    return (*lines, f"backlog: {filled[:_URL_CHARACTERS]}")


def _kept(present: Pause | None, wanted: Pause) -> Pause:
    return present if present and not present.damaged else wanted


def _format(pause: Pause) -> str:
    fields = asdict(pause)
    del fields["damaged"]
    return json.dumps(fields, ensure_ascii=False) + "\n"


def _damaged(why: str) -> Pause:
    return Pause("an unknown time", "not known", "not known", "not known", damaged=why)


def _result(outcome: str, summary: str, pause: Pause | None = None, **more: Any) -> dict[str, Any]:
    return build_result(outcome, summary, **{"pause": as_dict(pause), "lines": [], "warnings": []} | more)


def as_dict(pause: Pause | None) -> dict[str, Any]:
    """Return the pause as a module returns it, empty for none."""
    return asdict(pause) | {"sentence": pause.sentence()} if pause else {}
