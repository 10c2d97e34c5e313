"""Records of runs, and metrics that let the last success grow old."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from trading_ops.jobs.records import keep_record, read_records, render_metrics

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
GOOD = {
    "outcome": "proven",
    "set": "SET-20261121-021500",
    "started_at": "2026-11-21T02:15:00.000Z",
    "finished_at": "2026-11-21T02:19:30.000Z",
    "bytes": 1234,
    "rpo_seconds": 300.5,
    "rto_seconds": 42,
}
BAD = {**GOOD, "outcome": "failed", "started_at": "2026-11-21T02:30:00Z", "finished_at": "2026-11-21T02:31:00Z"}


@pytest.fixture
def keep(tmp_path):
    (tmp_path / "metrics").mkdir()

    def act(record, kind="backup", dry_run=False):
        return keep_record(kind, record, tmp_path / "state", tmp_path / "metrics", NOW, dry_run)

    return act


def metrics(tmp_path, kind="backup") -> dict[str, float]:
    text = (tmp_path / "metrics" / f"trading_core_{kind}.prom").read_text()
    lines = [line.split(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name.removeprefix(f"trading_core_{kind}_"): float(value) for name, value in lines}


def test_check_run_check_run_keeps_a_record_once(keep, tmp_path):
    looked = keep(GOOD, dry_run=True)
    assert (looked["outcome"], (tmp_path / "state").exists()) == ("planned", False)
    first, second = keep(GOOD), keep(GOOD)
    assert (first["outcome"], first["changed"]) == ("proven", True)
    assert (second["outcome"], second["changed"], second["records"]) == ("proven", False, [GOOD])


def test_a_backup_is_as_old_as_its_beginning_and_a_test_as_its_end(keep, tmp_path):
    keep(GOOD)
    keep(GOOD, "restore_test")
    began, ended = (datetime.fromisoformat(GOOD[key]).timestamp() for key in ("started_at", "finished_at"))
    assert metrics(tmp_path) == {
        "last_success_timestamp_seconds": began,
        "duration_seconds": 270,
        "size_bytes": 1234,
    }
    test = metrics(tmp_path, "restore_test")
    assert (test["last_success_timestamp_seconds"], test["rpo_seconds"], test["rto_seconds"]) == (ended, 300.5, 42)


def test_a_failed_run_lets_the_last_good_one_grow_old(keep, tmp_path):
    keep(GOOD)
    before = metrics(tmp_path)
    keep(BAD)
    assert metrics(tmp_path) == before


@pytest.mark.parametrize("outcome", ["failed", "unknown", "planned", "Proven", ""])
def test_what_is_not_proven_is_no_success(keep, tmp_path, outcome):
    keep({**GOOD, "outcome": outcome})
    assert "last_success_timestamp_seconds" not in metrics(tmp_path)


def test_without_any_run_there_is_no_metric_that_could_look_good():
    assert render_metrics("backup", [], NOW) == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"finished_at": "2026-11-21T04:00:00Z"}, "check the clocks"),
        ({"started_at": "2026-11-21T02:20:00Z"}, "check the clocks"),
        ({"finished_at": "yesterday"}, "in UTC"),
        ({"finished_at": None}, "in UTC"),
        ({"outcome": None}, "needs an outcome"),
    ],
)
def test_a_record_of_the_future_or_without_times_is_refused(keep, tmp_path, change, words):
    refused = keep({**GOOD, **change})
    assert (refused["outcome"], words in refused["summary"]) == ("failed", True), refused["summary"]
    assert not (tmp_path / "metrics" / "trading_core_backup.prom").exists()


@pytest.mark.parametrize("value", [None, "12", True, float("nan"), float("inf"), []])
def test_what_is_no_number_is_no_metric(keep, tmp_path, value):
    keep({**GOOD, "bytes": value})
    assert "size_bytes" not in metrics(tmp_path)


def test_a_damaged_record_proves_nothing_and_stops_nobody(keep, tmp_path):
    keep(GOOD)
    folder = tmp_path / "state" / "records" / "backup"
    (folder / "20261121020000-x.json").write_text("{")
    (folder / "20261121020001-x.json").write_text(json.dumps({"outcome": "proven"}))
    (folder / "20261121020002-x.json").write_text("[]")
    assert read_records(folder, NOW) == [GOOD]
    assert keep(BAD)["outcome"] == "proven"


def test_a_success_of_a_clock_that_went_ahead_counts_for_nothing_once_it_is_right_again(keep, tmp_path):
    keep(GOOD)
    future = {**GOOD, "started_at": "2027-11-21T02:15:00Z", "finished_at": "2027-11-21T02:19:30Z"}
    (tmp_path / "state" / "records" / "backup" / "20271121021930-x.json").write_text(json.dumps(future))
    before = metrics(tmp_path)
    assert (keep(BAD)["outcome"], metrics(tmp_path)) == ("proven", before)


def test_where_metrics_cannot_be_written_the_record_is_kept_and_the_run_says_so(keep, tmp_path):
    (tmp_path / "metrics").rmdir()
    failed = keep(GOOD)
    assert (failed["outcome"], "an alert will be raised" in failed["summary"]) == ("failed", True)
    assert read_records(tmp_path / "state" / "records" / "backup", NOW) == [GOOD]


def test_a_set_of_any_name_stays_in_its_folder(keep, tmp_path):
    keep({**GOOD, "set": "../../../etc/x\n"})
    assert [path.parent.name for path in tmp_path.rglob("*.json")] == ["backup"]
