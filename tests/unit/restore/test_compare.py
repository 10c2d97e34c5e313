from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from trading_ops.backup.checksums import Content, Table
from trading_ops.backup.manifest import FileFacts, ModelVersion, Registry
from trading_ops.restore.compare import check_age, check_content, check_registry, check_set, recovery_point_seconds

from tests.unit.backup_samples import MANIFEST

TRADING = MANIFEST.databases["trading"]
NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
FILES = dict(MANIFEST.files)


def names(failures):
    return [failure.name for failure in failures]


def test_a_whole_set_has_no_failure():
    assert check_set(MANIFEST, FILES, "") == check_set(MANIFEST, FILES, MANIFEST.id) == []


@pytest.mark.parametrize(
    ("file", "facts", "name"),
    [
        ("trading.dump", None, "dump_missing"),
        ("trading.dump", FileFacts(4, "b" * 64), "dump_truncated"),
        ("mlflow.dump", FileFacts(5, "b" * 64), "dump_changed"),
        ("mlflow.dump", FileFacts(6, "a" * 64), "dump_changed"),
        ("roles.sql", None, "roles_damaged"),
        ("roles.sql", FileFacts(4, "b" * 64), "roles_damaged"),
        ("artifacts/1/model/MLmodel", None, "artifact_missing"),
        ("artifacts/1/model/MLmodel", FileFacts(5, "b" * 64), "artifact_changed"),
        ("artifacts/stranger", FileFacts(5, "b" * 64), "artifact_unexpected"),
    ],
)
def test_a_file_that_is_not_as_the_manifest_has_it_is_named(file, facts, name):
    files = {key: value for key, value in FILES.items() if key != file} | ({file: facts} if facts else {})
    (failure,) = check_set(MANIFEST, files, "")
    assert failure.name == name
    assert file in failure.detail


def test_another_set_than_the_one_asked_for_is_not_believed():
    assert names(check_set(MANIFEST, FILES, "SET-20200101-000000")) == ["manifest_damaged"]


@pytest.mark.parametrize("tables", [{}, {"public.bars": Table(0, "0" * 32, True, 0)}])
def test_a_backup_of_nothing_is_never_good(tables):
    empty = replace(MANIFEST, databases=dict(MANIFEST.databases) | {"trading": replace(TRADING, tables=tables)})
    assert names(check_set(empty, FILES, "")) == ["empty_database"]


def test_the_recovery_point_is_the_age_of_the_newest_time_inside_the_data():
    assert recovery_point_seconds(MANIFEST, NOW) == 30 * 60 - 0.5


@pytest.mark.parametrize("text", ["2026-11-21T02:30:00+00:00", "2026-11-21T03:30:00+01:00", "2026-11-21T02:30:00"])
def test_times_of_every_column_type_are_read(text):
    trading = replace(TRADING, newest={"public.bars.time": "2026-11-20", "public.orders.time": text})
    manifest = replace(MANIFEST, databases=dict(MANIFEST.databases) | {"trading": trading})
    assert recovery_point_seconds(manifest, NOW) == 30 * 60


def test_data_without_a_time_are_as_old_as_their_snapshot():
    manifest = replace(MANIFEST, databases=dict(MANIFEST.databases) | {"trading": replace(TRADING, newest={})})
    assert recovery_point_seconds(manifest, NOW) == 29 * 60 + 59


@pytest.mark.parametrize(
    ("now", "limit_seconds", "found"),
    [
        (NOW, 1800, []),
        (NOW, 1799, ["set_too_old"]),
        (NOW - timedelta(minutes=30), 1800, []),  # a clock that is a little behind
        (NOW - timedelta(hours=2), 1800, ["set_too_old"]),
        (NOW, float("nan"), ["set_too_old"]),
    ],
)
def test_data_that_are_too_old_or_of_the_future_are_refused(now, limit_seconds, found):
    assert names(check_age(MANIFEST, now, limit_seconds)) == found


def content(**changed):
    return replace(Content(TRADING.extensions, dict(TRADING.tables), TRADING.newest), **changed)


def table(**changed):
    return content(tables={"public.bars": replace(TRADING.tables["public.bars"], **changed)})


def test_equal_content_has_no_failure():
    assert check_content("trading", TRADING, content()) == []


@pytest.mark.parametrize(
    ("seen", "name"),
    [
        (content(tables={}), "empty_database"),
        (table(rows=0, chunks=0), "empty_database"),
        (content(tables={"public.other": Table(1, "b" * 32, False, 0)}), "table_missing"),
        (table(rows=6), "rows_missing"),
        (table(rows=8), "rows_unexpected"),
        (table(checksum="c" * 32), "values_changed"),
        (table(is_hypertable=False, chunks=0), "hypertable_lost"),
        (table(chunks=2, rows=5), "chunk_missing"),
        (table(chunks=4), "values_changed"),
        (content(extensions={"timescaledb": "2.18.0"}), "extension_version"),
        (content(extensions={}), "extension_version"),
    ],
)
def test_every_difference_has_the_name_of_its_cause(seen, name):
    assert names(check_content("trading", TRADING, seen))[0] == name


def test_a_table_nobody_backed_up_is_named():
    seen = content(tables=dict(TRADING.tables) | {"public.surprise": Table(1, "b" * 32, False, 0)})
    assert names(check_content("trading", TRADING, seen)) == ["table_unexpected"]


REGISTRY = Registry(1, 2, (ModelVersion("RefStrat_01", 3, ("champion",), "4711"),))


def test_a_registry_that_lists_what_the_manifest_knows_is_good():
    assert check_registry(REGISTRY, REGISTRY) == []


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (replace(REGISTRY, experiments=2), "2 experiments, not 1"),
        (replace(REGISTRY, runs=0), "0 runs, not 2"),
        (replace(REGISTRY, models=()), "version 3 is missing"),
        (replace(REGISTRY, models=(replace(REGISTRY.models[0], aliases=()),)), "other aliases"),
        (replace(REGISTRY, models=(*REGISTRY.models, replace(REGISTRY.models[0], version=4))), "version 4 is not as"),
    ],
)
def test_a_registry_that_lists_something_else_is_not(seen, words):
    (failure,) = check_registry(REGISTRY, seen)
    assert failure.name == "registry_differs"
    assert words in failure.detail


def test_a_registry_without_any_model_proves_nothing():
    empty = Registry(1, 0, ())
    assert names(check_registry(empty, empty)) == ["registry_differs"]
