"""The record of the trading hosts: nobody drops out of it without a word."""

from __future__ import annotations

import json

import pytest
from trading_ops.state.known_estate import ensure_recorded, read_known_hosts

NOW = "2026-11-21T01:30:00.000Z"


def record(path, hosts, forget=(), dry_run=False):
    return ensure_recorded(path, hosts, forget, "reno", NOW, dry_run)


def test_hosts_are_recorded_once_and_can_be_read_by_a_stop(tmp_path):
    state = tmp_path / "trading-core"
    assert (record(state, ["b", "a"])["outcome"], read_known_hosts(state)) == ("proven", (["a", "b"], []))
    assert state.stat().st_mode & 0o777 == 0o755
    assert record(state, ["a", "b"])["changed"] is False
    assert json.loads((state / "estate.json").read_text()) == {"trading_hosts": ["a", "b"], "since": NOW, "by": "reno"}


def test_dropping_a_host_is_refused_until_it_is_named(tmp_path):
    record(tmp_path, ["a", "b"])
    for dry_run in (True, False):
        refused = record(tmp_path, ["a"], dry_run=dry_run)
        assert (refused["outcome"], refused["changed"]) == ("refused", False)
        assert "b would no longer be stopped" in refused["summary"]
        assert """-e '{"forget_hosts": ["b"]}'""" in refused["next_command"]
    assert read_known_hosts(tmp_path)[0] == ["a", "b"]
    assert record(tmp_path, ["a"], ["b"])["outcome"] == "proven"
    assert read_known_hosts(tmp_path)[0] == ["a"]


def test_new_host_joins_and_a_dry_run_writes_nothing(tmp_path):
    record(tmp_path, ["a"])
    planned = record(tmp_path, ["a", "b"], dry_run=True)
    assert (planned["outcome"], planned["changed"], read_known_hosts(tmp_path)[0]) == ("planned", True, ["a"])
    assert record(tmp_path, ["a", "b"])["changed"] is True


def test_record_that_nobody_can_read_is_written_anew(tmp_path):
    (tmp_path / "estate.json").write_text("garbage")
    assert (record(tmp_path, ["a"])["outcome"], read_known_hosts(tmp_path)) == ("proven", (["a"], []))


@pytest.mark.parametrize("hosts", [[], ["a"]])
def test_estate_that_cannot_be_recorded_is_never_proven(tmp_path, hosts):
    path = tmp_path / "file"
    path.write_text("")
    assert record(path, hosts)["outcome"] in {"refused", "failed"}
