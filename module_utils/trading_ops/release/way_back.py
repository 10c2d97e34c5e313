"""What is said of a way back after a release that failed: a sentence from what the ways back registered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

Rows = Sequence[Mapping[str, Any]]
"""Results of a task's loop as Ansible registers them: each has its `item`."""

_BACK: Final = frozenset({"proven", "planned"})


def describe_way_back(leases: Rows, releases: Rows, gates: Rows) -> dict[str, Any]:
    """Return the module result: which hosts are not back, which feeds are not well, and that in words.

    `leases` were tried for every host that was begun; a skipped one was not begun. Each of `releases` has one of
    `leases` as its item, each of `gates` a feed host.
    """
    begun = _done(leases)
    back = {row["item"]["item"] for row in _done(releases) if row.get("outcome") in _BACK}
    not_back = [row["item"] for row in begun if row["item"] not in back]
    not_well = [row["item"] for row in _done(gates) if row.get("outcome") != "proven"]
    if not begun:
        words = "nothing was brought back"
    elif not_back:
        words = f"NOT BACK: {', '.join(not_back)} (a rollback to the release marked * brings it there)"
    else:
        words = "what ran before runs again"
    if not_well:
        words += f", and the feed is NOT well by {', '.join(not_well)}"
    elif _done(gates):
        words += ", and the feed is well"
    return {
        "changed": False,
        "outcome": "failed" if not_back or not_well else "proven",
        "summary": words,
        "next_command": "./runbook releases" if not_back else "",
        "not_back": not_back,
        "not_well": not_well,
    }


def _done(rows: Rows) -> list[Mapping[str, Any]]:
    return [row for row in rows if not row.get("skipped")]
