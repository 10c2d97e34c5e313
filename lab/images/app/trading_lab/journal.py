"""What the bot writes to TimescaleDB, in a thread of its own: no outage ever holds up a cancellation."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

SCHEMA = """
SELECT pg_advisory_xact_lock(7241);
CREATE TABLE IF NOT EXISTS bars (
    time timestamptz NOT NULL, mode text NOT NULL, symbol text NOT NULL,
    open double precision NOT NULL, high double precision NOT NULL, low double precision NOT NULL,
    close double precision NOT NULL, volume double precision NOT NULL,
    PRIMARY KEY (mode, symbol, time));
CREATE TABLE IF NOT EXISTS orders (
    time timestamptz NOT NULL, mode text NOT NULL, bot text NOT NULL, order_id text NOT NULL,
    symbol text NOT NULL, side text NOT NULL, kind text NOT NULL,
    quantity double precision NOT NULL, price double precision NOT NULL, status text NOT NULL,
    PRIMARY KEY (bot, order_id, time));
CREATE TABLE IF NOT EXISTS trades (
    time timestamptz NOT NULL, mode text NOT NULL, bot text NOT NULL, order_id text NOT NULL,
    symbol text NOT NULL, side text NOT NULL,
    quantity double precision NOT NULL, price double precision NOT NULL, fee double precision NOT NULL,
    PRIMARY KEY (bot, order_id, time));
CREATE TABLE IF NOT EXISTS equity (
    time timestamptz NOT NULL, mode text NOT NULL, bot text NOT NULL,
    equity double precision NOT NULL, position double precision NOT NULL, drawdown double precision NOT NULL,
    PRIMARY KEY (bot, time));
SELECT create_hypertable(name, 'time', chunk_time_interval => interval '1 hour', if_not_exists => true)
FROM unnest(ARRAY['bars', 'orders', 'trades', 'equity']) AS name;
"""
COLUMNS = {"bars": 8, "orders": 10, "trades": 9, "equity": 6}
_LONGEST_QUEUE = 20_000
_LARGEST_BATCH = 500
_RETRY_SECONDS = 2.0


class Journal(Protocol):
    """Where rows go. add() returns at once, whatever the database does."""

    def add(self, table: str, *row: Any) -> None: ...


class DatabaseJournal:
    """Rows to TimescaleDB: queued, written in batches, kept through an outage up to a bound."""

    def __init__(self, url: str, on_write: Callable[[], None], on_drop: Callable[[], None]) -> None:
        self._url, self._on_write, self._on_drop = url, on_write, on_drop
        self._rows: queue.Queue[tuple[str, tuple[Any, ...]]] = queue.Queue(_LONGEST_QUEUE)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def add(self, table: str, *row: Any) -> None:
        try:
            self._rows.put_nowait((table, row))
        except queue.Full:
            self._on_drop()

    def close(self, timeout_seconds: float) -> None:
        """Write what is queued, for at most this long."""
        self._closing.set()
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        import psycopg

        batch: list[tuple[str, tuple[Any, ...]]] = []
        while not (self._closing.is_set() and self._rows.empty() and not batch):
            try:
                with psycopg.connect(self._url, connect_timeout=3, options="-c statement_timeout=5000") as connection:
                    connection.execute(SCHEMA)
                    connection.commit()
                    while not (self._closing.is_set() and self._rows.empty() and not batch):
                        batch = batch or self._take()
                        if not batch:
                            continue
                        for table, row in batch:
                            connection.execute(_insert_statement(table), row)
                        connection.commit()
                        self._on_write()
                        batch = []
            except psycopg.Error as error:
                print(f"bot: the database does not take rows: {str(error).splitlines()[0]}", flush=True)
                if self._closing.wait(_RETRY_SECONDS):
                    return

    def _take(self) -> list[tuple[str, tuple[Any, ...]]]:
        try:
            rows = [self._rows.get(timeout=0.5)]
        except queue.Empty:
            return []
        while len(rows) < _LARGEST_BATCH and not self._rows.empty():
            rows.append(self._rows.get_nowait())
        return rows


def _insert_statement(table: str) -> Any:
    """An insert of a full row whose time is in seconds; a row that is there already stays."""
    values: Sequence[str] = ["to_timestamp(%s)", *["%s"] * (COLUMNS[table] - 1)]
    return f"INSERT INTO {table} VALUES ({', '.join(values)}) ON CONFLICT DO NOTHING"
