"""What an alert may do on the control host: what the catalogue says of its name, and nothing else.

A request is what Alertmanager sent the alert receiver at once. It chooses no host, no play and no variable: of all its
text only the names of alerts are looked up, and a name that the catalogue does not know does nothing. All that an
alert can bring about reduces risk.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ..checks.catalogue import Check
from ..checks.rules import WATCHDOG, alert_name
from ..core.ids import build_incident_id
from ..core.outcome import EXIT_CODES
from ..core.strict_json import parse_json
from ..incident.timeline import Entry

BY: Final = "alertmanager"
SHOWN_CHARACTERS: Final = 200
SHOWN_LABELS: Final = 20
MOST_TRIES: Final = 3
"""How often a stop that is not proven is tried at once; after that Alertmanager says the alert again."""

CONFIRMATIONS: Final = 3
"""Evaluations in a row, a scrape apart, that an alert needs before it stops anything by itself."""

AGAIN_SECONDS: Final = 3600
"""After so long something that is still wrong is told once more."""

STOP_SCOPES: Final = {"stop_bots": "all", "stop_live": "live"}
"""What stops, by action. The first includes the second."""

ORDERS_OPEN: Final = EXIT_CODES["orders_open"]
PROVEN_STOPS: Final = frozenset({EXIT_CODES["proven"], ORDERS_OPEN})
"""Exit codes of a stop that is proven. Open orders are for people: no further stop closes them."""

_MOMENT: Final = re.compile("[0-9]{1,20}")
_REACH: Final = ("pause_deploys", "stop_live", "stop_bots")


class RequestError(Exception):
    """A file in the spool is no request. The text is a sentence."""


@dataclass(frozen=True)
class Alert:
    """One alert of a request. `name` and `status` count, the rest is text to be shown."""

    name: str
    status: str
    starts_at: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    summary: str = ""


@dataclass(frozen=True)
class AlertRequest:
    """What alerts ask for at once. `file` is the name in the spool, which says when it came."""

    file: str
    received_at: float
    alerts: tuple[Alert, ...]


@dataclass(frozen=True)
class Act:
    """One thing to do because of alerts, each named once."""

    action: str
    alerts: tuple[Alert, ...]

    @property
    def reason(self) -> str:
        """The names, which are the catalogue's own words."""
        return f"alert {', '.join(alert.name for alert in self.alerts)}"


@dataclass(frozen=True)
class Plan:
    """What a set of requests asks for. `heartbeat_at` is when the last heartbeat came, 0 for none among them."""

    acts: tuple[Act, ...]
    heartbeat_at: float
    records: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Drive:
    """The stop that alerts have driven last.

    is_opened: the whole incident has run to its end once, for this scope; from then on only its stop is driven again.
    tries: runs since one was last proven. driven_at: when the last one began, seconds since 1970. orders_told_at: when
    people were last told that it left orders open, so that an alert that is said again does not tell them each time.
    """

    incident_id: str
    scope: str
    is_opened: bool = False
    tries: int = 0
    driven_at: float = 0.0
    orders_told_at: float = 0.0


def actions_of(checks: Iterable[Check], scrape_interval_seconds: float) -> dict[str, str]:
    """Return the action of each alert of the catalogue by its name.

    Raises ValueError where one would act without its confirmation: a single bad sample stops nothing.
    """
    least = (CONFIRMATIONS - 1) * scrape_interval_seconds
    found = {}
    for check in checks:
        if check.action != "none" and check.for_seconds < least:
            raise ValueError(
                f"{check.id}: an alert with the action {check.action} has to hold for {least:g} s, "
                f"{CONFIRMATIONS} evaluations in a row, not for {check.for_seconds} s."
            )
        found[alert_name(check.id)] = check.action
    return found


def parse_request(file: str, body: bytes) -> AlertRequest:
    """Return the request that lies in the spool under the name `<nanoseconds>-<random>.json`. Raises RequestError."""
    moment = file.partition("-")[0]
    if not _MOMENT.fullmatch(moment):
        raise RequestError(f"{file!r} is no name of a request.")
    try:
        alerts = tuple(_parse_alert(item) for item in parse_json(body.decode("utf-8"))["alerts"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RequestError(f"{file!r} is no request: {type(error).__name__}.") from error
    return AlertRequest(file, int(moment) / 1e9, alerts)


def plan(requests: Sequence[AlertRequest], actions: Mapping[str, str]) -> Plan:
    """Return what the requests ask for together: one stop at most, the widest, and before anything else."""
    wanted: dict[str, dict[str, Alert]] = {}
    records: dict[tuple[str, str, str, str], dict[str, Any]] = {}
    heartbeat_at = 0.0
    for request in requests:
        for alert in request.alerts:
            action, what = _judge(alert, actions)
            if what == "heartbeat":
                heartbeat_at = max(heartbeat_at, request.received_at)
                continue
            if action:
                wanted.setdefault(action, {}).setdefault(alert.name, alert)
            key = (alert.name, alert.status, alert.starts_at, repr(sorted(alert.labels.items())))
            record = records.setdefault(key, {"received_at": request.received_at, "count": 0, **_shown(alert, what)})
            record["count"] += 1
    stops = {name: alert for action in STOP_SCOPES for name, alert in wanted.get(action, {}).items()}
    acts = []
    if stops:
        acts.append(Act("stop_bots" if "stop_bots" in wanted else "stop_live", tuple(stops.values())))
    if "pause_deploys" in wanted:
        acts.append(Act("pause_deploys", tuple(wanted["pause_deploys"].values())))
    return Plan(tuple(acts), heartbeat_at, tuple(records.values()))


def is_wider(plan_now: Plan, act: Act) -> bool:
    """Return whether what came meanwhile stops more than `act` does, so that it must not wait for that one's end."""
    return any(_REACH.index(each.action) > _REACH.index(act.action) for each in plan_now.acts)


def drive(before: Drive | None, act: Act, is_over: bool, now: str) -> Drive:
    """Return the stop that `act` drives: the one before as long as that lasts, else one with an incident of its own.

    is_over: the incident of `before` was closed, or its halt released.
    """
    scope = STOP_SCOPES[act.action]
    if before is None or is_over:
        return Drive(build_incident_id("", act.reason, now), scope)
    if scope == "all" and before.scope != "all":
        return Drive(before.incident_id, "all")
    return before


def stop_arguments(stop: Drive, act: Act) -> list[str]:
    """Return the `./runbook` command that carries the stop out: the whole incident once, after that its stop alone."""
    procedure = "failsafe_stop" if stop.is_opened else "incident"
    variables = {"scope": stop.scope, "incident_id": stop.incident_id, "reason": act.reason}
    return [procedure, *(word for name, value in variables.items() for word in ("-e", f"{name}={value}"))]


def pause_arguments(act: Act) -> list[str]:
    """Return the `./runbook` command that pauses deploys."""
    return ["deploy_pause", "-e", f"reason={act.reason}", "-e", f"source=alert:{act.alerts[0].name}"]


def is_over(state: str, entries: Iterable[Entry]) -> bool:
    """Return whether an incident's halt has ended: it was closed, or somebody released it.

    What of it is not yet on record is not over.
    """
    return state == "closed" or any(
        entry.procedure == "halt_release" and entry.kind == "step" and entry.outcome == "proven" for entry in entries
    )


def detection_of(stop: Drive, act: Act, now: str, origin: str) -> Entry:
    """Return the entry of the incident's timeline that says which alerts it was noticed by."""
    summaries = "; ".join(alert.summary or alert.name for alert in act.alerts)
    return Entry(
        id=f"{stop.incident_id}-{stop.scope}-detection",
        at=now,
        recorded_at=now,
        kind="detection",
        step="",
        procedure="incident",
        outcome="",
        text=f"Noticed by {act.reason}: {summaries}"[:2000],
        by=BY,
        origin=origin,
        facts={
            "record": {"reason": act.reason},
            "alerts": [_shown(alert, act.action) for alert in act.alerts],
        },
    )


def silence_of_path(heartbeat_at: float, since: float, now: float, limit_seconds: float) -> str:
    """Return the sentence that no heartbeat comes any more, empty while one is young enough.

    heartbeat_at: when the last one came, 0 for never. since: from when on one could have come, as the host was up and
    the receiver there.
    """
    if heartbeat_at > now + limit_seconds:
        return "The last heartbeat of the alerts is from the future: this host's clock was set back."
    if now - max(heartbeat_at, since) <= limit_seconds:
        return ""
    seen = f"the last came {now - heartbeat_at:.0f} s ago" if heartbeat_at else "none ever came"
    return (
        f"No heartbeat of the alerts: {seen}, and one is due every minute. "
        "No alert would stop a bot now. Look at Prometheus, Alertmanager and the alert receiver."
    )


def due(wrong: Mapping[str, str], notified: Mapping[str, float], now: float) -> list[str]:
    """Return the keys of what is wrong and was not told yet, or so long ago that it is told again."""
    return [key for key in wrong if not 0 <= now - notified.get(key, -AGAIN_SECONDS) < AGAIN_SECONDS]


def _judge(alert: Alert, actions: Mapping[str, str]) -> tuple[str, str]:
    """Return the action of an alert, empty for none, and what is recorded of it."""
    if alert.status != "firing":
        return "", "recorded: resolved" if alert.status == "resolved" else "recorded: its status is unknown"
    if alert.name == WATCHDOG:
        return "", "heartbeat"
    if alert.name not in actions:
        return "", "recorded: no alert of the catalogue"
    action = actions[alert.name]
    return ("", "recorded: asks for nothing") if action == "none" else (action, action)


def _parse_alert(item: Any) -> Alert:
    labels, annotations = item["labels"], item.get("annotations") or {}
    name = labels["alertname"]
    if not isinstance(name, str):
        raise ValueError("its name is no text")
    shown = {_line(key): _line(value) for key, value in list(labels.items())[:SHOWN_LABELS] if key != "alertname"}
    return Alert(
        _line(name),
        _line(item["status"]),
        _line(item.get("startsAt", "")),
        shown,
        _line(annotations.get("summary", "")),
    )


def _line(value: object) -> str:
    """Return somebody else's text as one short line."""
    return "".join(char if char.isprintable() else " " for char in str(value))[:SHOWN_CHARACTERS]


def _shown(alert: Alert, what: str) -> dict[str, Any]:
    return {
        "name": alert.name,
        "status": alert.status,
        "starts_at": alert.starts_at,
        "labels": dict(alert.labels),
        "summary": alert.summary,
        "what": what,
    }
