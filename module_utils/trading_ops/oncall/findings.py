"""What a shift begins with, judged: each point of the on-call page is good, bad, or not known.

Starts from what is expected (every host of the estate, every recorded service, every check) and looks for it in what
was seen. What is not there is unknown, which is never good.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from ..alerts.alertmanager import Matcher, Silence
from ..alerts.info import describe_labels
from ..checks.evaluate import series_words
from ..checks.rules import WATCHDOG, alert_name
from ..core.clock import format_utc, parse_utc
from .plots import SPIKES

SECTIONS: Final = {
    "2.1": "System status (Systemstatus)",
    "2.2": "LiveFeed",
    "2.3": "Trading bots (Trading-bots)",
    "2.4": "ML drift (ML-drift)",
    "2.5": "Alertmanager",
    "2.8": "Halt, incidents, deploys and backups",
}
"""Number and heading of each, as on the page."""

_SECTION_OF_GROUP: Final = {
    "feed": "2.2",
    "data_quality": "2.2",
    "bots": "2.3",
    "strategy": "2.3",
    "paper_kpi": "2.3",
    "drift": "2.4",
    "hosts": "2.1",
    "monitoring": "2.5",
    "backup": "2.8",
}
_STARTS: Final = {
    "live_connector": "./runbook feed_start",
    "prometheus": "./runbook feed_start",
    "grafana": "./runbook observability_start",
    "alertmanager": "./runbook alerting_start",
    "am_init": "./runbook alerting_start",
}

STARTED_WITHIN: Final = timedelta(minutes=10)
"""How long after its start was recorded a container may have begun, and be explained by it."""
SILENCE_ENDS_SOON: Final = timedelta(hours=2)
CERTIFICATE_ENDS_SOON: Final = timedelta(days=14)
ERRORS_AT_LEAST: Final = 20
ERRORS_TIMES: Final = 3
"""New errors of the last hour are a spike where there are so many, and so many times more often than before."""
CONNECTION_SECONDS: Final = 30
"""A host's clock that is ahead by less cannot be told from a task that took long to get there."""

STOPS: Final = frozenset({"stop_bots", "stop_live"})
RAN: Final = frozenset({"deployed", "rolled_back", "found"})
"""Results after which the estate ran a release."""
_ORDER: Final = ("fail", "unknown", "pass")


@dataclass(frozen=True)
class Finding:
    """One point. `outcome` is pass, fail or unknown; `fix` is the command or setting that helps, empty where none."""

    section: str
    subject: str
    outcome: str
    text: str
    fix: str = ""


@dataclass(frozen=True)
class Limits:
    """What is still good."""

    memory_limit_percent: float
    disk_free_limit_percent: float
    clock_offset_seconds: float


@dataclass(frozen=True)
class Seen:
    """All that was looked at, as the modules returned it; {} for one that gave no result.

    hosts: every host of the estate; `unreachable` and `msg` are Ansible's words for one that did not answer.
    feed_hosts, feed_project: where services are expected that nobody may have recorded.
    checks, alerts: of each feed host. curves: of the last day. alert_path: whether alerts that act would be carried
    out; None where the estate was not asked. since: when the last shift began, ISO 8601 UTC.
    """

    now: datetime
    since: str
    hosts: Mapping[str, Mapping[str, Any]]
    feed_hosts: Sequence[str]
    feed_project: str
    checks: Mapping[str, Mapping[str, Any]]
    alerts: Mapping[str, Mapping[str, Any]]
    curves: Mapping[str, Any]
    incidents: Mapping[str, Any]
    shift: Mapping[str, Any]
    limits: Limits
    alert_path: Mapping[str, Any] | None = None


def judge(seen: Seen) -> list[Finding]:
    """Return every point, by section, the bad ones first."""
    found = [*_hosts(seen), *_metric_errors(seen), *_checks(seen), *_alerts(seen), *_safety(seen)]
    places = list(SECTIONS)
    return sorted(found, key=lambda each: (places.index(each.section), _ORDER.index(each.outcome)))


def outcome_of(findings: Iterable[Finding]) -> str:
    """Return the outcome of a report: one bad point is a failure, one unknown is unknown, none at all is unknown."""
    outcomes = {finding.outcome for finding in findings}
    return "failed" if "fail" in outcomes else "proven" if outcomes == {"pass"} else "unknown"


def compare(before: Iterable[Mapping[str, Any]], findings: Iterable[Finding]) -> list[tuple[str, str, str, str]]:
    """Return section, subject, outcome before (`new` where the point was not there) and now, of what changed."""
    known = {(str(each.get("section")), str(each.get("subject"))): str(each.get("outcome")) for each in before}
    changed = []
    for each in findings:
        was = known.pop((each.section, each.subject), "new")
        if was != each.outcome and (was, each.outcome) != ("new", "pass"):
            changed.append((each.section, each.subject, was, each.outcome))
    gone = [(section, subject, was, "gone") for (section, subject), was in known.items() if was != "pass"]
    return changed + gone


def who_has(alert: Mapping[str, Any], takes: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return who took the alert, and what comes next; empty for nobody. One that went and came back is nobody's."""
    own = [
        take
        for take in takes
        if take.get("fingerprint") == alert["fingerprint"]
        and (take.get("starts_at") == alert["starts_at"] or str(take.get("at")) >= alert["starts_at"])
    ]
    return own[-1] if own else {}


def halted_off_record(
    hosts: Mapping[str, Mapping[str, Any]], incidents: Mapping[str, Any]
) -> Iterator[tuple[str, str, str]]:
    """Return id, what is missing, and the command that brings it home, of each incident that only a halt tells of.

    Anyone who stopped has its record in the checkout until an incident procedure brings it home.
    """
    known = {each["id"] for each in incidents["incidents"]}
    for host, status in hosts.items():
        for name in (status.get("latch") or {}).get("incident_ids", []):
            if name not in known:
                known.add(name)
                say = f"./runbook incident_info -e incident_id={name}"
                yield name, f"a record on the control host, and {host} is halted for it", say


# ---- 2.1 ------------------------------------------------------------------------------------------------------------


def _hosts(seen: Seen) -> Iterator[Finding]:
    for host, status in seen.hosts.items():
        if "containers" not in status:
            text = f"did not answer ({_why(status)})"
            yield Finding("2.1", f"{host}: host", "unknown", text, "./runbook oncall_access")
            continue
        for sentence in status["trouble"]:
            yield Finding("2.1", f"{host}: what could be read", "unknown", sentence, f"./runbook status --limit {host}")
        yield from _containers(seen, host, status)
        yield from _machine(seen, host, status)
        yield from _certificates(seen, host, status)
        yield from _log_errors(seen, host, status)


def _containers(seen: Seen, host: str, status: Mapping[str, Any]) -> Iterator[Finding]:
    ours: dict[str, list[Mapping[str, Any]]] = {}
    for container in status["containers"]:
        if container["project"]:
            ours.setdefault(f"{container['project']}/{container['service']}", []).append(container)
    always = [f"{seen.feed_project}/{name}" for name in ("live_connector", "prometheus")]
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


def _metric_errors(seen: Seen) -> Iterator[Finding]:
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


# ---- 2.2 to 2.4 -----------------------------------------------------------------------------------------------------


def _checks(seen: Seen) -> Iterator[Finding]:
    for host, result in seen.checks.items():
        checks = result.get("checks") or []
        if not checks:
            why = _why(result)
            for section in dict.fromkeys(_SECTION_OF_GROUP.values()):
                yield Finding(section, f"checks on {host}", "unknown", f"not evaluated: {why}", "./runbook checks")
        for check in checks:
            bad = check["outcome"] != "pass"
            value = "no value" if check["value"] is None else f"{check['value']:.6g}"
            text = f"{value}, must be {check['condition']} {check['threshold']:.6g} {check['unit']}"
            page, _, number = check["section"].partition(" ")
            yield Finding(
                _SECTION_OF_GROUP.get(check["group"], "2.1"),
                f"{check['title']} ({check['id']})",
                check["outcome"] if check["outcome"] in _ORDER else "unknown",
                check["reason"] if bad and check["reason"] else text,
                f"runbooks/{page}.md {number}" if bad else "",
            )


# ---- 2.5 ------------------------------------------------------------------------------------------------------------


def _alerts(seen: Seen) -> Iterator[Finding]:
    # An estate without the receiver was never promised that an alert stops anything.
    if seen.alert_path is not None and seen.alert_path.get("is_set_up") is not False:
        is_good = seen.alert_path.get("outcome") == "proven"
        outcome = "pass" if is_good else "fail" if "is_set_up" in seen.alert_path else "unknown"
        fix = "" if is_good else str(seen.alert_path.get("next_command") or "./runbook oncall_access")
        yield Finding("2.5", "alerts that stop trading", outcome, _why(seen.alert_path), fix)
    for host, result in seen.alerts.items():
        if result.get("outcome") != "proven":
            yield Finding("2.5", f"Alertmanager on {host}", "unknown", _why(result), "./runbook alerting_start")
            continue
        yield Finding("2.5", f"Alertmanager on {host}", "pass", f"{result['version']}: {result['summary']}")
        if not any(alert["labels"].get("alertname") == WATCHDOG for alert in result["alerts"]):
            text = "the alert that always fires does not arrive: no other would"
            yield Finding("2.5", f"path of alerts on {host}", "fail", text, "./runbook monitoring_setup")
        takes = seen.shift.get("takes")
        for alert in result["alerts"]:
            if alert["labels"].get("alertname") != WATCHDOG:
                yield _alert(alert, takes)
        for silence in result["silences"]:
            yield from _silence(seen, silence)


def _alert(alert: Mapping[str, Any], takes: Sequence[Mapping[str, Any]] | None) -> Finding:
    labels = alert["labels"]
    severity = labels.get("severity", "no severity")
    subject = f"alert {labels.get('alertname', '')} {describe_labels(labels)}".strip()
    text = f"{severity}, since {alert['starts_at']}: {alert['annotations'].get('summary', '')}"
    text += ", silenced" if alert["silenced_by"] else ""
    take = f'./runbook alert_take -e alert={alert["fingerprint"][:8]} -e next_step="what you do about it"'
    if takes is None:
        return Finding("2.5", subject, "unknown", f"{text}; nobody knows whether somebody is on it", take)
    if own := who_has(alert, takes):
        return Finding(
            "2.5", subject, "pass", f"{text}; {own.get('by')} is on it since {own.get('at')}: {own.get('next')}"
        )
    is_critical = severity not in {"warning", "none"}
    return Finding("2.5", subject, "fail" if is_critical else "pass", f"{text}; nobody is on it", take)


def _silence(seen: Seen, found: Mapping[str, Any]) -> Iterator[Finding]:
    silence = parse_silence(found)
    subject = f"silence {silence.describe()}"
    summary = f"until {silence.ends_at} by {silence.created_by}: {silence.comment}"
    left = parse_utc(silence.ends_at) - seen.now
    stops = stops_silenced(seen.alerts, seen.checks, silence)
    if stops:
        end = f"./runbook silence_end -e id={silence.id}"
        text = f"{summary}; it silences what stops trading: {_listed(stops)}"
        yield Finding("2.5", subject, "fail", text, end)
    elif left <= SILENCE_ENDS_SOON:
        fix = "fix its cause, or type the same ./runbook silence again, with its minutes from now on"
        yield Finding(
            "2.5", subject, "fail", f"{summary}; it ends in {max(0, round(left.total_seconds() / 60))} min", fix
        )
    else:
        yield Finding("2.5", subject, "pass", summary)


def parse_silence(found: Mapping[str, Any]) -> Silence:
    """Return a silence from its plain values."""
    return Silence(**{**found, "matchers": tuple(Matcher(**each) for each in found["matchers"])})


def stops_silenced(
    alerts: Mapping[str, Mapping[str, Any]], checks: Mapping[str, Mapping[str, Any]], silence: Silence
) -> list[str]:
    """Return the alerts that stop bots and that this silence keeps quiet now, or would."""
    firing = [alert["labels"] for result in alerts.values() for alert in result.get("alerts", [])]
    possible = [
        {
            "alertname": alert_name(check["id"]),
            **{name: check[name] for name in ("severity", "action", "group", "section")},
            "check": check["id"],
            **series["labels"],
        }
        for result in checks.values()
        for check in result.get("checks", [])
        for series in check["series"] or [{"labels": {}}]
    ]
    covered = (
        labels.get("alertname", "")
        for labels in [*firing, *possible]
        if labels.get("action") in STOPS and silence.covers(labels)
    )
    return sorted(set(covered))


# ---- 2.8 ------------------------------------------------------------------------------------------------------------


def _safety(seen: Seen) -> Iterator[Finding]:
    for host, status in seen.hosts.items():
        if latch := status.get("latch"):
            ids = ", ".join(latch["incident_ids"]) or "no incident"
            text = f"engaged ({latch['scope']}) since {latch['since']} by {latch['by']}: {latch['reason']} [{ids}]"
            yield Finding("2.8", f"{host}: halt", "fail", text, "runbooks/Incident_Handling.md 4.7")
        elif "latch" in status:
            yield Finding("2.8", f"{host}: halt", "pass", "released")
        if gate := status.get("gate"):
            # No fault: a bot that runs needs none, and who starts one is told what to do.
            ends = gate["expires_at"]
            is_over = ends <= format_utc(seen.now)
            until = f"ran out at {ends}, the next start needs another" if is_over else f"until {ends}"
            yield Finding("2.8", f"{host}: feed gate", "pass", f"passed at {gate['passed_at']}, {until}")
    yield from _incidents(seen)
    if "entries" not in seen.shift:
        why = seen.shift.get("msg") or "no result"
        yield Finding(
            "2.8", "record of shifts", "unknown", f"the control host did not say: {why}", "./runbook oncall_access"
        )
    for sentence in seen.shift.get("trouble", []):
        yield Finding("2.8", "record of shifts", "unknown", sentence)
    if "pause" in seen.shift:
        # A pause is somebody's decision, and no fault: what it waits for is in the checks.
        yield Finding("2.8", "deploys", "pass", seen.shift["pause"] or "not paused")


def _incidents(seen: Seen) -> Iterator[Finding]:
    if "incidents" not in seen.incidents:
        text = f"the control host did not say: {_why(seen.incidents)}"
        yield Finding("2.8", "incidents", "unknown", text, "./runbook incident_info")
        return
    if seen.incidents["outcome"] != "proven":
        yield Finding("2.8", "incidents", "unknown", seen.incidents["summary"], seen.incidents["next_command"])
    opened = [each for each in seen.incidents["incidents"] if each["state"] == "open"]
    for each in opened:
        owner = str(each["record"].get("owner", "")) or "nobody"
        text = f"open since {each['opened_at']}, {each['phase']}, {owner} is on it: {each['reason']}"
        yield Finding("2.8", each["id"], "fail", text, "runbooks/Incident_Handling.md 5")
    off_record = list(halted_off_record(seen.hosts, seen.incidents))
    for name, missing, say in off_record:
        yield Finding("2.8", name, "fail", f"has not {missing}", say)
    if not opened and not off_record:
        yield Finding("2.8", "incidents", "pass", "none is open")


def _why(result: Mapping[str, Any]) -> str:
    """Return why there is no result, without Ansible's own words before the connection's."""
    text = str(result.get("summary") or result.get("msg") or "no result")
    return text.removeprefix("Task failed: ").removeprefix("Failed to connect to the host via ssh: ")


def _percent(part: float, whole: float) -> float:
    return 100 * part / whole if whole else 0.0


def _listed(parts: Iterable[str]) -> str:
    return ", ".join(parts)
