"""After the stop the venue is asked which orders are open; neither its word nor its silence delays a stop: 14."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

import pytest

from lab import faults
from tests.lab.conftest import flatten, open_clients, release_halt, start_trading
from tests.lab.estate import Run, docker, now, runbook, running_bots, venue, wait_until

CLIENT = "trading-paper/stubborn"


@pytest.fixture
def stubborn(trading):
    """A bot beside the others that ignores SIGTERM, and has an order open when it is killed."""
    flatten()
    faults.start(faults.STUBBORN)
    yield
    faults.remove(faults.STUBBORN)
    flatten()


def test_orders_of_a_killed_bot_are_counted_as_open_with_the_step_at_the_venue(stubborn):
    wait_until(lambda: CLIENT in open_clients(), 60, "an open order of the stubborn bot")
    # It replaces its order every second and may die in between; this one rests far from the price.
    resting = {"side": "buy", "kind": "limit", "quantity": 0.01, "price": 1}
    venue("/orders", {"client": CLIENT, "symbol": "BTCUSDT", **resting})
    stopped = runbook("failsafe_stop", "-e", "reason=test")
    left = len(venue("/orders/open")["orders"])
    assert left >= 1
    assert stopped.code == 14, stopped.verdict
    assert "STOPPED, ORDERS OPEN: " in stopped.verdict
    assert f"orders: {left} OPEN" in stopped.verdict
    assert "NOW at the venue" in stopped.verdict
    assert running_bots() == []
    # They stay open until somebody cancels them, and every look says so, with its own code.
    seen = runbook("status")
    assert (seen.code, f"orders: {left} open order" in seen.verdict) == (0, True)
    assert runbook("failsafe_stop", "-e", "reason=test").code == 14
    released = runbook("halt_release", "-e", f"incident_id={stopped.incident_id}")
    assert (released.code, f"orders: {left} open order" in released.verdict) == (0, True)
    planned = runbook("bot_stop", "-e", "mode=all")
    assert (planned.code, f"orders: {left} OPEN" in planned.verdict) == (14, True)
    flatten()
    assert runbook("bot_stop", "-e", "mode=all").code == 0


@pytest.fixture
def silent_venue(trading):
    """The venue answers nobody while this holds; it comes back whatever happens, since bots of others trade there."""
    flatten()
    yield lambda: docker("pause", "venue")
    if docker("inspect", "-f", "{{.State.Paused}}", "venue").strip() == "true":
        docker("unpause", "venue")


def stop_with_silent_venue(silence: Callable[[], str], *more: str) -> tuple[Run, float]:
    """Return a stop in which bots and hosts ask a venue that does not answer, and the seconds to its last bot's end."""
    release_halt()
    start_trading()
    silence()
    begun = datetime.fromisoformat(now())
    stopped = runbook("failsafe_stop", "-e", "reason=test", "-e", "grace_period_seconds=1", *more)
    docker("unpause", "venue")
    return stopped, (datetime.fromisoformat(stopped.last_bot_ended) - begun).total_seconds()


@pytest.mark.faults
def test_silent_venue_is_unverified_and_costs_the_stop_nothing(silent_venue):
    """Side by side with a stop that asks nobody: what a busy machine adds comes and goes, a real delay stays."""
    later, longer = [], []
    for _ in range(2):
        unasked, unasked_seconds = stop_with_silent_venue(silent_venue, "-e", "trading_core_open_orders_url=")
        asked, asked_seconds = stop_with_silent_venue(silent_venue)
        assert (asked.code, unasked.code) == (14, 0)
        assert "STOPPED, ORDERS UNVERIFIED: " in asked.verdict
        assert "orders: UNVERIFIED" in asked.verdict
        assert "no whole answer within 3 s" in asked.verdict
        assert "NOW at the venue" in asked.verdict
        assert running_bots() == []
        later.append(asked_seconds - unasked_seconds)
        longer.append(asked.seconds - unasked.seconds)
    print(f"last bot later by {later}, run longer by {longer} seconds")
    assert min(later) < 3, "asking takes 3 s: the bots were made to wait for it"
    assert min(longer) <= 5


@pytest.mark.faults
@pytest.mark.parametrize(
    ("variables", "code", "why"),
    [
        ("trading_core_open_orders_url=", 0, "the estate names no endpoint"),
        ("trading_core_open_orders_url=http://172.29.77.20:8900/health", 14, "has no 'orders'"),
        ("trading_core_open_orders_url=http://172.29.77.20:1/", 14, "refused"),
        ("trading_core_open_orders_validate_certs=nonsense", 14, "bots: 2 cancelled"),
    ],
)
def test_an_endpoint_that_is_wrong_is_fourteen_and_one_that_is_none_is_said(trading, variables, code, why):
    flatten()
    stopped = runbook("failsafe_stop", "-e", "reason=test", "-e", variables)
    assert (stopped.code, why in stopped.verdict) == (code, True), stopped.verdict
    assert re.search(r"orders: (cancelled|UNVERIFIED) ", stopped.verdict)
    assert running_bots() == []
