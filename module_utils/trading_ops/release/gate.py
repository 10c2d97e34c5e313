"""Whether anything may be deployed, from what every host reported. A decision on plain values.

Starts from the hosts that have to report, never from the reports that came.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..core.commands import checked_command, checked_incident_ids
from ..core.result import build_result
from .pause import LIFT_COMMAND, Pause, backlog_item

DEMANDS: Final = ("incidents", "latch", "pause", "parity", "backup", "named")
"""What can be demanded. A rollback demands only that an open incident is named: it is what helps in one."""


@dataclass(frozen=True)
class Refusal:
    """Why nothing is deployed, as a sentence, and the command that helps."""

    sentence: str
    next_command: str


@dataclass(frozen=True)
class Facts:
    """What was seen. `hosts` are those with stacks; a mapping goes from host to a module's result, and a host that
    is missing in one reported nothing. `releases` and `incidents` are results from the control host.
    """

    demands: tuple[str, ...]
    hosts: tuple[str, ...]
    database_hosts: tuple[str, ...]
    bots: Mapping[str, Mapping[str, Any]]
    metrics: Mapping[str, Mapping[str, Any]]
    backups: Mapping[str, Mapping[str, Any]]
    schemas: Mapping[str, Mapping[str, Any]]
    releases: Mapping[str, Any]
    incidents: Mapping[str, Any]
    is_schema_kept: bool
    restore_set: str
    incident_id: str
    tracker_url: str


def judge(facts: Facts) -> dict[str, Any]:
    """Return the module result: `proven` where nothing forbids a release, else `refused`.

    `pause_reason` is given where parity is off, and deploys have to be paused for it.
    """
    unknown = [
        Refusal(f"what runs on {host} is not known: {_summary_of(facts.bots.get(host))}", "./runbook status")
        for host in facts.hosts
        if facts.bots.get(host, {}).get("outcome") != "proven"
    ]
    if not facts.hosts:
        unknown.append(Refusal("no host has a stack, so there is nothing to deploy to", "./runbook list"))
    if unknown_demands := sorted(set(facts.demands) - set(DEMANDS)):
        unknown.append(Refusal(f"no gate knows the demand {', '.join(unknown_demands)}", ""))
    bots = running_bots(facts)
    off, unseen = parity(facts, bots) if "parity" in facts.demands else ([], [])
    refusals = [
        *unknown,
        *(_incidents(facts) if "incidents" in facts.demands else ()),
        *(_latches(facts) if "latch" in facts.demands else ()),
        *(_pause(facts) if "pause" in facts.demands else ()),
        *(Refusal(f"parity is off: {sentence}", LIFT_COMMAND) for sentence in off),
        *(Refusal(f"parity is not known: {sentence}", "./runbook checks") for sentence in unseen),
        *(_backups(facts) if "backup" in facts.demands else ()),
        *(_named(facts) if "named" in facts.demands else ()),
        *_restore_set(facts),
    ]
    reason = "; ".join(off)
    names = [f"{host}/{bot['name']}" for host, bot in bots]
    return build_result(
        "refused" if refusals else "proven",
        _summary(refusals, names),
        next_command=next((refusal.next_command for refusal in refusals if refusal.next_command), ""),
        running_bots=names,
        schema_versions=schema_versions(facts),
        pause_reason=reason,
        lines=list(_backlog(facts)) if not reason else [],
    )


def running_bots(facts: Facts) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the bots that run, with their host."""
    return [
        (host, bot) for host in facts.hosts for bot in facts.bots.get(host, {}).get("bots") or () if bot.get("running")
    ]


def schema_versions(facts: Facts) -> list[int | None]:
    """Return the schema of each database, None for one that did not say; empty where none is kept."""
    if not facts.is_schema_kept:
        return []
    return [facts.schemas.get(host, {}).get("version") for host in facts.database_hosts]


def parity(facts: Facts, bots: Sequence[tuple[str, Mapping[str, Any]]]) -> tuple[list[str], list[str]]:
    """Return where parity is off, and of which running bots it is not known. A bot that does not run says nothing."""
    checks = [check for seen in facts.metrics.values() for check in seen.get("checks") or ()]
    series = [(check, each) for check in checks for each in check.get("series") or ()]
    off = [
        f"{check['title']} of {_labels(each)}: {each['reason']}" for check, each in series if each["outcome"] == "fail"
    ]
    names = sorted({str(check["id"]) for check in checks}) or ["tracking_error"]
    unseen = [
        f"{name} of {host}/{bot['name']}"
        for name in names
        for host, bot in bots
        if not any(
            check["id"] == name and _is_of(each, host, bot) and each["outcome"] != "unknown" for check, each in series
        )
    ]
    return list(dict.fromkeys(off)), unseen


def _is_of(series: Mapping[str, Any], host: str, bot: Mapping[str, Any]) -> bool:
    labels = series["labels"]
    return bool(labels.get("host", host) == host and labels.get("mode", bot.get("mode")) == bot.get("mode"))


def _incidents(facts: Facts) -> list[Refusal]:
    seen = facts.incidents
    if seen.get("outcome") != "proven":
        text = f"whether an incident is open is not known: {_summary_of(seen)}"
        return [Refusal(text, checked_command(str(seen.get("next_command") or "")) or "./runbook incident_info")]
    opened = list(seen.get("open") or ())
    if not opened:
        return []
    ids = checked_incident_ids(opened)
    close = f'./runbook incident_close -e incident_id={ids[0]} -e cause="…" -e actions="…"' if ids else ""
    return [Refusal(f"an incident is open: {', '.join(opened)}", close or "./runbook incident_info")]


def _named(facts: Facts) -> list[Refusal]:
    """Return that an open incident has to be named: what happens belongs on its timeline, and after its evidence."""
    opened = list(facts.incidents.get("open") or ())
    if not opened or facts.incident_id in opened:
        return []
    ids = checked_incident_ids(opened)
    text = f"an incident is open, and this has to name it: {', '.join(opened)}"
    return [Refusal(text, f"-e incident_id={ids[0]}" if ids else "./runbook incident_info")]


def _latches(facts: Facts) -> list[Refusal]:
    found = []
    for host in facts.hosts:
        latch = facts.bots.get(host, {}).get("latch") or {}
        if latch.get("engaged") is False:
            continue
        ids = checked_incident_ids(latch.get("incident_ids") or ())
        fix = f"./runbook halt_release -e incident_id={ids[0]}" if ids else "./runbook status"
        found.append(Refusal(f"{host} is halted" if latch else f"whether {host} is halted is not known", fix))
    return found


def _pause(facts: Facts) -> list[Refusal]:
    if facts.releases.get("outcome") not in {"proven", "unknown"}:
        return [Refusal("whether deploys are paused is not known", "./runbook releases")]
    pause = facts.releases.get("pause") or {}
    return [Refusal(str(pause["sentence"]).rstrip("."), LIFT_COMMAND)] if pause else []


def _backups(facts: Facts) -> list[Refusal]:
    seen = {host: facts.backups.get(host, {}) for host in facts.database_hosts}
    return [
        Refusal(f"no good backup is young enough, by {host}: {_summary_of(backup)}", "./runbook backup")
        for host, backup in seen.items()
        if backup.get("outcome") != "proven"
    ]


def _restore_set(facts: Facts) -> list[Refusal]:
    if not facts.restore_set:
        return []
    sets = {str(each.get("id")) for seen in facts.backups.values() for each in seen.get("sets") or ()}
    if facts.restore_set in sets:
        return []
    return [Refusal(f"no backup {facts.restore_set} is in the repository", "./runbook backup_info")]


def _backlog(facts: Facts) -> tuple[str, ...]:
    """Return what has to be analysed again, where an alert has paused deploys."""
    pause = facts.releases.get("pause") or {}
    if "pause" not in facts.demands or not str(pause.get("source", "")).startswith("alert:"):
        return ()
    fields = {name: str(pause.get(name, "")) for name in ("since", "by", "reason", "source")}
    return backlog_item(Pause(**fields), facts.tracker_url)


def _summary(refusals: Sequence[Refusal], names: Sequence[str]) -> str:
    if refusals:
        return f"{'; '.join(refusal.sentence.rstrip('.') for refusal in refusals)}. Nothing was changed."
    running = f"bots run: {', '.join(names)}" if names else "no bot runs"
    return f"nothing forbids it; {running}"


def _labels(series: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in series["labels"].items()) or "the estate"


def _summary_of(seen: Mapping[str, Any] | None) -> str:
    return str((seen or {}).get("summary") or "no answer").rstrip(".")
