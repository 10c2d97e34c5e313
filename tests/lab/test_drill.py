"""The README's first command."""

import pytest

from tests.lab.estate import TRADING_HOSTS, bots, latch, runbook, venue, wait_until

BOTS = {"lab1": "trading-paper-bot-1", "lab2": "trading-live-bot-1"}


@pytest.mark.before_others(1)
@pytest.mark.timeout(900)
def test_drill_ends_with_a_verdict_that_holds_measured_seconds(lab, drilled):
    run = runbook("drill", timeout=800)
    assert run.code == 0, run.output[-3000:]
    last = run.output.rstrip().splitlines()[-1]
    assert last.startswith("VERDICT 0 drill: PROVEN: 4 bots on 2 hosts stopped")
    assert "s after the command, none later" in last
    assert "of trading-paper/stubborn, which ignores SIGTERM and was killed" in last
    assert "VERDICT 14 failsafe_stop in the LAB: STOPPED, ORDERS OPEN" in run.output
    drilled.append(last)


@pytest.mark.before_others(2)
def test_a_drill_leaves_nothing_that_is_its_own(drilled):
    if not drilled:
        pytest.skip("there was no drill in this session")
    for host in TRADING_HOSTS:
        assert latch(host) is None
        assert [bot.name for bot in bots(host)] == [BOTS[host]]
    looked = runbook("status")
    assert (looked.code, "-drill" in looked.verdict) == (0, False)
    # What is open now is of bots that trade.
    assert not [
        order for order in venue("/orders/open")["orders"] if order["client"].endswith(("/stubborn", "/restless"))
    ]


@pytest.mark.faults
@pytest.mark.timeout(2400)
def test_after_a_drill_no_command_is_red_for_it(lab):
    """What its bots did is in the windows of some checks for minutes."""
    assert runbook("drill", timeout=800).code == 0
    assert runbook("host_setup", "--check").code == 0
    wait_until(lambda: runbook("checks").code == 0, 900, "checks that pass after a drill")
    assert "drill" not in runbook("shift_start").verdict
