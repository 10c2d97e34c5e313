"""The log of releases: what ran is on record, also what ran before, and only what ran is a way back."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from trading_ops.release.log import (
    RELEASES_FILE,
    Ran,
    ReleaseError,
    build_ran,
    ensure_recorded,
    find_release,
    observe,
    parse_log,
    read_log,
    summarise_gate,
)

NOW = datetime(2026, 11, 21, 8, 0, 10, tzinfo=UTC)
PIN = f"app:2@sha256:{'2' * 64}"
OLD = f"app:1@sha256:{'1' * 64}"


def host(revision="b" * 40, pin=PIN, config="h2", **more):
    return {
        "revision": revision,
        "revision_before": "a" * 40,
        "images": {"ai_trading_core/gui": pin},
        "images_before": {"ai_trading_core/gui": OLD},
        "config": {"ai_trading_core/gui": config},
        "config_before": {"ai_trading_core/gui": "h1"},
        "schema_supported_max": 3,
    } | more


DEPLOYED = Ran("reno", "run.1", "faster bars", "deployed", {"lab1": host()}, {"outcome": "pass"}, 2, 3)
BACK = replace(
    DEPLOYED,
    result="rolled_back",
    hosts={
        "lab1": host(
            "a" * 40,
            OLD,
            "h1",
            revision_before="b" * 40,
            images_before={"ai_trading_core/gui": PIN},
            config_before={"ai_trading_core/gui": "h2"},
        )
    },
)


def record(tmp_path, ran=DEPLOYED, now=NOW, dry_run=False):
    return ensure_recorded(tmp_path, ran, now, dry_run)


def test_what_one_host_has_no_image_for_is_pinned_by_the_others(tmp_path):
    record(tmp_path, replace(DEPLOYED, hosts={"a": host(pin=""), "b": host()}))
    assert read_log(tmp_path).releases[-1]["images"] == {"ai_trading_core/gui": PIN}


def results(tmp_path):
    return [(release["result"], release["revision"][0], release["previous"]) for release in read_log(tmp_path).releases]


def test_the_first_release_puts_what_ran_before_on_record_first(tmp_path):
    recorded = record(tmp_path)
    assert recorded["outcome"] == "proven"
    assert results(tmp_path) == [("found", "a", None), ("deployed", "b", "REL-20261121-080009")]
    found, deployed = read_log(tmp_path).releases
    assert (found["images"], found["schema_supported_max"]) == ({"ai_trading_core/gui": OLD}, 2)
    assert deployed["id"] == "REL-20261121-080010"
    assert (deployed["images"], deployed["schema_supported_max"]) == ({"ai_trading_core/gui": PIN}, 3)
    assert (deployed["by"], deployed["gate"], deployed["hosts"]) == ("reno", {"outcome": "pass"}, ["lab1"])
    assert len(deployed["config_sha256"]) == 64


def test_what_the_log_knows_is_not_found_again(tmp_path):
    record(tmp_path)
    record(tmp_path, BACK, NOW.replace(minute=1))
    assert [result for result, _, _ in results(tmp_path)] == ["found", "deployed", "rolled_back"]


def test_what_somebody_changed_past_this_project_is_put_on_record(tmp_path):
    record(tmp_path)
    by_hand = {"lab1": host("c" * 40, PIN, "h3", revision_before="d" * 40)}
    record(tmp_path, replace(DEPLOYED, hosts=by_hand), NOW.replace(minute=1))
    assert [(result, name) for result, name, _ in results(tmp_path)][2:] == [("found", "d"), ("deployed", "c")]


def test_where_nothing_changed_nothing_is_recorded(tmp_path):
    record(tmp_path)
    before = (tmp_path / RELEASES_FILE).read_bytes()
    same = {
        "lab1": host(
            revision_before="b" * 40,
            images_before={"ai_trading_core/gui": PIN},
            config_before={"ai_trading_core/gui": "h2"},
        )
    }
    assert record(tmp_path, replace(DEPLOYED, hosts=same))["changed"] is False
    assert (tmp_path / RELEASES_FILE).read_bytes() == before


def test_hosts_that_a_killed_run_left_half_way_are_brought_back_on_record(tmp_path):
    record(tmp_path)
    same = {"revision_before": "b" * 40, "images_before": {"ai_trading_core/gui": PIN}}
    half_way = {"lab1": host(changed=True), "lab2": host(**same, changed=False)}
    record(tmp_path, replace(DEPLOYED, result="rolled_back", hosts=half_way), NOW.replace(minute=1))
    assert [result for result, _, _ in results(tmp_path)] == ["found", "deployed", "rolled_back"]


def test_a_failed_one_is_on_record_and_is_no_way_back(tmp_path):
    record(tmp_path, replace(DEPLOYED, result="failed"))
    log = read_log(tmp_path)
    assert [release["result"] for release in log.releases] == ["found", "failed"]
    assert log.current["result"] == "found"
    with pytest.raises(ReleaseError, match="never ran"):
        find_release(log, log.releases[-1]["id"])


def test_hosts_that_differ_are_no_release(tmp_path):
    both = {"lab1": host(), "lab2": host(revision="c" * 40)}
    assert record(tmp_path, replace(DEPLOYED, hosts=both))["outcome"] == "failed"
    assert record(tmp_path, replace(DEPLOYED, hosts={}))["outcome"] == "failed"
    two_images = {"lab1": host(), "lab2": host(pin=OLD)}
    assert record(tmp_path, replace(DEPLOYED, hosts=two_images))["outcome"] == "failed"
    assert not (tmp_path / RELEASES_FILE).exists()


def test_hosts_that_ran_different_things_before_leave_nothing_to_go_back_to(tmp_path):
    both = {"lab1": host(), "lab2": host(revision_before="c" * 40)}
    record(tmp_path, replace(DEPLOYED, hosts=both))
    assert results(tmp_path) == [("deployed", "b", None)]


def test_a_dry_run_writes_nothing_not_even_a_lock(tmp_path):
    assert record(tmp_path, dry_run=True)["outcome"] == "planned"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("line", ["", "{", "[]", "{}", json.dumps({"id": "REL-1"})])
def test_a_damaged_line_is_named_and_the_others_still_count(tmp_path, line):
    record(tmp_path)
    with open(tmp_path / RELEASES_FILE, "a") as file:
        file.write(f"{line}\n")
    seen = observe(tmp_path, "")
    assert (seen["outcome"], "DAMAGED: line 3" in seen["summary"]) == ("unknown", True)
    assert seen["current"] == "REL-20261121-080010"


def test_what_runs_and_whether_deploys_are_paused_is_said(tmp_path):
    empty = observe(tmp_path, "")
    assert (empty["outcome"], empty["releases"], empty["pause"]) == ("proven", [], {})
    record(tmp_path)
    (tmp_path / "deploy_pause.json").write_text("garbage")
    seen = observe(tmp_path, "REL-20261121-080009")
    assert (seen["outcome"], seen["release"]["revision"]) == ("proven", "a" * 40)
    assert seen["pause"]["damaged"]
    assert [line[:3] for line in seen["lines"]] == ["  R", "   ", "* R", "   "]
    assert seen["lines"][3] == f"    images: app:2@sha256:{'2' * 12}"
    assert "deployed     bbbbbbbbbb  gate: pass  reno: faster bars" in seen["lines"][2]
    assert observe(tmp_path, "REL-20990101-000000")["outcome"] == "refused"


def test_a_log_that_cannot_be_read_is_refused_and_never_an_empty_one(tmp_path):
    (tmp_path / RELEASES_FILE).mkdir()
    assert observe(tmp_path, "")["outcome"] == "refused"
    assert record(tmp_path)["outcome"] == "failed"


def test_the_schema_on_record_is_the_newest_that_is_known():
    params = {"by": "", "run_id": "", "reason": "x", "result": "deployed", "hosts": {"h": host()}, "gates": []}
    ran = build_ran(params | {"schema_versions": [1, None, 2]})
    assert (ran.by, ran.schema_version, ran.schema_supported_max) == ("not given", 2, 3)
    assert build_ran(params | {"schema_versions": []}).schema_version is None


def test_an_empty_log_is_no_defect():
    assert parse_log("").releases == ()


def test_a_gate_is_passed_only_where_every_look_at_the_feed_was():
    good, bad = (
        {"outcome": word, "summary": word, "checks": [{"id": "gaps", "outcome": "pass"}]}
        for word in ("proven", "failed")
    )
    assert summarise_gate([]) == summarise_gate([{"skipped": True}]) == {"outcome": "not asked"}
    assert summarise_gate([good])["outcome"] == "pass"
    assert summarise_gate([good, bad]) == {"outcome": "fail", "summary": "proven; failed", "checks": {"gaps": "pass"}}
