import json
from pathlib import Path
from typing import Any

import pytest
from trading_ops.compose.services import ensure_services

from tests.unit.compose_world import PROJECT, World
from tests.unit.fakes import FakeContainer


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def add(world: World, name: str, service: str = "bot", **more: Any) -> FakeContainer:
    labels = {"com.docker.compose.project": PROJECT, "com.docker.compose.service": service} | more.pop("labels", {})
    return world.engine.add(FakeContainer(name, labels, **more))


def stop(world: World, *services: str, dry_run: bool = False, **more: Any) -> dict[str, Any]:
    params = world.params(*services, state="stopped", project_src=None, files=None, **more)
    return ensure_services(params, world.tools(), dry_run)


def desired(world: World) -> dict[str, Any]:
    path = world.path / "state" / "desired.json"
    return json.loads(path.read_text(encoding="utf-8"))["services"] if path.exists() else {}


def test_check_run_check_run(world: World):
    add(world, "bot-1")
    first, second, third, fourth = (stop(world, "bot", dry_run=dry) for dry in (True, False, True, False))
    assert [run["changed"] for run in (first, second, third, fourth)] == [True, True, False, False]
    assert [run["outcome"] for run in (first, second, third, fourth)] == ["planned", "proven", "planned", "proven"]
    assert first["diff"] == second["diff"] == {"before": "bot: running\n", "after": "bot: stopped\n"}
    assert world.commands == []


def test_check_mode_only_reads(world: World):
    add(world, "bot-1")
    stop(world, "bot", dry_run=True)
    assert {call[0] for call in world.engine.calls} == {"containers", "inspect"}
    assert desired(world) == {}


@pytest.mark.parametrize("status", ["running", "paused", "restarting", "stopping"])
def test_container_in_any_state_is_stopped(world: World, status):
    one = add(world, "bot-1", status=status)
    assert stop(world, "bot")["outcome"] == "proven"
    assert ("stop", one.id, "10") in world.engine.calls
    assert one.status == "exited"


@pytest.mark.parametrize("status", ["created", "exited", "dead", "removing"])
def test_stopped_container_is_left_alone(world: World, status):
    add(world, "bot-1", status=status)
    result = stop(world, "bot")
    assert (result["outcome"], result["changed"]) == ("proven", False)
    assert "stop" not in {call[0] for call in world.engine.calls}


def test_service_that_was_never_created_is_stopped(world: World):
    result = stop(world, "bot")
    assert (result["outcome"], result["changed"]) == ("proven", False)
    assert result["services"][0]["state"] == "absent"
    assert result["summary"] == "bot was stopped already"


def test_one_off_container_is_stopped_too(world: World):
    one_off = add(world, "bot-run-1", labels={"com.docker.compose.oneoff": "True"})
    assert stop(world, "bot")["outcome"] == "proven"
    assert one_off.status == "exited"


def test_other_services_and_projects_are_left_alone(world: World):
    others = [add(world, "db-1", "db"), add(world, "x", labels={"com.docker.compose.project": "trading-live"})]
    stop(world, "bot")
    assert [one.status for one in others] == ["running", "running"]


def test_grace_period_is_the_one_given_and_sigkill_is_told(world: World):
    deaf = add(world, "bot-1", ignores_sigterm=True)
    result = stop(world, "bot", grace_period_seconds=3)
    assert ("stop", deaf.id, "3") in world.engine.calls
    assert result["summary"] == "bot stopped; ended by SIGKILL: bot-1"
    assert result["services"][0]["exit_code"] == 137


def test_services_stop_in_the_order_of_the_request(world: World):
    ids = [add(world, name, name).id for name in ("db", "gui", "bot")]
    result = stop(world, "bot", "gui", "db")
    assert [call[1] for call in world.engine.calls if call[0] == "stop"] == [ids[2], ids[1], ids[0]]
    assert [row["service"] for row in result["services"]] == ["bot", "gui", "db"]


def test_container_that_comes_back_is_stopped_again(world: World):
    one = add(world, "bot-1", resurrects=True)
    assert stop(world, "bot")["outcome"] == "proven"
    assert one.status == "exited"


def test_container_that_starts_during_the_stop_is_stopped_too(world: World):
    add(world, "bot-1")
    late: list[FakeContainer] = []

    def start_one(engine: Any) -> None:
        if not late and any(call[0] == "stop" for call in engine.calls):
            late.append(add(world, "bot-2"))

    world.engine.before_list = start_one
    assert stop(world, "bot")["outcome"] == "proven"
    assert [one.status for one in late] == ["exited"]


def test_container_that_nothing_ends_is_running(world: World):
    add(world, "bot-1", immortal=True)
    result = stop(world, "bot")
    assert (result["outcome"], result["changed"], desired(world)) == ("running", True, {})
    assert result["summary"].startswith("bot-1 is running after the stop.")
    assert result["next_command"] == f"docker ps --filter label=com.docker.compose.project={PROJECT}"


def test_trouble_with_one_never_keeps_another_from_being_stopped(world: World):
    add(world, "bot-1", immortal=True)
    second, third = add(world, "bot-2"), add(world, "gui-1", "gui")
    assert stop(world, "bot", "gui")["outcome"] == "running"
    assert [second.status, third.status] == ["exited", "exited"]


@pytest.mark.parametrize("broken", ["stop", "inspect", "containers"])
def test_engine_in_trouble_is_never_proven(world: World, broken):
    add(world, "bot-1", immortal=broken == "stop")
    world.engine.broken[broken] = "The engine could not do it: 500."
    result = stop(world, "bot")
    assert result["outcome"] == {"stop": "running", "inspect": "unknown", "containers": "unknown"}[broken]
    assert "500" in result["summary"]
    assert desired(world) == {}


def test_container_that_cannot_be_looked_at_is_stopped_all_the_same(world: World):
    one = add(world, "bot-1")
    world.engine.broken["inspect"] = "The engine could not inspect: 500."
    stop(world, "bot")
    assert one.status == "exited"


def test_state_that_is_cut_off_proves_nothing(world: World, monkeypatch: pytest.MonkeyPatch):
    one = add(world, "bot-1")
    monkeypatch.setattr(world.engine, "inspect", lambda container_id: {"Id": container_id})
    result = stop(world, "bot")
    assert (result["outcome"], one.status) == ("unknown", "exited")
    assert "gives no state for it" in result["summary"]


def test_answer_without_a_stop_is_followed_by_a_kill(world: World, monkeypatch: pytest.MonkeyPatch):
    one = add(world, "bot-1")
    monkeypatch.setattr(world.engine, "stop", lambda container_id, timeout_seconds: None)
    assert stop(world, "bot")["outcome"] == "proven"
    assert ("kill", one.id, "SIGKILL") in world.engine.calls


def test_vanished_container_is_stopped_when_a_second_look_agrees(world: World, monkeypatch: pytest.MonkeyPatch):
    one = add(world, "bot-1")
    original = world.engine.inspect

    def vanish(container_id: str) -> dict[str, Any] | None:
        world.engine.by_id.pop(one.id, None)
        return original(container_id)

    monkeypatch.setattr(world.engine, "inspect", vanish)
    result = stop(world, "bot")
    assert (result["outcome"], result["services"][0]["state"]) == ("proven", "absent")


def test_container_that_is_listed_but_never_there_is_unknown(world: World, monkeypatch: pytest.MonkeyPatch):
    add(world, "bot-1")
    monkeypatch.setattr(world.engine, "inspect", lambda container_id: None)
    result = stop(world, "bot")
    assert (result["outcome"], result["summary"]) == (
        "unknown",
        "bot: Its containers come and go faster than they can be looked at.",
    )


def test_deliberate_stop_is_written_down(world: World):
    stop(world, "bot", "gui")
    assert {name: entry["state"] for name, entry in desired(world).items()} == {
        f"{PROJECT}/bot": "stopped",
        f"{PROJECT}/gui": "stopped",
    }


def test_stop_happens_where_it_cannot_be_written_down(world: World):
    one = add(world, "bot-1")
    (world.path / "state").write_text("", encoding="utf-8")
    result = stop(world, "bot")
    assert (result["outcome"], one.status, result["changed"]) == ("failed", "exited", True)
    assert result["summary"].startswith("bot stopped, but: The desired state could not be written")


def test_damaged_desired_state_is_kept_and_said(world: World):
    (world.path / "state").mkdir()
    (world.path / "state" / "desired.json").write_text("{", encoding="utf-8")
    assert "was kept as" in stop(world, "bot")["warnings"][0]


def test_latch_never_holds_up_a_stop(world: World):
    add(world, "bot-1")
    (world.path / "halt.json").write_text("", encoding="utf-8")
    assert stop(world, "bot", halt_latch_path=str(world.path / "halt.json"))["outcome"] == "proven"


def test_forty_replicas_stop_together(world: World):
    many = [add(world, f"bot-{number}") for number in range(40)]
    assert stop(world, "bot")["outcome"] == "proven"
    assert {one.status for one in many} == {"exited"}
