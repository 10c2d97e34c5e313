import threading
import time

import pytest
from trading_ops.core.bots import BotRules
from trading_ops.host.engine import EngineError
from trading_ops.stop.by_engine import (
    IN_FLIGHT,
    Stop,
    StoppedBot,
    is_proven_stopped,
    last_finished,
    orders_of,
    stop_bots,
)

from tests.unit.fakes import FakeContainer, FakeEngine, bot

RULES = BotRules(images=("trading-core-lab/bot:*",))


def stop(engine: FakeEngine, dry_run: bool = False) -> dict[str, StoppedBot]:
    results = stop_bots(engine, Stop(RULES, lambda _bot: True, 10, dry_run))
    return {result.name: result for result in results}


def test_running_bot_is_stopped_its_policy_first():
    engine = FakeEngine(bot("a", restart_policy="always"))
    seen = stop(engine)["a"]
    assert (seen.how, seen.exit_code, seen.orders, seen.restart_policy) == ("stopped", 0, "cancelled", "always")
    acts = [call[0] for call in engine.calls if call[0] in {"set_restart_policy", "stop", "kill"}]
    assert acts == ["set_restart_policy", "stop"]
    assert seen.changed


@pytest.mark.parametrize("status", ["running", "paused", "restarting"])
@pytest.mark.parametrize("policy", ["always", "unless-stopped", "on-failure", "no"])
def test_every_running_state_and_policy_ends_stopped_with_policy_no(status, policy):
    engine = FakeEngine(bot("a", status=status, restart_policy=policy))
    assert stop(engine)["a"].outcome == "proven"
    (container,) = engine.by_id.values()
    assert (container.status, container.restart_policy) == ("exited", "no")


def test_bot_that_ignores_sigterm_is_killed_and_its_orders_unverified():
    seen = stop(FakeEngine(bot("a", ignores_sigterm=True)))["a"]
    assert (seen.how, seen.exit_code, seen.orders) == ("killed", 137, "UNVERIFIED")


def test_bot_that_nothing_ends_is_running():
    seen = stop(FakeEngine(bot("a", immortal=True)))["a"]
    assert (seen.how, seen.outcome, seen.changed) == ("running", "running", True)
    assert (seen.exit_code, seen.orders) == (None, "UNVERIFIED")


def test_bot_that_is_neither_running_nor_proven_stopped_is_unknown():
    assert stop(FakeEngine(bot("a", status="stopping", immortal=True)))["a"].how == "unknown"


class Removing(FakeEngine):
    """`docker run --rm`: removing for a few looks once it was stopped, and then gone. It takes no policy meanwhile."""

    looks = 1

    def set_restart_policy(self, container_id: str, name: str) -> None:
        if self._get(container_id).status in {"removing", "dead"}:
            raise EngineError("container is marked for removal and cannot be updated")
        super().set_restart_policy(container_id, name)

    def stop(self, container_id: str, timeout_seconds: int) -> None:
        self._get(container_id).status = "removing"

    def kill(self, container_id: str, signal: str = "SIGKILL") -> None:
        raise EngineError("is not running")

    def inspect(self, container_id: str):
        seen = super().inspect(container_id)
        if seen and seen["State"]["Status"] == "removing":
            if not self.looks:
                del self.by_id[container_id]
                return None
            self.looks -= 1
        return seen


@pytest.mark.parametrize(("looks", "how"), [(1, "gone"), (99, "stopped")])
def test_a_container_that_removes_itself_is_stopped_whether_it_is_gone_yet_or_not(looks, how):
    engine = Removing(bot("trading-paper-bot-run-1"))
    engine.looks = looks
    seen = stop(engine)["trading-paper-bot-run-1"]
    assert (seen.how, seen.outcome, seen.orders, seen.error) == (how, "proven", "cancelled", "")


@pytest.mark.parametrize("status", ["removing", "dead"])
@pytest.mark.parametrize("policy", ["no", "always"])
def test_a_removal_that_is_stuck_for_weeks_is_stopped_whatever_its_policy_and_left_alone(status, policy):
    engine = Removing(bot("a", status=status, restart_policy=policy))
    engine.looks = 99
    assert stop(engine)["a"].how == "already stopped"
    assert {call[0] for call in engine.calls} == {"containers", "inspect"}


def test_removing_proves_nothing_while_something_runs():
    engine = Removing(bot("a", status="removing"))
    engine.looks = 99
    alive = engine.by_id[next(iter(engine.by_id))].state() | {"Pid": 4711, "Running": True}
    engine.inspect = lambda _id: {"State": alive}
    assert stop(engine)["a"].outcome == "running"


def test_what_was_unknown_is_looked_at_once_more():
    engine = FakeEngine(bot("a"))
    looks, inspect = [], engine.inspect

    def hung_until_the_last(container_id: str):
        looks.append(1)
        if len(looks) < 7:
            raise EngineError("hung")
        return inspect(container_id)

    engine.inspect = hung_until_the_last
    assert (stop(engine)["a"].outcome, len(looks)) == ("proven", 7)


def test_kill_is_given_five_seconds_to_take_effect():
    engine = FakeEngine(bot("a"))
    engine.stop = engine.kill = lambda *_args: None
    waits: list[int] = []

    def wait(container_id: str, timeout_seconds: int) -> int:
        waits.append(timeout_seconds)
        engine.by_id[container_id].die(137)
        return 137

    engine.wait = wait
    assert (stop(engine)["a"].how, waits) == ("killed", [5])


@pytest.mark.parametrize(
    ("answer", "how"),
    [
        (EngineError("hung"), "unknown"),
        (None, "gone"),
        ({}, "running"),
        ({"State": None}, "running"),
        ({"State": bot("a").state()}, "running"),
    ],
    ids=str,
)
def test_last_look_of_all_decides(answer, how):
    engine = FakeEngine(bot("a"))
    looks, inspect = [], engine.inspect

    def third_differs(container_id: str):
        looks.append(1)
        if len(looks) < 3:
            return inspect(container_id)
        if isinstance(answer, EngineError):
            raise answer
        return answer

    engine.inspect = third_differs
    assert stop(engine)["a"].how == how


def test_bot_that_could_not_be_inspected_once_is_looked_at_again_and_not_called_gone():
    engine = FakeEngine(bot("a"))
    looks, inspect = [], engine.inspect

    def second_fails(container_id: str):
        looks.append(1)
        if len(looks) == 2:
            raise EngineError("cut JSON")
        return inspect(container_id)

    engine.inspect = second_fails
    assert stop(engine)["a"].how == "already stopped"


def test_bot_that_ends_by_itself_after_the_first_look_is_proven():
    engine = FakeEngine(bot("a", immortal=True))
    looks = []

    def end_it(fake: FakeEngine) -> None:
        looks.append(1)
        if len(looks) == 2:
            next(iter(fake.by_id.values())).status = "exited"

    engine.before_list = end_it
    assert stop(engine)["a"].outcome == "proven"


def test_bot_that_comes_back_is_stopped_again():
    engine = FakeEngine(bot("a", resurrects=True))
    assert stop(engine)["a"].outcome == "proven"
    assert [call[0] for call in engine.calls].count("kill") == 1


def test_bot_that_starts_during_the_stop_is_found_by_the_next_look():
    engine = FakeEngine(bot("a"))
    looks = []

    def start_another(fake: FakeEngine) -> None:
        looks.append(1)
        if len(looks) > 1:
            fake.add(bot(f"late-{len(looks)}"))

    engine.before_list = start_another
    seen = {name: item.outcome for name, item in stop(engine).items()}
    assert seen == {"a": "proven", "late-2": "proven", "late-3": "proven"}


def test_stopped_bot_started_by_hand_after_the_first_look_is_stopped():
    engine = FakeEngine(bot("a", status="exited", restart_policy="always"))
    looks = []

    def start_it(fake: FakeEngine) -> None:
        looks.append(1)
        if len(looks) == 2:
            next(iter(fake.by_id.values())).status = "running"

    engine.before_list = start_it
    seen = stop(engine)["a"]
    assert (seen.how, seen.was, seen.restart_policy) == ("stopped", "exited", "always")


def test_clean_second_run_changes_nothing():
    engine = FakeEngine(bot("a"), bot("b", ignores_sigterm=True))
    stop(engine)
    engine.calls.clear()
    again = stop(engine)
    assert not any(seen.changed for seen in again.values())
    assert {call[0] for call in engine.calls} == {"containers", "inspect"}
    assert again["b"].orders == "UNVERIFIED"


def test_exited_bot_gets_policy_no_without_being_stopped():
    engine = FakeEngine(bot("a", status="exited", restart_policy="unless-stopped"))
    seen = stop(engine)["a"]
    assert (seen.how, seen.changed) == ("already stopped", True)
    assert next(iter(engine.by_id.values())).restart_policy == "no"


def test_created_bot_never_had_orders():
    seen = stop(FakeEngine(bot("a", status="created")))["a"]
    assert (seen.how, seen.orders, seen.exit_code, seen.changed) == ("never started", "none", None, False)
    assert seen.finished_at == ""


def test_exited_bot_without_a_time_of_start_had_no_orders():
    engine = FakeEngine(bot("a", status="exited"))
    never = bot("a", status="exited").state() | {"StartedAt": "0001-01-01T00:00:00Z"}
    engine.inspect = lambda _id: {"State": never}
    assert (stop(engine)["a"].how, stop(engine)["a"].orders) == ("never started", "none")


def test_dry_run_touches_nothing_and_plans_what_a_run_would_do():
    engine = FakeEngine(
        bot("a", restart_policy="always"), bot("b", status="exited"), bot("c", status="exited", restart_policy="always")
    )
    seen = stop(engine, dry_run=True)
    assert {name: item.changed for name, item in seen.items()} == {"a": True, "b": False, "c": True}
    assert {call[0] for call in engine.calls} == {"containers", "inspect"}


def test_dry_run_that_could_not_look_at_a_bot_is_unknown():
    engine = FakeEngine(bot("a"))
    engine.broken["inspect"] = "cut JSON"
    seen = stop(engine, dry_run=True)["a"]
    assert (seen.how, "cut JSON" in seen.error) == ("unknown", True)


def test_engine_that_says_done_but_keeps_running_is_never_proven():
    engine = FakeEngine(bot("a"))
    engine.stop = engine.kill = lambda *_args, **_kwargs: None
    assert stop(engine)["a"].how == "running"


@pytest.mark.parametrize("method", ["stop", "kill", "wait", "set_restart_policy"])
def test_one_failing_call_does_not_end_the_stop(method):
    engine = FakeEngine(bot("a"))
    engine.broken[method] = "500 server error"
    seen = stop(engine)["a"]
    assert next(iter(engine.by_id.values())).status == "exited"
    assert (seen.outcome, seen.error) == ("proven", "")


def test_policy_that_could_not_be_neutralised_is_not_proven():
    engine = FakeEngine(bot("a", restart_policy="always"))
    engine.broken["set_restart_policy"] = "500"
    seen = stop(engine)["a"]
    assert (seen.how, "always" in seen.error) == ("unknown", True)


def test_bot_that_cannot_be_inspected_is_unknown_though_it_was_told_to_stop():
    engine = FakeEngine(bot("a"))
    engine.broken["inspect"] = "cut JSON"
    seen = stop(engine)["a"]
    assert (seen.how, seen.outcome, "cut JSON" in seen.error) == ("unknown", "unknown", True)
    assert seen.changed
    assert "stop" in {call[0] for call in engine.calls}


def test_container_that_vanished_is_gone_only_when_the_engine_says_so():
    engine = FakeEngine(bot("a"), bot("b"))
    first = next(iter(engine.by_id))
    inspect = engine.inspect

    def vanish(container_id: str):
        if container_id == first:
            engine.by_id.pop(first, None)
        return inspect(container_id)

    engine.inspect = vanish
    seen = stop(engine)
    assert (seen["a"].how, seen["a"].orders, seen["b"].how) == ("gone", "UNVERIFIED", "stopped")


@pytest.mark.parametrize("seen", [{}, {"State": None}, {"State": "exited"}], ids=str)
def test_description_without_a_state_is_unknown(seen):
    engine = FakeEngine(bot("a"))
    engine.inspect = lambda _id: seen
    assert stop(engine)["a"].outcome == "unknown"


@pytest.mark.parametrize("host_config", [None, {}, {"RestartPolicy": None}, {"RestartPolicy": {"Name": ""}}], ids=str)
def test_unset_restart_policy_is_the_policy_no(host_config):
    engine = FakeEngine(bot("a", status="exited"))
    state = bot("a", status="exited").state()
    del state["FinishedAt"]
    engine.inspect = lambda _id: {"State": state, "HostConfig": host_config}
    seen = stop(engine)["a"]
    assert (seen.outcome, seen.changed, seen.restart_policy, seen.finished_at) == ("proven", False, "no", "")


def test_container_that_vanishes_during_the_stop_is_gone():
    engine = FakeEngine(bot("a"))
    real = engine.stop

    def vanish(container_id: str, timeout_seconds: int) -> None:
        engine.by_id.clear()
        real(container_id, timeout_seconds)

    engine.stop = vanish
    assert (stop(engine)["a"].how, stop(engine)) == ("gone", {})


def test_engine_that_cannot_list_is_an_error_not_an_empty_host():
    engine = FakeEngine(bot("a"))
    engine.broken["containers"] = "hung"
    with pytest.raises(EngineError, match="hung"):
        stop(engine)


def test_engine_that_fails_after_the_first_look_keeps_what_was_done_as_unknown():
    engine = FakeEngine(bot("a"))

    def fail_the_second(fake: FakeEngine) -> None:
        if fake.calls.count(("containers",)) == 2:
            raise EngineError("gone away")

    engine.before_list = fail_the_second
    seen = stop(engine)["a"]
    assert (seen.how, "gone away" in seen.error) == ("unknown", True)
    assert next(iter(engine.by_id.values())).status == "exited"


def test_trouble_with_one_bot_never_keeps_another_running():
    engine = FakeEngine(bot("a", immortal=True), bot("b"), FakeContainer("stray"))
    assert {name: item.how for name, item in stop(engine).items()} == {
        "a": "running",
        "b": "stopped",
        "stray": "stopped",
    }


def test_hundred_bots_are_stopped_with_a_bounded_number_of_calls_in_flight():
    engine = FakeEngine(*(bot(f"bot-{n}") for n in range(100)))
    lock, now, most = threading.Lock(), [0], [0]
    real = engine.stop

    def counted(container_id: str, timeout_seconds: int) -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.002)  # long enough for calls to overlap
        real(container_id, timeout_seconds)
        with lock:
            now[0] -= 1

    engine.stop = counted
    results = stop(engine)
    assert len(results) == 100
    assert all(seen.outcome == "proven" for seen in results.values())
    assert 1 < most[0] <= IN_FLIGHT


@pytest.mark.parametrize("missing", ["Status", "Running", "Paused", "Restarting", "Pid"])
def test_state_with_a_missing_key_proves_nothing(missing):
    state = bot("a", status="exited").state()
    assert is_proven_stopped(state)
    del state[missing]
    assert not is_proven_stopped(state)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Status", "restarting"),
        ("Running", True),
        ("Paused", True),
        ("Restarting", True),
        ("Pid", 7),
        ("Status", "stopping"),
        ("Pid", False),
    ],
)
def test_one_sign_of_life_is_enough(key, value):
    assert not is_proven_stopped(bot("a", status="exited").state() | {key: value})


@pytest.mark.parametrize(
    ("cancels", "started", "exit_code", "orders"),
    [
        (True, True, 0, "cancelled"),
        (True, True, 3, "UNVERIFIED"),
        (True, True, 137, "UNVERIFIED"),
        (True, True, None, "UNVERIFIED"),
        (False, True, 0, "UNVERIFIED"),
        (False, False, None, "none"),
    ],
)
def test_orders_are_cancelled_only_where_the_bot_promised_it_and_ended_well(cancels, started, exit_code, orders):
    from trading_ops.core.bots import select_bots

    labels = {} if cancels else {"trading-core.cancels-orders": "false"}
    (found,) = select_bots(FakeEngine(bot("a", labels=labels)).containers(), RULES)
    assert orders_of(found, started, exit_code) == orders


def test_last_finished_compares_times_not_texts():
    def at(moment: str) -> StoppedBot:
        (seen,) = stop(FakeEngine(bot("a", status="exited"))).values()
        return StoppedBot(**{**seen.__dict__, "finished_at": moment})

    early, late = "2026-11-21T01:30:00.9Z", "2026-11-21T01:30:00.950000001Z"
    assert last_finished([at(late), at(""), at(early)]) == "2026-11-21T01:30:00.950Z"
    assert last_finished([at("2026-11-21T01:30:00.950001Z")]) == "2026-11-21T01:30:00.951Z"
    assert last_finished([at("2026-11-21T01:30:00Z")]) == "2026-11-21T01:30:00.000Z"
    assert last_finished([at("")]) == ""
