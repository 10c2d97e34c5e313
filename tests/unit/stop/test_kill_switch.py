import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from trading_ops.core.bots import BotRules
from trading_ops.core.machine import Machine
from trading_ops.state import audit
from trading_ops.state.latch import LatchError
from trading_ops.stop import kill_switch
from trading_ops.stop.kill_switch import (
    TradingHost,
    ensure_halted,
    ensure_lifted,
    ensure_stopped,
    observe,
    parse_stop_request,
)

from tests.unit.fakes import FakeCgroups, FakeContainer, FakeEngine, bot, trading_host

NOW = "2026-11-21T01:30:00.000Z"
RUN = {"run_id": "20261121-013000", "reason": "bars look wrong", "by": "reno"}


def halt(engine: FakeEngine, path: Path, dry_run: bool = False, **params: Any) -> dict[str, Any]:
    request, _ = parse_stop_request(RUN | params, NOW)
    return ensure_halted(trading_host(engine, path), request, NOW, dry_run)


@pytest.mark.parametrize(
    ("params", "warned"),
    [
        ({}, 0),
        ({"reason": None, "by": None, "grace_period_seconds": None, "bot_services": None}, 0),
        ({"reason": "", "bot_images": [], "scope": ""}, 0),
        ({"bot_services": [], "bot_projects": "", "grace_period_seconds": ""}, 0),
        ({"grace_period_seconds": "ten"}, 1),
        ({"grace_period_seconds": -5}, 1),
        ({"grace_period_seconds": 3600}, 1),
        ({"scope": "paper"}, 1),
        ({"bot_services": {"a": 1}}, 1),
        ({"bot_projects": [1, 2]}, 1),
        ({"bot_services": "bot"}, 0),
        ({"grace_period_seconds": [], "scope": 7, "bot_images": 3, "reason": {"a": 1}}, 3),
    ],
)
def test_a_kill_is_never_refused_for_its_input(params, warned):
    request, warnings = parse_stop_request(params, NOW)
    assert len(warnings) == warned
    assert request.scope == "all"
    assert 0 <= request.grace_seconds <= 20
    assert request.rules.services == ("bot",)
    assert request.rules.projects == ("trading-*", "trading")
    assert request.incident_id.startswith("INC-20261121-013000-")


def test_good_input_is_used():
    request, warnings = parse_stop_request(
        {"scope": "live", "grace_period_seconds": "3", "bot_images": ["x*"], "incident_id": "INC-9"}, NOW
    )
    assert warnings == []
    assert (request.scope, request.grace_seconds, request.incident_id) == ("live", 3, "INC-9")
    assert request.rules == BotRules(images=("x*",))


def test_halt_latches_stops_and_remembers_that_it_was_meant(tmp_path):
    engine = FakeEngine(bot("a", restart_policy="always"), bot("b", mode="live", project="trading-live"))
    result = halt(engine, tmp_path)
    assert (result["outcome"], result["changed"]) == ("proven", True)
    assert result["latch"]["incident_ids"] == ["INC-20261121-013000-bars-look-wrong"]
    assert result["summary"].startswith("2 stopped")
    desired = json.loads((tmp_path / "desired.json").read_text())["services"]
    assert {name: item["state"] for name, item in desired.items()} == {
        "trading-paper/bot": "stopped",
        "trading-live/bot": "stopped",
    }
    assert desired["trading-live/bot"]["why"] == "bars look wrong"


def test_latch_is_written_before_the_first_bot_is_touched(tmp_path):
    seen: list[bool] = []
    engine = FakeEngine(bot("a"))
    engine.before_list = lambda _engine: seen.append((tmp_path / "halt.json").exists())
    halt(engine, tmp_path)
    assert seen[0] is True


@pytest.mark.parametrize("is_back", [True, False])
def test_a_latch_that_could_not_be_written_is_tried_once_more_after_the_bots_have_ended(tmp_path, monkeypatch, is_back):
    # Finding 5: the bot that filled the disk, or held what the latch needs, ends with the stop.
    engine = FakeEngine(bot("a"))
    (container,) = engine.by_id.values()
    tries = []
    real = kill_switch.engage

    def engage(*args: Any) -> Any:
        tries.append(container.running)
        if container.running or not is_back:
            raise LatchError("No space left on device")
        return real(*args)

    monkeypatch.setattr(kill_switch, "engage", engage)
    result = halt(engine, tmp_path)
    assert tries == [True, False]
    assert result["outcome"] == ("proven" if is_back else "unlatched")
    assert (result["latch"]["engaged"], (tmp_path / "halt.json").exists()) == (is_back, is_back)
    assert (tmp_path / "audit.jsonl").exists() is is_back


def test_halt_of_a_host_that_stands_still_is_changed_by_its_latch(tmp_path):
    result = halt(FakeEngine(bot("a", status="exited")), tmp_path)
    assert (result["outcome"], result["changed"]) == ("proven", True)


def test_second_halt_with_a_named_incident_adds_it_as_planned(tmp_path):
    engine = FakeEngine(bot("a"))
    halt(engine, tmp_path, incident_id="INC-1")
    planned = halt(engine, tmp_path, dry_run=True, incident_id="INC-2")
    assert halt(engine, tmp_path, incident_id="INC-2")["latch"] == planned["latch"]
    assert planned["latch"]["incident_ids"] == ["INC-1", "INC-2"]
    assert halt(engine, tmp_path, dry_run=True, run_id="20261121-020000")["changed"] is False


def test_scope_of_the_request_decides_what_stops_though_the_latch_is_wider(tmp_path):
    halt(FakeEngine(), tmp_path)
    engine = FakeEngine(bot("paper"), bot("live", mode="live"))
    assert halt(engine, tmp_path, scope="live")["latch"]["scope"] == "all"
    assert [item.name for item in engine.by_id.values() if item.running] == ["paper"]


def test_reason_is_one_line_and_a_stray_is_remembered_by_its_name(tmp_path):
    result = halt(FakeEngine(FakeContainer("stray")), tmp_path, reason=" bars\nlook  wrong ", bot_images=["*"])
    assert result["latch"]["reason"] == "bars look wrong"
    assert list(json.loads((tmp_path / "desired.json").read_text())["services"]) == ["stray"]


def test_bots_get_the_time_they_were_given(tmp_path):
    engine = FakeEngine(bot("a"))
    halt(engine, tmp_path, grace_period_seconds=3)
    bare, _ = parse_stop_request({}, NOW)
    assert [call[2] for call in engine.calls if call[0] == "stop"] == ["3"]
    assert bare.grace_seconds == 10


def test_second_halt_changes_nothing(tmp_path):
    engine = FakeEngine(bot("a"))
    first = halt(engine, tmp_path)
    again = halt(engine, tmp_path, run_id="20261121-020000", reason="other")
    assert (again["changed"], again["outcome"]) == (False, "proven")
    assert again["latch"] == first["latch"]
    assert first["halted_before"] == ""
    assert again["halted_before"].endswith(f"by reno: bars look wrong [{first['latch']['incident_ids'][0]}]")
    assert again["diff"] == {"before": "", "after": ""}


def test_dry_run_writes_no_file_and_plans_latch_and_stop(tmp_path):
    engine = FakeEngine(bot("a"))
    result = halt(engine, tmp_path / "state", dry_run=True)
    assert (result["outcome"], result["changed"]) == ("planned", True)
    assert not (tmp_path / "state").exists()
    assert "halt latch: all, INC-" in result["diff"]["after"]
    assert "a: stopped" in result["diff"]["after"]


def test_engine_that_does_not_answer_is_unknown_and_the_latch_is_there(tmp_path):
    request, _ = parse_stop_request(RUN, NOW)
    result = ensure_halted(trading_host(None, tmp_path), request, NOW, False)
    assert result["outcome"] == "unknown"
    assert "timed out" in result["summary"]
    assert (tmp_path / "halt.json").exists()


def test_disk_that_cannot_be_written_does_not_keep_a_bot_running(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way of the directory")
    engine = FakeEngine(bot("a"))
    result = halt(engine, blocked)
    assert result["outcome"] == "unlatched"
    assert "NOT LATCHED" in result["summary"]
    assert result["latch"]["incident_ids"] == []  # what is there is shown, not what was wanted
    assert not any(item.running for item in engine.by_id.values())
    assert result["warnings"]


def test_hung_disk_holds_a_stop_up_for_two_seconds_at_most(tmp_path, monkeypatch):
    limits: list[float] = []

    def hang(_path: Path, _wanted: object, _keep: bool, timeout_seconds: float) -> None:
        limits.append(timeout_seconds)
        raise LatchError("no answer from lock or disk")

    monkeypatch.setattr(kill_switch, "engage", hang)
    engine = FakeEngine(bot("a"))
    assert halt(engine, tmp_path)["outcome"] == "unlatched"
    assert (max(limits) <= 2, [item.running for item in engine.by_id.values()]) == (True, [False])


def test_disk_and_engine_that_both_fail_are_both_told(tmp_path):
    (tmp_path / "file").write_text("in the way of the directory")
    request, _ = parse_stop_request(RUN, NOW)
    result = ensure_halted(trading_host(None, tmp_path / "file"), request, NOW, False)
    assert result["outcome"] == "unknown"
    assert "timed out" in result["summary"]
    assert "Could not write" in result["summary"]


def test_bot_that_still_runs_is_named_and_not_remembered_as_stopped(tmp_path):
    result = halt(FakeEngine(bot("a", immortal=True), bot("b", project="trading-b")), tmp_path)
    assert "a: " in result["summary"]
    assert list(json.loads((tmp_path / "desired.json").read_text())["services"]) == ["trading-b/bot"]


def test_running_bot_outweighs_everything_else(tmp_path):
    result = halt(FakeEngine(bot("a", immortal=True)), tmp_path / "x" / "\0bad")
    assert result["outcome"] == "running"
    assert result["next_command"].startswith("docker ps")


def test_scope_live_spares_paper_but_not_what_is_unclear(tmp_path):
    engine = FakeEngine(bot("paper"), bot("live", mode="live"), bot("unclear", mode=None), FakeContainer("stray"))
    result = halt(engine, tmp_path, scope="live", bot_images=["trading-core-lab/bot:*"])
    assert sorted(item["name"] for item in result["bots"]) == ["live", "stray", "unclear"]
    assert [item.name for item in engine.by_id.values() if item.running] == ["paper"]


@pytest.mark.parametrize(("mode", "left"), [("live", ["paper"]), ("paper", ["live", "unclear"]), ("all", [])])
def test_planned_stop_takes_the_bots_of_its_mode(tmp_path, mode, left):
    engine = FakeEngine(bot("paper"), bot("live", mode="live"), bot("unclear", mode=None))
    request, _ = parse_stop_request(RUN, NOW)
    ensure_stopped(trading_host(engine, tmp_path), request, mode, NOW, False)
    assert [item.name for item in engine.by_id.values() if item.running] == left


def test_planned_stop_leaves_the_latch_alone(tmp_path):
    engine = FakeEngine(bot("a"), bot("b", mode="live"))
    request, _ = parse_stop_request(RUN, NOW)
    result = ensure_stopped(trading_host(engine, tmp_path), request, "paper", NOW, False)
    assert result["outcome"] == "proven"
    assert [item.name for item in engine.by_id.values() if item.running] == ["b"]
    assert not (tmp_path / "halt.json").exists()


def test_lifting_needs_the_id_and_starts_nothing(tmp_path):
    engine = FakeEngine(bot("a"))
    held = halt(engine, tmp_path)["latch"]["incident_ids"][0]
    refused = ensure_lifted(tmp_path, "INC-other", "reno", NOW, False)
    assert (refused["outcome"], refused["changed"]) == ("refused", False)
    assert refused["next_command"] == f"./runbook halt_release -e incident_id={held}"
    planned = ensure_lifted(tmp_path, held, "reno", NOW, True)
    assert (planned["outcome"], planned["changed"]) == ("planned", True)
    assert (tmp_path / "halt.json").exists()
    lifted = ensure_lifted(tmp_path, held, "reno", NOW, False)
    assert (lifted["outcome"], lifted["changed"], lifted["latch"]["engaged"]) == ("proven", True, False)
    again = ensure_lifted(tmp_path, held, "reno", NOW, False)
    assert (again["outcome"], again["changed"]) == ("proven", False)
    assert not any(item.running for item in engine.by_id.values())


def test_lifting_of_a_latch_that_is_engaged_again_at_once_is_not_proven(tmp_path, monkeypatch):
    halt(FakeEngine(), tmp_path, incident_id="INC-1")
    monkeypatch.setattr(kill_switch, "lift", lambda *_: True)
    result = ensure_lifted(tmp_path, "INC-1", "reno", NOW, False)
    assert (result["outcome"], result["latch"]["engaged"]) == ("failed", True)


def test_lifting_of_a_damaged_latch_is_refused_with_the_way_out(tmp_path):
    halt(FakeEngine(), tmp_path, incident_id="INC-1")
    (tmp_path / "halt.json").write_text("garbage")
    result = ensure_lifted(tmp_path, "INC-1", "reno", NOW, False)
    assert result["outcome"] == "refused"
    assert "failsafe_stop" in result["next_command"]


def test_observe_tells_latch_bots_and_modes_and_changes_nothing(tmp_path):
    engine = FakeEngine(bot("a"), bot("b", mode="live"), bot("c", status="exited"))
    seen = observe(trading_host(engine, tmp_path), BotRules(), NOW)
    assert seen["summary"] == "not halted; 1 live bot running, 1 paper bot running; guard active"
    assert list(tmp_path.iterdir()) == []
    halt(engine, tmp_path)
    seen = observe(trading_host(engine, tmp_path), BotRules(), NOW)
    assert "engaged (all)" in seen["summary"]
    assert "no bot running" in seen["summary"]
    assert seen["desired"]["trading-paper/bot"]["state"] == "stopped"


@pytest.mark.parametrize("status", ["running", "paused", "restarting", "stopping"])
def test_observe_counts_every_state_with_a_process_as_running(tmp_path, status):
    seen = observe(trading_host(FakeEngine(bot("a", status=status)), tmp_path), BotRules(), NOW)
    assert ("1 paper bot running" in seen["summary"], seen["bots"][0]["running"]) == (True, True)


def test_observe_shows_a_damaged_latch_as_engaged(tmp_path):
    (tmp_path / "halt.json").write_text("garbage")
    seen = observe(trading_host(FakeEngine(), tmp_path), BotRules(), NOW)
    assert "damaged" in seen["summary"]
    assert "counts as engaged" in seen["summary"]


def test_observe_of_a_silent_engine_is_unknown(tmp_path):
    seen = observe(trading_host(None, tmp_path), BotRules(), NOW)
    assert (seen["outcome"], "timed out" in seen["summary"]) == ("unknown", True)


def test_bots_of_a_dead_engine_are_stopped_through_the_kernel_and_proven(tmp_path):
    request, _ = parse_stop_request(RUN, NOW)
    cgroups = FakeCgroups(bot("a", restart_policy="always"))
    result = ensure_halted(trading_host(None, tmp_path, cgroups), request, NOW, False)
    assert (result["outcome"], result["changed"]) == ("proven", True)
    assert "without the engine" in result["summary"]
    assert "timed out" in result["summary"]
    assert [item["orders"] for item in result["bots"]] == ["UNVERIFIED"]


def test_bot_of_a_dead_engine_that_nobody_guards_may_return_and_is_unknown(tmp_path):
    request, _ = parse_stop_request(RUN, NOW)
    for policy, outcome in (("always", "unknown"), ("no", "proven")):
        cgroups = FakeCgroups(bot("a", restart_policy=policy))
        result = ensure_halted(trading_host(None, tmp_path, cgroups, guard="absent"), request, NOW, False)
        assert result["outcome"] == outcome, policy


def test_engaging_is_audited_once_with_the_person(tmp_path):
    engine = FakeEngine(bot("a"))
    halt(engine, tmp_path)
    halt(engine, tmp_path)
    (entry,) = map(json.loads, (tmp_path / "audit.jsonl").read_text().splitlines())
    assert (entry["event"], entry["by"], entry["reason"]) == ("engaged", "reno", "bars look wrong")
    assert entry["incident_id"] == "INC-20261121-013000-bars-look-wrong"


def test_hosts_of_the_known_estate_are_told(tmp_path):
    assert halt(FakeEngine(), tmp_path)["known_hosts"] == []
    (tmp_path / "estate.json").write_text('{"trading_hosts": ["b", "a"]}')
    assert halt(FakeEngine(), tmp_path)["known_hosts"] == ["a", "b"]
    (tmp_path / "estate.json").write_text("garbage")
    result = halt(FakeEngine(bot("x")), tmp_path)
    assert (result["outcome"], result["known_hosts"]) == ("proven", [])
    assert any("estate.json" in warning for warning in result["warnings"])


def test_every_proof_says_which_machine_it_is_from_and_what_is_on_record(tmp_path):
    (tmp_path / "estate.json").write_text(json.dumps({"trading_hosts": ["a"], "machines": {"a": "1" * 32}}))
    engine = FakeEngine(bot("x"))

    def look() -> Machine:
        assert not any(item.running for item in engine.by_id.values()), "nothing comes before the stop"
        return Machine("2" * 32, "boot-of-it")

    host = replace(trading_host(engine, tmp_path), observe_machine=look)
    request, _ = parse_stop_request(RUN, NOW)
    results = [ensure_halted(host, request, NOW, False), ensure_stopped(host, request, "all", NOW, False)]
    for result in [*results, observe(host, request.rules, NOW)]:
        assert result["machine"] == {"machine_id": "2" * 32, "boot_id": "boot-of-it"}
        assert result["known_machines"] == {"a": "1" * 32}


def test_bot_that_the_first_wave_stopped_counts_as_stopped_by_this_stop(tmp_path):
    first = bot("first", status="exited")
    earlier = bot("earlier", status="exited", project="trading-earlier")
    (tmp_path / "signalled").write_text(f"INC-20261121-013000-bars-look-wrong\n{first.id} 10\n")
    result = halt(FakeEngine(first, earlier), tmp_path)
    assert {item["name"]: item["how"] for item in result["bots"]} == {"first": "stopped", "earlier": "already stopped"}
    again = halt(FakeEngine(first, earlier), tmp_path, incident_id="INC-other")
    assert {item["how"] for item in again["bots"]} == {"already stopped"}
    assert again["changed"] is True  # the incident it was given; the bots are as they were


def test_observe_tells_who_holds_the_lease(tmp_path):
    entry = {
        "holder": "reno (run 1)",
        "purpose": "a start",
        "since": "2026-11-21T01:29:00Z",
        "expires": "2026-11-21T01:40:00Z",
    }
    (tmp_path / "lease.json").write_text(json.dumps(entry))
    seen = observe(trading_host(FakeEngine(), tmp_path), BotRules(), NOW)
    assert "Held by reno (run 1) for a start since 2026-11-21T01:29:00Z" in seen["summary"]
    assert seen["lease"]["held"] is True


# ---- what else runs


def stray(name: str = "stray", **more: Any) -> FakeContainer:
    return FakeContainer(name, {}, "foo:1", environment=("TRADING_MODE=live",), **more)


@pytest.mark.parametrize("dry_run", [False, True])
def test_unexpected_bot_is_named_and_left_alone_and_the_stop_is_not_proven(tmp_path, dry_run):
    engine = FakeEngine(bot("a"), stray())
    result = halt(engine, tmp_path, dry_run)
    assert result["outcome"] == "unknown"
    assert "unexpected bot stray (no project/no service): it has TRADING_MODE in its environment" in result["summary"]
    assert [found["name"] for found in result["unexpected"]] == ["stray"]
    assert [item.running for item in engine.by_id.values()] == [dry_run, True]
    found = next(item.id for item in engine.by_id.values() if item.name == "stray")
    left = f"docker stop {found[:12]} (on the host, if it trades)"
    assert result["next_command"] == ("./runbook host_setup --check" if dry_run else left)


def test_what_else_runs_is_looked_at_after_every_bot_had_its_signal(tmp_path):
    engine = FakeEngine(bot("a"), bot("b"), stray())
    halt(engine, tmp_path, stop_unexpected=True)
    ids = {item.name: item.id for item in engine.by_id.values()}
    first = engine.calls.index(("inspect", ids["stray"]))
    assert {call[1] for call in engine.calls[:first] if call[0] == "stop"} == {ids["a"], ids["b"]}


def test_unexpected_bot_is_stopped_as_bots_are_where_the_estate_says_so_and_never_proven(tmp_path):
    engine = FakeEngine(bot("a"), stray(restart_policy="always", ignores_sigterm=True), FakeContainer("nas"))
    result = halt(engine, tmp_path, stop_unexpected="true")
    assert result["outcome"] == "unknown"
    assert {item.name: item.running for item in engine.by_id.values()} == {"a": False, "stray": False, "nas": True}
    (found,) = [seen for seen in result["bots"] if seen["name"] == "stray"]
    assert (found["how"], found["found_by"], found["restart_policy"]) == ("killed", "unexpected", "always")
    assert result["next_command"] == "./runbook host_setup --check"


def test_unexpected_bot_that_cannot_be_stopped_is_running(tmp_path):
    result = halt(FakeEngine(bot("a"), stray(immortal=True)), tmp_path, stop_unexpected=True)
    assert result["outcome"] == "running"


def test_scope_counts_for_an_unexpected_bot_too(tmp_path):
    engine = FakeEngine(FakeContainer("paper", {"trading-core.mode": "paper"}, "x"), stray())
    result = halt(engine, tmp_path, stop_unexpected=True, scope="live")
    assert result["outcome"] == "unknown"
    assert [item.name for item in engine.by_id.values() if item.running] == ["paper"]
    assert len(result["unexpected"]) == 2


@pytest.mark.parametrize("dry_run", [False, True])
def test_no_bot_while_others_run_is_unknown(tmp_path, dry_run):
    result = halt(FakeEngine(FakeContainer("nas"), FakeContainer("tv")), tmp_path, dry_run)
    assert (result["outcome"], "no bot found, and 2 other containers run: nas, tv" in result["summary"]) == (
        "unknown",
        True,
    )
    assert result["others"] == {"count": 2, "names": ["nas", "tv"]}


def test_planned_stop_of_one_mode_sees_the_bots_of_the_other(tmp_path):
    request, _ = parse_stop_request(RUN, NOW)
    host = trading_host(FakeEngine(bot("a", mode="live"), FakeContainer("nas")), tmp_path)
    assert ensure_stopped(host, request, "paper", NOW, False)["outcome"] == "proven"
    host = trading_host(FakeEngine(bot("a", mode="live"), stray()), tmp_path)
    assert ensure_stopped(host, request, "paper", NOW, False)["outcome"] == "unknown"


def test_bot_with_the_label_of_a_restore_test_is_stopped_and_named(tmp_path):
    engine = FakeEngine(bot("a", mode="live", labels={"trading-core.restore-test": "true"}))
    result = halt(engine, tmp_path)
    assert (result["outcome"], [item.running for item in engine.by_id.values()]) == ("proven", [False])
    assert "a bears the label trading-core.restore-test and is no restore test's" in result["summary"]


def test_a_look_has_a_line_a_bot_and_the_doubts(tmp_path):
    engine = FakeEngine(
        bot("a"), bot("b", mode=None, project="trading-live", status="exited", restart_policy="always"), stray()
    )
    request, _ = parse_stop_request(RUN, NOW)
    seen = observe(trading_host(engine, tmp_path), request.rules, NOW)
    assert seen["outcome"] == "proven"
    assert "1 unexpected bot running" in seen["summary"]
    assert seen["lines"] == [
        "bot b: trading-live/bot, live (no label: counts as live), exited, restart policy always, found by label",
        "bot a: trading-paper/bot, paper (by its label), running, restart policy no, found by label",
        "unexpected bot stray (no project/no service): it has TRADING_MODE in its environment",
    ]
    assert seen["doubts"] == seen["lines"][2:]


@pytest.mark.parametrize(
    ("given", "others", "warned"),
    [
        (None, BotRules().others, 0),
        ("", BotRules().others, 0),
        ([], (), 0),
        ("a b/c/d", ("a", "b/c/d"), 0),
        ({"a": 1}, BotRules().others, 1),
        ([1], BotRules().others, 1),
    ],
)
def test_what_is_no_bot_is_read_leniently(given, others, warned):
    request, warnings = parse_stop_request({"other_services": given}, NOW)
    assert (request.rules.others, len(warnings)) == (others, warned)


@pytest.mark.parametrize(
    ("given", "meant"),
    [(True, True), ("True", True), ("yes", True), ("1", True), (None, False), ("x", False), ([], False)],
)
def test_only_a_yes_stops_what_is_unexpected(given, meant):
    assert parse_stop_request({"stop_unexpected": given}, NOW)[0].rules.stop_unexpected is meant


# ---- what starts a bot again


def stopped_by_guard(path: Path, *times: str) -> None:
    for time in times:
        audit.append(path, "stopped while halted", "guard", time, container="a", why="started while halted")


def reconciled(path: Path) -> TradingHost:
    """Return a halted host with a stopped bot and a tool that holds the engine's socket."""
    tool = FakeContainer("doco-cd", image="ghcr.io/kimdre/doco-cd:1", mounts=("/var/run/docker.sock",))
    host = trading_host(FakeEngine(bot("a"), tool), path)
    request, _ = parse_stop_request(RUN, NOW)
    first = ensure_halted(host, request, NOW, False)
    assert (first["starters"], first["started_again"]) == ([], "")
    return host


def looks(host: TradingHost, now: str) -> dict[str, dict[str, Any]]:
    request, _ = parse_stop_request(RUN, now)
    return {
        "stop": ensure_halted(host, request, now, False),
        "dry run": ensure_halted(host, request, now, True),
        "planned stop": ensure_stopped(host, request, "all", now, False),
        "status": observe(host, request.rules, now),
    }


def test_what_starts_a_bot_again_is_named_by_every_look_and_changes_no_outcome(tmp_path):
    host = reconciled(tmp_path)
    stopped_by_guard(tmp_path, "2026-11-21T01:30:05.000Z", "2026-11-21T01:30:09.000Z")
    for name, result in looks(host, "2026-11-21T01:31:00.000Z").items():
        assert result["outcome"] == ("planned" if name == "dry run" else "proven"), name
        assert "a was stopped 2 times by the guard since 2026-11-21T01:30:05.000Z" in result["summary"], name
        assert result["summary"].endswith("Hold it off: docker stop doco-cd (on the host)"), name
        assert [each["what"] for each in result["starters"]] == ["container doco-cd"], name


def test_before_the_second_stop_of_a_bot_no_unit_is_read(tmp_path):
    def never() -> Any:
        raise AssertionError("it must not be read")

    host = replace(reconciled(tmp_path), read_files=never)
    stopped_by_guard(tmp_path, "2026-11-20T00:00:00.000Z", "2026-11-21T01:30:05.000Z")  # the first is of another halt
    for name, result in looks(host, "2026-11-21T01:31:00.000Z").items():
        assert (result["starters"], result["started_again"]) == ([], ""), name
