import pytest
from trading_ops.core.bots import BotRules
from trading_ops.stop.by_engine import Stop, stop_bots
from trading_ops.stop.first_wave import FirstWave, parse_first_wave, read_first_wave

from tests.unit.fakes import FakeEngine, bot

ID = "a" * 64


def test_deadlines_are_read_and_what_is_not_understood_says_nothing():
    seen = parse_first_wave(f"INC-1\n{ID} 120\nshort 5\n{ID}\n{'b' * 64} soon\n", "INC-1")
    assert seen == FirstWave({ID: 120}, is_ours=True)


@pytest.mark.parametrize(("text", "incident_id"), [("INC-1\n", "INC-2"), ("\n", ""), ("", "")])
def test_another_stops_file_is_not_ours(text, incident_id):
    assert parse_first_wave(text, incident_id).is_ours is False


def test_file_that_is_missing_or_binary_says_nothing(tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name in ("missing", "binary", "."):
        assert read_first_wave(tmp_path / name, "INC-1") == FirstWave()


@pytest.mark.parametrize(("uptime", "expected"), [(100.0, 5.0), (117.0, 3.0), (121.0, 0.0)])
def test_remaining_time_is_never_longer_than_allowed_nor_negative(uptime, expected):
    assert FirstWave({ID: 120}).remaining_seconds(ID, uptime, 5) == expected
    assert FirstWave({ID: 120}).remaining_seconds("b" * 64, uptime, 5) == 0


def stop(engine: FakeEngine, deadline: int) -> list[str]:
    (container,) = engine.by_id.values()
    wave = FirstWave({container.id: deadline}, is_ours=True)
    (seen,) = stop_bots(engine, Stop(BotRules(), lambda _bot: True, 10, first_wave=wave))
    assert seen.outcome == "proven"
    return [call[0] for call in engine.calls if call[0] in {"wait", "stop", "kill"}]


def test_signalled_bot_is_waited_for_and_gets_no_second_signal(monkeypatch):
    from trading_ops.stop import by_engine as stop_module

    monkeypatch.setattr(stop_module, "uptime", lambda: 100.0)
    engine = FakeEngine(bot("a"))
    (container,) = engine.by_id.values()
    engine.wait = lambda *_: (engine.calls.append(("wait",)), container.die(0))
    assert stop(engine, 105) == ["wait"]


def test_bot_that_outlives_the_first_waves_deadline_is_stopped_all_the_same(monkeypatch):
    from trading_ops.stop import by_engine as stop_module

    monkeypatch.setattr(stop_module, "uptime", lambda: 100.0)
    assert stop(FakeEngine(bot("a")), 105) == ["wait", "stop"]
    assert stop(FakeEngine(bot("a")), 99) == ["stop"]
