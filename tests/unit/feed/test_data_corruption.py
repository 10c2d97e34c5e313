"""The feed stops for its data only where that is wrong, and where no bot is cut off by it."""

from __future__ import annotations

import pytest
from trading_ops.feed.data_corruption import decide

STOPPED = {"lab1": {"outcome": "proven"}, "lab2": {"outcome": "proven"}}


def check(name: str, outcome: str, group: str = "data_quality") -> dict[str, str]:
    return {"id": name, "group": group, "outcome": outcome}


def said(checks: list[dict[str, str]]) -> list[dict[str, object]]:
    """Return what one feed host said, and the empty word of one that said nothing."""
    return [{}, {"outcome": "proven", "checks": checks}]


GOOD = [check("gaps", "pass"), check("nan_records", "pass")]
BAD = [check("gaps", "fail"), check("nan_records", "pass")]


@pytest.mark.parametrize(
    ("is_said", "checks", "words"),
    [
        (True, GOOD, "data corruption was said"),
        (False, BAD, "gaps fails"),
        (True, BAD, "data corruption was said; gaps fails"),
        (True, [], "data corruption was said"),
        (False, [*BAD, check("nan_records", "unknown")], "gaps fails"),
    ],
)
def test_wrong_data_stops_the_feed_once_every_host_has_proven_its_stop(is_said, checks, words):
    decided = decide(is_said, said(checks), STOPPED)
    assert (decided["outcome"], decided["must_stop"], decided["summary"]) == ("proven", True, words)


@pytest.mark.parametrize("stops", [{}, {**STOPPED, "lab2": {}}, {**STOPPED, "homelab3": {"outcome": "running"}}])
def test_without_the_word_of_every_trading_host_the_feed_stays_up(stops):
    decided = decide(True, said(BAD), stops)
    assert (decided["outcome"], decided["must_stop"]) == ("refused", False)
    assert "the feed stays up, since nothing proves that the bots are down on" in decided["summary"]


def test_a_stop_of_some_bots_proves_nothing_of_the_others():
    decided = decide(True, said(BAD), STOPPED, scope="live")
    assert (decided["outcome"], decided["must_stop"]) == ("refused", False)


@pytest.mark.parametrize("outcome", ["unlatched", "unknown", "failed", "gibberish"])
def test_only_a_proven_stop_counts(outcome):
    assert decide(True, said(BAD), {"lab1": {"outcome": outcome}})["must_stop"] is False


def test_good_data_leaves_the_feed_as_it_is():
    late = check("latency", "fail", group="feed")
    decided = decide(False, said([*GOOD, late]), STOPPED)
    assert (decided["outcome"], decided["must_stop"]) == ("proven", False)


@pytest.mark.parametrize("checks", [[], [check("gaps", "unknown")], [check("latency", "pass", group="feed")]])
def test_data_of_which_nobody_knows_is_said_to_be_unknown_and_is_no_reason_to_stop(checks):
    decided = decide(False, said(checks), STOPPED)
    assert (decided["outcome"], decided["must_stop"]) == ("unknown", False)
    assert "./runbook feed_stop" in decided["next_command"]
