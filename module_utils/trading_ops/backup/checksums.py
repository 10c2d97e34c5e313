"""What every table of a database holds: rows, a checksum over all of them, the newest times. SQL text, and its answers.

A backup asks in the snapshot that its dump is made of, a restore asks the restored database, and both ask with the text
built here: equal checksums mean equal rows. The database reads its own tables, no row travels.

The checksum is the sum over the rows of one 64-bit hash of each row's binary form (`record_send`), so the order of rows
does not count, and a value that moved from one row to another does. For mistakes and damage, not against an
adversary: the dump's SHA-256 is beside it. PostgreSQL 14 or newer (`hash_record_extended`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..core.strict_json import parse_json

Ask = Callable[[str], Sequence[str]]
"""Runs one SQL statement in a session that began with SESSION_SQL; its answer, a line per row. May raise OSError."""

SESSION_SQL: Final = (
    "SET search_path = pg_catalog; SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres'; "
    "SET extra_float_digits = 3; SET bytea_output = 'hex'; SET statement_timeout = 0"
)
"""A value that is hashed as its text must have the same text in every database, whatever that one is set to."""

EXTENSIONS_SQL: Final = (
    "SELECT jsonb_build_object('name', extname, 'version', extversion) FROM pg_extension ORDER BY extname"
)

_FIRST_USER_OID: Final = 16384
"""Types from here on have other ids after a restore, and a row's binary form holds the ids."""

_CHECKSUM_BITS: Final = 128


class ChecksumError(Exception):
    """The database's answer is not what was asked for. The text is a sentence."""


@dataclass(frozen=True)
class Column:
    """A column, and whether its text is hashed, as its binary form differs between two databases or does not exist."""

    name: str
    is_hashed_as_text: bool


@dataclass(frozen=True)
class Shape:
    """A table as the catalogue describes it. `time_columns` are a hypertable's, whose newest value is wanted."""

    schema: str
    name: str
    columns: tuple[Column, ...]
    is_hypertable: bool
    chunks: int
    has_children: bool
    time_columns: tuple[str, ...]

    @property
    def title(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True)
class Table:
    """What a table holds: `checksum` is 32 hexadecimal digits, `chunks` are a hypertable's."""

    rows: int
    checksum: str
    is_hypertable: bool
    chunks: int


@dataclass(frozen=True)
class Content:
    """All of a database: versions by extension, tables by `schema.table`, newest time by `schema.table.column`."""

    extensions: Mapping[str, str]
    tables: Mapping[str, Table]
    newest: Mapping[str, str]


def measure(ask: Ask) -> Content:
    """Return what the database holds, seen through one session. Raises ChecksumError, and what `ask` raises."""
    extensions = dict(_parse_extension(line) for line in ask(EXTENSIONS_SQL))
    shapes = [parse_shape(line) for line in ask(build_tables_sql("timescaledb" in extensions))]
    tables, newest = {}, {}
    for shape in shapes:
        tables[shape.title], times = parse_table(shape, ask(build_checksum_sql(shape)))
        newest.update(times)
    return Content(extensions, tables, newest)


def build_tables_sql(has_timescaledb: bool) -> str:
    """Return the statement that lists the tables whose rows a dump holds, one JSON object each.

    Left out: the system's, those of extensions, and what is read through another table (partitions, chunks).
    """
    hypertable = """
      (SELECT jsonb_build_object('chunks', h.num_chunks, 'times', (
          SELECT jsonb_agg(d.column_name ORDER BY d.column_name) FROM timescaledb_information.dimensions d
          WHERE d.hypertable_schema = h.hypertable_schema AND d.hypertable_name = h.hypertable_name
            AND d.column_type::text IN ('timestamp with time zone', 'timestamp without time zone', 'date')))
       FROM timescaledb_information.hypertables h
       WHERE h.hypertable_schema = n.nspname AND h.hypertable_name = c.relname)"""
    return f"""
SELECT jsonb_build_object('schema', n.nspname, 'name', c.relname,
  'hypertable', {hypertable if has_timescaledb else "NULL"}, 'partitioned', c.relkind = 'p',
  'columns', (
    SELECT jsonb_agg(jsonb_build_object('name', a.attname, 'as_text',
      t.oid >= {_FIRST_USER_OID} OR t.typsend = 0 OR t.typname ~ '^_?reg') ORDER BY a.attnum)
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
  AND n.nspname !~ '^(pg_|_timescaledb_|information_schema$|timescaledb_)'
  AND NOT EXISTS (SELECT FROM pg_depend e
    WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
ORDER BY n.nspname, c.relname"""


def parse_shape(line: str) -> Shape:
    """Return the table that one line of the list describes. Raises ChecksumError."""
    try:
        said = parse_json(line)
        hypertable = said["hypertable"] or {}
        return Shape(
            schema=_text(said["schema"]),
            name=_text(said["name"]),
            columns=tuple(Column(_text(item["name"]), bool(item["as_text"])) for item in said["columns"] or ()),
            is_hypertable=bool(hypertable),
            chunks=int(hypertable["chunks"]) if hypertable else 0,
            has_children=bool(hypertable) or bool(said["partitioned"]),
            time_columns=tuple(_text(item) for item in hypertable.get("times") or ()),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ChecksumError(f"The database describes a table as {line[:200]!r}, which was not understood.") from error


def build_checksum_sql(shape: Shape) -> str:
    """Return the statement that answers rows, checksum and newest times of a table in one pass over it."""
    values = [f"{_quote(item.name)}{'::text' if item.is_hashed_as_text else ''}" for item in shape.columns]
    # hash_record hashes each column by itself and adds up: swapped values of two rows would cancel each other out in
    # the sum. One column that holds the whole row does not.
    hashed = f"hash_record_extended(ROW(record_send(ROW({', '.join(values)}))), 0)" if values else "0"
    newest = [f"max({_quote(name)})" for name in shape.time_columns]
    # A table that others inherit from is asked without them: they are tables of their own in the list.
    only = "" if shape.has_children else "ONLY "
    return (
        f"SELECT jsonb_build_object('rows', count(*), 'sum', coalesce(sum({hashed}), 0)::text, "
        f"'newest', jsonb_build_array({', '.join(newest)})) FROM {only}{_quote(shape.schema)}.{_quote(shape.name)}"
    )


def parse_table(shape: Shape, lines: Sequence[str]) -> tuple[Table, dict[str, str]]:
    """Return what a table holds, and its newest times by `schema.table.column`. Raises ChecksumError."""
    try:
        (line,) = lines
        said = parse_json(line)
        rows, total, times = said["rows"], int(_text(said["sum"])), said["newest"]
        if not isinstance(rows, int) or rows < 0 or len(times) != len(shape.time_columns):
            raise ValueError("not the numbers of a table")
    except (ValueError, KeyError, TypeError) as error:
        raise ChecksumError(f"The database says of {shape.title} {list(lines)!r}, which was not understood.") from error
    checksum = f"{total % (1 << _CHECKSUM_BITS):0{_CHECKSUM_BITS // 4}x}"
    pairs = zip(shape.time_columns, times, strict=True)
    newest = {f"{shape.title}.{name}": str(time) for name, time in pairs if time is not None}
    return Table(rows, checksum, shape.is_hypertable, shape.chunks), newest


def differences(expected: Mapping[str, Table], seen: Mapping[str, Table]) -> tuple[str, ...]:
    """Return in words what is not equal, table by table, empty where all is. Chunks count: a lost one is named so."""
    found = []
    for title, wanted in expected.items():
        table = seen.get(title)
        if table is None:
            found.append(f"{title}: the table is missing")
        elif table.is_hypertable != wanted.is_hypertable:
            found.append(f"{title}: it is {'a' if table.is_hypertable else 'no'} hypertable")
        elif table.chunks != wanted.chunks:
            found.append(f"{title}: {table.chunks} chunks and {table.rows} rows, not {wanted.chunks} and {wanted.rows}")
        elif table.rows != wanted.rows:
            found.append(f"{title}: {table.rows} rows, not {wanted.rows}")
        elif table.checksum != wanted.checksum:
            found.append(f"{title}: {wanted.rows} rows, but not the same values")
    found += [f"{title}: a table that the backup does not know" for title in seen if title not in expected]
    return tuple(found)


def _parse_extension(line: str) -> tuple[str, str]:
    try:
        said = parse_json(line)
        return _text(said["name"]), _text(said["version"])
    except (ValueError, KeyError, TypeError) as error:
        raise ChecksumError(f"The database names an extension as {line[:200]!r}.") from error


def _quote(name: str) -> str:
    """Return an identifier as SQL takes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value
