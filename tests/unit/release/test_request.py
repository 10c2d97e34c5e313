"""What is asked of a host: its stacks, and which bots count as running."""

from __future__ import annotations

import pytest
from trading_ops.release.request import build_stacks, running_bots


def bots(*running: str, outcome: str = "proven", **more: object) -> dict[str, object]:
    stopped = {"name": "stopped", "running": False}
    return {"outcome": outcome, "bots": [{"name": name, "running": True} for name in running] + [stopped], **more}


@pytest.mark.parametrize(
    ("seen", "before", "running"),
    [
        ({"a": bots("x"), "b": bots("x", "y")}, [], ("a/x", "b/x", "b/y")),
        ({"a": bots()}, [bots("x", item="a")], ()),
        ({"a": bots("x"), "b": {"unreachable": True}}, [bots("y", item="b")], ("a/x", "b/y")),
        ({"b": bots(outcome="unknown")}, [bots("y", item="b"), bots("y", "z", item="b")], ("b/y", "b/z")),
        ({}, [bots("y", item="b"), {"item": "c", "unreachable": True}], ("b/y",)),
    ],
    ids=["all say it", "stopped since", "one is silent", "one does not know, seen twice", "nobody was asked again"],
)
def test_a_bot_runs_that_its_host_says_runs_or_that_was_seen_there_before_where_it_says_nothing(seen, before, running):
    assert running_bots(seen, before) == running


def test_a_host_has_the_stacks_of_its_groups_as_their_starts_call_them():
    stacks = build_stacks(["feed_hosts", "paper_hosts", "trading_hosts"], "f", ["a"], "trading-", ["b"])
    assert [(stack.name, stack.profiles, dict(stack.variables)) for stack in stacks] == [
        ("f", ("ui", "alerting"), {}),
        ("trading-paper", ("paper",), {"TRADING_MODE": "paper"}),
    ]
