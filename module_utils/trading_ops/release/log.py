"""The log of releases on the control host: one line for what ran when, by whom, with which images and which gate.

A line is never changed. What cannot be understood is a defect that is named with its number, and is no release that
one could go back to.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from ..core.clock import format_utc
from ..core.durable import append_durably, bounded
from ..core.locks import locked
from ..core.result import build_result
from ..core.strict_json import object_lines, parse_json
from . import pause as deploy_pause

RELEASES_FILE: Final = "releases.jsonl"
LOCK: Final = "releases"
DISK_SECONDS: Final = 5
SHOWN: Final = 15

RAN: Final = frozenset({"deployed", "rolled_back", "found"})
"""Results after which the estate ran the release. `found` ran before this project had deployed anything."""
RESULTS: Final = RAN | {"failed"}

_ID: Final = re.compile(r"REL-[0-9]{8}-[0-9]{6}(?:-[0-9]+)?")
_FIELDS: Final = ("id", "at", "by", "run_id", "revision", "images", "config_sha256", "hosts", "result", "gate")


class ReleaseError(Exception):
    """The log cannot be read, or has no such release. The text is a sentence."""


@dataclass(frozen=True)
class Log:
    """The releases that could be read, oldest first, and what could not be."""

    releases: tuple[dict[str, Any], ...]
    defects: tuple[str, ...] = ()

    @property
    def current(self) -> dict[str, Any] | None:
        """Return what ran last, as far as the log knows."""
        return next((release for release in reversed(self.releases) if release["result"] in RAN), None)


def parse_log(text: str) -> Log:
    """Return what the log holds; never raises."""
    releases, defects = [], []
    for number, line in enumerate(object_lines(text), start=1):
        try:
            release = parse_json(line)
            missing = [name for name in _FIELDS if name not in release]
            if missing or release["result"] not in RESULTS or not _ID.fullmatch(release["id"]):
                raise ValueError(f"{', '.join(missing) or 'id or result'} missing or wrong")
        except (ValueError, TypeError) as error:
            defects.append(f"line {number}: {error}")
            continue
        releases.append(release)
    return Log(tuple(releases), tuple(defects))


def read_log(state_path: Path) -> Log:
    """Return the log on disk; none is an empty one. Raises ReleaseError where it cannot be read."""
    try:
        return parse_log(bounded(lambda: (state_path / RELEASES_FILE).read_text(encoding="utf-8"), DISK_SECONDS))
    except FileNotFoundError:
        return Log(())
    except (OSError, ValueError) as error:
        raise ReleaseError(f"{state_path / RELEASES_FILE} cannot be read: {error}.") from error


def find_release(log: Log, release_id: str) -> dict[str, Any]:
    """Return a release that ran once. Raises ReleaseError."""
    found = [release for release in log.releases if release["id"] == release_id]
    if not found:
        raise ReleaseError(f"No release {release_id!r} is on record.")
    if found[0]["result"] not in RAN:
        raise ReleaseError(
            f"{release_id} {found[0]['result']}: it never ran as a whole, so there is no way back to it."
        )
    return found[0]


def observe(state_path: Path, release_id: str) -> dict[str, Any]:
    """Return the module result: what is on record, what runs by it, and whether deploys are paused. Never raises."""
    pause = deploy_pause.read_pause(state_path)
    try:
        log = read_log(state_path)
        chosen = find_release(log, release_id) if release_id else None
    except ReleaseError as error:
        return _result("refused", str(error), Log(()), pause, None, "./runbook releases")
    text = f"{len(log.releases)} releases on record"
    if log.current:
        text += f", {log.current['id']} ({log.current['revision'][:10]}) runs since {log.current['at']}"
    text += f"; {pause.sentence()}" if pause else "; deploys are not paused"
    text += "".join(f"; DAMAGED: {defect}" for defect in log.defects)
    return _result("unknown" if log.defects else "proven", text, log, pause, chosen)


@dataclass(frozen=True)
class Ran:
    """How a deploy or a rollback went: `hosts` maps a host to the result of its module `release`."""

    by: str
    run_id: str
    reason: str
    result: str
    hosts: Mapping[str, Mapping[str, Any]]
    gate: Mapping[str, Any]
    schema_version: int | None
    schema_supported_max: int | None


def build_ran(params: Mapping[str, Any]) -> Ran:
    """Return what the parameters of the module release_record say."""
    versions = [version for version in params["schema_versions"] if isinstance(version, int)]
    supported = [seen.get("schema_supported_max") for seen in params["hosts"].values()]
    return Ran(
        by=params["by"] or "not given",
        run_id=params["run_id"],
        reason=params["reason"],
        result=params["result"],
        hosts=params["hosts"],
        gate=summarise_gate(params["gates"]),
        schema_version=max(versions, default=None),
        schema_supported_max=next((one for one in supported if isinstance(one, int)), None),
    )


def summarise_gate(gates: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what is kept of the gates of the feed: each has to have passed. None is no pass."""
    seen = [gate for gate in gates if "outcome" in gate]
    if not seen:
        return {"outcome": "not asked"}
    checks = [check for gate in seen for check in gate.get("checks") or ()]
    return {
        "outcome": "pass" if all(gate["outcome"] == "proven" for gate in seen) else "fail",
        "summary": "; ".join(dict.fromkeys(str(gate.get("summary", "")) for gate in seen)),
        "checks": {str(check.get("id")): check.get("outcome") for check in checks},
    }


def ensure_recorded(state_path: Path, ran: Ran, now: datetime, dry_run: bool) -> dict[str, Any]:
    """Return the module result of a release being on record; nothing is written where nothing changed. Never raises.

    What ran before goes on record first, where the log does not say so already: otherwise there was no way back to it.
    """

    def record() -> tuple[list[dict[str, Any]], Log]:
        with locked(state_path, LOCK):
            log = read_log(state_path)
            lines = build_records(ran, log, now)
            append_durably(state_path / RELEASES_FILE, "".join(f"{_line(line)}\n" for line in lines))
            return lines, read_log(state_path)

    try:
        log = read_log(state_path)
        lines = build_records(ran, log, now)
        if lines and not dry_run:
            lines, log = bounded(record, DISK_SECONDS)
    except (ReleaseError, OSError, ValueError, KeyError) as error:
        return _recorded("failed", f"The release is not on record: {error}", [], f"ls -la {state_path} (on the host)")
    if not lines:
        return _recorded("planned" if dry_run else "proven", "nothing was released, so nothing is recorded", [])
    text = "; ".join(f"{line['id']} {line['result'].replace('_', ' ')} ({line['revision'][:10]})" for line in lines)
    if dry_run:
        return _recorded("planned", f"would record: {text}", lines)
    if lines[-1] not in log.releases:
        return _recorded("failed", f"{state_path / RELEASES_FILE} does not hold what was written to it.", [])
    return _recorded("proven", f"on record: {text}", lines)


def build_records(ran: Ran, log: Log, now: datetime) -> list[dict[str, Any]]:
    """Return the lines to add: what was found, where it is not on record, and what this run did."""
    if not ran.hosts:
        raise ReleaseError("no host reported what it runs.")
    before = _merged(ran.hosts, "revision_before", "images_before", "config_before")
    after = _merged(ran.hosts, "revision", "images", "config")
    wanted = {str(seen["revision"]) for seen in ran.hosts.values()}
    lines: list[dict[str, Any]] = []
    current = log.current
    if before and not _is_same(before, current):
        found = _release(ran, now - timedelta(seconds=1), before, "found", {}, current)
        lines.append(found | {"by": "unknown", "run_id": ""})
        current = lines[0]
    if ran.result == "failed":
        tried = {"revision": sorted(wanted)[0], "images": {}, "config_sha256": ""}
        return [*lines, _release(ran, now, after or tried, "failed", ran.gate, current)]
    if len(wanted) != 1 or not after:
        raise ReleaseError("the hosts do not run the same revision and images.")
    if _is_same(after, current) and not any(seen.get("changed") for seen in ran.hosts.values()):
        return lines
    return [*lines, _release(ran, now, after, ran.result, ran.gate, current)]


def _merged(hosts: Mapping[str, Mapping[str, Any]], revision: str, images: str, config: str) -> dict[str, Any]:
    """Return what all hosts together run, empty where they differ: then there is nothing that one could go back to."""
    revisions = {str(seen.get(revision) or "") for seen in hosts.values()}
    merged: dict[str, str] = {}
    lines: list[str] = []
    for host, seen in sorted(hosts.items()):
        for service, pin in (seen.get(images) or {}).items():
            if pin and merged.setdefault(str(service), str(pin)) != str(pin):
                return {}
        lines += [f"{host} {service} {digest}\n" for service, digest in sorted((seen.get(config) or {}).items())]
    if len(revisions) != 1 or "" in revisions:
        return {}
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()
    return {"revision": revisions.pop(), "images": dict(sorted(merged.items())), "config_sha256": digest}


def _is_same(seen: Mapping[str, Any], release: Mapping[str, Any] | None) -> bool:
    return release is not None and all(seen[name] == release[name] for name in ("revision", "images", "config_sha256"))


def _release(
    ran: Ran,
    at: datetime,
    seen: Mapping[str, Any],
    result: str,
    gate: Mapping[str, Any],
    previous: Mapping[str, Any] | None,
) -> dict[str, Any]:
    is_own = result != "found"
    return {
        "id": f"REL-{at:%Y%m%d-%H%M%S}",
        "at": format_utc(at),
        "by": ran.by,
        "run_id": ran.run_id,
        "reason": ran.reason if is_own else "ran before",
        **seen,
        "schema_version": ran.schema_version if result != "failed" else None,
        "schema_supported_max": ran.schema_supported_max if is_own else ran.schema_version,
        "hosts": sorted(ran.hosts),
        "result": result,
        "gate": dict(gate),
        "previous": previous["id"] if previous else None,
    }


def _line(release: Mapping[str, Any]) -> str:
    return json.dumps(release, ensure_ascii=False, sort_keys=True)


def describe(release: Mapping[str, Any]) -> tuple[str, str]:
    """Return a release as two lines for people: what it was, and each image with the beginning of its digest."""
    gate = release["gate"].get("outcome", "not asked") if isinstance(release["gate"], dict) else "not asked"
    pins = release["images"].values() if isinstance(release["images"], dict) else ()
    images = [re.sub(r"^(?:.*/)?([^/]+@sha256:[0-9a-f]{12}).*", r"\1", str(pin)) for pin in pins]
    text = f"{release['id']}  {release['result'].replace('_', ' '):<11}  {str(release['revision'])[:10]}  gate: {gate}"
    return (
        f"{text}  {release['by']}: {release.get('reason', '')}".rstrip(": "),
        f"images: {', '.join(dict.fromkeys(images)) or 'not known'}",
    )


def _result(
    outcome: str,
    summary: str,
    log: Log,
    pause: deploy_pause.Pause | None,
    chosen: Mapping[str, Any] | None,
    next_command: str = "",
) -> dict[str, Any]:
    current = log.current
    marks = [("*" if current and release["id"] == current["id"] else " ", release) for release in log.releases[-SHOWN:]]
    return build_result(
        outcome,
        summary,
        next_command=next_command,
        releases=list(log.releases),
        release=dict(chosen or {}),
        current=current["id"] if current else "",
        pause=deploy_pause.as_dict(pause),
        lines=[line for mark, release in marks for line in _marked(mark, release)],
    )


def _marked(mark: str, release: Mapping[str, Any]) -> tuple[str, str]:
    first, second = describe(release)
    return f"{mark} {first}", f"    {second}"


def _recorded(outcome: str, summary: str, lines: Sequence[Mapping[str, Any]], next_command: str = "") -> dict[str, Any]:
    changed = bool(lines) and outcome in {"proven", "planned"}
    releases = [dict(line) for line in lines]
    return build_result(outcome, summary, changed=changed, next_command=next_command, releases=releases)
