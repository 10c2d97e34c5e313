"""Sets are listed, read and forgotten; what cannot be understood is never a good set, and never old."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from trading_ops.backup.sets import check_data, ensure_pruned, observe_sets
from trading_ops.host.programs import Ended

from tests.unit.backup_world import NOW, World, snapshot
from tests.unit.fakes import FakeClock

DAY = timedelta(days=1)


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    world.listed = [snapshot(1, 100 * DAY), snapshot(2, 2 * DAY), snapshot(3, timedelta(hours=25))]
    return world


def look(world: World, limit_hours: float = 26):
    return observe_sets(world.repository(), world, NOW, limit_hours * 3600)


def prune(world: World, keep_within: str = "90d", dry_run: bool = False):
    return ensure_pruned(world.repository(), world, NOW, keep_within, dry_run)


def check(world: World, dry_run: bool = False):
    return check_data(world.repository(), world, NOW, 4, FakeClock(), dry_run)


def test_sets_are_listed_oldest_first_with_the_age_of_the_newest(world):
    world.listed.reverse()
    seen = look(world)
    assert (seen["outcome"], [item["snapshot_id"][-1] for item in seen["sets"]]) == ("proven", ["1", "2", "3"])
    assert seen["newest_age_seconds"] == pytest.approx(25 * 3600, abs=1)
    assert "3 sets" in seen["summary"]
    assert "25.0 h old" in seen["summary"]
    assert "secret" not in str(seen)


def test_a_newest_set_older_than_its_limit_is_a_failure(world):
    seen = look(world, limit_hours=24)
    assert (seen["outcome"], seen["next_command"]) == ("failed", "./runbook backup")
    assert "at most 24.0 h" in seen["summary"]


def test_a_set_from_the_future_is_not_young(world):
    world.listed.append(snapshot(4, -2 * DAY))
    assert look(world)["outcome"] == "failed"


def test_without_a_limit_it_is_enough_that_the_repository_opens(world):
    assert look(world, limit_hours=0)["outcome"] == "proven"
    world.listed = []
    assert look(world)["outcome"] == "failed"
    assert look(world, limit_hours=0)["outcome"] == "proven"


@pytest.mark.parametrize(
    "listed",
    [
        Ended(0, "", ""),
        Ended(0, "null", ""),
        Ended(0, "{}", ""),
        Ended(0, '[{"id": 1}]', ""),
        Ended(0, '[{"tags": ["trading-core"], "short_id": "1"}]', ""),
        Ended(0, '[{"tags": ["set=SET-1"], "short_id": "1"}]', ""),
        Ended(0, "[null]", ""),
        Ended(12, "", "Fatal: wrong password"),
        Ended(7, "[]", ""),
    ],
)
def test_a_list_that_is_not_understood_is_no_list_of_no_sets(world, listed):
    world.breaks["restic snapshots"] = listed
    assert look(world, limit_hours=0)["outcome"] == "failed"
    assert prune(world)["outcome"] == "failed"
    assert not [line for line in world.asked if "forget" in line]


def test_a_lock_of_another_run_is_told_as_one(world):
    world.breaks["restic check"] = Ended(11, "", "unable to create lock in backend: already locked by PID 7")
    seen = check(world)
    assert (seen["outcome"], "PID 7" in seen["summary"]) == ("locked", True)


def test_each_week_reads_another_part_and_says_which(world):
    seen = check(world)
    assert (seen["outcome"], "data part 4 of 4" in seen["summary"]) == ("proven", True)
    assert "--read-data-subset=4/4" in world.asked[1]


def test_damage_is_told_in_the_words_of_restic(world):
    world.breaks["restic check"] = Ended(
        1, "", "pack 5e7a: does not exist\n\nThe repository is damaged\n\nFatal: repository contains errors"
    )
    seen = check(world)
    assert (seen["outcome"], "repository contains errors (pack 5e7a: does not exist)" in seen["summary"]) == (
        "failed",
        True,
    )
    assert "Backup_And_Restore.md" in seen["next_command"]


def test_old_sets_go_by_host_and_the_rest_stays(world):
    world.forgets = lambda: world.listed.pop(0)
    seen = prune(world)
    assert (seen["outcome"], seen["changed"], len(seen["sets"])) == ("proven", True, 2)
    plan, act = [line for line in world.asked if "forget" in line]
    assert "--tag=trading-core --group-by=host --keep-within=90d --dry-run" in plan
    assert act.endswith(f"forget {snapshot(1, DAY)['id']} --prune")


def test_a_plan_that_takes_the_newest_set_is_not_carried_out(world):
    world.breaks["restic forget"] = Ended(0, json.dumps([{"remove": world.listed}]), "")
    seen = prune(world)
    assert (seen["outcome"], "the newest set of a host" in seen["summary"]) == ("refused", True)
    assert not [line for line in world.asked if "--prune" in line]


def test_a_set_that_could_not_be_removed_is_a_failure_although_restic_ends_with_0(world):
    seen = prune(world)
    assert (seen["outcome"], "1 set too old and could not be removed" in seen["summary"]) == ("failed", True)


@pytest.mark.parametrize("plan", ["{}", "null", "[{}]", '[{"remove": 3}]', "x"])
def test_a_plan_that_is_not_understood_forgets_nothing(world, plan):
    world.breaks["restic forget"] = Ended(0, plan, "")
    assert prune(world)["outcome"] == "failed"
    assert not [line for line in world.asked if "--prune" in line]


def test_a_second_prune_changes_nothing(world):
    world.listed.pop(0)
    assert (prune(world)["outcome"], prune(world)["changed"]) == ("proven", False)


def test_a_dry_run_forgets_nothing_and_removes_no_lock(world):
    seen = prune(world, dry_run=True)
    assert (seen["outcome"], "would forget 1 of 3 sets" in seen["summary"]) == ("planned", True)
    assert check(world, dry_run=True)["outcome"] == "proven"
    assert not [line for line in world.asked if "unlock" in line or "--prune" in line]


def test_one_set_from_the_future_would_make_all_others_old_so_nothing_is_forgotten(world):
    world.listed.append(snapshot(4, -2 * DAY))
    seen = prune(world)
    assert (seen["outcome"], "from the future" in seen["summary"]) == ("refused", True)
    assert not [line for line in world.asked if "forget" in line]


def test_a_prune_that_took_the_newest_set_is_a_failure(world):
    world.forgets = lambda: world.listed.pop()
    assert prune(world)["outcome"] == "failed"


@pytest.mark.parametrize("words", ["", "0d", "90", "-90d", "90d; rm", "forever"])
def test_how_long_to_keep_is_never_guessed(world, words):
    assert (prune(world, words)["outcome"], world.asked) == ("usage", [])
