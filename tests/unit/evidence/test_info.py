"""Evidence that is enough, and what is none."""

from __future__ import annotations

from trading_ops.evidence.archive import write_missing
from trading_ops.evidence.info import observe

from tests.unit.evidence_world import make_bundle


def test_evidence_is_a_whole_bundle_with_a_log_of_each_host(tmp_path):
    make_bundle(tmp_path / "lab1")
    assert observe(tmp_path, ["lab1"])["outcome"] == "proven"
    for hosts, words in ((["lab1", "lab2"], "lab2: no bundle"), ([], "no host")):
        seen = observe(tmp_path, hosts)
        assert (seen["outcome"], words in seen["summary"]) == ("refused", True)


def test_bundle_that_is_empty_or_changed_is_no_evidence(tmp_path):
    write_missing(tmp_path, "lab1", "INC-1", "2026-11-21T01:30:00Z", "it gave no answer")
    seen = observe(tmp_path, ["lab1"])
    assert (seen["outcome"], "it gave no answer" in seen["summary"]) == ("refused", True)
    make_bundle(tmp_path / "lab1~2")
    assert observe(tmp_path, ["lab1"])["outcome"] == "proven"
    (tmp_path / "lab1~2/logs/log_bot.txt").write_text("x")
    assert "was changed" in observe(tmp_path, ["lab1"])["summary"]
