"""IN-4.1 on real hosts: what the fail-safe stop promises."""

from __future__ import annotations

import time
from datetime import datetime

import pytest

from tests.lab.conftest import clients_with_orders, release_halt, start_trading
from tests.lab.estate import (
    TRADING_HOSTS,
    Run,
    bots,
    containers,
    docker,
    latch,
    now,
    on,
    orders,
    runbook,
    running_bots,
    venue,
    wait_until,
)


def test_no_order_reaches_the_venue_after_the_reported_stop(trading):
    begun = now()
    # The first wave takes less than the time between two orders: without this the record would show nothing.
    wait_until(lambda: len(clients_with_orders(begun)) >= 2, 30, "orders of both bots before the stop")
    stopped = runbook("failsafe_stop", "-e", "reason=test")
    assert stopped.code == 0
    assert "2 bots proven stopped on 2 of 2 hosts (2 of them now), latched on 2" in stopped.verdict
    assert "orders: none (bots: 2 cancelled; venue: " in stopped.verdict
    time.sleep(5)  # a bot that still lived would place about five orders in this time
    seen = orders(begun)
    assert seen
    assert [entry for entry in seen if entry["time"] > stopped.last_bot_ended] == []
    clients = {entry["client"] for entry in seen}
    assert [order for order in venue("/orders/open")["orders"] if order["client"] in clients] == []


def test_second_stop_changes_nothing_and_stays_one_incident(halted):
    before = {host: containers(host) for host in TRADING_HOSTS}
    again = runbook("failsafe_stop", "-e", "reason=again")
    assert again.code == 0
    assert again.incident_id == halted
    assert {host: containers(host) for host in TRADING_HOSTS} == before
    assert not again.changed


def test_reboot_while_halted_leaves_latch_and_no_bot_and_a_start_is_refused(halted):
    docker("restart", "lab1", timeout=120)
    wait_until(lambda: _engine_answers("lab1"), 60, "the engine of lab1 after its reboot")
    assert running_bots(["lab1"]) == []
    assert latch("lab1")["incident_ids"] == [halted]
    refused = runbook("bot_start", "-e", "mode=paper")
    assert refused.code == 13
    assert halted in refused.verdict
    assert "test" in refused.verdict
    assert running_bots() == []


def _engine_answers(host: str) -> bool:
    try:
        on(host, "docker info >/dev/null")
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param('{"scope": "all"', id="cut"),
        pytest.param("", id="empty", marks=pytest.mark.faults),
        pytest.param("garbage", id="garbage", marks=pytest.mark.faults),
    ],
)
def test_damaged_latch_refuses_a_start_until_a_stop_has_made_it_readable(halted, damage):
    on("lab1", f"cd /var/lib/trading-core && printf '%s' '{damage}' | tee halt.json >latch/halt.json")
    assert runbook("bot_start", "-e", "mode=paper").code == 13
    assert runbook("halt_release", "-e", f"incident_id={halted}").code == 13
    stopped = runbook("failsafe_stop", "-e", "reason=damaged latch")
    assert stopped.code == 0
    assert latch("lab1")["scope"] == "all"


def seconds_to_last_bot() -> tuple[Run, float]:
    """Return a stop, and the seconds from its command to the end of its last bot."""
    begun = datetime.fromisoformat(now())
    stopped = runbook("failsafe_stop", "-e", "reason=test")
    return stopped, (datetime.fromisoformat(stopped.last_bot_ended) - begun).total_seconds()


def test_frozen_host_delays_nobody_and_is_named(trading):
    healthy, baseline = seconds_to_last_bot()
    assert healthy.code == 0
    release_halt()
    start_trading()

    docker("pause", "lab2")
    try:
        stopped, seconds = seconds_to_last_bot()
    finally:
        docker("unpause", "lab2")
    assert stopped.code == 10
    assert "lab2: did not answer" in stopped.verdict
    joined = f"-e reason=test -e incident_id={stopped.incident_id}"
    assert f"NEXT: ./runbook failsafe_stop {joined} (again once lab2 answers" in stopped.verdict
    assert running_bots(["lab1"]) == []
    # Waiting for the frozen host would cost at least the 5 s of its connection time-out.
    assert seconds < baseline + 2, f"{baseline:.1f} s with all hosts well, {seconds:.1f} s with one frozen"

    assert runbook("failsafe_stop", "-e", "reason=test").code == 0
    assert running_bots() == []
    third = runbook("failsafe_stop", "-e", "reason=test")
    assert (third.code, third.changed) == (0, [])


def test_every_kind_of_bot_is_found_and_stopped_in_one_run(trading):
    root = "/opt/ai_trading_core/ops/compose/trading"
    image = next(bot for bot in bots("lab1"))
    reference = on("lab1", f"docker inspect -f '{{{{.Config.Image}}}}' {image.id}").strip()
    on("lab1", f"docker run -d --name stray --restart always {reference} sleep 1000")
    on("lab1", f"cd {root} && TRADING_MODE=paper docker compose --profile paper run -d --no-deps bot sleep 1000")
    on("lab2", f"docker pause {bots('lab2')[0].id}")
    on("lab1", f"mv {root}/docker-compose.yml {root}/gone.yml")
    try:
        stopped = runbook("failsafe_stop", "-e", "reason=test")
    finally:
        on("lab1", f"mv {root}/gone.yml {root}/docker-compose.yml")
    assert stopped.is_proven_stop, stopped.verdict  # a paused bot cancels nothing
    assert running_bots() == []
    assert "4 bots proven stopped on 2 of 2 hosts" in stopped.verdict
    assert all(bot.restart_policy == "no" for host in TRADING_HOSTS for bot in bots(host))


def test_full_disk_still_stops_and_says_not_latched(trading):
    state = "/var/lib/trading-core"
    on("lab1", f"mount -t tmpfs -o size=4k tmpfs {state} && cat /dev/zero >{state}/full 2>/dev/null; true")
    try:
        stopped = runbook("failsafe_stop", "-e", "reason=test")
    finally:
        on("lab1", f"umount {state}")
    assert stopped.code == 10
    assert "NOT LATCHED" in stopped.verdict
    assert running_bots() == []


def test_scope_live_leaves_the_paper_bot_trading(trading):
    stopped = runbook("failsafe_stop", "-e", "reason=test", "-e", "scope=live")
    assert stopped.is_proven_stop, stopped.verdict  # the paper bot has orders, now and then
    assert ("bots that were left running" in stopped.verdict) is (stopped.code == 14)
    assert [name.split("/")[0] for name in running_bots()] == ["lab1"]
    assert latch("lab1")["scope"] == "live"
    assert runbook("bot_start", "-e", "mode=live", "-e", "confirm_live=trading-live").code == 13
