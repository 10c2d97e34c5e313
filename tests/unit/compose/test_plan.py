import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from trading_ops.compose.config import ComposeError, Service
from trading_ops.compose.plan import Container, Expected, judge, parse_container, plan, select_expected

SAMPLES = Path(__file__).parents[1] / "samples" / "compose" / "2.26.1"
NOW = datetime(2026, 11, 21, 1, 30, tzinfo=UTC)

BOT = Container(
    id="b1",
    name="p-bot-1",
    service="bot",
    state="running",
    health="",
    exit_code=None,
    started_at=NOW - timedelta(hours=1),
    config_hash="h-bot",
    image_id="i1",
    restart_policy="no",
    one_off=False,
)
DB = replace(BOT, id="d1", name="p-db-1", service="db", config_hash="h-db", health="healthy")
INIT = replace(BOT, id="i1", name="p-init-1", service="init", config_hash="h-init", state="exited", exit_code=0)

WANT_BOT = Expected("bot", "started", 1, "h-bot", "img:1", "i1", ("db",))
WANT_DB = Expected("db", "started", 1, "h-db", "img:1", "i1", ())
WANT_INIT = Expected("init", "completed", 1, "h-init", "img:1", "i1", ())


def recorded(name: str) -> Container:
    return parse_container(json.loads((SAMPLES / f"inspect_{name}.json").read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("name", "service", "state", "health", "exit_code"),
    [
        ("live_bot", "bot", "running", "", None),
        ("paused_bot", "bot", "paused", "", None),
        ("healthy_db", "db", "running", "healthy", None),
        ("failed_init", "am_init", "exited", "", 4),
        ("crashed", "crash", "exited", "", 3),
    ],
)
def test_container_as_the_engine_describes_it(name, service, state, health, exit_code):
    one = recorded(name)
    assert (one.service, one.state, one.health, one.exit_code) == (service, state, health, exit_code)
    assert one.restart_policy == "no"  # Compose leaves the name empty
    assert one.one_off is False
    assert len(one.config_hash) == 64
    assert one.image_id.startswith("sha256:")
    assert one.started_at.tzinfo is not None


def description(**more):
    return {
        "Id": "x",
        "Name": "/x",
        "State": {"Status": "running", "ExitCode": 0, "StartedAt": "2026-11-21T01:00:00.000000001Z"},
        "HostConfig": {"RestartPolicy": {"Name": "always"}},
        "Config": {"Labels": {"com.docker.compose.oneoff": "True"}},
    } | more


def test_container_without_compose_labels_has_none_of_their_values():
    one = parse_container(description(Config={"Labels": None}))
    assert (one.service, one.config_hash, one.image_id, one.one_off) == ("", "", "", False)


def test_one_off_and_restart_policy_are_seen():
    one = parse_container(description())
    assert (one.one_off, one.restart_policy) == (True, "always")


def test_healthcheck_that_is_switched_off_is_none():
    state = description()["State"] | {"Health": {"Status": "none"}}
    assert parse_container(description(State=state)).health == ""


@pytest.mark.parametrize(
    "broken",
    [
        {},
        description(State={}),
        description(State=None),
        description(Config=None),
        description(HostConfig={}),
        description(State={"Status": "exited", "StartedAt": "2026-11-21T01:00:00Z", "ExitCode": None}),
        description(State={"Status": "running", "StartedAt": "yesterday", "ExitCode": 0}),
    ],
)
def test_incomplete_description_is_unknown_never_a_pass(broken):
    with pytest.raises(ComposeError) as caught:
        parse_container(broken)
    assert caught.value.outcome == "unknown"


def actions(expected, containers, named=("bot",), restart_policy=""):
    steps = plan(expected, containers, named, restart_policy)
    return {step.expected.service: step.action for step in steps}


def test_nothing_to_do_where_everything_is_as_configured():
    steps = plan([WANT_DB, WANT_BOT], [DB, BOT], ["bot"], "")
    assert [step.action for step in steps] == ["none", "none"]
    assert not any(step.changes for step in steps)


@pytest.mark.parametrize(
    ("containers", "action", "reason"),
    [
        ([], "create", "0 of 1 containers exist"),
        ([replace(BOT, one_off=True)], "create", "0 of 1 containers exist"),
        ([replace(BOT, config_hash="old")], "recreate", "its configuration changed"),
        ([replace(BOT, config_hash="")], "recreate", "its configuration changed"),
        ([replace(BOT, image_id="old")], "recreate", "image img:1 changed"),
        ([BOT, replace(BOT, id="b2")], "recreate", "2 containers where 1 are configured"),
        ([replace(BOT, state="exited", exit_code=0)], "start", "p-bot-1 exited with code 0"),
        ([replace(BOT, state="created")], "start", "p-bot-1 is created"),
        ([replace(BOT, state="restarting")], "start", "p-bot-1 is restarting"),
        ([replace(BOT, state="dead", exit_code=1)], "start", "p-bot-1 is dead"),
        ([replace(BOT, state="paused")], "unpause", "p-bot-1 is paused"),
        ([replace(BOT, health="unhealthy")], "none", ""),
        ([replace(BOT, health="starting")], "none", ""),
    ],
)
def test_action_on_one_service(containers, action, reason):
    (step,) = plan([replace(WANT_BOT, needs=())], containers, ["bot"], "")
    assert (step.action, step.reason) == (action, reason)


def test_image_that_is_not_on_the_host_is_pulled():
    (step,) = plan([replace(WANT_BOT, image_id=None)], [BOT], ["bot"], "")
    assert (step.action, step.reason) == ("recreate", "image img:1 is not on this host and is pulled")


def test_missing_replica_is_created_beside_the_other():
    assert actions([replace(WANT_BOT, replicas=2)], [BOT]) == {"bot": "create"}


def test_paused_beside_stopped_replica_is_a_start():
    two = [replace(BOT, state="paused"), replace(BOT, id="b2", state="exited", exit_code=0)]
    assert actions([replace(WANT_BOT, replicas=2)], two) == {"bot": "start"}


def test_recreated_dependency_takes_its_dependents_with_it():
    steps = plan([WANT_DB, WANT_BOT], [replace(DB, config_hash="old"), BOT], ["bot"], "")
    assert [(step.action, step.reason) for step in steps] == [
        ("recreate", "its configuration changed"),
        ("recreate", "Compose recreates it together with db"),
    ]


def test_recreation_reaches_through_a_chain():
    middle = replace(WANT_BOT, service="gui", config_hash="h-gui", needs=("bot",))
    gui = replace(BOT, id="g1", service="gui", config_hash="h-gui")
    seen = actions([WANT_DB, WANT_BOT, middle], [replace(DB, image_id="old"), BOT, gui])
    assert seen == {"db": "recreate", "bot": "recreate", "gui": "recreate"}


def test_started_dependency_leaves_its_dependents_alone():
    seen = actions([WANT_DB, WANT_BOT], [replace(DB, state="exited", exit_code=0), BOT])
    assert seen == {"db": "start", "bot": "none"}


def test_surplus_container_leaves_the_dependents_alone():
    assert actions([WANT_DB, WANT_BOT], [DB, replace(DB, id="d2"), BOT]) == {"db": "recreate", "bot": "none"}


def test_one_shot_that_is_done_stays_done():
    assert actions([WANT_INIT], [INIT], ["init"]) == {"init": "none"}


@pytest.mark.parametrize(
    ("container", "action"),
    [
        (replace(INIT, exit_code=1), "start"),
        (replace(INIT, exit_code=137), "start"),
        (replace(INIT, state="created", exit_code=None), "start"),
        (replace(INIT, state="running", exit_code=None), "none"),
        (replace(INIT, config_hash="old"), "recreate"),
        (replace(INIT, image_id="old"), "recreate"),
    ],
)
def test_one_shot_that_is_not_done(container, action):
    assert actions([WANT_INIT], [container], ["init"]) == {"init": action}


def test_one_shot_runs_again_when_compose_starts_what_needs_it():
    want = replace(WANT_BOT, needs=("init",))
    steps = plan([WANT_INIT, want], [INIT, replace(BOT, state="exited", exit_code=0)], ["bot"], "")
    assert [step.action for step in steps] == ["start", "start"]
    assert steps[0].reason == "Compose runs it again before the services that need it"


def test_one_shot_does_not_run_again_for_an_unpause():
    want = replace(WANT_BOT, needs=("init",))
    assert actions([WANT_INIT, want], [INIT, replace(BOT, state="paused")]) == {"init": "none", "bot": "unpause"}


def test_restart_policy_counts_for_the_named_services_only():
    always = [replace(DB, restart_policy="always"), replace(BOT, restart_policy="always")]
    steps = plan([WANT_DB, WANT_BOT], always, ["bot"], "no")
    assert [(step.action, step.set_policy, step.changes) for step in steps] == [
        ("none", False, False),
        ("none", True, True),
    ]


def test_restart_policy_is_left_alone_where_none_is_asked_for():
    (step,) = plan([WANT_DB], [replace(DB, restart_policy="always")], ["db"], "")
    assert step.changes is False


SERVICES = {
    "bot": Service("bot", "img:1", 1, {"db": "service_healthy", "init": "service_completed_successfully"}, "h-bot"),
    "db": Service("db", "img:2", 1, {}, "h-db"),
    "init": Service("init", "img:1", 1, {"db": "service_started"}, "h-init"),
    "other": Service("other", "img:1", 1, {}, "h-other"),
    "none": Service("none", "img:1", 0, {}, "h-none"),
    "sidecar": Service("sidecar", "img:1", 1, {}, "h", "network_mode: service:bot"),
}
IMAGES = {"img:1": "i1"}


def test_closure_has_dependencies_first_and_nothing_else():
    expected = select_expected(SERVICES, ["bot"], "started", IMAGES.get)
    assert [(item.service, item.goal, item.image_id) for item in expected] == [
        ("db", "started", None),
        ("init", "completed", "i1"),
        ("bot", "started", "i1"),
    ]
    assert expected[2].needs == ("db", "init")


def test_named_one_shot_that_others_wait_for_completes_whatever_the_state():
    (_, init) = select_expected(SERVICES, ["init"], "started", IMAGES.get)
    assert init.goal == "completed"


def test_completed_is_the_goal_of_the_named_ones_alone():
    goals = {item.service: item.goal for item in select_expected(SERVICES, ["other", "bot"], "completed", IMAGES.get)}
    assert goals == {"other": "completed", "db": "started", "init": "completed", "bot": "completed"}


@pytest.mark.parametrize(
    ("named", "words"),
    [
        (["nosuch"], "No such service in the active profiles: nosuch. There are: bot, db,"),
        (["none"], "none is configured with 0 containers, so it cannot be started"),
        (["sidecar"], r"sidecar uses the container of another service \(network_mode: service:bot\)"),
    ],
)
def test_services_that_cannot_be_started(named, words):
    with pytest.raises(ComposeError, match=words):
        select_expected(SERVICES, named, "started", IMAGES.get)


def test_project_without_services_has_none():
    with pytest.raises(ComposeError, match="There are: none"):
        select_expected({}, ["bot"], "started", IMAGES.get)


def verdict(container: Container, want: Expected = WANT_BOT, restart_policy: str = "", now: datetime = NOW):
    seen = judge(want, [container], restart_policy, now)
    return seen.word, seen.sentence


@pytest.mark.parametrize(
    ("container", "word", "sentence"),
    [
        (BOT, "proven", "running"),
        (replace(BOT, health="healthy"), "proven", "running and healthy"),
        (replace(BOT, health="starting"), "waiting", "p-bot-1 is running, health starting"),
        (replace(BOT, health="unhealthy"), "failed", "p-bot-1 is unhealthy"),
        (replace(BOT, config_hash="old"), "failed", "p-bot-1 does not run the present configuration"),
        (replace(BOT, image_id="old"), "failed", "p-bot-1 does not run the present image img:1"),
        (replace(BOT, state="exited", exit_code=0), "failed", "p-bot-1 exited with code 0 instead of running"),
        (replace(BOT, state="dead", exit_code=0), "failed", "p-bot-1 is dead instead of running"),
        (replace(BOT, state="restarting"), "waiting", "p-bot-1 is restarting"),
        (replace(BOT, state="paused"), "waiting", "p-bot-1 is paused"),
        (replace(BOT, state="created"), "waiting", "p-bot-1 is created"),
        (replace(BOT, state="removing"), "waiting", "p-bot-1 is removing"),
        (replace(BOT, state=""), "waiting", "p-bot-1 is "),
        (replace(BOT, started_at=NOW - timedelta(seconds=1)), "waiting", "p-bot-1 has not been running for 2 s"),
        (replace(BOT, started_at=NOW + timedelta(hours=1)), "waiting", "p-bot-1 has not been running for 2 s"),
        (replace(BOT, started_at=NOW, health="healthy"), "proven", "running and healthy"),
        (replace(BOT, one_off=True), "waiting", "0 of 1 containers exist"),
        (replace(BOT, service="gui"), "waiting", "0 of 1 containers exist"),
    ],
)
def test_verdict_on_a_started_service(container, word, sentence):
    assert verdict(container) == (word, sentence)


def test_image_that_nobody_knows_proves_nothing():
    assert verdict(BOT, replace(WANT_BOT, image_id=None))[0] == "failed"


def test_other_restart_policy_than_the_wanted_one_fails():
    always = replace(BOT, restart_policy="always")
    assert verdict(always, restart_policy="no") == ("failed", "p-bot-1 has restart policy 'always'")
    assert verdict(always)[0] == "proven"


@pytest.mark.parametrize(
    ("container", "word", "sentence"),
    [
        (INIT, "proven", "completed with exit code 0"),
        (replace(INIT, exit_code=4), "failed", "p-init-1 exited with code 4 instead of with 0"),
        (replace(INIT, state="dead", exit_code=0), "failed", "p-init-1 is dead instead of with 0"),
        (replace(INIT, state="running", exit_code=None), "waiting", "p-init-1 is running"),
        (replace(INIT, state="created", exit_code=None), "waiting", "p-init-1 is created"),
        (replace(INIT, config_hash="old"), "failed", "p-init-1 does not run the present configuration"),
    ],
)
def test_verdict_on_a_one_shot(container, word, sentence):
    assert verdict(container, WANT_INIT) == (word, sentence)


def test_one_bad_replica_is_enough():
    two = replace(WANT_BOT, replicas=2)
    sick = replace(BOT, id="b2", name="p-bot-2", health="unhealthy")
    seen = judge(two, [BOT, sick], "", NOW)
    assert (seen.word, seen.culprit) == ("failed", sick)
    assert judge(two, [BOT], "", NOW).sentence == "1 of 2 containers exist"
    assert judge(WANT_BOT, [BOT, replace(BOT, id="b2")], "", NOW).word == "waiting"
