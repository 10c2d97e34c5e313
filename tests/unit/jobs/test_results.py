"""What is said of how a job ended."""

from __future__ import annotations

import json

import pytest
from trading_ops.jobs.results import build_record, describe_result, render_record

RUN = {"job": "backup", "run_id": "r", "by": "kim@desk", "started_at": "2026-11-21T02:15:00.000Z"}
ENDED = {"exit_code": 1, "how": "ran", "verdict": "VERDICT 1 backup: FAILED", "seconds": 3.0, "finished_at": "x"}


@pytest.mark.parametrize(
    ("text", "outcome", "words"),
    [
        (render_record(build_record(RUN, ENDED)), "proven", "ended with 1: VERDICT 1 backup: FAILED"),
        (
            render_record(build_record(RUN, {**ENDED, "verdict": "", "how": "stopped"})),
            "proven",
            "ended with 1: stopped",
        ),
        (render_record(build_record(RUN)), "unknown", "began at 2026-11-21T02:15:00.000Z and left no result: it died"),
        (None, "unknown", "has no record of a run"),
        ("{}", "unknown", "has no record of a run"),
        ('{"started_at"', "unknown", "cannot be read"),
        ("[]", "unknown", "cannot be read"),
        (json.dumps({**RUN, "exit_code": True}), "unknown", "left no result"),
    ],
)
def test_a_run_without_a_result_is_said_to_have_died(text, outcome, words):
    seen = describe_result("backup", text)
    assert (seen["outcome"], words in seen["summary"]) == (outcome, True), seen["summary"]
