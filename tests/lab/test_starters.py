"""A reconciler starts a bot again on a halted host: the guard wins each time, and what starts it is named."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from trading_ops.core.clock import parse_utc

from tests.lab.conftest import GATED, release_halt, remove_bots
from tests.lab.estate import ROOT, docker, now, on, runbook, wait_until
from tests.lab.test_guard import BOT, HOST, LIMIT_SECONDS, audit

RECONCILER = "/opt/reconciler.py"
RUN = (
    "docker run -d --name reconciler --user 0 --network none --entrypoint python3 "
    f"-v /var/run/docker.sock:/var/run/docker.sock -v {RECONCILER}:{RECONCILER}:ro "
    f"$(docker inspect -f '{{{{.Config.Image}}}}' trading-paper-gui-1) {RECONCILER} {BOT}"
)
NAMED = "container reconciler (it holds the engine's socket /var/run/docker.sock)"
HOLD_OFF = "docker stop reconciler"


@pytest.fixture
def reconciled(stacks: None) -> Iterator[str]:
    """A halted host on which a reconciler wants the bot to run; the time since when."""
    remove_bots(keep=GATED)
    release_halt()
    assert runbook("failsafe_stop", "-e", "reason=reconciler").is_proven_stop
    begun = now()
    docker("cp", str(ROOT / "lab" / "reconciler.py"), f"{HOST}:{RECONCILER}")
    on(HOST, RUN)
    yield begun
    on(HOST, f"docker rm -f reconciler; rm -f {RECONCILER}; docker stop --time 2 {BOT}")
    release_halt()


def stops(since: str) -> list[dict[str, Any]]:
    return [
        entry for entry in audit(since) if (entry["event"], entry.get("container")) == ("stopped while halted", BOT)
    ]


def seconds(entry: dict[str, Any]) -> float:
    """Return how long after its start the bot was stopped and that was on record."""
    return (parse_utc(entry["time"]) - parse_utc(entry["started_at"])).total_seconds()


@pytest.mark.faults
def test_what_starts_a_bot_again_is_beaten_each_time_and_named(reconciled):
    wait_until(lambda: len(stops(reconciled)) >= 3, 60, "three stops by the guard")
    looks = {
        "status": runbook("status"),
        "stop": runbook("failsafe_stop", "-e", "reason=again"),
    }
    for name, look in looks.items():
        assert f"{HOST}: " in look.verdict, name
        assert f"{BOT} was stopped" in look.verdict, name
        assert f"PROBABLY started by: {NAMED}" in look.verdict, name
        assert f"Hold it off: {HOLD_OFF} (on the host)" in look.verdict, name
    assert f"note: {NAMED.partition(' (')[0]}: it holds" in runbook("host_setup", "--check").output
    assert [entry for entry in stops(reconciled) if seconds(entry) > LIMIT_SECONDS] == []
    on(HOST, HOLD_OFF)
    assert runbook("failsafe_stop", "-e", "reason=held off").is_proven_stop
