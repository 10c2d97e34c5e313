"""Alertmanager's API v2, read strictly: which alerts fire, what is silenced by whom and until when.

https://github.com/prometheus/alertmanager/blob/v0.28.0/api/v2/openapi.yaml
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from ..core.clock import format_utc
from ..core.strict_json import parse_json
from ..host.http import ACCESS_ARGUMENTS, MAX_BYTES, Endpoint, Send, http_send

ALERTMANAGER_ARGUMENTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "alertmanager_url": {"type": "str", "default": "http://127.0.0.1:9093"},
    "timeout_seconds": {"type": "float", "default": 5},
    **ACCESS_ARGUMENTS,
}
"""Documented in playbooks/doc_fragments/alertmanager.py and http_access.py."""

ALERT_STATES: Final = frozenset({"active", "suppressed", "unprocessed"})
SILENCE_STATES: Final = frozenset({"active", "pending", "expired"})
FEWEST_CHARACTERS: Final = 6
"""Of a fingerprint or an id, to mean what begins so."""


class AlertmanagerError(Exception):
    """There is no answer that may be believed, or it did not do what was asked. The text is a sentence."""


@dataclass(frozen=True)
class Alert:
    """One alert that fires. `starts_at` is ISO 8601 UTC; `silenced_by` are ids of silences."""

    fingerprint: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: str
    state: str
    silenced_by: tuple[str, ...] = ()
    receivers: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of its rule."""
        return self.labels.get("alertname", "")


@dataclass(frozen=True)
class Matcher:
    """One condition of a silence on a label."""

    name: str
    value: str
    is_regex: bool = False
    is_equal: bool = True

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Return whether the condition holds, as Alertmanager reads it: a label that is missing is an empty one."""
        seen = labels.get(self.name, "")
        try:
            found = bool(re.fullmatch(self.value, seen)) if self.is_regex else seen == self.value
        except re.error:
            return True  # Go reads expressions that Python does not; what is silenced must not go unseen
        return found is self.is_equal

    def describe(self) -> str:
        """Return the matcher as amtool writes it."""
        sign = ("=~" if self.is_equal else "!~") if self.is_regex else ("=" if self.is_equal else "!=")
        return f'{self.name}{sign}"{self.value}"'


@dataclass(frozen=True)
class Silence:
    """One silence. Times are ISO 8601 UTC."""

    id: str
    matchers: tuple[Matcher, ...]
    created_by: str
    comment: str
    starts_at: str
    ends_at: str
    state: str

    def covers(self, labels: Mapping[str, str]) -> bool:
        """Return whether an alert with these labels is, or will be, silenced by it."""
        return self.state != "expired" and all(matcher.holds(labels) for matcher in self.matchers)

    def describe(self) -> str:
        """Return what is silenced, as amtool writes it."""
        return ", ".join(matcher.describe() for matcher in self.matchers)


@dataclass(frozen=True)
class Status:
    """What Alertmanager says of itself. `config` is the text of its configuration, secrets left out by itself."""

    version: str
    started_at: str
    config: str


class Alertmanager:
    """Alertmanager over `fetch` (method, path, body) -> (HTTP status, body). `url` is only shown."""

    def __init__(self, fetch: Send, url: str) -> None:
        self._fetch, self._url = fetch, url

    def alerts(self) -> tuple[Alert, ...]:
        """Return every alert that fires, also the silenced ones, by name and labels. Raises AlertmanagerError."""
        found = self._read("/api/v2/alerts", _parse_alert)
        return tuple(sorted(found, key=lambda alert: (alert.name, sorted(alert.labels.items()))))

    def silences(self) -> tuple[Silence, ...]:
        """Return the silences that are or will be active, the first to end first. Raises AlertmanagerError."""
        return tuple(each for each in self.known_silences() if each.state != "expired")

    def known_silences(self) -> tuple[Silence, ...]:
        """Return also those that have ended and are not forgotten yet, the first to end first. AlertmanagerError."""
        return tuple(sorted(self._read("/api/v2/silences", _parse_silence), key=lambda each: each.ends_at))

    def status(self) -> Status:
        """Return version, start and configuration. Raises AlertmanagerError."""
        answer = self._ask("GET", "/api/v2/status")
        try:
            return Status(
                _text(answer["versionInfo"], "version"), _moment(answer, "uptime"), _text(answer["config"], "original")
            )
        except (KeyError, TypeError, ValueError) as error:
            raise AlertmanagerError(f"{self._url}: its status cannot be understood: {error!r}.") from error

    def silence(
        self, matchers: Sequence[Matcher], starts_at: datetime, ends_at: datetime, created_by: str, comment: str
    ) -> str:
        """Return the id of a new silence. Raises AlertmanagerError."""
        asked = {
            "matchers": [
                {"name": each.name, "value": each.value, "isRegex": each.is_regex, "isEqual": each.is_equal}
                for each in matchers
            ],
            "startsAt": format_utc(starts_at),
            "endsAt": format_utc(ends_at),
            "createdBy": created_by,
            "comment": comment,
        }
        answer = self._ask("POST", "/api/v2/silences", json.dumps(asked).encode())
        try:
            return _text(answer, "silenceID")
        except (KeyError, TypeError, ValueError) as error:
            raise AlertmanagerError(f"{self._url} did not name the silence it made: {error!r}.") from error

    def expire(self, silence_id: str) -> None:
        """End a silence. Raises AlertmanagerError, also where there is no such silence."""
        self._ask("DELETE", f"/api/v2/silence/{quote(silence_id, safe='')}")

    def _read(self, path: str, parse: Any) -> list[Any]:
        answer = self._ask("GET", path)
        if not isinstance(answer, list):
            raise AlertmanagerError(f"{self._url}{path}: the answer is no list.")
        try:
            return [parse(item) for item in answer]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise AlertmanagerError(f"{self._url}{path}: an entry cannot be understood: {error!r}.") from error

    def _ask(self, method: str, path: str, body: bytes = b"") -> Any:
        try:
            status, answer = self._fetch(method, path, body)
        except Exception as error:  # whatever a network or a library comes up with is one thing: no answer
            raise AlertmanagerError(
                f"{self._url}: no answer: {error or type(error).__name__}".rstrip(".") + "."
            ) from error
        if status != 200:
            text = answer[:200].decode("utf-8", "replace")
            raise AlertmanagerError(f"{self._url}{path}: HTTP status {status}: {text.strip() or 'no words'}.")
        if len(answer) > MAX_BYTES:
            raise AlertmanagerError(f"{self._url}{path}: the answer is longer than {MAX_BYTES} bytes.")
        if method == "DELETE":
            return None  # it has no body
        try:
            return parse_json(answer.decode("utf-8"))
        except ValueError as error:
            raise AlertmanagerError(f"{self._url}{path}: the answer is no JSON: {error}.") from error


def connect(endpoint: Endpoint) -> Alertmanager:
    """Return the Alertmanager at `endpoint`."""
    return Alertmanager(http_send(endpoint), endpoint.shown)


def select_alerts(alerts: Iterable[Alert], wanted: str) -> tuple[Alert, ...]:
    """Return the alerts with that name, or with a fingerprint that begins so (six characters at least)."""
    return tuple(
        alert
        for alert in alerts
        if alert.name == wanted or (len(wanted) >= FEWEST_CHARACTERS and alert.fingerprint.startswith(wanted))
    )


def select_silences(silences: Iterable[Silence], wanted: str) -> tuple[Silence, ...]:
    """Return the silences whose id begins so (six characters at least)."""
    return tuple(each for each in silences if len(wanted) >= FEWEST_CHARACTERS and each.id.startswith(wanted))


def _parse_alert(item: Any) -> Alert:
    state = item["status"]["state"]
    if state not in ALERT_STATES:
        raise ValueError(f"{state!r} is no state of an alert")
    return Alert(
        fingerprint=_text(item, "fingerprint"),
        labels=_texts(item["labels"]),
        annotations=_texts(item["annotations"]),
        starts_at=_moment(item, "startsAt"),
        state=state,
        silenced_by=tuple(map(str, item["status"]["silencedBy"])),
        receivers=tuple(_text(receiver, "name") for receiver in item["receivers"]),
    )


def _parse_silence(item: Any) -> Silence:
    state = item["status"]["state"]
    if state not in SILENCE_STATES:
        raise ValueError(f"{state!r} is no state of a silence")
    return Silence(
        id=_text(item, "id"),
        matchers=tuple(_parse_matcher(each) for each in item["matchers"]),
        created_by=_text(item, "createdBy"),
        comment=_text(item, "comment"),
        starts_at=_moment(item, "startsAt"),
        ends_at=_moment(item, "endsAt"),
        state=state,
    )


def _parse_matcher(item: Any) -> Matcher:
    # isEqual came with 0.22; where it is missing it is true.
    return Matcher(_text(item, "name"), _text(item, "value"), bool(item["isRegex"]), bool(item.get("isEqual", True)))


def _moment(item: Any, key: str) -> str:
    """Return a time in UTC: Go writes it in the zone of its machine, with up to nine digits of a second."""
    text = re.sub(r"(\.\d{6})\d+", r"\1", _text(item, key))
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no zone")
    return format_utc(moment)


def _text(item: Any, key: str) -> str:
    if not isinstance(item[key], str):
        raise ValueError(f"{key} is no text")
    return str(item[key])


def _texts(item: Any) -> dict[str, str]:
    if not isinstance(item, dict) or not all(isinstance(value, str) for value in item.values()):
        raise ValueError("labels are no text")
    return dict(item)
