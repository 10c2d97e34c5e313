"""The guard on real hosts: while a host is halted no bot stays up, no matter who starts it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.lab.conftest import GATED, release_halt, remove_bots
from tests.lab.estate import bots, docker, now, on, runbook, running_bots, wait_until
from tests.tiers import first_of

HOST = "lab1"
BOT = "trading-paper-bot-1"
LIMIT_SECONDS = 5
STATE = "/var/lib/trading-core"
TRADING = "/opt/ai_trading_core/ops/compose/trading"
BY_HAND = {
    "docker start": f"docker start {BOT}",
    "compose up": f"cd {TRADING} && TRADING_MODE=paper docker compose --profile paper up -d --no-deps bot",
    "stray": "docker run -d --name stray --restart always --entrypoint sleep "
    f"$(docker inspect -f '{{{{.Config.Image}}}}' {BOT}) 1000",
}


def halt() -> None:
    """Write the latch as a shell would: what is tested here is what comes after the stop."""
    latch = {"scope": "all", "incident_ids": ["INC-20261121-000000-guard"], "since": now(), "by": "test", "reason": "x"}
    written = (
        f"mkdir -p {STATE}/latch && printf '%s' '{json.dumps(latch)}' >{STATE}/.halt && cp {STATE}/.halt {STATE}/.other"
    )
    on(HOST, f"{written} && mv {STATE}/.halt {STATE}/halt.json && mv {STATE}/.other {STATE}/latch/halt.json")


def audit(since: str) -> list[dict[str, Any]]:
    text = on(HOST, f"cat {STATE}/audit.jsonl 2>/dev/null || true")
    return [entry for line in text.splitlines() if (entry := json.loads(line))["time"] >= since[:23]]


def journal(since: str) -> str:
    seconds = datetime.fromisoformat(since).timestamp()
    return on(HOST, f"journalctl --unit trading-core-guard --output cat --since @{seconds:.6f} --no-pager")


def guard_pid() -> str:
    return on(HOST, "systemctl show --property MainPID --value trading-core-guard").strip()


def lived_seconds(name: str) -> float:
    """Return how long a container lived at last, by the engine's own clock."""
    state = json.loads(on(HOST, f"docker inspect -f '{{{{json .State}}}}' {name}"))
    assert state["Running"] is False
    ended, began = (datetime.fromisoformat(state[key][:26] + "+00:00") for key in ("FinishedAt", "StartedAt"))
    return (ended - began).total_seconds()


def engine_answers() -> bool:
    return "ok" in on(HOST, "docker info >/dev/null 2>&1 && echo ok || true")


@pytest.fixture
def free(stacks: None) -> Iterator[None]:
    """A host with a guard, no halt and no bot that runs."""
    remove_bots(keep=GATED)
    release_halt()
    on(HOST, f"docker stop --time 2 {BOT}")
    yield
    release_halt()
    remove_bots(keep=GATED)
    on(HOST, f"docker stop --time 2 {BOT}")


@pytest.fixture
def halted_host(free: None) -> None:
    halt()


def assert_stopped_and_recorded(name: str, begun: str) -> None:
    wait_until(lambda: not running_bots([HOST]), 20, f"the end of {name}")
    assert lived_seconds(name) <= LIMIT_SECONDS
    assert_recorded(name, begun)


def assert_recorded(name: str, begun: str) -> None:
    wait_until(lambda: "stopped while halted" in [entry["event"] for entry in audit(begun)], 5, "the audit line")
    (entry,) = [entry for entry in audit(begun) if entry["event"] == "stopped while halted"]
    assert (entry["container"], entry["by"], entry["why"]) == (name, "guard", "started while halted")
    assert f"stopped while halted: {name}" in journal(begun)
    assert "Traceback" not in journal(begun)


@pytest.mark.parametrize("way", first_of(BY_HAND))
def test_bot_started_by_hand_on_a_halted_host_is_stopped_and_recorded(halted_host, way):
    begun = now()
    on(HOST, BY_HAND[way])
    assert_stopped_and_recorded("stray" if way == "stray" else BOT, begun)


@pytest.mark.faults
def test_twenty_starts_by_compose_are_stopped_twenty_times(halted_host):
    for _ in range(20):
        begun = now()
        on(HOST, BY_HAND["compose up"])
        assert_stopped_and_recorded(BOT, begun)


@pytest.mark.faults
def test_bot_that_a_boot_brings_up_on_a_halted_host_is_gone_and_stays_gone(free):
    on(HOST, "systemctl stop trading-core-guard")  # or it would have taken the policy away before
    on(HOST, f"docker update --restart always {BOT} && docker start {BOT}")
    halt()
    begun = now()
    docker("restart", HOST, timeout=120)
    wait_until(engine_answers, 60, "the engine after the reboot")
    # The engine starts such bots before it answers anybody.
    wait_until(lambda: not running_bots([HOST]), LIMIT_SECONDS, "the end of what the engine brought back")
    assert_recorded(BOT, begun)
    on(HOST, "systemctl restart docker")
    wait_until(engine_answers, 60, "the engine after its restart")
    time.sleep(3)
    (bot,) = bots(HOST)
    assert (bot.is_running, bot.restart_policy) == (False, "no")


def test_restart_policy_is_taken_away_from_a_bot_that_may_trade(free):
    begun = now()
    on(HOST, f"docker start {BOT} && docker update --restart always {BOT}")
    wait_until(lambda: bots(HOST)[0].restart_policy == "no", LIMIT_SECONDS, "the restart policy no")
    assert bots(HOST)[0].is_running
    (entry,) = wait_until(lambda: audit(begun), LIMIT_SECONDS, "the audit line")
    assert (entry["event"], entry["container"], entry["was"]) == ("restart policy neutralised", BOT, "always")


@pytest.mark.faults
def test_guard_that_was_killed_is_back_and_still_guards(halted_host):
    killed = guard_pid()
    on(HOST, f"kill -9 {killed}")
    wait_until(lambda: guard_pid() not in {"0", killed}, LIMIT_SECONDS, "another guard")
    begun = now()
    on(HOST, BY_HAND["docker start"])
    assert_stopped_and_recorded(BOT, begun)


@pytest.mark.faults
def test_guard_of_another_version_is_told_and_host_setup_fixes_it(free):
    on(HOST, "echo '# changed by hand' >>/usr/local/lib/trading-core/trading_ops/stop/by_engine.py")
    seen = runbook("status")
    assert "guard other version: its stop/by_engine.py is not of this version (./runbook host_setup)" in seen.verdict
    assert runbook("host_setup").code == 0
    seen = runbook("status")
    assert "guard other version" not in seen.verdict
    assert "guard active" in seen.verdict
