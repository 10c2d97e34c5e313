"""Telling people through Apprise: which channels there are, what they are told, and what is known of each.

A channel's URL holds its secret. It is never shown: neither in a result nor in a reason, whatever a service says.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from ..core.result import build_result
from .folder import TIMELINE, UNSYNCED, FolderError, incident_path, read
from .record import with_phases
from .timeline import TimelineError, format_new_lines, parse_timeline

MAX_TIMEOUT_SECONDS: Final = 60
_MAX_REASON: Final = 500

_ENTRY: Final = re.compile(r"(?:(?P<label>[A-Za-z0-9_.-]+)=)?(?P<url>(?P<scheme>[A-Za-z0-9+.-]+)://.+)", re.DOTALL)
_STATUS: Final = re.compile(r"\berror=(\d{3})\b")

Send = Callable[[str, str, str], str]
"""(url, title, body) -> why it was not delivered; empty: the service took it."""


@dataclass(frozen=True)
class Channel:
    """Somewhere that people read. `url` is empty where the entry cannot be understood."""

    name: str
    url: str = field(repr=False)


@dataclass(frozen=True)
class Delivery:
    """What is known of one channel: `delivered`, `failed`, or `unknown` where it gave no answer in time."""

    channel: str
    outcome: str
    reason: str
    seconds: float


def parse_channels(entries: Sequence[str]) -> tuple[Channel, ...]:
    """Return a channel for each entry, `URL` or `label=URL`; the name is the label or a number, and the scheme."""
    channels = []
    for number, entry in enumerate(entries, 1):
        match = _ENTRY.fullmatch(entry.strip())
        label = (match and match["label"]) or f"channel {number}"
        # The scheme of an Apprise URL says which service it is, and nothing of its secret.
        channels.append(Channel(f"{label} ({match['scheme']})", match["url"]) if match else Channel(label, ""))
    return tuple(channels)


def build_body(
    text: str, reason: str, incident_id: str = "", timeline_head: str = "", notes: Iterable[str] = ()
) -> str:
    """Return the message: `text` with `<reason>` filled in, then the incident, notes, and the head of its timeline.

    The head goes out so that a timeline that is written anew later can be told from the one people were told of.
    """
    summary = "".join(char for char in " ".join(reason.split()) if char.isprintable())[:_MAX_REASON]
    head = f"Timeline head: {timeline_head}" if timeline_head else ""
    return "\n".join(filter(None, [text.replace("<reason>", summary), incident_id, *notes, head]))


def read_head(incidents_path: str | None, incident_id: str) -> str:
    """Return the hash that the last line of the timeline has, or will have on the control host once it is synced.

    Syncing adds lines in their order and changes none before them, so the hash is known before they are there.
    """
    if not incidents_path or not incident_id:
        return ""
    try:
        folder = incident_path(Path(incidents_path), incident_id)
        primary, unsynced = read(folder, TIMELINE), read(folder, UNSYNCED)
        known = parse_timeline(primary).entries
        new = with_phases(known, parse_timeline(unsynced).entries)
        timeline = parse_timeline(primary + format_new_lines(primary, new))
    except (FolderError, TimelineError):
        return ""  # people are told all the same
    return timeline.head if timeline.entries else ""


def notify(
    channels: Sequence[Channel], title: str, body: str, send: Send, timeout_seconds: float
) -> tuple[Delivery, ...]:
    """Return what became of the message on each channel, in their order, after at most `timeout_seconds`.

    All are told at once. A service that is never done leaves a daemon thread, which ends with the process.
    """
    deliveries: dict[int, Delivery] = {}
    began = time.monotonic()

    def work(number: int, channel: Channel) -> None:
        reason = _attempt(channel, title, body, send)
        outcome = "failed" if reason else "delivered"
        deliveries[number] = Delivery(channel.name, outcome, reason, round(time.monotonic() - began, 1))

    threads = [threading.Thread(target=work, args=item, daemon=True) for item in enumerate(channels)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, began + timeout_seconds - time.monotonic()))
    in_time = dict(deliveries)
    late = f"no answer within {timeout_seconds:g} s"
    return tuple(
        in_time.get(number) or Delivery(channel.name, "unknown", late, timeout_seconds)
        for number, channel in enumerate(channels)
    )


def report(deliveries: Sequence[Delivery]) -> dict[str, Any]:
    """Return the module result: `proven` only where every channel took the message, and there is one."""
    missed = [item for item in deliveries if item.outcome != "delivered"]
    outcome = "failed" if missed or not deliveries else "proven"
    took = len(deliveries) - len(missed)
    summary = f"notified on {took} of {len(deliveries)} channels"
    if not deliveries:
        summary = "nobody was notified: no channel is configured"
    if missed:
        summary += "; " + "; ".join(f"{item.channel}: {item.reason}" for item in missed)
    return build_result(
        outcome,
        summary,
        changed=took > 0,
        next_command="" if outcome == "proven" else "notify them by hand (runbooks/Incident_Handling.md 4.3)",
        channels=[asdict(item) for item in deliveries],
    )


def plan(channels: Sequence[Channel]) -> dict[str, Any]:
    """Return the module result of check mode: who would be told."""
    if not channels or not all(channel.url for channel in channels):
        return report([Delivery(item.name, "failed", _NOT_UNDERSTOOD, 0) for item in channels if not item.url])
    names = ", ".join(channel.name for channel in channels)
    planned = [asdict(Delivery(channel.name, "", "", 0)) for channel in channels]
    return build_result("planned", f"would notify {names}", changed=True, channels=planned)


def apprise_send(timeout_seconds: float) -> Send:
    """Return what sends by Apprise, each exchange with a service bounded by `timeout_seconds`."""
    import apprise

    # Without a time limit of Apprise's own, which it keeps by threads that the end of the process would wait for.
    asset = apprise.AppriseAsset(service_timeout=0)
    apprise.Apprise.instantiate(
        "json://localhost"
    )  # its first word reads every service it knows: not on anybody's time

    def send(url: str, title: str, body: str) -> str:
        service = apprise.Apprise.instantiate(url, asset=asset)
        if service is None:
            return _NOT_UNDERSTOOD
        service.socket_connect_timeout = service.socket_read_timeout = timeout_seconds
        # As text: a reason in which somebody wrote HTML or Markdown stays what was typed.
        result = apprise.Apprise(service, asset=asset).notify(
            body=body, title=title, body_format=apprise.NotifyFormat.TEXT
        )
        return "" if result else explain(str(entry.message) for entry in result.logs())

    return send


def explain(parts: Iterable[str]) -> str:
    """Return why a service did not take a message, from what Apprise logged.

    Only what is certain to hold no secret is kept: services quote tokens and addresses in their answers.
    """
    text = "\n".join(parts)
    if status := _STATUS.search(text):
        return f"the service answered {status[1]}"
    return "no connection" if "onnection error" in text else "not delivered"


_NOT_UNDERSTOOD: Final = "its URL is none that Apprise understands"


def _attempt(channel: Channel, title: str, body: str, send: Send) -> str:
    if not channel.url:
        return _NOT_UNDERSTOOD
    try:
        return send(channel.url, title, body)
    except Exception as error:
        return f"not delivered ({type(error).__name__})"  # its text could hold the URL
