"""The guard looks and acts on a host whose engine answers, is away, lies or is slow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from trading_ops.guard.installed import digest, judge_guard, parse_heartbeat
from trading_ops.guard.service import Guard, Settings, Tools, beat, follow_forever, parse_settings
from trading_ops.host.engine import Engine, EngineError
from trading_ops.state.latch import Latch, format_latch, places, read_latch

from tests.unit.fakes import FakeCgroups, FakeContainer, FakeEngine, bot, trading_host

SOURCES = {"a.py": "A = 1\n"}
STARTED = "2026-11-21T01:00:00.000000001Z"  # every container of a FakeEngine
HALTED_BEFORE, HALTED_AFTER = "2026-11-21T00:30:00.000Z", "2026-11-21T01:30:00.000Z"


class World:
    """A guard over fakes. `waiting` holds the work it began beside its look, until `work()` does it."""

    def __init__(self, state_path: Path, *containers, cgroups: FakeCgroups | None = None, **variables: str) -> None:
        self.engine = FakeEngine(*containers)
        self.state_path = state_path
        self.is_away = False
        self.said: list[str] = []
        self.waiting: list = []
        self.now = "2026-11-21T01:30:05.000Z"
        host = trading_host(self.engine, state_path, cgroups)
        settings, _ = parse_settings({"TRADING_CORE_STATE_PATH": str(state_path), **variables})
        self.guard = Guard(settings, host, self.connect, Tools(self.said.append, self.waiting.append, lambda: self.now))

    def connect(self) -> Engine:
        if self.is_away:
            raise EngineError("The engine could not answer: timed out.")
        return self.engine

    def halt(self, since: str, scope: str = "all") -> None:
        latch = Latch(scope, ("INC-1",), since, "reno", "x")
        for path in places(self.state_path):
            path.parent.mkdir(exist_ok=True)
            path.write_text(format_latch(latch))

    def work(self) -> None:
        while self.waiting:
            self.waiting.pop(0)()

    def run_once(self) -> bool:
        could_see = self.guard.run_once()
        self.work()
        return could_see

    def audit(self) -> list[dict]:
        path = self.state_path / "audit.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_bot_started_while_halted_is_stopped_and_written_down(tmp_path):
    world = World(tmp_path, bot("a"))
    world.halt(HALTED_BEFORE)
    assert world.run_once() is True
    (container,) = world.engine.by_id.values()
    assert not container.running
    assert ("stop", container.id, "2") in world.engine.calls
    (entry,) = world.audit()
    assert (entry["event"], entry["by"], entry["container"]) == ("stopped while halted", "guard", "a")
    assert (entry["project"], entry["mode"], entry["started_at"]) == ("trading-paper", "paper", STARTED)
    assert [line for line in world.said if line.startswith("stopped while halted: a (paper")]
    world.run_once()
    assert len(world.audit()) == 1


def test_the_stop_itself_is_given_its_time_and_finished_where_it_did_not(tmp_path):
    world = World(tmp_path, bot("a"))
    world.halt(HALTED_AFTER)
    world.run_once()
    assert all(item.running for item in world.engine.by_id.values())
    world.now = "2026-11-21T01:30:26.000Z"
    world.run_once()
    assert not any(item.running for item in world.engine.by_id.values())
    assert ("stop", next(iter(world.engine.by_id)), "10") in world.engine.calls


def test_without_a_halt_bots_run_and_lose_their_restart_policy(tmp_path):
    world = World(tmp_path, bot("a", restart_policy="always"), bot("b"))
    world.run_once()
    assert [(item.running, item.restart_policy) for item in world.engine.by_id.values()] == [(True, "no")] * 2
    (entry,) = world.audit()
    assert (entry["event"], entry["container"], entry["was"]) == ("restart policy neutralised", "a", "always")
    world.run_once()
    assert len(world.audit()) == 1


def test_policy_that_the_engine_keeps_is_told_once_and_never_recorded_as_taken(tmp_path):
    world = World(tmp_path, bot("a", restart_policy="always"))
    world.engine.set_restart_policy = lambda _id, _name: None
    world.run_once()
    world.run_once()
    assert world.audit() == []
    assert len([line for line in world.said if "keeps its restart policy" in line]) == 1


def test_stop_that_takes_long_delays_no_other_bot(tmp_path):
    world = World(tmp_path, bot("slow"))
    world.halt(HALTED_BEFORE)
    world.guard.run_once()
    slow = world.waiting.pop()  # still in its grace period
    new = world.engine.add(bot("new"))
    world.run_once()
    assert not new.running
    assert [entry["container"] for entry in world.audit()] == ["new"]
    slow()
    assert not any(item.running for item in world.engine.by_id.values())


def test_bot_that_cannot_be_stopped_is_told_once_and_tried_at_every_look(tmp_path):
    world = World(tmp_path, bot("a", immortal=True))
    world.halt(HALTED_BEFORE)
    world.run_once()
    world.run_once()
    assert len([call for call in world.engine.calls if call[0] == "stop"]) >= 2
    assert len([line for line in world.said if "could not be stopped" in line]) == 1
    assert world.audit() == []


def test_engine_away_is_told_once_and_the_next_look_goes_on(tmp_path):
    world = World(tmp_path, bot("a"))
    world.is_away = True
    assert (world.run_once(), world.run_once()) == (True, True)
    assert world.said == ["The engine could not answer: timed out."]
    world.is_away = False
    world.halt(HALTED_AFTER)
    world.now = "2026-11-21T01:31:00.000Z"
    world.run_once()
    assert not any(item.running for item in world.engine.by_id.values())


def test_without_the_engine_a_halt_is_held_through_the_kernel(tmp_path):
    container = bot("a")
    world = World(tmp_path, container, cgroups=FakeCgroups(container))
    world.is_away = True
    world.engine.broken = {"containers": "The engine could not list its containers: timed out."}
    world.halt(HALTED_BEFORE)
    assert world.run_once() is True
    assert not container.running
    assert [entry["event"] for entry in world.audit()] == ["stopped while halted"]


def test_guard_that_can_see_nothing_of_a_halted_host_gives_no_sign_of_life(tmp_path):
    world = World(tmp_path)
    world.is_away = True
    world.halt(HALTED_BEFORE)
    assert world.run_once() is False


def test_bot_that_cannot_be_described_does_not_hide_another(tmp_path):
    world = World(tmp_path, bot("a"), bot("b", restart_policy="always"))
    asked = world.engine.inspect
    first = next(iter(world.engine.by_id))
    world.engine.inspect = lambda item: {"State": None} if item == first else asked(item)
    world.run_once()
    assert [entry["container"] for entry in world.audit()] == ["b"]


def test_unwritable_audit_log_keeps_no_bot_up_and_the_journal_has_the_line(tmp_path):
    world = World(tmp_path, bot("a"))
    world.halt(HALTED_BEFORE)
    (tmp_path / "audit.jsonl").mkdir()
    world.run_once()
    assert not any(item.running for item in world.engine.by_id.values())
    assert any(line.startswith("stopped while halted: a") for line in world.said)
    assert any("audit log" in line for line in world.said)


def test_widened_halt_leaves_a_paper_bot_its_grace(tmp_path):
    world = World(tmp_path, bot("a"))
    world.halt(HALTED_BEFORE, scope="live")
    world.run_once()  # a paper bot that was free to start after the live halt
    world.halt(HALTED_BEFORE, scope="all")
    world.now = "2026-11-21T01:30:10.000Z"
    world.run_once()
    assert all(item.running for item in world.engine.by_id.values())


def test_settings_that_make_no_sense_fall_back_and_are_told():
    settings, warnings = parse_settings({"TRADING_CORE_GRACE_PERIOD_SECONDS": "soon"})
    assert (settings.grace_seconds, len(warnings)) == (10, 1)
    assert settings == parse_settings({})[0]


def test_settings_are_read_as_blank_separated_patterns():
    settings, warnings = parse_settings(
        {
            "TRADING_CORE_BOT_SERVICES": "bot bot-*",
            "TRADING_CORE_BOT_IMAGES": "shop/bot:*",
            "TRADING_CORE_GRACE_PERIOD_SECONDS": "5",
            "TRADING_CORE_DOCKER_URL": "tcp://127.0.0.1:2375",
        }
    )
    assert warnings == []
    assert isinstance(settings, Settings)
    assert (settings.rules.services, settings.rules.images) == (("bot", "bot-*"), ("shop/bot:*",))
    assert (settings.grace_seconds, settings.docker_url) == (5, "tcp://127.0.0.1:2375")


@pytest.mark.parametrize("seconds", [0.0, 0.009, 12.345, 12.3499, 99999.999, 3721261.0051])
def test_sign_of_life_is_never_of_a_moment_to_come(tmp_path, seconds):
    """Rounded up by milliseconds it was in the future for who read it at once, and refused a start as stale."""
    beat(tmp_path / "guard.json", digest(SOURCES), seconds)
    alive = parse_heartbeat((tmp_path / "guard.json").read_text())
    assert 0 <= seconds - alive.uptime < 0.011
    assert judge_guard(SOURCES, SOURCES, alive, seconds)["state"] == "active"


def test_sign_of_life_can_be_read_back(tmp_path):
    beat(tmp_path / "guard.json", "abc", 12.345)
    assert json.loads((tmp_path / "guard.json").read_text()) == {"uptime": 12.34, "digest": "abc"}


def test_events_that_end_or_fail_are_followed_again(monkeypatch):
    calls: list[str] = []

    def follow() -> None:
        calls.append("follow")
        if len(calls) == 1:
            raise EngineError("The engine could not tell its events: gone.")

    def pause(_seconds: float) -> None:
        if len(calls) == 2:
            raise StopIteration

    monkeypatch.setattr("trading_ops.guard.service.time.sleep", pause)
    woken: list[int] = []
    with pytest.raises(StopIteration):
        follow_forever(follow, lambda: woken.append(1))
    assert (calls, len(woken)) == (["follow", "follow"], 2)


def stray(name: str = "stray", **more) -> FakeContainer:
    return FakeContainer(name, image="foo:1", environment=("TRADING_MODE=live",), **more)


def test_unexpected_bot_is_told_and_written_down_once_and_left_alone(tmp_path):
    world = World(tmp_path, bot("a"), stray())
    world.halt(HALTED_BEFORE)
    world.run_once()
    world.run_once()
    named = [entry for entry in world.audit() if entry["event"] == "unexpected bot seen"]
    assert [(entry["container"], entry["why"]) for entry in named] == [
        ("stray", "it has TRADING_MODE in its environment")
    ]
    assert len([line for line in world.said if line.startswith("unexpected bot seen: stray")]) == 1
    assert [item.running for item in world.engine.by_id.values()] == [False, True]


def test_unexpected_bot_is_stopped_while_halted_where_the_estate_says_so(tmp_path):
    world = World(tmp_path, stray(restart_policy="always"), TRADING_CORE_STOP_UNEXPECTED="true")
    world.run_once()
    (container,) = world.engine.by_id.values()
    assert (container.running, container.restart_policy) == (True, "always")
    world.halt(HALTED_BEFORE)
    world.now = "2026-11-21T01:31:00.000Z"  # the stop itself had its time
    world.run_once()
    assert (container.running, container.restart_policy) == (False, "no")
    assert [entry["event"] for entry in world.audit()] == ["unexpected bot seen", "stopped while halted"]


def test_a_container_is_described_once(tmp_path):
    world = World(tmp_path, FakeContainer("gui", image="app:1"))
    for _ in range(3):
        world.run_once()
    assert len([call for call in world.engine.calls if call[0] == "inspect"]) == 1


def test_label_of_a_restore_test_is_told_once_and_the_bot_stopped(tmp_path):
    world = World(tmp_path, bot("a", labels={"trading-core.restore-test": "true"}))
    world.halt(HALTED_BEFORE)
    world.run_once()
    world.run_once()
    assert not any(item.running for item in world.engine.by_id.values())
    assert len([line for line in world.said if "label of a restore test" in line]) == 1


def test_halt_of_an_older_version_comes_to_the_place_that_bots_mount(tmp_path):
    world = World(tmp_path)
    world.run_once()
    assert (tmp_path / "latch").is_dir()
    (tmp_path / "halt.json").write_text(format_latch(Latch("all", ("INC-1",), HALTED_BEFORE, "reno", "x")))
    world.run_once()
    assert [path.exists() for path in places(tmp_path)] == [True, True]
    assert [entry["event"] for entry in world.audit()] == ["latch brought to both places"]
    (tmp_path / "halt.json").unlink()  # as an older version lifts it
    world.run_once()
    assert (tmp_path / "halt.json").exists()
    assert read_latch(tmp_path).incident_ids == ("INC-1",)


def test_places_that_cannot_be_made_alike_are_told_once_and_end_no_guard(tmp_path):
    world = World(tmp_path)
    (tmp_path / "latch").write_text("a file where the folder should be")
    assert [world.run_once(), world.run_once()] == [True, True]
    assert len([line for line in world.said if "both places" in line]) == 1
