"""Facts: what a play collected, read leniently."""

from __future__ import annotations

import pytest
from trading_ops.incident.facts import parse_facts


@pytest.mark.parametrize(
    ("value", "outcome", "loss"),
    [(-2.5, "fail", 2.5), (-0.5, "pass", 0.5), (1.2, "pass", 0.0), (-9.0, "unknown", None), (None, "unknown", None)],
)
def test_loss_is_what_the_live_bots_have_lost_today_as_last_seen(value, outcome, loss):
    check = {"id": "live_pnl_day_last", "group": "bots", "outcome": outcome, "value": value}
    assert parse_facts({"checks": [check]}).loss_percent == loss
    assert parse_facts({"checks": [check | {"id": "paper_pnl_day"}]}).loss_percent is None, "no capital"
