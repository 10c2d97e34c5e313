"""What the control host knows of alerts: actions by name, and what no silence may cover unseen."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from ..checks.catalogue import Check
from ..checks.rules import WATCHDOG, WATCHDOG_LABELS, alert_labels, alert_name
from ..host.http import Endpoint
from .actions import actions_of
from .alertmanager import Silence

SETTINGS_PATH: Final = "/etc/trading-core/alerts.json"


class SettingsError(Exception):
    """The settings cannot be read. The text is a sentence."""


@dataclass(frozen=True)
class Settings:
    """What `jobs/alerts.py` works by.

    actions: by name of the alert, for every check of the catalogue.
    watched: the labels of every series whose alert stops something, and of the heartbeat.
    silence_limit_seconds: so old may the last heartbeat be.
    heartbeat_url_path: file with the address of the dead-man's switch outside; empty for none.
    """

    actions: Mapping[str, str]
    watched: tuple[Mapping[str, str], ...]
    alertmanager: Endpoint
    silence_limit_seconds: float
    heartbeat_url_path: str = ""


def build_settings(checks: Iterable[Check], scrape_interval_seconds: float, params: Mapping[str, Any]) -> Settings:
    """Return the settings for a catalogue. Raises ValueError for an alert that would act without its confirmation."""
    checks = tuple(checks)
    stops = [check for check in checks if check.action in {"stop_bots", "stop_live"}]
    watched = [
        {"alertname": alert_name(check.id), **alert_labels(check), **dict(s)} for check in stops for s in check.expected
    ]
    return Settings(
        actions_of(checks, scrape_interval_seconds),
        ({"alertname": WATCHDOG, **WATCHDOG_LABELS}, *watched),
        Endpoint(
            url=params["alertmanager_url"],
            username=params["alertmanager_username"],
            password=params["alertmanager_password"],
            token_path=params["alertmanager_token_path"],
            ca_path=params["alertmanager_ca_path"],
            validate_certs=params["alertmanager_validate_certs"],
            query_timeout_seconds=5,
        ),
        params["silence_limit_seconds"],
        params["heartbeat_url_path"],
    )


def render_settings(settings: Settings) -> str:
    """Return the file SETTINGS_PATH."""
    return json.dumps(asdict(settings), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def parse_settings(text: str) -> Settings:
    """Return what the file SETTINGS_PATH says. Raises SettingsError."""
    try:
        document = json.loads(text)
        return Settings(
            {str(name): str(action) for name, action in document["actions"].items()},
            tuple({str(name): str(value) for name, value in labels.items()} for labels in document["watched"]),
            Endpoint(**document["alertmanager"]),
            float(document["silence_limit_seconds"]),
            str(document["heartbeat_url_path"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingsError(f"The settings cannot be read: {error!r}.") from error


def describe_silences(silences: Iterable[Silence], watched: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return a sentence for each silence over an alert that stops something, or over the heartbeat, by its id.

    A condition on a label that the catalogue does not know may hold, since Prometheus adds labels of its own to all
    alerts: it keeps no silence unseen.
    """
    watched = tuple(watched)
    known = {name for labels in watched for name in labels}
    found = {}
    for silence in silences:
        conditions = [matcher for matcher in silence.matchers if matcher.name in known]
        names = sorted({labels["alertname"] for labels in watched if all(each.holds(labels) for each in conditions)})
        if names and silence.state != "expired":
            shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            found[silence.id] = (
                f"{silence.created_by or 'Somebody'} has silenced alerts that stop bots until {silence.ends_at}: "
                f"{shown} ({silence.describe()}; {silence.comment or 'no comment'})"
            )
    return found
