"""What comes back with its engine: every restart policy, on a real engine that is ended and returns. And many bots."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.lab.estate import bots, now, on, runbook, wait_until

HOST = "lab2"
GUARD = "trading-core-guard.service"
POLICIES = ("always", "unless-stopped", "on-failure", "no")
KINDS = {
    "steady": 'trap "exit 0" TERM; while :; do sleep 60 & wait; done',
    "crashing": "sleep 0.2; exit 1",
}
NAMES = [f"matrix-{policy}-{kind}" for policy, kind in itertools.product(POLICIES, KINDS)]
# Longer than the engine's longest pause between two starts, which is a minute.
WATCH_SECONDS = 65
# By then the pause of a crashing bot has grown to seconds, and it looks dead most of the time.
BACK_OFF_SECONDS = 10
HUNDRED = 100
SETTINGS = "/etc/docker/daemon.json"
READ_SETTINGS = (
    f"import json, pathlib; path = pathlib.Path('{SETTINGS}'); seen = json.loads(path.read_text() or '{{}}')"
)
WRITE_SETTINGS = "path.write_text(json.dumps(seen))"


@pytest.fixture
def unguarded(trading: None) -> Iterator[None]:
    """No guard on the host: what stays down does so by the stop alone."""
    there = on(HOST, f"systemctl list-unit-files --no-legend {GUARD} || true")
    if there:
        on(HOST, f"systemctl stop {GUARD}")
    yield
    if there:
        on(HOST, f"systemctl start {GUARD}")


def run_bots(wanted: list[tuple[str, str, str]]) -> None:
    """Start bots, given by name, restart policy and shell script, in one shell on the host."""
    image = on(HOST, "docker inspect --format '{{.Config.Image}}' trading-live-bot-1").strip()
    label = "--label com.docker.compose"
    lines = [
        f"docker run --detach --network none {label}.service=bot {label}.project=trading-{name} --name {name}"
        f" --restart {policy} --entrypoint sh {image} -c '{script}'"
        for name, policy, script in wanted
    ]
    on(HOST, " >/dev/null &&\n".join(lines) + " >/dev/null", timeout=240)


def states() -> dict[str, dict[str, Any]]:
    """Return what the engine says of each bot of the matrix."""
    found = json.loads(on(HOST, f"docker inspect {' '.join(NAMES)}"))
    return {item["Name"].lstrip("/"): item | item["State"] for item in found}


def end_engine(signal: str) -> None:
    """End dockerd by a signal, and return once the one that systemd starts instead answers."""
    ended = on(HOST, "pidof dockerd").strip()
    on(HOST, f"kill -{signal} {ended}")

    def returned() -> bool:
        answer = on(HOST, "pidof dockerd || true; docker version --format '{{.Server.Version}}' 2>&1 || true").split()
        return len(answer) == 2 and answer[0] != ended

    wait_until(returned, 60, "another dockerd answers")


def halt() -> str:
    """Stop everything; return the time after which nothing may start."""
    stopped = runbook("failsafe_stop", "-e", "reason=restart matrix")
    assert stopped.is_proven_stop, stopped.verdict
    return now()


def seconds(engine_time: str) -> float:
    return datetime.fromisoformat(engine_time[:26].rstrip("Z") + "+00:00").timestamp()


@pytest.fixture(params=[False, True], ids=["bots end with it", "live-restore"])
def live_restore(request: pytest.FixtureRequest, unguarded: None) -> Iterator[bool]:
    """Whether bots outlive their engine, and are its own again when it returns; a reload of the engine takes it in."""
    set_live_restore(is_on=request.param)
    yield request.param
    set_live_restore(is_on=False)


def set_live_restore(*, is_on: bool) -> None:
    change = (
        f"seen['live-restore'] = True; {WRITE_SETTINGS}" if is_on else f"seen.pop('live-restore', 0); {WRITE_SETTINGS}"
    )
    on(HOST, f'python3 -c "{READ_SETTINGS}; {change}" && systemctl reload docker')
    wanted = str(is_on).lower()
    wait_until(lambda: on(HOST, "docker info -f '{{.LiveRestoreEnabled}}'").strip() == wanted, 30, "the setting counts")


@pytest.mark.faults
@pytest.mark.timeout(600)
@pytest.mark.parametrize("signal", ["TERM", "KILL"])
@pytest.mark.parametrize("moment", ["before the halt", "after the halt"])
def test_no_bot_of_any_policy_starts_again_when_its_engine_is_ended(live_restore, signal, moment):
    run_bots([(f"matrix-{policy}-{kind}", policy, KINDS[kind]) for policy in POLICIES for kind in KINDS])
    time.sleep(BACK_OFF_SECONDS)
    seen = states()
    assert all(seen[f"matrix-{policy}-steady"]["Running"] for policy in POLICIES)
    assert all(seen[f"matrix-{policy}-crashing"]["RestartCount"] > 2 for policy in POLICIES if policy != "no")
    if moment == "before the halt":
        begun = now()
        end_engine(signal)
        steady = seen["matrix-always-steady"]["StartedAt"]
        if live_restore:
            wait_until(lambda: states()["matrix-always-steady"]["Running"], 30, "the bot runs under its new engine")
            assert states()["matrix-always-steady"]["StartedAt"] == steady, "it did not outlive its engine"
        else:
            wait_until(
                lambda: seconds(states()["matrix-always-steady"]["StartedAt"]) > seconds(begun),
                30,
                "the engine starts bots again by their policy, or nothing is shown",
            )
        halted = halt()
    else:
        halted = halt()
        end_engine(signal)
    time.sleep(WATCH_SECONDS)
    # The engine keeps the time of the last start: no look in between could see more.
    after = states()
    assert set(after) == set(NAMES)
    assert [name for name, each in after.items() if seconds(each["StartedAt"]) > seconds(halted)] == []
    assert [name for name, each in after.items() if each["Running"] or each["Restarting"]] == []
    assert {each["HostConfig"]["RestartPolicy"]["Name"] for each in after.values()} == {"no"}


@pytest.mark.faults
@pytest.mark.timeout(600)
def test_hundred_bots_on_one_host_are_stopped_and_proven_in_one_run(trading):
    descriptors = "ls /proc/$(pidof dockerd)/fd | wc --lines"
    before = int(on(HOST, descriptors))
    begun = time.monotonic()
    run_bots([(f"matrix-{number}", "unless-stopped", KINDS["steady"]) for number in range(HUNDRED)])
    print(f"{HUNDRED} bots started in {time.monotonic() - begun:.1f} s")
    assert sum(bot.is_running for bot in bots(HOST)) == HUNDRED + 1
    stopped = runbook("failsafe_stop", "-e", "reason=a hundred")
    print(f"stopped in {stopped.seconds:.1f} s")
    assert stopped.is_proven_stop, stopped.verdict
    assert f"{HUNDRED + 2} bots proven stopped on 2 of 2 hosts ({HUNDRED + 2} of them now)" in stopped.verdict
    assert [bot.name for bot in bots(HOST) if bot.is_running] == []
    wait_until(lambda: int(on(HOST, descriptors)) <= before, 30, "the engine holds no more descriptors than before")
