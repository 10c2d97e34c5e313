"""What starts a bot again is looked for once the guard has stopped it twice, named, and held against no proof."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from trading_ops.core.bots import BotRules
from trading_ops.core.starters import HostFiles
from trading_ops.host.engine import EngineError
from trading_ops.state import audit
from trading_ops.state.latch import Latch
from trading_ops.stop import started_again
from trading_ops.stop.started_again import look_for_starters

from tests.unit.fakes import FakeContainer, FakeEngine, bot

LATCH = Latch("all", ("INC-1",), "2026-11-21T01:30:00.000Z", "reno", "x")
SOCKET = ("/var/run/docker.sock",)
DOCO = FakeContainer("doco-cd", image="ghcr.io/kimdre/doco-cd:1", mounts=SOCKET)
UP = HostFiles({"/etc/cron.d/bots": "* * * * * root docker start a\n"})


def stopped(path: Path, *names: str) -> None:
    for second, name in enumerate(names):
        audit.append(path, "stopped while halted", "guard", f"2026-11-21T01:30:{second + 1:02}.000Z", container=name)


def look(path: Path, *containers: FakeContainer, files: Any = HostFiles, latch: Latch | None = LATCH) -> dict[str, Any]:
    engine = FakeEngine(bot("a", status="exited"), *containers)
    return look_for_starters(lambda: engine, files, BotRules(), latch, path)


@pytest.mark.parametrize("names", [(), ("a",), ("a", "b")])
def test_before_the_same_bot_was_stopped_twice_nothing_is_looked_at(tmp_path, names):
    def never() -> Any:
        raise AssertionError("it must not be asked")

    stopped(tmp_path, *names)
    assert look_for_starters(never, never, BotRules(), LATCH, tmp_path) == {"starters": [], "started_again": ""}
    stopped(tmp_path, "a", "a")
    assert look_for_starters(never, never, BotRules(), None, tmp_path)["started_again"] == ""


def test_known_tool_is_named_with_what_holds_it_off(tmp_path):
    stopped(tmp_path, "a", "a", "b")
    seen = look(tmp_path, DOCO)
    assert seen["started_again"] == (
        "a was stopped 2 times by the guard since 2026-11-21T01:30:01.000Z; PROBABLY started by: container doco-cd "
        "(its image is of doco-cd, it holds the engine's socket /var/run/docker.sock). "
        "Hold it off: docker stop doco-cd (on the host)"
    )
    (starter,) = seen["starters"]
    assert starter == {
        "what": "container doco-cd",
        "why": "its image is of doco-cd, it holds the engine's socket /var/run/docker.sock",
        "hold_off": "docker stop doco-cd",
    }


def test_what_names_the_bot_and_what_only_could_stand_in_this_order(tmp_path):
    stopped(tmp_path, "a", "a")
    seen = look(tmp_path, FakeContainer("own", mounts=SOCKET), files=lambda: UP)
    assert [each["what"] for each in seen["starters"]] == ["cron line 1 of /etc/cron.d/bots", "container own"]
    assert "PROBABLY started by: cron line 1 of /etc/cron.d/bots" in seen["started_again"]


def test_the_only_one_that_could_is_probable_and_one_of_two_is_possible(tmp_path):
    stopped(tmp_path, "a", "a")
    assert "PROBABLY started by: container own" in look(tmp_path, FakeContainer("own", mounts=SOCKET))["started_again"]
    two = look(tmp_path, FakeContainer("own", mounts=SOCKET), FakeContainer("other", mounts=SOCKET))
    assert "POSSIBLY started by: container own" in two["started_again"]
    assert "docker stop own; docker stop other (on the host)" in two["started_again"]


def test_where_nothing_is_found_it_is_said(tmp_path):
    stopped(tmp_path, "a", "a")
    assert "what starts it was not found here" in look(tmp_path)["started_again"]


def test_engine_or_files_that_fail_hide_nothing_of_the_other(tmp_path):
    stopped(tmp_path, "a", "a")

    def away() -> Any:
        raise EngineError("The engine could not answer: timed out.")

    seen = look_for_starters(away, lambda: UP, BotRules(), LATCH, tmp_path)
    assert [each["what"] for each in seen["starters"]] == ["cron line 1 of /etc/cron.d/bots"]
    assert [each["what"] for each in look(tmp_path, DOCO, files=away)["starters"]] == ["container doco-cd"]


def test_hung_engine_holds_the_look_for_a_bounded_time(tmp_path, monkeypatch):
    stopped(tmp_path, "a", "a")
    monkeypatch.setattr(started_again, "LOOK_SECONDS", 0.2)
    begun = time.monotonic()
    look_for_starters(lambda: time.sleep(5), HostFiles, BotRules(), LATCH, tmp_path)  # type: ignore[arg-type]
    assert time.monotonic() - begun < 2


def test_forty_starters_and_bots_are_one_bounded_sentence(tmp_path):
    stopped(tmp_path, *(f"bot-{number}" for number in range(20)), *(f"bot-{number}" for number in range(20)))
    seen = look(tmp_path, *(FakeContainer("x" * 90 + str(number), mounts=SOCKET) for number in range(40)))
    assert len(seen["starters"]) == 20
    assert len(seen["started_again"]) < 1500
    assert "and 17 more bots" in seen["started_again"]
