"""Telling people: every channel at once, none waits for another, and no URL is ever shown."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from trading_ops.incident.folder import TIMELINE, UNSYNCED, append, read, read_timeline
from trading_ops.incident.notification import (
    Delivery,
    build_body,
    explain,
    notify,
    parse_channels,
    plan,
    read_head,
    report,
)
from trading_ops.incident.record import SyncRequest, ensure_synced
from trading_ops.incident.timeline import Entry, as_dict, parse_timeline

OWNERS_TEXT = "Incident på AI_TRADING_CORE – bot/feed stoppet midlertidigt, årsag: <reason>."
SECRET = "T0PS3CRETTOKEN"


def test_a_channel_is_named_by_label_or_number_and_service_and_never_by_its_url():
    channels = parse_channels([f"ops=slack://{SECRET}/b/c", f"mailto://u:{SECRET}@mail.lan", SECRET, f"team={SECRET}"])
    assert [channel.name for channel in channels] == ["ops (slack)", "channel 2 (mailto)", "channel 3", "channel 4"]
    assert [bool(channel.url) for channel in channels] == [True, True, False, False]
    assert SECRET not in repr(channels)


def test_the_owners_words_carry_the_reason_as_it_was_typed_on_one_line():
    body = build_body(OWNERS_TEXT, "gaps\n{{ in }}\x1b[31m <b>bars</b>", "INC-1", "abc", ["by reno"])
    assert body.splitlines() == [
        "Incident på AI_TRADING_CORE – bot/feed stoppet midlertidigt, årsag: gaps {{ in }}[31m <b>bars</b>.",
        "INC-1",
        "by reno",
        "Timeline head: abc",
    ]


def test_a_reason_of_any_length_leaves_a_message_that_services_take():
    assert len(build_body(OWNERS_TEXT, "x" * 100_000)) < 1000


def test_a_channel_that_hangs_holds_up_no_other_and_is_unknown_after_the_limit():
    released = threading.Event()

    def send(url: str, title: str, body: str) -> str:
        if url.startswith("slow"):
            released.wait(30)
        return ""

    began = time.monotonic()
    told = notify(parse_channels(["slow://x", "b=fast://x"]), "t", "b", send, timeout_seconds=0.2)
    took = time.monotonic() - began
    released.set()
    assert [(item.channel, item.outcome, item.reason) for item in told] == [
        ("channel 1 (slow)", "unknown", "no answer within 0.2 s"),
        ("b (fast)", "delivered", ""),
    ]
    assert took < 5


def test_a_service_that_breaks_is_a_failure_whose_words_are_not_repeated():
    def send(url: str, title: str, body: str) -> str:
        raise ValueError(f"cannot reach {url}")

    (told,) = notify(parse_channels([f"slack://{SECRET}"]), "t", "b", send, timeout_seconds=5)
    assert (told.outcome, told.reason) == ("failed", "not delivered (ValueError)")


def test_only_every_channel_is_proven_and_none_at_all_is_a_failure():
    took, missed = Delivery("a", "delivered", "", 0.1), Delivery("b", "unknown", "no answer within 10 s", 10)
    assert report([took, took])["outcome"] == "proven"
    partly = report([took, missed])
    assert (partly["outcome"], partly["summary"]) == ("failed", "notified on 1 of 2 channels; b: no answer within 10 s")
    nobody = report([])
    assert (nobody["outcome"], nobody["summary"]) == ("failed", "nobody was notified: no channel is configured")


@pytest.mark.parametrize(
    ("entries", "outcome"), [(["a=json://x"], "planned"), (["a=json://x", "gibberish"], "failed"), ([], "failed")]
)
def test_a_dry_run_says_who_would_be_told_or_why_nobody(entries, outcome):
    assert plan(parse_channels(entries))["outcome"] == outcome


@pytest.mark.parametrize(
    ("logged", "reason"),
    [
        (f"Failed to send to https://x/{SECRET}: Not Found, error=404.", "the service answered 404"),
        (f"A Connection error occurred sending to {SECRET}.", "no connection"),
        (f"{SECRET} is not valid", "not delivered"),
        ("", "not delivered"),
    ],
)
def test_of_what_a_service_said_only_what_can_hold_no_secret_is_kept(logged, reason):
    assert explain([logged]) == reason


def entry(number: int, kind: str = "note") -> Entry:
    at = f"2026-11-21T08:00:{number:02}.000Z"
    return Entry(id=f"e-{number}", at=at, recorded_at=at, kind=kind, text="x", by="reno", origin="reno@laptop")


def bring(primary: Path, entries: Sequence[Entry]) -> None:
    found = [as_dict(item) for item in entries]
    request = SyncRequest(primary, "INC-1", found, {}, "", "reno", "reno@laptop")
    assert ensure_synced(request, "2026-11-21T08:01:00.000Z", dry_run=False)["outcome"] == "proven"


def test_the_head_that_people_were_told_is_found_in_the_timeline_once_it_is_home(tmp_path):
    local, primary = tmp_path / "local" / "INC-1", tmp_path / "primary"
    assert read_head(str(tmp_path / "local"), "INC-1") == ""
    append(local, UNSYNCED, [entry(1, "detection"), entry(2)])
    first = read_head(str(tmp_path / "local"), "INC-1")
    append(local, UNSYNCED, [entry(3, "mitigation")])
    bring(primary, read_timeline(local, UNSYNCED).entries)
    assert first in parse_timeline(read(primary / "INC-1", TIMELINE)).heads[:-1]

    (local / TIMELINE).write_bytes(read(primary / "INC-1", TIMELINE))
    append(local, UNSYNCED, [entry(4)])
    later = read_head(str(tmp_path / "local"), "INC-1")
    bring(primary, [entry(4)])
    assert read_timeline(primary / "INC-1").head == later


def test_a_timeline_that_cannot_be_read_keeps_nobody_from_being_told(tmp_path):
    (tmp_path / "INC-1" / TIMELINE).mkdir(parents=True)
    assert read_head(str(tmp_path), "INC-1") == read_head(str(tmp_path), "../x") == read_head(None, "INC-1") == ""
