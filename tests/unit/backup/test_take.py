"""A backup set is whole and seen in the repository, or there is none, and nothing of it is left on the host."""

from __future__ import annotations

import fcntl

import pytest
from trading_ops.backup import take as backup
from trading_ops.backup.manifest import parse_manifest
from trading_ops.backup.take import LOCK_FILE
from trading_ops.host.programs import Ended

from tests.unit.backup_world import World


def left_over(world: World) -> list[str]:
    return [path.name for path in world.scratch.glob("*") if path.name != LOCK_FILE]


def test_a_set_holds_both_databases_roles_artifacts_and_a_manifest_that_says_so(world):
    seen = world.back_up()
    assert (seen["outcome"], seen["changed"], seen["set"]["rows"]) == ("proven", True, 15)
    (files,) = world.snapshots.values()
    manifest = parse_manifest(files["manifest.json"].decode())
    assert {*files} == {*manifest.files, "manifest.json"}
    assert manifest.id == seen["set"]["id"] == "SET-20261121-023000"
    assert manifest.versions == {
        "restic": "0.18.0", "pg_dump": "17.6", "mlflow": "3.17.0", "postgresql": "17.6", "timescaledb": "2.19.3",
    }  # fmt: skip
    assert manifest.databases["mlflow"].registry.models[0].aliases == ("champion",)
    assert "secret" not in str(seen)


def test_what_is_referred_to_is_taken_after_what_refers_to_it(world):
    world.back_up()
    order = [line for line in world.asked if "pg_dump --format" in line or "docker cp" in line]
    assert [("=trading" in line, "=mlflow" in line, "docker cp" in line) for line in order] == [
        (True, False, False),
        (False, True, False),
        (False, False, True),
    ]


def test_what_is_staged_is_private_and_gone_afterwards(world):
    world.back_up()
    assert (world.staged, left_over(world)) == (["0o700"], [])


def test_a_dry_run_opens_the_repository_and_leaves_everything_as_it_is(world):
    seen = world.back_up(dry_run=True)
    assert (seen["outcome"], "would back up 1.0 MB" in seen["summary"]) == ("planned", True)
    assert not world.scratch.exists()
    assert not [line for line in world.asked if "unlock" in line or "restic backup" in line or "pg_dump" in line]


@pytest.mark.parametrize(
    ("broken", "ended", "outcome", "words"),
    [
        ("restic cat", Ended(10, "", "Fatal: repository does not exist"), "refused", "no repository"),
        ("restic cat", Ended(12, "", "Fatal: wrong password"), "failed", "the password is wrong"),
        ("restic cat", Ended(1, "", "Fatal: connection refused"), "failed", "connection refused"),
        ("restic backup", Ended(3, "", "warning: could not read"), "failed", "could not read all of its source"),
        ("restic backup", Ended(11, "", "already locked by PID 3"), "locked", "lock"),
        ("restic backup", Ended(1, "", "no space left on device"), "failed", "no space left on device"),
        ("restic backup", Ended(99, "", "strange"), "failed", "ended with 99"),
        ("restic backup", Ended(0, "", ""), "failed", "without naming the snapshot"),
        ("restic backup", Ended(0, '{"message_type":"status"}', ""), "failed", "without naming the snapshot"),
        ("restic ls", Ended(0, "", ""), "failed", "does not hold what was staged"),
        ("restic dump", Ended(0, "{}", ""), "failed", "another manifest"),
        ("pg_dump", Ended(1, "", "pg_dump: error: server closed the connection"), "failed", "server closed"),
        ("pg_dump", Ended(-9, "", ""), "failed", "ended with -9"),
        ("pg_dumpall", Ended(1, "", "pg_dumpall: error: denied"), "failed", "denied"),
        ("docker cp", Ended(1, "", "no such directory"), "failed", "no such directory"),
        ("du", Ended(0, "", ""), "unknown", "is not known"),
        ("python3", Ended(127, "", "not found"), "failed", "version of MLflow"),
    ],
)
def test_whatever_breaks_there_is_no_set_and_nothing_is_left(world, broken, ended, outcome, words):
    world.breaks[broken] = ended
    seen = world.back_up()
    assert seen["outcome"] == outcome
    assert words in seen["summary"]
    assert (seen["changed"], seen["set"]["id"], left_over(world)) == (False, "", [])


def test_a_snapshot_with_one_file_too_short_is_no_set(world, monkeypatch):
    run = world.run

    def lie(argv, **more):
        ended = run(argv, **more)
        return Ended(0, ended.stdout.replace('"size": 3000', '"size": 2999'), "") if "ls" in argv else ended

    monkeypatch.setattr(world, "run", lie)
    seen = world.back_up()
    assert (seen["outcome"], "mlflow.dump, roles.sql, trading.dump" in seen["summary"]) == ("failed", True)


def test_a_database_without_a_table_is_no_backup(world):
    world.tables["trading"] = []
    seen = world.back_up()
    assert (seen["outcome"], "trading has no table" in seen["summary"]) == ("failed", True)


def test_a_database_that_is_not_there_is_refused_before_anything_is_staged(world):
    del world.tables["mlflow"]
    seen = world.back_up()
    assert (seen["outcome"], world.staged) == ("refused", [])
    assert "mlflow, trading were expected" in seen["summary"]


def test_a_disk_without_room_for_set_and_reserve_is_refused(world):
    world.free = 1_000_900_000
    seen = world.back_up()
    assert (seen["outcome"], "stay free for the database" in seen["summary"]) == ("refused", True)
    assert not world.staged


def test_a_disk_that_fills_during_a_dump_ends_the_backup_there(world, monkeypatch):
    def fill() -> None:
        world.free = 0

    monkeypatch.setattr(backup, "CHECK_EVERY_BYTES", 1000)
    world.on_dump = fill
    seen = world.back_up()
    assert (seen["outcome"], world.snapshots, left_over(world)) == ("refused", {}, [])
    assert not [line for line in world.asked if "docker cp" in line]


def test_a_link_among_the_artifacts_is_no_artifact(world, monkeypatch):
    run = world.run

    def link(argv, **more):
        ended = run(argv, **more)
        if argv[:2] == ["docker", "cp"]:
            (world.scratch / "SET-20261121-023000" / "artifacts" / "way-out").symlink_to("/etc/shadow")
        return ended

    monkeypatch.setattr(world, "run", link)
    seen = world.back_up()
    assert (seen["outcome"], "way-out" in seen["summary"], left_over(world)) == ("failed", True, [])


def test_what_a_killed_run_left_is_removed_by_the_next_one(world):
    old = world.scratch / "SET-20261120-023000"
    old.mkdir(parents=True)
    (old / "trading.dump").write_text("rows")
    assert world.back_up()["outcome"] == "proven"
    assert left_over(world) == []


def test_a_second_backup_at_the_same_time_is_locked_out_and_touches_nothing(world):
    world.scratch.mkdir()
    (world.scratch / "SET-20261121-022959").mkdir()
    with open(world.scratch / LOCK_FILE, "w", encoding="utf-8") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        seen = world.back_up()
    assert (seen["outcome"], left_over(world)) == ("locked", ["SET-20261121-022959"])
