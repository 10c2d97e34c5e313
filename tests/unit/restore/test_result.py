"""What a report is made of, at any time of a test."""

from __future__ import annotations

from trading_ops.restore.result import Report, build_result


def test_an_attempt_forgets_the_one_before_and_not_what_that_removed():
    report = Report("2026-11-21T03:00:00.000Z", "reno", removed=["volume x"], checks=[{"id": "feed_up"}])
    for seconds in (2.0, 3.0):
        report.begin_again()
        with report.phase("fetch", iter([0.0, seconds]).__next__):
            pass
        with report.phase("compare", iter([0.0, 9.0]).__next__):
            pass
    proven = build_result("proven", "good", report, "2026-11-21T03:01:00.000Z")
    assert (proven["attempts"], proven["removed"], proven["checks"]) == (2, ["volume x"], [])
    assert (proven["phases"], proven["rto_seconds"]) == ({"fetch": 3.0, "compare": 9.0}, 3.0)
    failed = build_result("failed", "bad", report, "2026-11-21T03:01:00.000Z")
    assert (failed["rto_seconds"], failed.keys()) == (None, proven.keys())
