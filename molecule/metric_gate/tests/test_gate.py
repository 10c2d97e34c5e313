"""Asks the hosts themselves: is the pass that lies there of the feed that runs?"""

import json
from datetime import UTC, datetime

FEED_HOST = "lab1"


def test_pass_is_of_the_feed_that_runs_and_counts_for_a_while(host):
    gate = json.loads(host.check_output("cat /var/lib/trading-core/feed_gate.json"))
    assert gate["outcome"] == "pass"
    assert datetime.fromisoformat(gate["expires_at"]) > datetime.now(UTC) > datetime.fromisoformat(gate["passed_at"])
    assert {check["id"] for check in gate["checks"]} >= {"feed_latency_p99", "feed_bars_rate", "gaps", "nan_records"}
    assert [feed["host"] for feed in gate["feeds"]] == [FEED_HOST]
    if host.check_output("hostname") == FEED_HOST:
        feed = json.loads(host.check_output("docker inspect live_connector"))[0]
        told = (gate["feeds"][0]["container_id"], gate["feeds"][0]["started_at"])
        assert told == (feed["Id"], feed["State"]["StartedAt"])
