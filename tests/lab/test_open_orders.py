"""After the stop the venue is asked which orders are open; neither its word nor its silence delays or fails a stop."""

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
    assert stopped.code == 0, "open orders are said, and do not change what was proven"
    assert f"orders: {left} OPEN" in stopped.verdict
    assert "NOW at the venue" in stopped.verdict
    assert running_bots() == []


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
        assert asked.code == unasked.code == 0
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
    ("variables", "why"),
    [
        ("trading_core_open_orders_url=", "the estate names no endpoint"),
        ("trading_core_open_orders_url=http://172.29.77.20:8900/health", "has no 'orders'"),
        ("trading_core_open_orders_url=http://172.29.77.20:1/", "refused"),
        ("trading_core_open_orders_validate_certs=nonsense", "bots: 2 cancelled"),
    ],
)
def test_an_endpoint_that_is_none_or_wrong_never_fails_the_stop(trading, variables, why):
    flatten()
    stopped = runbook("failsafe_stop", "-e", "reason=test", "-e", variables)
    assert (stopped.code, why in stopped.verdict) == (0, True)
    assert re.search(r"orders: (cancelled|UNVERIFIED) ", stopped.verdict)
    assert running_bots() == []
