"""One odd field of one container: no exception leaves, the others are stopped and proven, nothing is better for it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from trading_ops.core.bots import BotRules
from trading_ops.core.starters import HostFiles
from trading_ops.guard.service import Guard, Settings, Tools
from trading_ops.oncall.onboarding import Estate, observe_onboarding
from trading_ops.state.latch import Latch, engage
from trading_ops.stop.kill_switch import TradingHost, ensure_halted, observe, parse_stop_request

from tests.properties import examples
from tests.unit.fakes import FakeCgroups, trading_host
from tests.unit.odd_containers import odd_estates

NOW = "2026-11-21T01:30:00.000Z"
GUARD = {"state": "active", "summary": "guard active"}
RULES = BotRules(images=("trading-core-lab/bot:*",))


def host_of(engine, truth, folder: str) -> TradingHost:
    return trading_host(engine, Path(folder), FakeCgroups(*truth.by_id.values()))


@given(odd_estates())
@examples(400)
def test_a_stop_ends_and_proves_every_other_bot_and_proves_nothing_that_is_not_so(estate):
    engine, truth, sound = estate
    request, _ = parse_stop_request({"reason": "odd", "bot_images": ["trading-core-lab/bot:*"]}, NOW)
    with tempfile.TemporaryDirectory() as folder:
        result = ensure_halted(host_of(engine, truth, folder), request, NOW, dry_run=False)
    real = {item.name: item for item in truth.by_id.values()}
    assert not real["sound"].running
    by_id = {seen["id"]: seen for seen in result["bots"]}
    assert by_id[real["sound"].id]["how"] == "stopped"
    for seen in result["bots"]:
        if seen["how"] in {"already stopped", "never started", "stopped", "killed", "gone"}:
            assert not truth.by_id[seen["id"]].running, seen
        if seen["orders"] == "none":
            assert truth.by_id[seen["id"]].status == "created", seen
    if result["outcome"] == "proven":
        assert not any(real[name].running for name in ("sound", "odd", "also odd"))
    elif all(sound.values()):
        raise AssertionError(result["summary"])
    assert real["db"].running


@given(odd_estates())
@examples(400)
def test_a_look_shows_the_sound_and_never_takes_a_bot_that_runs_for_none(estate):
    engine, truth, _ = estate
    with tempfile.TemporaryDirectory() as folder:
        seen = observe(host_of(engine, truth, folder), RULES, NOW)
    running = {each["id"] for each in seen["bots"] if each["running"]}
    real = {item.name: item for item in truth.by_id.values()}
    assert real["sound"].id in running
    doubted = " ".join([*seen["doubts"], *seen["lines"]])
    for item in (real["odd"], real["also odd"]):
        listed = {each["id"] for each in seen["bots"]}
        assert item.id in listed or not item.running or item.name in doubted or item.id[:12] in doubted


@given(odd_estates())
@examples(200)
def test_a_guard_lives_on_and_stops_what_a_halt_holds(estate):
    engine, truth, _ = estate
    with tempfile.TemporaryDirectory() as folder:
        host = host_of(engine, truth, folder)
        engage(host.state_path, Latch("all", ("INC-1",), "2026-11-21T00:00:00.000Z", "x", "x"), False, 2)
        settings = Settings(RULES, 2, Path(folder), "unix:///x")
        tools = Tools(say=lambda _text: None, run=lambda work: work(), now=lambda: NOW)
        assert Guard(settings, host, lambda: engine, tools).run_once()
    assert not next(item for item in truth.by_id.values() if item.name == "sound").running


@given(odd_estates())
@examples(200)
def test_the_onboarding_report_judges_the_sound_ones_whatever_the_others_say(estate):
    engine, _, _ = estate
    about = Estate(RULES, "trading-", "/var/lib/trading-core", True, "feed")
    result = observe_onboarding(lambda: engine, str, about, GUARD, HostFiles())
    assert any("sound" in finding["about"] for finding in result["findings"])
    assert result["outcome"] in {"failed", "proven"}
