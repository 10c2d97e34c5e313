import json
from pathlib import Path
from typing import Any

import pytest
from trading_ops.bots import BotRules
from trading_ops.engine import Engine, EngineError
from trading_ops.kill_switch import (
    ensure_halted,
    ensure_released,
    ensure_stopped,
    observe,
    parse_stop_request,
)

from tests.unit.fakes import FakeContainer, FakeEngine, bot

NOW = "2026-11-21T01:30:00.000Z"
RUN = {"run_id": "20261121-013000", "reason": "bars look wrong", "by": "reno"}


def unreachable() -> Engine:
    raise EngineError("The engine could not answer: timed out.")


def halt(engine: FakeEngine, path: Path, dry_run: bool = False, **params: Any) -> dict[str, Any]:
    request, _ = parse_stop_request(RUN | params, NOW)
    return ensure_halted(lambda: engine, path, request, NOW, dry_run)


@pytest.mark.parametrize(
    ("params", "warned"),
    [
        ({}, 0),
        ({"reason": None, "by": None, "grace_period_seconds": None, "bot_services": None}, 0),
        ({"reason": "", "bot_images": [], "scope": ""}, 0),
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
    assert request.rules.projects == ("trading-*",)
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


def test_second_halt_changes_nothing(tmp_path):
    engine = FakeEngine(bot("a"))
    first = halt(engine, tmp_path)
    again = halt(engine, tmp_path, run_id="20261121-020000", reason="other")
    assert (again["changed"], again["outcome"]) == (False, "proven")
    assert again["latch"] == first["latch"]
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
    result = ensure_halted(unreachable, tmp_path, request, NOW, False)
    assert result["outcome"] == "unknown"
    assert "timed out" in result["summary"]
    assert (tmp_path / "halt.json").exists()


def test_disk_that_can_not_be_written_does_not_keep_a_bot_running(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way of the directory")
    engine = FakeEngine(bot("a"))
    result = halt(engine, blocked)
    assert result["outcome"] == "unlatched"
    assert "NOT LATCHED" in result["summary"]
    assert not any(item.running for item in engine.by_id.values())
    assert result["warnings"]


def test_running_bot_outweighs_everything_else(tmp_path):
    result = halt(FakeEngine(bot("a", immortal=True)), tmp_path / "x" / "\0bad")
    assert result["outcome"] == "running"
    assert result["next_command"].startswith("docker ps")


def test_scope_live_spares_paper_but_not_what_is_unclear(tmp_path):
    engine = FakeEngine(bot("paper"), bot("live", mode="live"), bot("unclear", mode=None), FakeContainer("stray"))
    result = halt(engine, tmp_path, scope="live", bot_images=["trading-core-lab/bot:*"])
    assert sorted(item["name"] for item in result["bots"]) == ["live", "stray", "unclear"]
    assert [item.name for item in engine.by_id.values() if item.running] == ["paper"]


def test_planned_stop_leaves_the_latch_alone(tmp_path):
    engine = FakeEngine(bot("a"), bot("b", mode="live"))
    request, _ = parse_stop_request(RUN, NOW)
    result = ensure_stopped(lambda: engine, tmp_path, request, "paper", NOW, False)
    assert result["outcome"] == "proven"
    assert [item.name for item in engine.by_id.values() if item.running] == ["b"]
    assert not (tmp_path / "halt.json").exists()


def test_release_needs_the_id_and_starts_nothing(tmp_path):
    engine = FakeEngine(bot("a"))
    held = halt(engine, tmp_path)["latch"]["incident_ids"][0]
    refused = ensure_released(tmp_path, "INC-other", "reno", NOW, False)
    assert (refused["outcome"], refused["changed"]) == ("refused", False)
    assert refused["next_command"] == f"./runbook halt_release -e incident_id={held}"
    planned = ensure_released(tmp_path, held, "reno", NOW, True)
    assert (planned["outcome"], planned["changed"]) == ("planned", True)
    assert (tmp_path / "halt.json").exists()
    lifted = ensure_released(tmp_path, held, "reno", NOW, False)
    assert (lifted["outcome"], lifted["changed"], lifted["latch"]["engaged"]) == ("proven", True, False)
    again = ensure_released(tmp_path, held, "reno", NOW, False)
    assert (again["outcome"], again["changed"]) == ("proven", False)
    assert not any(item.running for item in engine.by_id.values())


def test_release_of_a_damaged_latch_is_refused_with_the_way_out(tmp_path):
    (tmp_path / "halt.json").write_text("garbage")
    result = ensure_released(tmp_path, "INC-1", "reno", NOW, False)
    assert result["outcome"] == "refused"
    assert "failsafe_stop" in result["next_command"]


def test_observe_tells_latch_bots_and_modes_and_changes_nothing(tmp_path):
    engine = FakeEngine(bot("a"), bot("b", mode="live"), bot("c", status="exited"))
    seen = observe(lambda: engine, tmp_path, BotRules())
    assert seen["summary"] == "not halted; 1 live bot running, 1 paper bot running"
    assert list(tmp_path.iterdir()) == []
    halt(engine, tmp_path)
    seen = observe(lambda: engine, tmp_path, BotRules())
    assert "engaged (all)" in seen["summary"]
    assert "no bot running" in seen["summary"]
    assert seen["desired"]["trading-paper/bot"]["state"] == "stopped"


def test_observe_of_a_silent_engine_is_unknown(tmp_path):
    seen = observe(unreachable, tmp_path, BotRules())
    assert (seen["outcome"], "timed out" in seen["summary"]) == ("unknown", True)
