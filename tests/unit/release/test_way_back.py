"""What is said of the hosts after a release that failed: what went back, what did not, what nobody knows."""

from __future__ import annotations

import pytest
from trading_ops.release.way_back import describe_way_back

LEASED = {"item": "one", "outcome": "proven"}
HELD = {"item": "two", "outcome": "locked"}
SILENT = {"item": "two", "unreachable": True}
NOT_BEGUN = {"item": "three", "skipped": True}
BACK = {"item": LEASED, "outcome": "proven"}
WELL, SICK, GONE = ({"item": "feed", **words} for words in ({"outcome": "proven"}, {"outcome": "failed"}, {}))


@pytest.mark.parametrize(
    ("leases", "releases", "gates", "summary", "not_back"),
    [
        ([], [], [], "nothing was brought back", []),
        ([NOT_BEGUN], [], [], "nothing was brought back", []),
        ([LEASED, NOT_BEGUN], [BACK], [WELL], "what ran before runs again, and the feed is well", []),
        ([LEASED], [BACK], [], "what ran before runs again", []),
        ([LEASED], [BACK], [SICK], "what ran before runs again, and the feed is NOT well by feed", []),
        ([LEASED], [BACK], [GONE], "what ran before runs again, and the feed is NOT well by feed", []),
        ([LEASED], [], [], "NOT BACK: one", ["one"]),
        ([LEASED], [BACK | {"outcome": "refused"}], [], "NOT BACK: one", ["one"]),
        ([LEASED], [{"item": LEASED}], [], "NOT BACK: one", ["one"]),
        ([LEASED, HELD], [BACK, {"item": HELD, "skipped": True}], [WELL], "NOT BACK: two", ["two"]),
        ([LEASED, SILENT], [BACK], [{"item": "feed", "skipped": True}], "NOT BACK: two", ["two"]),
    ],
)
def test_only_a_proven_host_is_back_and_only_a_proven_feed_is_well(leases, releases, gates, summary, not_back):
    result = describe_way_back(leases, releases, gates)
    assert result["not_back"] == not_back
    assert result["next_command"] == ("./runbook releases" if not_back else "")
    if not_back:
        assert result["summary"].startswith(f"{summary} (a rollback to the release marked * brings it there)")
    else:
        assert result["summary"] == summary
    assert (result["outcome"] == "proven") == (not result["not_back"] and not result["not_well"])
