"""The record of the trading hosts: nobody drops out of it without a word."""

from __future__ import annotations

import json

import pytest
from trading_ops.state.known_estate import KnownEstate, ensure_recorded, read_known_estate

NOW = "2026-11-21T01:30:00.000Z"


ONE, TWO, THREE = "1" * 32, "2" * 32, "3" * 32


def record(path, hosts, forget=(), dry_run=False, **machines):
    return ensure_recorded(path, KnownEstate(tuple(hosts), machines), forget, "reno", NOW, dry_run)


def read_known_hosts(path):
    known, warnings = read_known_estate(path)
    return list(known.hosts), warnings


def test_hosts_are_recorded_once_and_can_be_read_by_a_stop(tmp_path):
    state = tmp_path / "trading-core"
    assert (record(state, ["b", "a"])["outcome"], read_known_hosts(state)) == ("proven", (["a", "b"], []))
    assert state.stat().st_mode & 0o777 == 0o755
    assert record(state, ["a", "b"])["changed"] is False
    assert json.loads((state / "estate.json").read_text()) == {
        "trading_hosts": ["a", "b"],
        "machines": {},
        "since": NOW,
        "by": "reno",
    }


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


def test_machine_of_each_name_is_recorded_and_stays_where_it_was_not_seen(tmp_path):
    record(tmp_path, ["a", "b"], a=ONE, b=TWO)
    assert read_known_estate(tmp_path)[0].machines == {"a": ONE, "b": TWO}
    assert record(tmp_path, ["a", "b"], a=ONE)["changed"] is False
    assert record(tmp_path, ["a", "b", "c"], c=THREE)["known_machines"] == {"a": ONE, "b": TWO, "c": THREE}


def test_record_of_before_has_no_machines_and_is_read(tmp_path):
    (tmp_path / "estate.json").write_text('{"trading_hosts": ["b", "a"]}')
    assert read_known_estate(tmp_path) == (KnownEstate(("a", "b"), {}), [])
    assert (record(tmp_path, ["a", "b"], a=ONE)["changed"], read_known_estate(tmp_path)[0].machines) == (
        True,
        {"a": ONE},
    )


@pytest.mark.parametrize("machines", ["[]", '{"a": 7, "b": "$(id)", "c": ""}', "null"])
def test_what_is_no_machine_id_is_not_on_record(tmp_path, machines):
    (tmp_path / "estate.json").write_text(f'{{"trading_hosts": ["a"], "machines": {machines}}}')
    assert read_known_estate(tmp_path) == (KnownEstate(("a",), {}), [])


def test_another_machine_behind_a_name_is_refused_until_it_is_named(tmp_path):
    record(tmp_path, ["a", "b"], a=ONE, b=TWO)
    for dry_run in (True, False):
        refused = record(tmp_path, ["a", "b"], dry_run=dry_run, a=ONE, b=THREE)
        assert refused["outcome"] == "refused"
        assert "b is another machine than the one on record here" in refused["summary"]
        assert """-e '{"forget_hosts": ["b"]}'""" in refused["next_command"]
    assert record(tmp_path, ["a", "b"], ["b"], a=ONE, b=THREE)["outcome"] == "proven"
    assert read_known_estate(tmp_path)[0].machines == {"a": ONE, "b": THREE}


def test_an_id_that_two_names_have_is_the_record_of_neither(tmp_path):
    record(tmp_path, ["a", "b", "c"], a=ONE, b=ONE, c=TWO)
    assert read_known_estate(tmp_path)[0].machines == {"c": TWO}
