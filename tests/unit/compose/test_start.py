import json
from pathlib import Path
from typing import Any

import pytest
from trading_ops.compose.config import CommandResult
from trading_ops.feed.container import parse_feeds
from trading_ops.feed.gate import format_gate

from tests.unit.compose_world import (
    IMAGE,
    PROJECT,
    ComposeContainer,
    World,
    actions,
    desired,
    ensure,
    failure,
)


def halt(world: World, **more: Any) -> str:
    latch = {"scope": "all", "incident_ids": ["INC-1"], "since": "now", "by": "reno", "reason": "bad bars"} | more
    path = world.path / "halt.json"
    path.write_text(json.dumps(latch), encoding="utf-8")
    return str(path)


def test_check_run_check_run(world: World):
    first, second, third, fourth = (ensure(world, "bot", dry_run=dry) for dry in (True, False, True, False))
    assert [run["changed"] for run in (first, second, third, fourth)] == [True, True, False, False]
    assert [run["outcome"] for run in (first, second, third, fourth)] == ["planned", "proven", "planned", "proven"]
    assert first["diff"] == second["diff"] != third["diff"] == fourth["diff"] == {"before": "", "after": ""}
    assert actions(first) == actions(second) == {"bot": "create", "db": "create"}
    assert actions(third) == actions(fourth) == {"bot": "none", "db": "none"}
    assert world.commands.count("up") == 1


def test_check_mode_touches_neither_engine_nor_disk(world: World):
    ensure(world, "bot", dry_run=True)
    assert world.commands == ["config", "hash"]
    assert {call[0] for call in world.engine.calls} <= {"containers", "inspect", "image_id"}
    assert desired(world) == {}


def test_live_bot_whose_database_is_in_another_profile_is_not_changed_forever(world: World):
    live = {"profiles": ["live"]}
    assert actions(ensure(world, "bot", **live)) == {"bot": "create"}
    again = ensure(world, "bot", **live)
    assert (again["outcome"], again["changed"]) == ("proven", False)


def test_changed_configuration_recreates(world: World):
    ensure(world, "bot")
    before = world.one("bot").id
    world.services["bot"].environment = "new"
    result = ensure(world, "bot")
    assert actions(result) == {"bot": "recreate", "db": "none"}
    assert world.one("bot").id != before
    assert result["warnings"] == []


def test_changed_database_takes_the_bot_along_and_says_so(world: World):
    ensure(world, "bot")
    world.services["db"].environment = "new"
    assert actions(ensure(world, "bot", dry_run=True)) == {"bot": "recreate", "db": "recreate"}
    result = ensure(world, "bot")
    assert actions(result) == {"bot": "recreate", "db": "recreate"}
    assert result["warnings"] == []


def test_new_image_recreates(world: World):
    ensure(world, "bot")
    world.engine.images[IMAGE] = "sha256:2"
    assert actions(ensure(world, "bot")) == {"bot": "recreate", "db": "recreate"}
    assert ensure(world, "bot")["changed"] is False


def test_stopped_container_is_started(world: World):
    ensure(world, "bot")
    before = world.one("bot").id
    world.one("bot").die(0)
    assert actions(ensure(world, "bot")) == {"bot": "start", "db": "none"}
    assert (world.one("bot").status, world.one("bot").id) == ("running", before)


def test_paused_container_is_unpaused_without_up(world: World):
    ensure(world, "bot")
    world.one("bot").status = "paused"
    world.commands.clear()
    assert actions(ensure(world, "bot"))["bot"] == "unpause"
    assert world.commands == ["config", "hash", "unpause"]
    assert world.one("bot").status == "running"


def test_paused_database_is_unpaused_before_up(world: World):
    ensure(world, "bot")
    world.one("db").status = "paused"
    world.one("bot").die(0)
    result = ensure(world, "bot")
    assert (result["outcome"], actions(result)) == ("proven", {"bot": "start", "db": "unpause"})


def test_failing_unpause_is_a_failure(world: World):
    ensure(world, "bot")
    world.one("bot").status = "paused"
    world.error["unpause"] = CommandResult(1, "", "Error response from daemon: no\n")
    result = ensure(world, "bot")
    assert result["outcome"] == "failed"
    assert result["summary"] == "Compose says: Error response from daemon: no"


def test_running_one_off_is_not_the_service(world: World):
    labels = {"com.docker.compose.project": PROJECT, "com.docker.compose.service": "bot"}
    world.engine.add(ComposeContainer("run", labels | {"com.docker.compose.oneoff": "True"}))
    assert actions(ensure(world, "bot"))["bot"] == "create"


def test_every_replica_is_expected(world: World):
    world.services["bot"].replicas = 2
    assert ensure(world, "bot")["outcome"] == "proven"
    world.of("bot")[1].die(0)
    assert actions(ensure(world, "bot"))["bot"] == "start"
    world.services["bot"].replicas = 1
    result = ensure(world, "bot", timeout_seconds=3)
    assert (actions(result)["bot"], result["outcome"]) == ("recreate", "failed")
    assert "2 of 1 containers exist" in result["summary"]


# Waiting and proof


def test_health_is_waited_for(world: World):
    world.services["db"].health = "starting"
    world.time.events.append((5.0, lambda: setattr(world.one("db"), "health", "healthy")))
    result = ensure(world, "db")
    assert (result["outcome"], result["summary"]) == ("proven", "db running and healthy after 5.0 s")


def test_unhealthy_container_is_named_with_its_last_lines(world: World):
    world.services["db"].health = "unhealthy"
    world.engine.log_text = "".join(f"line {number}\n" for number in range(50))
    result = ensure(world, "bot")
    assert (result["outcome"], result["changed"]) == ("failed", True)
    assert result["summary"] == f"{PROJECT}-db-1 is unhealthy"
    assert result["next_command"] == f"docker logs --tail 50 {PROJECT}-db-1"
    assert result["logs"] == {"db": [f"line {number}" for number in range(30, 50)]}


def test_failed_start_can_be_made_to_mean_not_running(world: World):
    world.services["bot"].health = "unhealthy"
    result = ensure(world, "bot", stop_on_failure=True)
    assert result["outcome"] == "failed"
    assert result["summary"] == f"{PROJECT}-bot-1 is unhealthy; stopped again: bot."
    assert world.one("bot").status == "exited"
    assert world.one("db").status == "running"


def test_failed_start_that_cannot_be_stopped_is_running(world: World):
    world.services["bot"].health = "unhealthy"
    world.during_up = lambda: setattr(world.one("bot"), "immortal", True)
    assert ensure(world, "bot", stop_on_failure=True)["outcome"] == "running"


def test_unhealthy_container_fails_also_where_there_is_nothing_to_do(world: World):
    ensure(world, "db")
    world.one("db").health = "unhealthy"
    result = ensure(world, "db")
    assert (result["outcome"], result["changed"]) == ("failed", False)


def test_container_that_exits_is_a_failure_with_its_code(world: World):
    world.services["bot"].ends_with = 3
    result = ensure(world, "bot")
    assert result["outcome"] == "failed"
    assert result["summary"] == f"{PROJECT}-bot-1 exited with code 3 instead of running"
    assert result["services"][0]["exit_code"] == 3


def test_container_that_exits_0_is_not_started(world: World):
    world.services["bot"].ends_with = 0
    assert "exited with code 0 instead of running" in ensure(world, "bot")["summary"]


def test_container_that_dies_within_two_seconds_is_not_believed(world: World):
    world.time.events.append((1.0, lambda: world.one("bot").die(1)))
    assert "exited with code 1" in ensure(world, "bot")["summary"]


def test_crash_loop_is_not_proven_on_a_second_run_either(world: World):
    ensure(world, "bot")

    def crash() -> None:
        world.one("bot").started_at = world.time.now()
        world.time.events.append((world.time.seconds + 1, crash))

    crash()
    result = ensure(world, "bot", timeout_seconds=5)
    assert (result["outcome"], result["changed"]) == ("failed", False)
    assert "has not been running for 2 s" in result["summary"]


def test_wait_ends_at_its_limit_with_what_was_seen_last(world: World):
    world.services["db"].health = "starting"
    result = ensure(world, "bot", timeout_seconds=7)
    assert result["summary"] == f"Not as expected within 7 s: {PROJECT}-db-1 is running, health starting"
    assert result["logs"].keys() == {"db"}
    assert 7 <= world.time.seconds < 8


def test_up_that_returns_0_and_starts_nothing_is_not_believed(world: World):
    world.error["up"] = CommandResult(0, "", "")
    result = ensure(world, "db", timeout_seconds=3)
    assert result["outcome"] == "failed"
    assert "0 of 1 containers exist" in result["summary"]
    assert result["services"][0]["state"] == "absent"


def test_container_with_another_configuration_after_up_is_not_believed(world: World):
    def tamper() -> None:
        world.one("db").labels = world.one("db").labels | {"com.docker.compose.config-hash": "other"}

    world.during_up = tamper
    assert "does not run the present configuration" in ensure(world, "db")["summary"]


def test_container_that_compose_replaced_against_the_plan_is_warned_about(world: World):
    ensure(world, "bot")
    world.one("bot").die(0)

    def replace_db() -> None:
        old = world.one("db")
        del world.engine.by_id[old.id]
        world.engine.add(ComposeContainer(old.name, old.labels, old.image, health="healthy"))

    world.during_up = replace_db
    result = ensure(world, "bot")
    assert result["outcome"] == "proven"
    assert result["warnings"] == [
        f"Compose replaced {PROJECT}-db-1, which was not planned. The plan knows the rules of Compose 2.26."
    ]


# What Compose cannot do


def test_missing_compose_file(world: World):
    (world.path / "docker-compose.yml").unlink()
    result = failure(world, "bot")
    assert (result["outcome"], world.commands) == ("failed", [])
    assert result["summary"] == f"{world.path}/docker-compose.yml does not exist on this host."


def test_unknown_service(world: World):
    assert "No such service in the active profiles: nosuch. There are: bot, db." in failure(world, "nosuch")["summary"]


def test_service_of_an_inactive_profile_is_unknown(world: World):
    assert "No such service in the active profiles: alerts." in failure(world, "alerts")["summary"]


def test_missing_variable(world: World):
    world.error["config"] = CommandResult(15, "", "required variable TRADING_MODE is missing a value: which?\n")
    result = failure(world, "bot")
    assert "TRADING_MODE, which was not given (which?)" in result["summary"]
    assert "config --format json" in result["next_command"]


def test_engine_that_goes_away_during_the_start_is_unknown(world: World):
    world.during_up = lambda: world.engine.broken.update(containers="The engine could not list: gone.")
    result = ensure(world, "bot")
    assert (result["outcome"], result["changed"]) == ("unknown", True)
    assert result["summary"] == "Whether it was started is not known: The engine could not list: gone."
    assert actions(result) == {"bot": "create", "db": "create"}


def test_failed_pull_names_the_reason_and_the_line_to_type(world: World):
    recorded = Path(__file__).parents[1] / "samples" / "compose" / "2.26.1" / "error_pull.stderr"
    world.error["up"] = CommandResult(18, "", recorded.read_text(encoding="utf-8"))
    result = ensure(world, "bot")
    assert result["outcome"] == "failed"
    assert "registry.invalid" in result["summary"]
    assert result["next_command"].endswith("--profile paper pull bot")


def test_up_that_hangs_ends_at_the_limit(world: World):
    world.error["up"] = CommandResult(None, "", "")
    assert ensure(world, "bot")["summary"] == "Compose did not finish within 30 s and was ended"


def test_failing_one_shot_under_a_service_is_named(world: World):
    world.services["init"].ends_with = 4
    world.engine.log_text = "no webhook\n"
    result = ensure(world, "alerts", profiles=["alerting"])
    assert result["summary"] == (
        'Compose says: service "init" didn\'t complete successfully: exit 4; '
        f"{PROJECT}-init-1 exited with code 4 instead of with 0"
    )
    assert result["logs"] == {"init": ["no webhook"]}


def test_compose_gets_the_variables_and_nothing_else(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TRADING_MODE", "live")
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", "other")
    ensure(world, "bot")
    for environment in world.environments:
        assert environment["TRADING_MODE"] == "paper"
        assert environment["DOCKER_HOST"] == "unix:///run/docker.sock"
        assert "COMPOSE_PROJECT_NAME" not in environment


# Completed


def complete(world: World, **more: Any) -> dict[str, Any]:
    return ensure(world, "init", profiles=["alerting"], state="completed", **more)


def test_done_once_means_done(world: World):
    assert [complete(world, dry_run=dry)["changed"] for dry in (True, False, True, False)] == [True, True, False, False]
    assert world.commands.count("up") == 1
    assert complete(world)["summary"] == "init completed with exit code 0, nothing to do"


def test_changed_configuration_runs_it_again(world: World):
    complete(world)
    world.services["init"].environment = "new"
    result = complete(world)
    assert (actions(result), result["outcome"]) == ({"init": "recreate"}, "proven")


def test_failed_one_shot_says_its_code_and_runs_again(world: World):
    world.services["init"].ends_with = 2
    world.engine.log_text = "bad webhook\n"
    result = complete(world)
    assert (result["outcome"], result["logs"]) == ("failed", {"init": ["bad webhook"]})
    assert result["summary"] == f"{PROJECT}-init-1 exited with code 2 instead of with 0"
    world.services["init"].ends_with = 0
    assert actions(complete(world)) == {"init": "start"}


def test_running_one_shot_is_waited_for_not_started_again(world: World):
    complete(world)
    world.one("init").status = "running"
    world.time.events.append((world.time.seconds + 3, lambda: world.one("init").die(0)))
    result = complete(world)
    assert (result["outcome"], result["changed"], world.commands.count("up")) == ("proven", False, 1)


def test_one_shot_that_does_not_end_is_a_failure(world: World):
    world.services["init"].ends_with = None
    assert complete(world, timeout_seconds=4)["summary"] == f"Not as expected within 4 s: {PROJECT}-init-1 is running"


def test_one_shot_runs_again_before_what_needs_it(world: World):
    complete(world)
    planned = ensure(world, "alerts", profiles=["alerting"], dry_run=True)
    result = ensure(world, "alerts", profiles=["alerting"])
    assert actions(planned) == actions(result) == {"alerts": "create", "init": "start"}
    assert ensure(world, "alerts", profiles=["alerting"])["changed"] is False


# Restart policy


def test_restart_policy_is_put_back_and_proven(world: World):
    world.services["bot"].restart = "always"
    result = ensure(world, "bot", restart_policy="no")
    assert (result["outcome"], world.one("bot").restart_policy) == ("proven", "no")
    world.one("bot").restart_policy = "always"
    planned = ensure(world, "bot", restart_policy="no", dry_run=True)
    assert (planned["changed"], planned["summary"]) == (True, "to do: bot: set the restart policy")
    assert "restart=always" in planned["diff"]["before"]
    assert "restart=no" in planned["diff"]["after"]
    assert ensure(world, "bot", restart_policy="no")["changed"] is True
    assert world.one("bot").restart_policy == "no"
    assert ensure(world, "bot", restart_policy="no")["changed"] is False


def test_restart_policy_that_does_not_hold_is_a_failure(world: World, monkeypatch: pytest.MonkeyPatch):
    world.services["bot"].restart = "always"
    monkeypatch.setattr(world.engine, "set_restart_policy", lambda container_id, name: None)
    assert ensure(world, "bot", restart_policy="no")["summary"] == f"{PROJECT}-bot-1 has restart policy 'always'"


def test_restart_policy_of_the_database_is_left_alone(world: World):
    world.services["db"].restart = "unless-stopped"
    ensure(world, "bot", restart_policy="no")
    assert world.one("db").restart_policy == "unless-stopped"


# The halt latch


@pytest.mark.parametrize("dry_run", [True, False])
def test_nothing_starts_while_halted(world: World, dry_run):
    result = ensure(world, "bot", halt_latch_path=halt(world), gate_mode="paper", dry_run=dry_run)
    assert (result["outcome"], result["changed"], world.commands, desired(world)) == ("refused", False, [], {})
    assert "INC-1" in result["summary"]
    assert "bad bars" in result["summary"]
    assert result["next_command"] == "./runbook halt_release -e incident_id=INC-1"


def test_running_bot_is_no_reason_to_call_a_halted_start_proven(world: World):
    ensure(world, "bot")
    assert ensure(world, "bot", halt_latch_path=halt(world))["outcome"] == "refused"


def test_one_shot_does_not_run_while_halted(world: World):
    assert complete(world, halt_latch_path=halt(world))["outcome"] == "refused"


@pytest.mark.parametrize(("mode", "outcome"), [("paper", "proven"), ("live", "refused"), ("", "refused")])
def test_halt_of_live_lets_paper_start(world: World, mode, outcome):
    assert ensure(world, "bot", halt_latch_path=halt(world, scope="live"), gate_mode=mode)["outcome"] == outcome


@pytest.mark.parametrize("text", ["", "garbage", "[]"])
def test_damaged_latch_is_engaged(world: World, text):
    path = world.path / "halt.json"
    path.write_text(text, encoding="utf-8")
    result = ensure(world, "bot", halt_latch_path=str(path), gate_mode="paper")
    assert result["outcome"] == "refused"
    assert result["next_command"] == './runbook failsafe_stop -e reason="damaged latch"'


def test_missing_latch_is_released(world: World):
    assert ensure(world, "bot", halt_latch_path=str(world.path / "halt.json"))["outcome"] == "proven"


def test_start_that_a_halt_overtakes_is_stopped_again(world: World):
    world.during_up = lambda: halt(world)
    result = ensure(world, "bot", halt_latch_path=str(world.path / "halt.json"), gate_mode="paper")
    assert (result["outcome"], result["changed"]) == ("refused", True)
    assert "It came during the start; stopped again: bot, db." in result["summary"]
    assert [world.one(name).status for name in ("bot", "db")] == ["exited", "exited"]
    assert [row["service"] for row in result["services"]] == ["bot", "db"]
    assert desired(world)[f"{PROJECT}/bot"]["state"] == "stopped"
    assert "bad bars" in desired(world)[f"{PROJECT}/bot"]["why"]


def test_overtaken_start_leaves_alone_what_ran_before(world: World):
    ensure(world, "db")
    world.during_up = lambda: halt(world)
    ensure(world, "bot", halt_latch_path=str(world.path / "halt.json"))
    assert [world.one(name).status for name in ("bot", "db")] == ["exited", "running"]


def test_bot_that_does_not_stop_again_is_running(world: World):
    def overtake() -> None:
        halt(world)
        world.one("bot").immortal = True

    world.during_up = overtake
    result = ensure(world, "bot", halt_latch_path=str(world.path / "halt.json"))
    assert result["outcome"] == "running"
    assert result["next_command"] == f"docker ps --filter label=com.docker.compose.project={PROJECT}"


def test_failing_start_is_stopped_again_too(world: World):
    world.services["bot"].ends_with = None
    world.services["db"].health = "unhealthy"
    world.during_up = lambda: halt(world)
    assert ensure(world, "bot", halt_latch_path=str(world.path / "halt.json"))["outcome"] == "refused"
    assert world.one("db").status == "exited"


def test_engine_that_goes_away_while_a_halt_overtakes_is_unknown(world: World):
    def overtake() -> None:
        halt(world)
        world.engine.broken["containers"] = "The engine could not list: gone."

    world.during_up = overtake
    result = ensure(world, "bot", halt_latch_path=str(world.path / "halt.json"))
    assert result["outcome"] == "unknown"
    assert "gone" in result["summary"]


# The feed gate

FEED = {"host": "lab1", "container_id": "f" * 64, "started_at": "2026-11-21T01:00:00Z"}


def gated(world: World, passed_by: dict[str, str] | None = FEED, ttl: int = 900, **more: Any) -> dict[str, Any]:
    """Return the parameters of a start that asks the gate, which `passed_by` has passed (None: nobody)."""
    path = world.path / "feed_gate.json"
    if passed_by:
        path.write_text(format_gate(parse_feeds([passed_by]), [], "reno", world.time.now(), ttl), encoding="utf-8")
    return {"feed_gate_path": str(path), "feeds": [FEED]} | more


def test_a_start_goes_through_the_gate_of_the_feed_that_runs(world: World):
    assert ensure(world, "bot", **gated(world))["outcome"] == "proven"


CLOSED = {
    "nobody passed": {"passed_by": None},
    "an earlier container passed": {"passed_by": FEED | {"container_id": "e" * 64}},
    "passed before its last start": {"passed_by": FEED | {"started_at": "2026-11-21T00:00:00Z"}},
    "over": {"ttl": 0},
    "no feed was looked at": {"feeds": []},
    "half a feed was looked at": {"feeds": [{"host": "lab1"}]},
}


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("given", CLOSED.values(), ids=CLOSED)
def test_nothing_starts_through_a_closed_gate(world: World, given, dry_run):
    result = ensure(world, "bot", **gated(world, **given), dry_run=dry_run)
    assert (result["outcome"], result["changed"], world.commands, desired(world)) == ("refused", False, [], {})
    assert result["next_command"] == "./runbook feed_gate"


def test_a_running_bot_is_no_reason_to_call_a_start_through_a_closed_gate_proven(world: World):
    ensure(world, "bot")
    assert ensure(world, "bot", **gated(world, None))["outcome"] == "refused"


def test_a_stop_does_not_ask_the_gate(world: World):
    ensure(world, "bot")
    assert ensure(world, "bot", state="stopped", **gated(world, None))["outcome"] == "proven"


# The mode


def of_mode(label: str | None, environment: str | None) -> dict[str, Any]:
    said = {"labels": {"trading-core.mode": label}} if label is not None else {}
    return said | ({"environment": {"TRADING_MODE": environment}} if environment is not None else {})


def test_a_bot_that_says_its_mode_everywhere_starts(world: World):
    world.services["bot"].more = of_mode("paper", "paper")
    assert ensure(world, "bot", gate_mode="paper", mode_services=["bot"])["outcome"] == "proven"


MIXED = {
    "label live": ("live", "paper"),
    "no label": (None, "paper"),
    "empty label": ("", "paper"),
    "environment live": ("paper", "live"),
    "no environment": ("paper", None),
    "neither": (None, None),
    "all of it live": ("live", "live"),
    "other words": ("Paper", "paper "),
}


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("said", MIXED.values(), ids=MIXED)
def test_a_bot_whose_mode_is_in_doubt_counts_as_live_and_does_not_start(world: World, said, dry_run):
    world.services["bot"].more = of_mode(*said)
    for services in (["bot"], ["db"]):  # also not what stands beside it: nothing is half started
        result = ensure(world, *services, gate_mode="paper", mode_services=["bot"], dry_run=dry_run)
        assert (result["outcome"], "counts as live" in result["summary"]) == ("refused", True)
        assert (world.engine.by_id, desired(world)) == ({}, {})


@pytest.mark.parametrize("value", ["true", "True", "1"])
def test_a_bot_with_the_label_of_a_restore_test_does_not_start(world: World, value):
    said = of_mode("paper", "paper")
    world.services["bot"].more = {**said, "labels": {**said["labels"], "trading-core.restore-test": value}}
    result = ensure(world, "bot", gate_mode="paper", mode_services=["bot"])
    assert (result["outcome"], "bears the label trading-core.restore-test" in result["summary"]) == ("refused", True)
    assert (world.engine.by_id, desired(world)) == ({}, {})


def test_a_project_of_another_mode_is_refused(world: World):
    world.services["bot"].more = of_mode("live", "live")
    result = ensure(world, "bot", gate_mode="live", mode_services=["bot"])
    assert (result["outcome"], "its project name says paper" in result["summary"]) == ("refused", True)


def test_a_bot_that_no_active_profile_has_says_no_mode(world: World):
    result = ensure(world, "db", gate_mode="paper", mode_services=["nosuch"])
    assert (result["outcome"], world.engine.by_id) == ("refused", {})


def test_no_mode_asked_for_is_no_mode_agreed_on(world: World):
    assert ensure(world, "bot", gate_mode="", mode_services=["bot"])["outcome"] == "refused"


# Desired state


def test_what_was_started_is_wanted_with_all_it_needs(world: World):
    ensure(world, "bot")
    ensure(world, "alerts", profiles=["alerting"])
    wanted = desired(world)
    assert {name: entry["state"] for name, entry in wanted.items()} == {
        f"{PROJECT}/bot": "started",
        f"{PROJECT}/db": "started",
        f"{PROJECT}/alerts": "started",
        f"{PROJECT}/init": "completed",
    }
    assert wanted[f"{PROJECT}/bot"]["by"] == "reno"
    assert wanted[f"{PROJECT}/bot"]["why"] == "test"


def test_desired_state_is_written_where_nothing_else_is_to_do(world: World):
    ensure(world, "bot")
    (world.path / "state" / "desired.json").unlink()
    result = ensure(world, "bot")
    assert (result["changed"], desired(world)[f"{PROJECT}/bot"]["state"]) == (False, "started")


def test_nothing_starts_that_cannot_be_recorded(world: World):
    (world.path / "state").write_text("", encoding="utf-8")
    result = ensure(world, "bot")
    assert (result["outcome"], result["changed"], world.commands) == ("failed", False, ["config", "hash"])
    assert "could not be written" in result["summary"]


def test_damaged_desired_state_is_kept_and_said(world: World):
    (world.path / "state").mkdir()
    (world.path / "state" / "desired.json").write_text("garbage", encoding="utf-8")
    result = ensure(world, "bot")
    assert result["outcome"] == "proven"
    assert "was kept as" in result["warnings"][0]
