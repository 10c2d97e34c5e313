"""Who shares a host with us: what holds every lock within reach, and what is left of an older version."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.lab.conftest import GATED, PAPER, release_halt, remove_bots
from tests.lab.estate import bots, docker, latch, now, on, runbook, running_bots, wait_until
from tests.tiers import first_of

HOST = "lab1"
BOT = "trading-paper-bot-1"
STATE = "/var/lib/trading-core"
LOCKS = "/run/lock/trading-core"
# Frozen: what a version of before knows of the latch. Its bots mount the state directory whole.
OLD_PLACE, NEW_PLACE = f"{STATE}/halt.json", f"{STATE}/latch/halt.json"
HALTED = {"scope": "all", "incident_ids": ["INC-20261121-000000-old"], "by": "kim", "reason": "an older version"}
HOLD_ALL = """
import fcntl, os, sys, time
held = []
while True:
    for top in sys.argv[1:]:
        for at, _, names in os.walk(top):
            for name in [".", *names]:
                try:
                    held.append(os.open(os.path.join(at, name), os.O_RDONLY | os.O_NONBLOCK))
                    fcntl.flock(held[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    pass
    print(len(held), flush=True)
    time.sleep(1)
"""
AS_NOBODY = "setpriv --reuid 65534 --regid 65534 --clear-groups"
GUI_IMAGE = "$(docker inspect -f '{{.Config.Image}}' trading-paper-gui-1)"
HELD_BY_CONTAINER = "docker run -d --name holder --entrypoint python3 -v {mounted}:/state:ro {image} -c {code} /state"
HELD_BY_USER = f"systemd-run --unit holder {AS_NOBODY} python3 -c {{code}} {STATE} /run/lock"
HOLDERS = {
    "root of a container with the mount of before": HELD_BY_CONTAINER.replace("{mounted}", STATE),
    "root of a container with the mount of now": HELD_BY_CONTAINER.replace("{mounted}", f"{STATE}/latch"),
    "local user": HELD_BY_USER,
    # Who is first after a boot of a host that has no line for systemd-tmpfiles.
    "local user who made the folder first": f"rm -rf {LOCKS}; {AS_NOBODY} mkdir -m 777 {LOCKS}; "
    f"{AS_NOBODY} touch {LOCKS}/x; {HELD_BY_USER}",
}


def places() -> list[bool]:
    """Return whether the latch is in its place of before, and in its folder."""
    found = on(HOST, f"ls {OLD_PLACE} {NEW_PLACE} 2>/dev/null || true").split()
    return [place in found for place in (OLD_PLACE, NEW_PLACE)]


@pytest.fixture
def holder(idle: None, request: pytest.FixtureRequest) -> Iterator[None]:
    on(HOST, f"cat >/root/hold.py <<'CODE'\n{HOLD_ALL}\nCODE")
    on(HOST, f"touch {STATE}/.lock {STATE}/.lease.lock {STATE}/.desired.lock")  # as an older version left them
    on(HOST, HOLDERS[request.param].replace("{image}", GUI_IMAGE).replace("{code}", '"$(cat /root/hold.py)"'))
    yield
    on(HOST, "docker rm -f holder 2>/dev/null; systemctl stop holder 2>/dev/null; rm -f /root/hold.py; true")


@pytest.mark.parametrize("holder", first_of(HOLDERS), indirect=True)
def test_who_holds_every_lock_within_reach_holds_up_nothing(holder):
    started = runbook(*PAPER)
    assert started.code == 0, started.verdict
    stopped = runbook("failsafe_stop", "-e", "reason=locks")
    assert stopped.is_proven_stop, stopped.verdict
    assert "NOT LATCHED" not in stopped.verdict
    assert places() == [True, True]
    released = runbook("halt_release", "-e", f"incident_id={stopped.incident_id}")
    assert released.code == 0, released.verdict
    assert places() == [False, False]
    started = runbook(*PAPER)  # lease, latch and desired state once more
    assert started.code == 0, started.verdict
    assert on(HOST, f"stat -c '%U %a' {LOCKS}").strip() == "root 700"


# ---- an older version


def back_to_the_old_layout() -> None:
    """Leave the host as a version of before had it: no folder of the latch, no wrapper, no lock folder at a boot."""
    whole = "/usr/local/libexec/trading-core"
    on(
        HOST,
        "systemctl stop trading-core-guard; "
        f"rm -rf {STATE}/latch {OLD_PLACE} {LOCKS} /etc/tmpfiles.d/trading-core.conf; "
        f"[ ! -d {whole} ] || mv {whole}/trading-halt /usr/local/sbin/trading-halt; rm -rf {whole}; "
        "echo '# of before' >>/usr/local/lib/trading-core/trading_ops/stop/by_engine.py",
    )


def old_bot(name: str) -> str:
    """Return the command of a bot that mounts the state directory whole and says each second what it sees of it."""
    labels = "--label com.docker.compose.service=bot --label com.docker.compose.project=trading-paper"
    look = "while :; do test -e /run/trading-core/halt.json && echo halted || echo free; sleep 1; done"
    return (
        f"docker run -d --name {name} {labels} --label trading-core.mode=paper --entrypoint sh "
        f"-v {STATE}:/run/trading-core:ro {GUI_IMAGE} -c '{look}'"
    )


@pytest.fixture
def old_host(idle: None) -> Iterator[None]:
    back_to_the_old_layout()
    yield
    on(HOST, "docker rm -f old-bot 2>/dev/null || true")
    remove_bots(keep=GATED)
    release_halt()
    assert runbook("host_setup").code == 0


def assert_refused_for_the_halt() -> None:
    refused = runbook(*PAPER)
    assert (refused.code, HALTED["incident_ids"][0] in refused.verdict) == (13, True), refused.verdict


@pytest.mark.faults
def test_a_halted_host_stays_halted_over_upgrade_and_reboot_and_is_lifted_in_both_places(old_host):
    on(HOST, f"echo '{json.dumps(HALTED | {'since': now()})}' >{OLD_PLACE}")
    look = f"ls {OLD_PLACE} {NEW_PLACE} 2>/dev/null | grep -q . || echo lost"
    on(HOST, f"(while sleep 0.05; do {look}; done) >/root/watch 2>&1 & echo $! >/root/pid")
    try:
        assert runbook(*PAPER).code == 13  # this version, before host_setup: by the guard or by the latch
        upgraded = runbook("host_setup")
        assert upgraded.code == 0, upgraded.verdict
        assert places() == [True, True]
        assert_refused_for_the_halt()
    finally:
        on(HOST, "kill $(cat /root/pid)")
    assert on(HOST, "cat /root/watch") == ""

    on(HOST, old_bot("old-bot"))  # by hand, as compose of before would
    wait_until(lambda: not running_bots([HOST]), 10, "the end of a bot of before on a halted host")

    docker("restart", HOST, timeout=120)
    wait_until(
        lambda: "ok" in on(HOST, "docker info >/dev/null 2>&1 && echo ok || true"), 60, "the engine after the reboot"
    )
    assert on(HOST, f"stat -c '%U %a' {LOCKS}").strip() == "root 700"
    assert places() == [True, True]
    assert running_bots([HOST]) == []
    assert_refused_for_the_halt()

    assert runbook("halt_release", "-e", f"incident_id={HALTED['incident_ids'][0]}").code == 0
    assert places() == [False, False]


@pytest.mark.faults
def test_what_an_older_version_writes_or_lifts_alone_halts_the_bots_of_now(idle):
    on(HOST, f"echo '{json.dumps(HALTED | {'since': now()})}' >{OLD_PLACE}")  # the first wave of an older checkout
    assert_refused_for_the_halt()
    wait_until(lambda: places() == [True, True], 10, "the latch where bots of now look")
    on(HOST, f"rm {OLD_PLACE}")  # its halt_release
    assert_refused_for_the_halt()
    wait_until(lambda: places() == [True, True], 10, "the latch where bots of before look")
    assert latch(HOST)["incident_ids"] == HALTED["incident_ids"]
    release_halt()


@pytest.mark.faults
def test_bots_of_both_layouts_see_a_halt_of_now_and_its_end(idle):
    on(HOST, old_bot("old-bot"))
    try:
        wait_until(lambda: "free" in on(HOST, "docker logs old-bot"), 10, "a bot of before that is free")
        stopped = runbook("halt-now", "both layouts")
        assert "latched" in stopped.output, stopped.output
        seen = on(HOST, "docker logs old-bot").split()
        assert "halted" in seen  # the latch comes before the first stop
        assert [bot.is_running for bot in bots(HOST)] == [False] * len(bots(HOST))
        assert runbook("halt_release", "-e", f"incident_id={latch(HOST)['incident_ids'][0]}").code == 0
    finally:
        on(HOST, "docker rm -f old-bot")
    assert places() == [False, False]


@pytest.mark.faults
def test_finding_6_by_real_sudo(idle):
    """Group and rule as host_setup wrote them; a user of that group alone, without the engine's socket."""
    user = "operator1"
    on(HOST, f"useradd -m {user}; usermod -aG $(sed -n 's/^%\\([^ ]*\\) .*/\\1/p' /etc/sudoers.d/trading-core) {user}")
    try:
        on(HOST, f"su {user} -c 'mkdir -p state && ln -sf /etc/trading-core/bots.conf state/audit.jsonl' --login")
        before = on(HOST, "cat /etc/trading-core/bots.conf")
        call = 'sudo -n /usr/local/sbin/trading-halt --state-path ~/state --by "\\$(id >/root/PWNED)" --check'
        assert "nothing was changed" in on(HOST, f"su --login {user} -c '{call}' 2>&1")
        assert on(HOST, "cat /etc/trading-core/bots.conf") == before
        assert on(HOST, "ls /root/PWNED 2>/dev/null || echo none").strip() == "none"
    finally:
        on(HOST, f"userdel -r {user}")
