from dataclasses import replace

import pytest
from trading_ops.backup.checksums import Table
from trading_ops.host.connection_end import Interrupted
from trading_ops.host.programs import Ended
from trading_ops.restore import trial as restore_test
from trading_ops.restore.lock import hold

from tests.unit.restore_world import names


def test_a_good_backup_is_proven_with_all_that_was_seen_and_nothing_is_left(world):
    result = world.test()
    assert (result["outcome"], result["failures"]) == ("proven", []), result["summary"]
    assert (result["tables"], result["rows"]) == (2, 9)
    assert all(table["is_equal"] for table in result["comparison"])
    assert result["model"] == {"name": "RefStrat_01", "alias": "champion", "version": 3, "prediction": [0.75]}
    assert result["bot"] == {"seconds": 20, "rows": {"public.bars": 20}}
    assert [check["outcome"] for check in result["checks"]] == ["pass"]
    assert result["rpo_seconds"] == 1799.5
    assert result["set"] == "SET-20261121-023000"
    assert len(result["manifest_sha256"]) == 64
    assert "2 tables with 9 rows are equal" in result["summary"]
    assert world.left() == []


def test_secrets_of_production_are_not_copied_and_those_of_the_test_are_on_no_command_line(world):
    copied = []
    world.on_command = lambda _: copied.extend(path.name for path in world.scratch.rglob("*"))
    world.test()
    assert "trading.yml" in copied
    assert ".env" not in copied
    (secret,) = world.secrets_seen
    assert not [words for words in world.commands if secret in words and "ALTER ROLE" not in words]


def test_what_the_test_copies_is_roots_alone(world):
    modes = set()
    world.on_command = lambda _: modes.update(path.stat().st_mode & 0o777 for path in world.root.glob("scratch"))
    world.test()
    assert modes == {0o700}


def test_a_halted_host_is_refused_and_not_touched(world):
    world.state.mkdir()
    (world.state / "halt.json").write_text('{"scope": "all", "incident_ids": ["INC-1"]}')
    result = world.test()
    assert result["outcome"] == "refused"
    assert "INC-1" in result["summary"]
    assert world.commands == []


def test_check_mode_starts_nothing_copies_nothing_and_sees_a_stack_that_leads_out(world):
    assert world.test(dry_run=True)["outcome"] == "planned"
    world.document = lambda document: document["networks"]["default"].update(internal=False)
    result = world.test(dry_run=True)
    assert result["outcome"] == "refused"
    assert "packets could leave" in result["summary"]
    assert not world.scratch.exists()
    assert not [words for words in world.commands if " up " in words or " rm " in words]


def test_a_stack_that_is_not_kept_apart_is_refused_before_anything_starts(world):
    world.document = lambda document: document["services"]["bot"].update(ports=[{"published": "9200"}])
    result = world.test()
    assert result["outcome"] == "refused"
    assert "service bot" in result["summary"] and "ports" in result["summary"]
    assert not [words for words in world.commands if " up " in words]
    assert world.left() == []


def test_a_second_test_is_locked_out_and_told_whose_the_first_is(world):
    world.state.mkdir()
    with hold(world.state, "anna, since this morning"):
        result = world.test()
    assert result["outcome"] == "locked"
    assert "anna, since this morning" in result["summary"]
    assert world.commands == []


def test_what_an_earlier_test_left_is_removed_first(world):
    left = "restoretest-20261001-000000-000000"
    world.containers, world.volumes = [f"{left}-bot-1", "trading-paper-bot-1"], [f"{left}_data"]
    (world.scratch / left).mkdir(parents=True)
    result = world.test()
    assert result["outcome"] == "proven"
    assert result["removed"][:3] == [f"container {left}-bot-1", f"volume {left}_data", str(world.scratch / left)]
    assert world.left() == ["trading-paper-bot-1"]


def changed_table(world, **changes):
    trading = world.manifest.databases["trading"]
    table = replace(trading.tables["public.bars"], **changes)
    tables = {"public.bars": table}
    world.manifest = replace(
        world.manifest, databases=dict(world.manifest.databases) | {"trading": replace(trading, tables=tables)}
    )


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"rows": 8}, "rows_missing"),
        ({"checksum": "d" * 32}, "values_changed"),
        ({"chunks": 4}, "chunk_missing"),
    ],
)
def test_a_database_that_is_not_as_the_manifest_has_it_is_red_and_named(world, changes, name):
    restored = world.manifest
    changed_table(world, **changes)
    world.write_manifest()
    world.manifest = restored
    result = world.test()
    assert (result["outcome"], names(result)) == ("failed", [name])
    assert result["summary"].startswith(name)
    assert [table["is_equal"] for table in result["comparison"]] == [False]
    assert world.left() == []


@pytest.mark.parametrize(
    ("part", "stderr", "name"),
    [
        ("pg_restore --exit", "pg_restore: error: could not read from input file: end of file", "dump_truncated"),
        ("pg_restore --exit", "pg_restore: error: unexpected end of file", "dump_truncated"),
        ("pg_restore --list", "pg_restore: error: input file does not appear to be a valid archive", "restore_failed"),
        ("pg_restore --exit", "pg_restore: error: could not execute query: ERROR: syntax", "restore_failed"),
        ("psql --no-psqlrc --quiet --user", 'ERROR:  syntax error at or near "x"', "roles_damaged"),
        ("-- mlflow", "dependency failed to start: container is unhealthy", "service_unhealthy"),
        ("python3 -", "ModuleNotFoundError", "registry_differs"),
    ],
)
def test_a_program_that_fails_has_the_name_of_its_cause(world, part, stderr, name):
    world.breaks[part] = Ended(1, "", stderr)
    result = world.test(timeout_seconds=60)
    assert names(result) == [name]
    assert world.left() == []


def test_whatever_breaks_the_test_is_said_and_nothing_is_left(world, monkeypatch):
    def broken(*_):
        raise TypeError("nobody thought of it")

    monkeypatch.setattr(restore_test, "check_insert", broken)
    result = world.test()
    assert (result["outcome"], names(result)) == ("failed", ["restore_failed"])
    assert "unexpected TypeError: nobody thought of it" in result["summary"]
    assert world.left() == []


def test_a_data_fault_is_final_at_once(world):
    world.breaks["pg_restore --list"] = Ended(1, "", "error: end of file on input")
    assert world.test()["attempts"] == 1
    assert world.clock.now == 0


def test_an_environment_fault_is_tried_again_until_it_is_over(world):
    world.breaks["-- timescaledb"] = Ended(1, "", "unhealthy")

    def fix(words):
        if world.clock.now >= 60:
            world.breaks.clear()

    world.on_command = fix
    result = world.test()
    assert (result["outcome"], result["attempts"]) == ("proven", 3)
    assert result["tables"] == 2


def test_an_environment_fault_that_stays_ends_with_the_runs_limit(world):
    world.breaks["-- timescaledb"] = Ended(1, "", "no space left on device")
    result = world.test(timeout_seconds=100)
    assert names(result) == ["no_room"]
    assert result["failures"][0]["kind"] == "environment"
    assert result["attempts"] == 4
    assert world.clock.now <= 100


def test_too_little_room_for_the_databases_is_seen_before_anything_is_restored(world):
    world.free = 9
    assert names(world.test(timeout_seconds=10)) == ["no_room"]
    assert not [words for words in world.commands if " up " in words]


def test_the_runs_limit_is_a_fault_of_its_own(world):
    def slow(words):
        if "python3 -" in words:
            world.clock.now += 900

    world.on_command = slow
    result = world.test()
    assert names(result) == ["time_limit"]
    assert world.left() == []


def test_what_cannot_be_removed_makes_a_good_test_red(world):
    world.breaks["volume rm"] = Ended(0, "", "")  # a lie: it stays
    result = world.test()
    assert (result["outcome"], names(result)) == ("failed", ["left_behind"])
    assert "_data" in result["summary"]


def test_a_cause_stands_before_what_could_not_be_removed_after_it(world):
    world.breaks |= {"pg_restore --list": Ended(1, "", "end of file on input"), "volume rm": Ended(1, "", "in use")}
    assert names(world.test()) == ["dump_truncated", "left_behind"]


@pytest.mark.parametrize("part", ["pg_restore --exit", "-- mlflow", "python3 -", "-- exchange", "rm --force"])
def test_a_run_that_is_told_to_end_removes_what_it_made(world, part):
    told = []

    def interrupt(words):
        if part in words and not told:
            told.append(words)
            raise Interrupted("told to end by SIGTERM")

    world.on_command = interrupt
    result = world.test()
    assert told
    assert "interrupted" in names(result)
    assert world.left() == []


@pytest.mark.parametrize("file", ["manifest.json", "trading.dump"])
def test_a_set_that_lacks_a_file_is_named(world, file):
    (world.source / file).unlink()
    assert names(world.test()) == [{"manifest.json": "manifest_missing", "trading.dump": "dump_missing"}[file]]


def test_half_a_manifest_is_no_manifest(world):
    path = world.source / "manifest.json"
    path.write_text(path.read_text()[:100])
    assert names(world.test()) == ["manifest_damaged"]


def test_an_old_set_is_red(world):
    assert names(world.test(age_limit_seconds=1799)) == ["set_too_old"]


def test_a_link_in_the_set_is_not_followed(world):
    (world.source / "artifacts" / "link").symlink_to("/etc/passwd")
    assert names(world.test()) == ["manifest_damaged"]


def test_a_backup_of_empty_tables_is_never_good(world):
    trading = world.manifest.databases["trading"]
    empty = replace(trading, tables={"public.bars": Table(0, "0" * 32, True, 0)})
    world.manifest = replace(world.manifest, databases=dict(world.manifest.databases) | {"trading": empty})
    world.write_manifest()
    assert names(world.test()) == ["empty_database"]


def test_an_interruption_is_not_taken_for_an_ordinary_failure():
    assert not issubclass(Interrupted, Exception)
