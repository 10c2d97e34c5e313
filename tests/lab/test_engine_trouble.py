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


SETTINGS = "/etc/docker/daemon.json"
DROP_IN = "/run/systemd/system/docker.service.d/data-root.conf"
ELSEWHERE = "/var/lib/docker-elsewhere"


def set_userns_remap() -> None:
    change = "seen['userns-remap'] = 'default'"
    on(HOST, f"cp {SETTINGS} {SETTINGS}.kept")
    code = f"import json; seen = json.load(open('{SETTINGS}')); {change}; json.dump(seen, open('{SETTINGS}', 'w'))"
    on(HOST, f'python3 -c "{code}" && systemctl restart docker', timeout=120)


def set_data_root_by_option() -> None:
    start = on(HOST, "systemctl show docker -p ExecStart --value | sed 's/.*argv\\[\\]=\\([^;]*\\);.*/\\1/'").strip()
    text = f"[Service]\\nExecStart=\\nExecStart={start} --data-root {ELSEWHERE}\\n"
    on(HOST, f"mkdir -p $(dirname {DROP_IN}) && printf '{text}' >{DROP_IN}")
    on(HOST, "systemctl daemon-reload && systemctl restart docker", timeout=120)


@pytest.fixture
def moved(request: pytest.FixtureRequest, trading: None) -> Iterator[str]:
    """A bot of an engine that keeps its files in another place than the default, in whatever way the test says."""
    image = on(HOST, f"docker inspect -f '{{{{.Config.Image}}}}' {bots(HOST)[0].id}").strip()
    on(HOST, f"docker save {image} >/tmp/moved.tar", timeout=240)
    try:
        request.param()
        on(HOST, "docker load </tmp/moved.tar", timeout=240)
        labels = "--label com.docker.compose.service=bot --label com.docker.compose.project=trading-moved"
        yield on(HOST, f"docker run -d --network none {labels} --entrypoint sleep {image} 1000").strip()
    finally:
        bring_back()
        on(HOST, f"if [ -e {SETTINGS}.kept ]; then mv {SETTINGS}.kept {SETTINGS}; fi; rm -f {DROP_IN} /tmp/moved.tar")
        on(HOST, "systemctl daemon-reload && systemctl restart docker", timeout=120)
        on(HOST, f"rm -rf {ELSEWHERE} /var/lib/docker/[0-9]*.[0-9]*")


@pytest.mark.faults
@pytest.mark.parametrize(
    "moved",
    [pytest.param(set_userns_remap, id="userns-remap"), pytest.param(set_data_root_by_option, id="data-root")],
    indirect=True,
)
def test_bots_are_found_without_their_engine_wherever_it_keeps_its_files(moved: str) -> None:
    assert processes(moved)
    freeze()
    stopped = runbook("failsafe_stop", "-e", "reason=engine files elsewhere")
    assert processes(moved) == []
    assert f"without the engine on {HOST}" in stopped.verdict
    assert stopped.is_proven_stop, stopped.verdict


@pytest.mark.faults
def test_a_bot_that_removes_itself_is_proven_stopped_while_its_removal_takes_long(trading: None) -> None:
    image = on(HOST, f"docker inspect -f '{{{{.Config.Image}}}}' {bots(HOST)[0].id}").strip()
    labels = "--label com.docker.compose.service=bot --label com.docker.compose.project=trading-rm"
    fill = (
        "trap 'exit 0' TERM; dd if=/dev/zero of=/tmp/big bs=1M count=3000; touch /tmp/full; while :; do sleep 1; done"
    )
    on(HOST, f'docker run -d --rm --name rmbot {labels} --entrypoint sh {image} -c "{fill}"')
    wait_until(lambda: on(HOST, "docker exec rmbot ls /tmp/full || true").strip(), 180, "its layer is large")
    stopped = runbook("failsafe_stop", "-e", "reason=rm")
    assert stopped.is_proven_stop, stopped.verdict
