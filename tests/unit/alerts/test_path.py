from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest
from trading_ops.alerts.path import ControlHost, observe
from trading_ops.alerts.settings import render_settings

from tests.unit.alerts.test_settings import SETTINGS

NOW = 1_800_000_000.0


@dataclass
class World:
    """A control host; `beats` are the moments at which a heartbeat arrives."""

    path: object
    now: float = NOW
    beats: list = field(default_factory=list)
    sick: dict = field(default_factory=dict)

    def run(self, argv):
        state = self.sick.get(argv[-1], "active")
        return (0 if state == "active" else 3), f"{state}\n"

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        for beat in [beat for beat in self.beats if beat <= self.now]:
            self.beat(beat)

    def beat(self, moment):
        (self.path / "alerts/heartbeat.json").write_text(json.dumps(moment))

    def look(self, wait_seconds=0.0, dry_run=False):
        host = ControlHost(self.run, self.path, self.path / "alerts.json", self.clock, self.sleep)
        return observe(host, wait_seconds, dry_run)


@pytest.fixture
def world(tmp_path):
    (tmp_path / "alerts/spool").mkdir(parents=True)
    (tmp_path / "alerts.json").write_text(render_settings(SETTINGS))
    return World(tmp_path)


def test_a_young_heartbeat_units_at_work_and_an_empty_spool_are_a_path_that_lives(world):
    world.beat(NOW - 30)
    result = world.look()
    assert (result["outcome"], result["heartbeat_at"]) == ("proven", "2027-01-15T07:59:30.000Z")
    assert "the last heartbeat came 30 s ago" in result["summary"]


@pytest.mark.parametrize("kept", [float("nan"), float("inf")])
def test_a_heartbeat_that_is_no_number_never_came(world, kept):
    world.beat(kept)
    assert (world.look()["outcome"], world.look()["heartbeat_at"]) == ("unknown", "")


def test_no_heartbeat_or_an_old_one_is_unknown(world):
    assert (world.look()["outcome"], world.look()["heartbeat_at"]) == ("unknown", "")
    world.beat(NOW - 181)
    assert "the last came 181 s ago" in world.look()["summary"]


def test_after_a_setup_only_a_heartbeat_that_comes_from_then_on_counts(world):
    world.beat(NOW - 1)
    world.beats = [NOW + 40]
    assert (world.look(150)["outcome"], world.now - NOW) == ("proven", 40)
    world.now += 1
    result = world.look(150)
    assert (result["outcome"], result["summary"]) == ("unknown", "no heartbeat arrived within 150 s")


@pytest.mark.parametrize("unit", ["trading-core-alert-proxy.service", "trading-core-alerts.path"])
def test_a_unit_that_does_not_work_is_named(world, unit):
    world.beat(NOW)
    world.sick = {unit: "failed"}
    result = world.look()
    assert (result["outcome"], f"{unit} is failed" in result["summary"]) == ("unknown", True)


def test_an_order_that_nobody_carries_out_is_told_and_a_fresh_one_is_not(world):
    world.beat(NOW)
    spool = world.path / "alerts/spool"
    (spool / f"{int(NOW * 1e9)}-a.json").touch()
    assert (world.look()["outcome"], world.look()["waiting"]) == ("proven", 1)
    (spool / f"{int((NOW - 61) * 1e9)}-b.json").touch()
    assert "1 requests wait for more than 60 s" in world.look()["summary"]


def test_a_file_that_is_no_order_is_none_that_waits(world):
    world.beat(NOW)
    (world.path / "alerts/spool/\u00b2-x.json").touch()
    assert (world.look()["outcome"], world.look()["waiting"]) == ("proven", 0)


def test_without_a_receiver_it_says_how_to_get_one(world):
    (world.path / "alerts.json").unlink()
    result = world.look()
    assert (result["outcome"], result["next_command"]) == ("unknown", "./runbook alert_receiver_setup")
    (world.path / "alerts.json").write_text("{")
    assert world.look()["outcome"] == "unknown"


def test_check_mode_waits_for_nothing_and_fails_for_nothing_that_is_not_there_yet(world):
    assert (world.look(150, dry_run=True)["outcome"], world.now) == ("planned", NOW)
    (world.path / "alerts.json").unlink()
    assert world.look(150, dry_run=True)["outcome"] == "planned"


def test_a_look_that_waits_for_nothing_says_in_check_mode_what_it_says_else(world):
    assert world.look(dry_run=True) == world.look()
    assert (world.look(dry_run=True)["outcome"], world.look()["next_command"] != "") == ("unknown", True)
    world.beat(NOW - 30)
    assert world.look(dry_run=True)["outcome"] == "proven"
