"""The verdict of a stop over generated estates: 0 if and only if everything expected is proven."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from trading_ops.core.outcome import EXIT_CODES
from trading_ops.report.verdict import Expected, Result, Run, judge
from trading_ops.stop.by_engine import HOW

from tests.properties import examples

STOPPED = {"already stopped", "never started", "stopped", "killed", "gone"}
NAMES = [f"h{number}" for number in range(6)]

# Weighted towards good estates: among independent draws almost none would be good as a whole.
good = st.booleans() | st.just(True) | st.just(True)


@st.composite
def reports(draw: st.DrawFn, host: str) -> Result:
    """What one host may say of itself, true to itself or not."""
    fine = draw(good)
    words = sorted(STOPPED) if fine else [*sorted(HOW), "paused", ""]
    bots = draw(st.lists(st.sampled_from(words), max_size=3))
    fields: dict[str, Any] = {
        "bots": [{"name": f"{host}-{n}", "how": how, "orders": "UNVERIFIED"} for n, how in enumerate(bots)],
        "latch": {"engaged": fine or draw(st.booleans()), "incident_ids": ["INC-1"]},
        "known_hosts": draw(st.just([]) | st.lists(st.sampled_from(NAMES), max_size=2)) if not fine else [],
    }
    outcome = "proven" if fine or draw(st.booleans()) else draw(st.sampled_from([*EXIT_CODES, "gibberish"]))
    return Result(host, "kill_switch", outcome, "said so", fields=fields)


@st.composite
def answers(draw: st.DrawFn, host: str) -> Result:
    """What a venue, or a host in its place, may say of open orders."""
    orders, count = draw(st.just(("none", 0)) | st.sampled_from([("open", 2), ("UNVERIFIED", None), ("none", 3)]))
    outcome = "unknown" if orders == "UNVERIFIED" else "proven"
    fields = {"orders": orders, "count": count, "url": draw(st.sampled_from(["http://venue", "http://venue", ""]))}
    return Result(host, "open_orders_info", outcome, "said so", fields=fields)


@st.composite
def estates(draw: st.DrawFn) -> Run:
    """A stop: hosts that were expected, hosts that reported, hosts that were lost, and what went wrong beside it."""
    expected = draw(st.lists(st.sampled_from(NAMES), max_size=4, unique=True))
    reporting = expected if draw(good) else draw(st.lists(st.sampled_from(NAMES), max_size=4, unique=True))
    results = [draw(reports(host)) for host in reporting]
    if not draw(good):
        results.append(draw(st.sampled_from(results)) if results else Result("", "", "failed", "broke"))
    if not draw(good):
        results.append(Result(draw(st.sampled_from(NAMES)), "", "failed", "Another task: broke"))
    lost = [] if draw(good) else draw(st.lists(st.sampled_from(NAMES), max_size=2, unique=True))
    side = [Result(host, "open_orders_info", "failed", "venue away") for host in lost]
    named = draw(st.just([]) | st.just(expected) | st.lists(st.sampled_from(NAMES), max_size=2))
    side += [draw(answers(host)) for host in (named if draw(good) else [])]
    return Run(
        procedure="failsafe_stop",
        inventory="lab",
        dry_run=False,
        seconds=1.0,
        expected=tuple(Expected(host, "kill_switch") for host in expected),
        results=tuple(results),
        best_effort_results=tuple(side),
        venues=dict.fromkeys(named, "http://venue"),
        unreachable=tuple((host, "timed out") for host in lost),
        retry_command="./runbook failsafe_stop",
    )


def is_proven(run: Run) -> bool:
    """The promise in plain words, written without the code under test."""
    for host in run.expected:
        said = [result for result in run.results if result.host == host.host and result.proof]
        if not said or any(name == host.host for name, _ in run.unreachable):
            return False
        for result in said:
            if result.outcome != "proven" or result.fields["latch"]["engaged"] is not True:
                return False
            if any(bot["how"] not in STOPPED for bot in result.fields["bots"]):
                return False
    names = {item.host for item in run.expected}
    known = {name for result in run.results for name in result.fields.get("known_hosts", [])}
    seen = [bot for result in run.results if result.host in names for bot in result.fields.get("bots", [])]
    strays = [result for result in run.results if not result.proof or result.host not in names]
    nothing_else_wrong = all(stray.outcome in {"proven", "planned"} for stray in strays) and not run.unreachable
    return bool(names) and nothing_else_wrong and known <= names and bool(seen)


def is_flat(run: Run) -> bool:
    """No answer tells of an open order, and each venue that the estate names, or an answer does, has said none."""
    said = [(item.host, item.fields.get("orders"), item.fields.get("count")) for item in run.best_effort_results]
    if any(orders == "open" or (count or 0) > 0 for _, orders, count in said):
        return False
    asking = {item.host for item in run.expected}
    named = {host for host in run.venues if host in asking}
    named |= {item.host for item in run.best_effort_results if item.fields.get("url") and item.host in asking}
    words = {host: {orders for other, orders, _ in said if other == host} for host in named}
    return all(words[host] == {"none"} for host in named)


@examples(1000)
@given(estates())
def test_exit_0_if_and_only_if_every_expected_bot_is_proven_stopped_and_every_host_latched(run):
    verdict = judge(run)
    assert (verdict.exit_code == 0) is (is_proven(run) and is_flat(run)), verdict.line
    assert is_flat(run) or not is_proven(run) or verdict.exit_code == 14, verdict.line
    assert verdict.line.startswith(f"VERDICT {verdict.exit_code} failsafe_stop: ")
    assert ("PROVEN:" in verdict.line and "NOT PROVEN" not in verdict.line) is (verdict.exit_code == 0)


@examples(200)
@given(estates())
def test_whatever_is_not_proven_names_what_to_type_next(run):
    verdict = judge(run)
    assume(verdict.exit_code != 0)
    assert " NEXT: " in verdict.line


@pytest.mark.faults  # of as few examples as every run has it would say little
def test_the_generated_estates_hold_enough_of_both_kinds():
    kinds = {True: 0, False: 0}

    @settings(max_examples=300, deadline=None, database=None)
    @given(estates())
    def count(run: Run) -> None:
        kinds[is_proven(run)] += 1

    count()
    assert min(kinds.values()) > 30, kinds
