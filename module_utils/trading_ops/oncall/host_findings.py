"""Section 2.1 of the start of a shift: hosts, their containers, disks, clocks, certificates and errors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from ..checks.evaluate import series_words
from ..core.clock import format_utc, parse_utc
from ..core.labels import FOLDER_PROJECT
from .plots import SPIKES
from .seen import Finding, Limits, Seen, explain_missing

_STARTS: Final = {
    "live_connector": "./runbook feed_start",
    "prometheus": "./runbook feed_start",
    "grafana": "./runbook observability_start",
    "alertmanager": "./runbook alerting_start",
    "am_init": "./runbook alerting_start",
}

STARTED_WITHIN: Final = timedelta(minutes=10)
"""How long after its start was recorded a container may have begun, and be explained by it."""
CERTIFICATE_ENDS_SOON: Final = timedelta(days=14)
ERRORS_AT_LEAST: Final = 20
ERRORS_TIMES: Final = 3
"""New errors of the last hour are a spike where there are so many, and so many times more often than before."""
CONNECTION_SECONDS: Final = 30
"""A host's clock that is ahead by less cannot be told from a task that took long to get there."""
RAN: Final = frozenset({"deployed", "rolled_back", "found"})
"""Results after which the estate ran a release."""


def judge_hosts(seen: Seen) -> Iterator[Finding]:
    """Yield the points of section 2.1 that hosts tell of."""
    for host, status in seen.hosts.items():
        if "containers" not in status:
            text = f"did not answer ({explain_missing(status)})"
            yield Finding("2.1", f"{host}: host", "unknown", text, "./runbook oncall_access")
            continue
        for sentence in status["trouble"]:
            yield Finding("2.1", f"{host}: what could be read", "unknown", sentence, f"./runbook status --limit {host}")
        yield from _beyond(host, status)
        yield from _containers(seen, host, status)
        yield from _machine(seen, host, status)
        yield from _certificates(seen, host, status)
        yield from _log_errors(seen, host, status)


def _beyond(host: str, status: Mapping[str, Any]) -> Iterator[Finding]:
    """Tell of what looks like a bot and no rule matches: a stop would not end it."""
    for each in status.get("unexpected", []):
        text = f"{each['why']}, and no rule takes it for a bot ({each['state']}, image {each['image']})"
        yield Finding("2.1", f"{host}: unexpected bot {each['name']}", "fail", text, "./runbook host_setup --check")
    for text in status.get("exempted", []):
        yield Finding("2.1", f"{host}: no bot, says the estate: {text}", "pass", "trading_core_other_services")


def _containers(seen: Seen, host: str, status: Mapping[str, Any]) -> Iterator[Finding]:
    ours: dict[str, list[Mapping[str, Any]]] = {}
    for container in status["containers"]:
        if container["project"]:
            ours.setdefault(f"{container['project']}/{container['service']}", []).append(container)
    always = [_of_the_feed(name, seen.feed_project, ours) for name in ("live_connector", "prometheus")]
    expected = [*(always if host in seen.feed_hosts else []), *status["desired"]]
    images = _deployed(seen)
    for key in dict.fromkeys([*expected, *ours]):
        wanted = status["desired"].get(key)
        mine = ours.get(key, [])
        outcome, text = _judge_service(wanted, mine, key in expected)
        service = key.rpartition("/")[2]
        fix = "" if outcome == "pass" else _STARTS.get(service, f"docker ps -a; docker logs {service} (on {host})")
        yield Finding("2.1", f"{host}: {key}", outcome, text, fix)
        for container in mine:
            if text := _restarted(seen, container, wanted, status["audit"]):
                name = f"{host}: restart of {container['name']}"
                is_known = text.startswith("restarted by")
                command = "" if is_known else f"docker logs --since 1h {container['name']} (on {host})"
                yield Finding("2.1", name, "pass" if is_known else "fail", text, command)
            deployed = images.get(key, "")
            digests = {reference.partition("@")[2] for reference in container["digests"]} | {container["image_id"]}
            if container["state"] == "running" and deployed and deployed.partition("@")[2] not in digests:
                text = f"runs {container['image']}, deployed was {deployed}"
                yield Finding("2.1", f"{host}: image of {container['name']}", "fail", text, "./runbook releases")


def _of_the_feed(service: str, project: str, ours: Mapping[str, Any]) -> str:
    """Return where a service of the feed is looked for: the owner's own command may have made the project's name."""
    by_folder = f"{FOLDER_PROJECT}/{service}"
    return by_folder if by_folder in ours and f"{project}/{service}" not in ours else f"{project}/{service}"


def _judge_service(
    wanted: Mapping[str, Any] | None, mine: Sequence[Mapping[str, Any]], is_expected: bool
) -> tuple[str, str]:
    """Return outcome and words of one service: as it is meant to be, and as it is."""
    states = [_state(container) for container in mine]
    running = [container for container in mine if container["state"] in {"running", "restarting", "paused"}]
    on_record = f"{wanted['by']} since {wanted['since']}: {wanted['why']}" if wanted else "nobody has recorded a start"
    if wanted and wanted["state"] == "stopped":
        if running:
            return "fail", f"runs, and was stopped on purpose by {on_record}"
        return "pass", f"stopped on purpose by {on_record}"
    if wanted and wanted["state"] == "completed":
        is_done = bool(mine) and all(each["state"] == "exited" and each["exit_code"] == 0 for each in mine)
        return ("pass", "ran to its end") if is_done else ("fail", f"did not run to its end: {_listed(states)}")
    if not is_expected:
        bad = [state for state in states if state not in {"running", "running, healthy", "exited (0)", "created"}]
        return ("fail", _listed(bad)) if bad else ("pass", f"{_listed(states)}; {on_record}")
    bad = [state for state in states if state not in {"running", "running, healthy"}]
    if bad or not mine:
        return "fail", f"{_listed(states) or 'no container'}; started by {on_record}" if wanted else _listed(
            states
        ) or "no container"
    return "pass", f"{_listed(states)}; {'started by ' if wanted else ''}{on_record}"


def _state(container: Mapping[str, Any]) -> str:
    state = str(container["state"])
    if state == "exited":
        return f"exited ({container['exit_code']})"
    return f"{state}, {container['health']}" if container["health"] else state


def _restarted(
    seen: Seen, container: Mapping[str, Any], wanted: Mapping[str, Any] | None, audit: Sequence[Mapping[str, Any]]
) -> str:
    """Return in words that a container was restarted since the last shift, and by whom; empty where it was not."""
    try:
        started = parse_utc(container["started_at"])
        if container["state"] not in {"running", "restarting"} or started < parse_utc(seen.since):
            return ""
    except ValueError:
        return ""
    at = format_utc(started)
    # An engine counts its own restarts from the last start that somebody asked for (moby, ResetRestartManager).
    if container["restarts"]:
        return f"restarted at {at} by the engine itself, {container['restarts']} times since somebody started it"
    if wanted and _is_begun_by(wanted, started):
        return f"restarted by {wanted['by']} at {at}: {wanted['why']}"
    for taken in audit:
        if taken["event"] == "lease taken" and taken["time"] <= at <= _freed(taken, audit):
            return f"restarted by {taken['by']} at {at}: {taken.get('purpose', '')}"
    return f"restarted at {at}, and nobody says why"


def _is_begun_by(wanted: Mapping[str, Any], started: datetime) -> bool:
    try:
        return abs(started - parse_utc(wanted["since"])) <= STARTED_WITHIN
    except ValueError:
        return False


def _freed(taken: Mapping[str, Any], audit: Sequence[Mapping[str, Any]]) -> str:
    freed = [
        str(entry["time"])
        for entry in audit
        if entry["event"] == "lease freed" and entry.get("holder") == taken.get("holder")
    ]
    later = [moment for moment in freed if moment >= taken["time"]]
    return later[0] if later else str(taken.get("expires", taken["time"]))


def _machine(seen: Seen, host: str, status: Mapping[str, Any]) -> Iterator[Finding]:
    limits = seen.limits
    machine = status["machine"]
    if machine:
        used = 100 - _percent(machine["memory_available_bytes"], machine["memory_bytes"])
        is_good = used < limits.memory_limit_percent
        text = f"{used:.0f} % of {machine['memory_bytes'] / 1e9:.1f} GB in use"
        fix = "" if is_good else f"ps aux --sort=-rss | head (on {host})"
        yield Finding("2.1", f"{host}: memory", "pass" if is_good else "fail", text, fix)
        load = " ".join(f"{value:.1f}" for value in machine["load"])
        text = f"{load} on {machine['processors']} processors, up {timedelta(seconds=round(machine['uptime_seconds']))}"
        yield Finding("2.1", f"{host}: load", "pass", text)
    if not status["filesystems"]:
        yield Finding("2.1", f"{host}: file systems", "unknown", "none was seen", f"df -h (on {host})")
    for disk in status["filesystems"]:
        name = f"{host}: disk {disk['mount']}" + (" (engine)" if disk["holds_engine"] else "")
        free = _percent(disk["free_bytes"], disk["size_bytes"])
        inodes = _percent(disk["inodes_free"], disk["inodes"]) if disk["inodes"] else 100.0
        is_good = min(free, inodes) >= limits.disk_free_limit_percent
        text = f"{100 - free:.0f} % of {disk['size_bytes'] / 1e9:.1f} GB in use, {100 - inodes:.0f} % of its inodes"
        fill = f"du -xh --max-depth=2 {disk['mount']} | sort -h | tail (on {host})"
        yield Finding("2.1", name, "pass" if is_good else "fail", text, "" if is_good else fill)
    yield _clock(limits, host, status)


def _clock(limits: Limits, host: str, status: Mapping[str, Any]) -> Finding:
    if status["controller_epoch"] is None:
        return Finding("2.1", f"{host}: clock", "unknown", "the controller's clock was not told")
    ahead = status["host_epoch"] - status["controller_epoch"]
    is_good = -limits.clock_offset_seconds <= ahead <= limits.clock_offset_seconds + CONNECTION_SECONDS
    text = f"{ahead:+.1f} s against this machine, the way there included"
    fix = "" if is_good else f"timedatectl set-ntp true (on {host} and here)"
    return Finding("2.1", f"{host}: clock", "pass" if is_good else "fail", text, fix)


def _certificates(seen: Seen, host: str, status: Mapping[str, Any]) -> Iterator[Finding]:
    for each in status["certificates"]:
        name = f"{host}: certificate {each['path']}"
        if each["trouble"]:
            yield Finding(
                "2.1", name, "unknown", each["trouble"], f"openssl x509 -noout -text -in {each['path']} (on {host})"
            )
            continue
        left = parse_utc(each["expires_at"]) - seen.now
        text = f"{'EXPIRED' if left <= timedelta(0) else 'good until'} {each['expires_at']}"
        is_good = left > CERTIFICATE_ENDS_SOON
        yield Finding("2.1", name, "pass" if is_good else "fail", text, "" if is_good else "renew it")


def _log_errors(seen: Seen, host: str, status: Mapping[str, Any]) -> Iterator[Finding]:
    since = status["errors_since"]
    hours = max((seen.now - parse_utc(since)).total_seconds() / 3600, 1 / 60)
    for each in status["errors"]:
        name, recent, before = f"{host}: errors of {each['name']}", each["recent"], each["before_per_hour"]
        command = f"docker logs --since {since} {each['name']} (on {host})"
        if recent is None:
            yield Finding("2.1", name, "unknown", f"its log could not be read: {each['trouble']}", command)
            continue
        is_spike = recent >= ERRORS_AT_LEAST and recent / hours > ERRORS_TIMES * (before or 0)
        usual = "no time before it to compare with" if before is None else f"before it {before:g} an hour"
        text = f"{recent} since {since}, {usual}"
        yield Finding("2.1", name, "fail" if is_spike else "pass", text, command if is_spike else "")


def judge_metric_errors(seen: Seen) -> Iterator[Finding]:
    """Tell of new errors that metrics count: beyond the check's limit, and more than in the hours before.

    The check itself only looks at now. A curve that is not there is a check that is unknown, which is told with it.
    """
    begin = max(seen.now - timedelta(hours=1), parse_utc(seen.since)).timestamp()
    for entry in seen.curves.get("checks", []):
        if entry.get("id") not in SPIKES:
            continue
        for each in entry["series"]:
            points = [(at, value) for at, value in each["points"] if value is not None]
            recent = [value for at, value in points if at >= begin]
            before = [value for at, value in points if at < begin]
            if not recent:
                continue
            usual = sum(before) / len(before) if before else 0.0
            highest = max(recent)
            is_spike = highest >= entry["threshold"] and sum(recent) > ERRORS_TIMES * usual * len(recent)
            text = f"at most {highest:g} {entry['unit']} at once in the last hour, {usual:.3g} on average before it"
            name = f"errors by {entry['id']} {series_words(tuple(each['labels'].items()))}".strip()
            command = "runbooks/LiveFeed_Runbook.md 6" if is_spike else ""
            yield Finding("2.1", name, "fail" if is_spike else "pass", text, command)


def _deployed(seen: Seen) -> Mapping[str, str]:
    """Return the image of each service, by `project/service`, as the release has it that ran last."""
    good = [each for each in seen.shift.get("releases", []) if each.get("result") in RAN]
    images = good[-1].get("images") if good else {}
    return {str(name): str(image) for name, image in images.items()} if isinstance(images, Mapping) else {}


def _percent(part: float, whole: float) -> float:
    return 100 * part / whole if whole else 0.0


def _listed(parts: Iterable[str]) -> str:
    return ", ".join(parts)
