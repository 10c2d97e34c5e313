"""What a release does to services, and what forbids it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from trading_ops.compose.config import ComposeError, Service
from trading_ops.compose.plan import Container
from trading_ops.release.plan import ObservedStack, Rules, Seen, parse_seen, plan_stack, touched_by

RULES = Rules(("bot",), "live_connector", ())
ROOT = "/opt/ai_trading_core"


def service(name, config_hash="h1", image="app:1", depends_on=None):
    return Service(name, image, 1, depends_on or {}, config_hash)


def seen(name, config_hash="h1", image_id="id:app:1", state="running", binds=(), one_off=False):
    container = Container(
        id=f"{name}-id",
        name=f"x-{name}-1",
        service=name,
        state=state,
        health="healthy" if state == "running" else "",
        exit_code=None if state == "running" else 0,
        started_at=datetime(2026, 11, 21, tzinfo=UTC),
        config_hash=config_hash,
        image_id=image_id,
        restart_policy="no",
        one_off=one_off,
    )
    return Seen(container, "app:1", tuple(binds))


def decide(services, containers, desired=(), changed=(), rules=RULES, known=None):
    named = {item.name: item for item in services}
    known = {item.container.service for item in containers} if known is None else known
    present = {name: service(name) for name in known}
    stack = ObservedStack("x", containers, named, present, set(desired), rules)
    return plan_stack(stack, set(changed), lambda reference: f"id:{reference}")


def actions(plan):
    return {move.service: move.action for move in plan.moves}


def test_what_runs_as_configured_is_left_alone():
    plan = decide([service("gui")], [seen("gui")])
    assert (actions(plan), plan.to_run, plan.restart, plan.refusals) == ({"gui": "none"}, ("gui",), (), ())


@pytest.mark.parametrize("wanted", [service("gui", "h2"), service("gui", image="app:2")])
def test_another_configuration_or_image_recreates_what_runs(wanted):
    assert actions(decide([wanted], [seen("gui")])) == {"gui": "recreate"}


def test_what_is_stopped_stays_stopped_and_takes_the_release_later():
    plan = decide([service("gui", "h2"), service("new")], [seen("gui", state="exited")])
    assert (actions(plan), plan.to_run) == ({"gui": "later"}, ())


def test_what_crashed_although_somebody_started_it_is_not_left_down():
    plan = decide([service("gui")], [seen("gui", state="exited")], desired=["gui"])
    assert (actions(plan), plan.to_run) == ({"gui": "start"}, ("gui",))


def test_a_service_that_only_reads_changed_files_is_started_again():
    mounted = [seen("gui", binds=[f"{ROOT}/ops/gui"])]
    plan = decide([service("gui")], mounted, changed=[f"{ROOT}/ops/gui/a/b.yml", f"{ROOT}/ops/gui2"])
    assert (actions(plan), plan.restart) == ({"gui": "restart"}, ("gui-id",))
    assert actions(decide([service("gui")], mounted, changed=[f"{ROOT}/ops/gui2"])) == {"gui": "none"}


def test_a_mounted_file_counts_as_well_as_a_folder():
    assert touched_by([f"{ROOT}/a.yml"], [f"{ROOT}/a.yml", f"{ROOT}/a.yml.bak"]) == [f"{ROOT}/a.yml"]


@pytest.mark.parametrize(
    ("wanted", "changed", "word"),
    [
        (service("bot", "h2"), [], "its configuration changes"),
        (service("bot", image="bot:2"), [], "its image bot:2 changes"),
        (service("bot"), [f"{ROOT}/config/trading.yml"], "changes under it"),
    ],
)
@pytest.mark.parametrize("one_off", [False, True])
def test_a_bot_that_runs_and_would_be_touched_forbids_the_release(wanted, changed, word, one_off):
    bot = seen("bot", binds=[f"{ROOT}/config"], one_off=one_off)
    (refusal,) = decide([wanted], [bot], changed=changed).refusals
    assert word in refusal.sentence
    assert refusal.next_command.startswith("./runbook bot_stop")


def test_a_bot_is_never_started_or_recreated_and_one_that_is_left_alone_forbids_nothing():
    plan = decide([service("bot"), service("gui", "h2")], [seen("bot"), seen("gui")], desired=["bot"])
    assert (plan.to_run, plan.refusals) == (("gui",), ())
    assert actions(plan) == {"gui": "recreate", "bot": "later"}
    stopped = decide([service("bot", "h2")], [seen("bot", state="exited")], desired=["bot"])
    assert (stopped.to_run, stopped.refusals) == ((), ())


def test_a_service_that_needs_a_bot_forbids_the_release_where_that_would_start_it():
    needs = service("gui", "h2", depends_on={"bot": "service_started"})
    assert "bots only start" in decide([needs, service("bot")], [seen("gui")]).refusals[0].sentence
    untouched = decide([service("gui", depends_on={"bot": "service_started"}), service("bot")], [seen("gui")])
    assert (untouched.refusals, untouched.touched) == ((), ())


@pytest.mark.parametrize("running", [(), ("lab2/trading-live-bot-1",)])
def test_the_feed_is_not_touched_while_a_bot_runs_anywhere(running):
    rules = Rules(("bot",), "live_connector", running)
    plan = decide([service("live_connector", "h2")], [seen("live_connector")], rules=rules)
    assert len(plan.refusals) == len(running)
    assert all("while bots run: lab2/trading-live-bot-1" in refusal.sentence for refusal in plan.refusals)
    untouched = decide(
        [service("live_connector"), service("g", "h2")], [seen("live_connector"), seen("g")], rules=rules
    )
    assert untouched.refusals == ()


def test_a_service_that_runs_and_is_gone_from_the_release_is_told():
    (refusal,) = decide([service("gui")], [seen("gui"), seen("old")]).refusals
    assert "x-old-1 runs, and the release has no such service" in refusal.sentence
    assert decide([service("gui")], [seen("gui"), seen("old", state="exited")]).refusals == ()


def test_what_runs_in_another_profile_is_nobodys_here():
    plan = decide([service("gui", "h2")], [seen("gui"), seen("debugger")], known={"gui"})
    assert (plan.refusals, plan.touched, actions(plan)) == ((), ("gui",), {"gui": "recreate"})


def test_a_one_shot_that_something_needs_runs_again_and_else_is_left():
    services = [
        service("am_init", "h2"),
        service("alertmanager", depends_on={"am_init": "service_completed_successfully"}),
    ]
    containers = [seen("am_init", state="exited"), seen("alertmanager")]
    assert actions(decide(services, containers))["am_init"] == "recreate"
    assert actions(decide(services[:1], containers[:1])) == {"am_init": "later"}


def test_a_one_shot_that_only_others_need_does_not_run_again():
    services = [
        service("am_init"),
        service("alertmanager", depends_on={"am_init": "service_completed_successfully"}),
        service("grafana", "h2"),
    ]
    plan = decide(services, [seen("am_init", state="exited"), seen("alertmanager"), seen("grafana")])
    assert actions(plan) == {"am_init": "later", "alertmanager": "none", "grafana": "recreate"}
    assert (plan.to_run, plan.touched) == (("alertmanager", "grafana"), ("grafana",))


def test_an_incomplete_description_is_unknown():
    with pytest.raises(ComposeError) as caught:
        parse_seen({"Config": {}})
    assert caught.value.outcome == "unknown"
