"""What a table holds, in a statement and its answer. That the database computes it rightly, a lab test shows."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from trading_ops.backup.checksums import (
    EXTENSIONS_SQL,
    ChecksumError,
    Column,
    Shape,
    Table,
    build_checksum_sql,
    build_tables_sql,
    differences,
    measure,
    parse_shape,
    parse_table,
)

# As PostgreSQL 17 with TimescaleDB 2.19 answers.
BARS_LINE = (
    '{"schema" : "public", "name" : "bars", "hypertable" : {"chunks" : 3, "times" : ["time"]}, "partitioned" : false, '
    '"columns" : [{"name" : "time", "as_text" : false}, {"name" : "mode", "as_text" : true}]}'
)
BARS = Shape("public", "bars", (Column("time", False), Column("mode", True)), True, 3, True, ("time",))
ANSWER = '{"rows" : 2, "sum" : "-1", "newest" : ["2026-11-21T11:00:00.5+00:00"]}'
TABLE = Table(2, "f" * 32, True, 3)


def test_line_of_the_list_is_the_table_it_describes():
    assert parse_shape(BARS_LINE) == BARS


def test_plain_table_has_no_chunks_and_is_asked_without_its_heirs():
    line = '{"schema": "s", "name": "t", "hypertable": null, "partitioned": false, "columns": null}'
    shape = parse_shape(line)
    assert shape == Shape("s", "t", (), False, 0, False, ())
    assert build_checksum_sql(shape).endswith('FROM ONLY "s"."t"')
    assert parse_shape(line.replace("false", "true")).has_children


@pytest.mark.parametrize("line", ["", "{}", "[]", "null", BARS_LINE[:-1], BARS_LINE.replace('"public"', "1")])
def test_a_description_that_is_not_understood_is_an_error(line):
    with pytest.raises(ChecksumError, match="not understood"):
        parse_shape(line)


def test_rows_are_hashed_whole_so_that_values_swapped_between_rows_are_seen():
    assert 'ROW(record_send(ROW("time", "mode"::text)))' in build_checksum_sql(BARS)


def test_a_name_is_quoted_whatever_is_in_it():
    shape = Shape("a", 'b"; DROP TABLE c; --', (Column("d e", False),), False, 0, False, ())
    assert build_checksum_sql(shape).endswith('FROM ONLY "a"."b""; DROP TABLE c; --"')


def test_a_checksum_is_always_32_digits():
    table, newest = parse_table(BARS, [ANSWER])
    assert (table, newest) == (TABLE, {"public.bars.time": "2026-11-21T11:00:00.5+00:00"})
    small, _ = parse_table(BARS, [ANSWER.replace("-1", "10")])
    assert small.checksum == f"{10:032x}"


def test_an_empty_hypertable_has_no_newest_time():
    table, newest = parse_table(BARS, ['{"rows": 0, "sum": "0", "newest": [null]}'])
    assert (table.rows, newest) == (0, {})


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [ANSWER, ANSWER],
        ["ERROR"],
        [ANSWER.replace("2,", '"2",')],
        [ANSWER.replace("2,", "-2,")],
        [ANSWER.replace('"-1"', "1")],
        [ANSWER.replace('"-1"', '"NaN"')],
        ['{"rows": 0, "sum": "0", "newest": []}'],
    ],
)
def test_an_answer_that_is_not_understood_is_an_error_and_never_zero_rows(lines):
    with pytest.raises(ChecksumError, match=r"public\.bars"):
        parse_table(BARS, lines)


def test_hypertables_are_only_asked_for_where_the_extension_is():
    assert "timescaledb_information" in build_tables_sql(True)
    assert "timescaledb_information" not in build_tables_sql(False)


class Database:
    """Answers the three kinds of statement."""

    def __init__(self, extensions: dict[str, str]) -> None:
        self.extensions = extensions
        self.asked: list[str] = []

    def ask(self, sql: str) -> list[str]:
        self.asked.append(sql)
        if sql == EXTENSIONS_SQL:
            return [json.dumps({"name": name, "version": version}) for name, version in self.extensions.items()]
        if "FROM pg_class" in sql:
            return [BARS_LINE]
        assert sql == build_checksum_sql(BARS)
        return [ANSWER]


def test_a_database_is_measured_table_by_table():
    database = Database({"plpgsql": "1.0", "timescaledb": "2.19.3"})
    seen = measure(database.ask)
    assert seen.extensions == {"plpgsql": "1.0", "timescaledb": "2.19.3"}
    assert seen.tables == {"public.bars": TABLE}
    assert seen.newest == {"public.bars.time": "2026-11-21T11:00:00.5+00:00"}
    assert "timescaledb_information" in database.asked[1]


def test_equal_tables_have_no_difference():
    assert differences({"public.bars": TABLE}, {"public.bars": TABLE}) == ()


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (replace(TABLE, checksum="0" * 32), "2 rows, but not the same values"),
        (replace(TABLE, rows=1), "1 rows, not 2"),
        (replace(TABLE, rows=1, chunks=2), "2 chunks and 1 rows, not 3 and 2"),
        (replace(TABLE, is_hypertable=False, chunks=0), "it is no hypertable"),
    ],
)
def test_every_difference_has_its_own_words(seen, words):
    assert differences({"public.bars": TABLE}, {"public.bars": seen}) == (f"public.bars: {words}",)


def test_a_missing_table_and_a_strange_one_are_both_told():
    assert differences({"public.bars": TABLE}, {"public.other": TABLE}) == (
        "public.bars: the table is missing",
        "public.other: a table that the backup does not know",
    )
