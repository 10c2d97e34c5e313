"""A restored database is proven by what it leaves behind, and every other answer has the name of its cause."""

from __future__ import annotations

import pytest
from trading_ops.host.programs import Ended, ProgramError

from tests.unit.restore_world import names, position


def test_timescaledbs_order_is_kept_and_nothing_runs_before_the_rows_are_compared(world):
    world.test()
    order = [
        "max_background_workers",
        "psql --no-psqlrc --quiet --username=postgres --dbname=postgres",
        "trading: CREATE EXTENSION timescaledb VERSION '2.19.3'",
        "trading: SELECT timescaledb_pre_restore()",
        "pg_restore --exit-on-error",
        "trading: SELECT timescaledb_post_restore()",
        'FROM "public"."bars"',
        "pg_amcheck",
        "-- mlflow",
        "python3 -",
        "-- exchange live_connector prometheus bot",
    ]
    places = [position(world, part) for part in order]
    assert places == sorted(places)


def test_the_two_databases_are_restored_and_compared_each_by_itself(world):
    world.test()
    assert [words for words in world.commands if "DROP DATABASE" in words] == [
        'postgres: DROP DATABASE IF EXISTS "trading" WITH (FORCE)',
        'postgres: DROP DATABASE IF EXISTS "mlflow" WITH (FORCE)',
    ]
    assert 'postgres: CREATE DATABASE "mlflow" TEMPLATE template0 OWNER "mlflow"' in world.commands
    assert not [words for words in world.commands if words.startswith("mlflow: ") and "_restore()" in words]


def test_roles_that_are_there_already_are_no_failure(world):
    world.breaks["psql --no-psqlrc --quiet --user"] = Ended(
        0, "", 'psql:<stdin>:14: ERROR:  role "postgres" already exists'
    )
    assert world.test()["outcome"] == "proven"


@pytest.mark.parametrize(
    ("part", "lines", "name"),
    [
        ("SHOW timescaledb.restoring", ["off"], "pre_restore_failed"),
        ("timescaledb_pre_restore", ProgramError("psql ended: ERROR: no function"), "pre_restore_failed"),
        ("timescaledb_post_restore", ProgramError("psql ended: ERROR: it broke"), "post_restore_failed"),
        ("pg_available_extension_versions", ["2.20.0"], "extension_version"),
        ("max_background_workers", ["16"], "workers_on"),
        ("restore_test.inserted')", ["0"], "insert_failed"),
        ("restore_test.inserted')", [], "insert_failed"),
        ("DO $do$\nDECLARE", ProgramError("psql ended: ERROR: invalid INSERT on the root table"), "insert_failed"),
        (
            "relkind",
            ProgramError("psql ended in the middle of an answer: ERROR: invalid page in block 0"),
            "restore_failed",
        ),
        ("relkind", ["garbage"], "restore_failed"),
        ("count(*) FROM", ["7"], "bot_silent"),
    ],
)
def test_a_database_that_answers_otherwise_has_the_name_of_its_cause(world, part, lines, name):
    world.answers[part] = lines
    result = world.test(timeout_seconds=60)
    assert names(result) == [name], result["summary"]
    assert world.left() == []


def test_amcheck_that_finds_something_is_told_from_amcheck_that_did_not_run(world):
    world.breaks["pg_amcheck"] = Ended(2, "btree index bars_pkey: item order invariant violated", "")
    assert names(world.test()) == ["index_damaged"]
    world.breaks["pg_amcheck"] = Ended(1, "", "pg_amcheck: error: connection refused")
    assert names(world.test(timeout_seconds=10)) == ["engine_away"]
