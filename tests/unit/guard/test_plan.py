"""What the guard decides, row by row."""

from __future__ import annotations

import pytest
from trading_ops.core.bots import Bot
from trading_ops.guard.plan import (
    LEFT_RUNNING,
    STARTED_WHILE_HALTED,
    UNCLEAR_HALT,
    SeenBot,
    Step,
    plan_guard,
)
from trading_ops.state.latch import Latch, parse_latch

SINCE = "2026-11-21T01:30:00.000Z"
BEFORE, AFTER = "2026-11-21T01:00:00.000000001Z", "2026-11-21T01:30:05.5Z"
SOON, LATER = "2026-11-21T01:30:10.000Z", "2026-11-21T01:31:00.000Z"
ALL = Latch("all", ("INC-1",), SINCE, "reno", "x")
LIVE = Latch("live", ("INC-1",), SINCE, "reno", "x")


def seen(started_at: str, mode: str = "paper", state: str = "running", policy: str = "no") -> SeenBot:
    bot = Bot("1" * 64, "a", f"trading-{mode}", "bot", mode, state, "label", True)
    return SeenBot(bot, started_at, policy)


def plan(latch: Latch | None, item: SeenBot, now: str, last_free: dict[str, str] | None = None) -> Step | None:
    steps = plan_guard(latch, last_free or {}, [item], now, 10)
    assert len(steps) <= 1
    return steps[0] if steps else None


@pytest.mark.parametrize("state", ["running", "paused", "restarting", "stopping", ""])
def test_bot_started_while_halted_is_stopped_with_a_short_grace(state):
    item = seen(AFTER, state=state)
    assert plan(ALL, item, SOON) == Step(item, STARTED_WHILE_HALTED, 2)
    assert plan(ALL, item, LATER) == Step(item, STARTED_WHILE_HALTED, 2)


@pytest.mark.parametrize("state", ["exited", "created", "dead", "removing"])
def test_stopped_bot_is_left_alone(state):
    assert plan(ALL, seen(AFTER, state=state), LATER) is None


def test_bot_that_the_stop_is_at_keeps_its_time_to_cancel_orders():
    assert plan(ALL, seen(BEFORE), SOON) is None


def test_bot_that_an_unfinished_stop_left_is_stopped_with_its_whole_grace():
    item = seen(BEFORE)
    assert plan(ALL, item, "2026-11-21T01:30:25.000Z") is None
    assert plan(ALL, item, "2026-11-21T01:30:25.001Z") == Step(item, LEFT_RUNNING, 10)


@pytest.mark.parametrize("started_at", ["", "yesterday", "0001-01-01T00:00:00"])
def test_bot_whose_start_nobody_knows_counts_as_left_by_the_stop(started_at):
    item = seen(started_at)
    assert plan(ALL, item, SOON) is None
    assert plan(ALL, item, LATER) == Step(item, LEFT_RUNNING, 10)


@pytest.mark.parametrize("text", ["", "garbage", '{"scope": "all"'])
def test_damaged_latch_stops_everything_at_once(text):
    item = seen(BEFORE)
    assert plan(parse_latch(text), item, SOON) == Step(item, UNCLEAR_HALT, 10)


@pytest.mark.parametrize("since", ["not given", "2026-11-21 01:30", LATER])
def test_halt_since_nobody_knows_when_stops_everything_at_once(since):
    item = seen(BEFORE)
    latch = Latch("all", ("INC-1",), since, "reno", "x")
    assert plan(latch, item, SOON) == Step(item, UNCLEAR_HALT, 10)


def test_clock_that_was_slewed_a_little_is_no_reason_to_cut_a_grace_short():
    assert plan(ALL, seen(BEFORE), "2026-11-21T01:29:59.000Z") is None


def test_without_a_halt_nothing_is_stopped():
    assert plan(None, seen(AFTER), LATER) is None


@pytest.mark.parametrize("mode", ["live", "unheard-of"])
def test_live_halt_holds_every_mode_but_paper(mode):
    assert plan(LIVE, seen(AFTER, mode), LATER) is not None
    assert plan(LIVE, seen(AFTER, "paper"), LATER) is None


def test_halt_that_was_widened_holds_paper_bots_only_since_then():
    """The latch keeps the first writer's time; a paper bot that was free to start must not lose its grace for it."""
    widened = {"paper": "2026-11-21T02:00:00.000Z"}
    started = seen("2026-11-21T01:45:00.000Z")
    assert plan(ALL, started, "2026-11-21T02:00:10.000Z", widened) is None
    assert plan(ALL, started, "2026-11-21T02:00:30.000Z", widened) == Step(started, LEFT_RUNNING, 10)
    by_hand = seen("2026-11-21T02:00:05.000Z")
    assert plan(ALL, by_hand, "2026-11-21T02:00:06.000Z", widened) == Step(by_hand, STARTED_WHILE_HALTED, 2)
    assert plan(ALL, by_hand, "2026-11-21T02:00:06.000Z", {"live": SINCE}) is not None


@pytest.mark.parametrize("policy", ["always", "unless-stopped", "on-failure"])
@pytest.mark.parametrize("state", ["running", "exited", "created"])
@pytest.mark.parametrize("latch", [None, LIVE], ids=["free", "held"])
def test_restart_policy_is_taken_away_halted_or_not(policy, state, latch):
    item = seen(BEFORE, state=state, policy=policy)
    assert plan(latch, item, LATER) == Step(item)


def test_policy_that_nobody_could_read_is_not_touched():
    assert plan(None, seen(BEFORE, policy=""), LATER) is None
