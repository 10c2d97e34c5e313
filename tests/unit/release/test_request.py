"""Which stacks a host has."""

from __future__ import annotations

from trading_ops.release.request import build_stacks


def test_a_host_has_the_stacks_of_its_groups_as_their_starts_call_them():
    stacks = build_stacks(["feed_hosts", "paper_hosts", "trading_hosts"], "f", ["a"], "trading-", ["b"])
    assert [(stack.name, stack.profiles, dict(stack.variables)) for stack in stacks] == [
        ("f", ("ui", "alerting"), {}),
        ("trading-paper", ("paper",), {"TRADING_MODE": "paper"}),
    ]
