"""IN-4.1 with an engine that is hung or dead while its bots live on: they are stopped without it, and stay so."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest

from tests.lab.estate import bots, now, on, orders, runbook, wait_until

HOST = "lab2"
LAST_ORDER_SECONDS = 30
RETURNED_SECONDS = 5

GUARD = "trading-core-guard.service"
NO_RESTART = "/run/systemd/system/docker.service.d/no-restart.conf"


def freeze() -> None:
    on(HOST, "kill -STOP $(pidof dockerd)")


def kill() -> None:
    on(HOST, f"mkdir -p $(dirname {NO_RESTART}) && printf '[Service]\\nRestart=no\\n' >{NO_RESTART}")
    # The engine first: stopping its socket would stop it in an orderly way, and its bots with it.
    on(HOST, "systemctl daemon-reload && kill -KILL $(pidof dockerd) && systemctl stop docker.socket")


def bring_back() -> None:
    on(HOST, "kill -CONT $(pidof dockerd) 2>/dev/null || true")
    on(HOST, f"rm -f {NO_RESTART} && systemctl daemon-reload && systemctl start docker.socket docker")


@pytest.fixture
def returning(trading: None) -> Iterator[str]:
    """A bot that its engine starts again whenever it can: made while no guard is there to take that policy away."""
    image = on(HOST, f"docker inspect -f '{{{{.Config.Image}}}}' {bots(HOST)[0].id}").strip()
    labels = "--label com.docker.compose.service=bot --label com.docker.compose.project=trading-returning"
    on(HOST, f"systemctl stop {GUARD}")
    container_id = on(
        HOST, f"docker run -d --name returning --restart always {labels} --entrypoint sleep {image} 1000"
    ).strip()
    yield container_id
    bring_back()
    on(HOST, f"systemctl start {GUARD}")


def processes(container_id: str) -> list[str]:
    """Return the container's processes by the kernel's word, which no engine can embellish."""
    return on(HOST, f"cat $(find /sys/fs/cgroup -path '*{container_id}*' -name cgroup.procs) /dev/null").split()


@pytest.mark.parametrize(
    "break_engine", [pytest.param(freeze, id="frozen"), pytest.param(kill, id="killed", marks=pytest.mark.faults)]
)
def test_bots_are_stopped_without_their_engine_and_what_returns_with_it_is_stopped_again(
    returning: str, break_engine: Callable[[], None]
) -> None:
    ids = [bot.id for bot in bots(HOST) if bot.is_running]
    assert returning in ids
    assert len(ids) == 2
    break_engine()
    on(HOST, f"systemctl start {GUARD}")
    assert all(processes(container_id) for container_id in ids), "the bots do not outlive their engine here"

    begun = now()
    stopped = runbook("failsafe_stop", "-e", "reason=engine trouble")
    assert [container_id for container_id in ids if processes(container_id)] == []
    assert stopped.is_proven_stop, stopped.verdict
    assert f"without the engine on {HOST}" in stopped.verdict

    bring_back()
    back = time.monotonic()
    wait_until(lambda: was_started_again(returning, begun), 20, "the engine starts the bot again, or nothing is shown")
    wait_until(lambda: not processes(returning), RETURNED_SECONDS, "the bot that came back with the engine is gone")
    print(f"the returned bot was gone {time.monotonic() - back:.1f} s after the engine was told to return")
    assert "stopped while halted" in on(HOST, "tail -n 5 /var/lib/trading-core/audit.jsonl")
    assert runbook("failsafe_stop", "-e", "reason=engine trouble").is_proven_stop

    limit = datetime.fromisoformat(begun) + timedelta(seconds=LAST_ORDER_SECONDS)
    assert [order for order in orders(begun) if datetime.fromisoformat(order["time"]) > limit] == []


def was_started_again(container_id: str, since: str) -> bool:
    seen = json.loads(on(HOST, f"docker inspect {container_id}"))[0]["State"]["StartedAt"]
    return datetime.fromisoformat(seen[:26].rstrip("Z") + "+00:00") > datetime.fromisoformat(since)
