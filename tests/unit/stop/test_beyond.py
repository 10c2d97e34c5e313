"""The look at what runs beside the bots: by the engine, by its files, bounded, and never an error."""

from __future__ import annotations

import pytest
from trading_ops.core.bots import BotRules
from trading_ops.core.unexpected import Beyond
from trading_ops.host.engine import EngineError
from trading_ops.stop.beyond import describe_beyond, look_beyond

from tests.unit.fakes import FakeCgroups, FakeContainer, FakeEngine, bot


def stray(name: str = "stray", **more) -> FakeContainer:
    return FakeContainer(name, {}, "foo:1", environment=("TRADING_MODE=live",), **more)


def test_the_engine_is_only_read():
    engine = FakeEngine(bot("a"), stray(), FakeContainer("off", status="exited"))
    seen, error = look_beyond(lambda: engine, FakeCgroups(), BotRules())
    assert ([found.name for found in seen.unexpected], error) == (["stray"], "")
    assert {call[0] for call in engine.calls} == {"containers", "inspect"}


def test_without_the_engine_its_files_are_asked():
    def away():
        raise EngineError("The engine could not answer: timed out.")

    seen, error = look_beyond(away, FakeCgroups(bot("a"), stray()), BotRules())
    assert ([found.name for found in seen.unexpected], error) == (["stray"], "")
    broken = FakeCgroups(bot("a"), stray())
    broken.broken = {"containers": "The engine's own files could not be read."}
    seen, error = look_beyond(away, broken, BotRules())
    assert (seen, "timed out" in error, "could not be read" in error) == (Beyond(), True, True)


@pytest.mark.parametrize("odd", [{"Labels": 7}, {"Names": 3}, {"State": None}, {"Id": None}])
def test_odd_answers_end_in_words_and_never_in_an_error(odd):
    engine = FakeEngine(stray())
    listed = engine.containers()
    engine.containers = lambda labels=(): [{**listed[0], **odd}]
    seen, error = look_beyond(lambda: engine, FakeCgroups(), BotRules())
    assert seen.doubts or error


def test_container_that_vanished_hides_nothing_and_one_that_cannot_be_described_is_named():
    engine = FakeEngine(bot("a"), FakeContainer("gone"), stray())
    asked = engine.inspect
    gone = next(item.id for item in engine.by_id.values() if item.name == "gone")
    engine.inspect = lambda name: None if name == gone else asked(name)
    assert "gone runs and could not be looked at" in describe_beyond(engine, BotRules()).doubts  # it is still listed
    engine.inspect = lambda name: engine.by_id.pop(name) and None if name == gone else asked(name)
    assert describe_beyond(engine, BotRules()).doubts == [
        "unexpected bot stray (no project/no service): it has TRADING_MODE in its environment"
    ]
    engine.broken = {"inspect": "The engine could not inspect."}
    assert "stray runs and could not be looked at" in describe_beyond(engine, BotRules()).doubts


def test_what_is_not_described_in_time_is_named():
    assert describe_beyond(FakeEngine(stray()), BotRules(), {}, -1).doubts == ["stray runs and could not be looked at"]


def test_with_a_cache_a_container_is_described_once_and_forgotten_when_it_goes():
    engine, cache = FakeEngine(bot("a"), stray()), {}
    for _ in range(3):
        describe_beyond(engine, BotRules(), cache)
    assert len([call for call in engine.calls if call[0] == "inspect"]) == 2
    engine.by_id.clear()
    describe_beyond(engine, BotRules(), cache)
    assert cache == {}
