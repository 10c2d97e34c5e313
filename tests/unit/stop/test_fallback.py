from dataclasses import replace

import pytest
from trading_ops.core.bots import BotRules
from trading_ops.host.engine import Engine, EngineError
from trading_ops.stop.by_engine import Stop
from trading_ops.stop.fallback import StopReport, stop_with_fallback
from trading_ops.stop.first_wave import FirstWave

from tests.unit.fakes import FakeCgroups, FakeClock, FakeContainer, FakeEngine, bot

RULES = BotRules()


def stop(
    engine: FakeEngine | None,
    cgroups: FakeCgroups,
    guarded: bool = True,
    clock: FakeClock | None = None,
    dry_run: bool = False,
    first_wave: FirstWave | None = None,
) -> StopReport:
    def connect() -> Engine:
        if engine is None:
            raise EngineError("The engine could not answer: timed out.")
        return engine

    ticks = clock or FakeClock()
    asked = Stop(RULES, lambda _bot: True, 10, dry_run, first_wave or FirstWave())
    return stop_with_fallback(connect, cgroups, asked, lambda: guarded, ticks, ticks.sleep)


def outcomes(report: StopReport) -> dict[str, str]:
    return {item.name: item.outcome for item in report.bots}


def test_engine_that_proves_the_stop_leaves_the_kernel_alone():
    container = bot("a")
    cgroups = FakeCgroups(container)
    report = stop(FakeEngine(container), cgroups)
    assert (outcomes(report), report.error, report.engine_error) == ({"a": "proven"}, "", "")
    assert cgroups.calls == []


def test_without_the_engine_a_bot_gets_sigterm_and_is_proven_by_the_kernel():
    container, clock = bot("a", restart_policy="always"), FakeClock()
    report = stop(None, FakeCgroups(container), clock=clock)
    (seen,) = report.bots
    assert (seen.how, seen.outcome, seen.orders, seen.exit_code) == ("stopped", "proven", "UNVERIFIED", None)
    assert seen.finished_at
    assert ("timed out" in report.engine_error, report.error, clock.now) == (True, "", 0.0)


def test_without_the_engine_a_bot_that_ignores_sigterm_is_killed_when_its_grace_is_over():
    clock = FakeClock()
    (seen,) = stop(None, FakeCgroups(bot("a", ignores_sigterm=True)), clock=clock).bots
    assert (seen.how, seen.outcome) == ("killed", "proven")
    assert 10 <= clock.now < 11


def test_bot_that_outlives_sigkill_is_running():
    clock = FakeClock()
    report = stop(None, FakeCgroups(bot("a", immortal=True), bot("b")), clock=clock)
    assert outcomes(report) == {"a": "running", "b": "proven"}
    assert clock.now < 40


def test_without_guard_a_policy_that_may_bring_a_bot_back_is_unknown():
    report = stop(None, FakeCgroups(bot("a", restart_policy="always"), bot("b")), guarded=False)
    assert outcomes(report) == {"a": "unknown", "b": "proven"}
    assert "no guard" in report.bots[0].error


def test_policy_that_cannot_be_read_is_not_taken_for_no():
    cgroups = FakeCgroups(bot("a"))
    cgroups.broken = {"restart_policy": "hostconfig.json could not be read."}
    assert outcomes(stop(None, cgroups, guarded=False)) == {"a": "unknown"}


@pytest.mark.parametrize("broken", ["containers", "processes"])
def test_neither_engine_nor_kernel_is_trouble_and_both_are_told(broken):
    cgroups = FakeCgroups(bot("a"))
    cgroups.broken = {broken: "Permission denied."}
    report = stop(None, cgroups)
    assert report.bots == ()
    assert "timed out" in report.error
    assert "Permission denied" in report.error


@pytest.mark.parametrize("broken", ["terminate", "kill"])
def test_trouble_with_one_signal_is_not_the_end(broken):
    cgroups = FakeCgroups(bot("a"), bot("b", ignores_sigterm=True))
    cgroups.broken = {broken: "It could not be signalled."}
    report = stop(None, cgroups)
    expected = {"a": "proven", "b": "running"} if broken == "kill" else {"a": "proven", "b": "proven"}
    assert outcomes(report) == expected


def test_container_that_no_file_describes_is_trouble():
    report = stop(None, FakeCgroups(bot("a"), strangers=["f" * 64]))
    assert outcomes(report) == {"a": "proven"}
    assert "ffffffffffff" in report.error


def test_engine_that_says_running_is_overruled_by_the_kernels_proof_only():
    """An engine that keeps saying so of a bot whose processes are gone, and of one whose are not."""
    dead, alive = bot("dead", immortal=True), bot("alive", immortal=True, project="trading-b")
    gone = replace(dead, immortal=False, status="exited")
    report = stop(FakeEngine(dead, alive), FakeCgroups(gone, alive))
    assert outcomes(report) == {"dead": "proven", "alive": "running"}


def test_what_the_engine_has_proven_stays_and_only_the_rest_goes_through_the_kernel():
    good, bad = bot("good"), bot("bad", project="trading-b")
    engine = FakeEngine(good, bad)
    engine.stop = lambda container_id, _t: good.die(0) if container_id == good.id else None
    engine.kill = lambda *_: None
    report = stop(engine, FakeCgroups(good, bad))
    seen = {item.name: item for item in report.bots}
    assert outcomes(report) == {"good": "proven", "bad": "proven"}
    assert (seen["good"].exit_code, seen["bad"].exit_code) == (0, None)
    assert bad.status == "exited"


def test_bot_that_the_first_wave_signalled_is_waited_for_and_not_signalled_again(monkeypatch):
    from trading_ops.stop import fallback as fallback

    clock, container = FakeClock(), bot("a", ignores_sigterm=True)
    monkeypatch.setattr(fallback, "uptime", clock)
    cgroups = FakeCgroups(container)
    report = stop(None, cgroups, clock=clock, first_wave=FirstWave({container.id: 4}, is_ours=True))
    assert outcomes(report) == {"a": "proven"}
    assert 4 <= clock.now < 5
    assert "terminate" not in {call[0] for call in cgroups.calls}


def test_dry_run_signals_nobody():
    cgroups = FakeCgroups(bot("a"), bot("b", status="exited"))
    report = stop(None, cgroups, dry_run=True)
    assert {item.name: item.how for item in report.bots} == {"a": "stopped", "b": "already stopped"}
    assert {call[0] for call in cgroups.calls} == {"containers", "processes", "restart_policy"}


def test_hung_engine_holds_the_stop_up_for_a_bounded_time(monkeypatch):
    from trading_ops.stop import fallback as fallback

    limits: list[float] = []

    def hang(_work: object, limit: float) -> None:
        limits.append(limit)
        raise TimeoutError("no answer")

    monkeypatch.setattr(fallback, "bounded", hang)
    report = stop(FakeEngine(), FakeCgroups(bot("a")))
    assert (limits, outcomes(report)) == ([25], {"a": "proven"})


def test_other_containers_are_left_alone():
    other = FakeContainer("db", labels={"com.docker.compose.service": "timescaledb"})
    stop(None, FakeCgroups(bot("a"), other))
    assert other.running
