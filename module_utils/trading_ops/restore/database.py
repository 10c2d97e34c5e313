"""A database of a backup set, restored into a server of its own in TimescaleDB's order, and proven usable.

`timescaledb_pre_restore()` and `timescaledb_post_restore()` belong together, and each is proven by what it leaves
behind: a restore that skips one of them looks well until the first INSERT. Background workers stay at 0, so that no
job of production (retention, for one) works on the copy.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..backup.checksums import Content, measure
from ..backup.manifest import Database
from ..backup.postgres import Server, exec_argv, restore_argv, session
from ..host.programs import Ended, ProgramError, Programs, checked, said
from .compare import TIMESCALEDB
from .faults import RestoreFault, fault

_AMCHECK_FOUND: Final = 2
_TRUNCATED: Final = re.compile(r"unexpected end of file|could not read from input file|end of file on", re.IGNORECASE)
_NO_ROOM: Final = re.compile(r"no space left on device", re.IGNORECASE)
_ROLE_IS_THERE: Final = re.compile(r'ERROR:\s+role "[^"]*" already exists')

INSERT_SQL: Final = """
DO $do$
DECLARE item record; fields text; picked text; inserted bigint; total bigint := 0;
BEGIN
  FOR item IN
    SELECT format('%I.%I', hypertable_schema, hypertable_name)::regclass AS relation, column_name
    FROM timescaledb_information.dimensions WHERE dimension_number = 1 AND time_interval IS NOT NULL
  LOOP
    SELECT string_agg(format('%I', attname), ', '), string_agg(format('(made).%I', attname), ', ')
    INTO fields, picked FROM pg_attribute
    WHERE attrelid = item.relation AND attnum > 0 AND NOT attisdropped AND attgenerated = '';
    EXECUTE format(
      'INSERT INTO %1$s (%2$s) OVERRIDING SYSTEM VALUE SELECT %3$s FROM (SELECT jsonb_populate_record(present, '
      'jsonb_build_object(%4$L, now() + interval ''1 day'')) AS made FROM %1$s AS present LIMIT 1) AS one',
      item.relation, fields, picked, item.column_name);
    GET DIAGNOSTICS inserted = ROW_COUNT;
    total := total + inserted;
  END LOOP;
  PERFORM set_config('restore_test.inserted', total::text, false);
END $do$"""
"""A copy of one row of each hypertable, a day from now, and so in a chunk that has to be made."""


@dataclass(frozen=True)
class Target:
    """A server that was made for this restore alone: whatever databases it has may be dropped."""

    programs: Programs
    server: Server

    def ask(self, database: str, *statements: str) -> list[str]:
        """Return the lines that the last of some statements gives, in a session of their own. Raises ProgramError."""
        with session(self.programs, self.server, database) as (ask, _):
            # Extensions are made, and their functions found, where a new session would.
            lines = list(ask("SET search_path = public"))
            for sql in statements:
                lines = list(ask(sql))
            return lines

    def value(self, database: str, sql: str) -> str:
        """Return the one value that a statement gives, empty for none. Raises ProgramError."""
        return "".join(self.ask(database, sql))


def check_workers(target: Target) -> None:
    """Raise RestoreFault (`workers_on`) where a job of production would run on the copy."""
    workers = target.value("postgres", "SELECT current_setting('timescaledb.max_background_workers', true)")
    if workers not in {"0", ""}:
        raise fault("workers_on", f"timescaledb.max_background_workers is {workers}, not 0")


def feed_roles(programs: Programs, server: Server, roles: Path) -> str:
    """Return why not all roles of the backup are on the server, empty where they are. May raise ProgramError."""
    argv = ["psql", "--no-psqlrc", "--quiet", f"--username={server.user}", "--dbname=postgres"]
    done = programs.feed(exec_argv(server.container, argv, is_fed=True), roles)
    # Not stopped at the first error: a superuser is always there already. Nothing else may be.
    errors = [line for line in done.stderr.splitlines() if "ERROR" in line and not _ROLE_IS_THERE.search(line)]
    return (errors or [said(done)])[0] if done.code != 0 or errors else ""


def restore_roles(target: Target, roles: Path, secret: str) -> None:
    """Make the roles that the backup knows, each with the password `secret`: it holds none. Raises RestoreFault."""
    if error := feed_roles(target.programs, target.server, roles):
        raise fault("roles_damaged", f"the roles could not be made: {error}")
    target.ask(
        "postgres",
        "DO $do$ DECLARE item name; BEGIN "
        "FOR item IN SELECT rolname FROM pg_roles WHERE rolcanlogin AND rolname !~ '^pg_' "
        f"LOOP EXECUTE format('ALTER ROLE %I PASSWORD %L', item, '{secret}'); END LOOP; END $do$",
    )


def restore_database(target: Target, name: str, wanted: Database, dump: Path) -> None:
    """Restore one dump into a new, empty database of this name. Raises RestoreFault."""
    owner = check_dump(target, name, dump)
    target.ask(
        "postgres",
        f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)',
        f'CREATE DATABASE "{name}" TEMPLATE template0' + (f' OWNER "{owner}"' if owner else ""),
    )
    version = wanted.extensions.get(TIMESCALEDB)
    if version is not None:
        _begin(target, name, version)
    done = target.programs.feed(restore_argv(target.server, name), dump)
    if done.code != 0:
        raise _restore_fault(name, done)
    if version is not None:
        _switch(target, name, "post_restore", "off")


def check_dump(target: Target, name: str, dump: Path) -> str:
    """Return the owner of the database that a dump was made of, empty where it does not say. Raises RestoreFault."""
    argv = exec_argv(target.server.container, ["pg_restore", "--list", "--create"], is_fed=True)
    done = target.programs.feed(argv, dump)
    if done.code != 0:
        raise _restore_fault(name, done)
    made_of = re.search(r"^;\s+dbname: (.*)$", done.stdout, re.MULTILINE)
    if made_of is None or made_of[1].strip() != name:
        raise fault("wrong_database", f"the dump of {name} was made of database {made_of[1] if made_of else 'unknown'}")
    owner = re.search(rf"^\d+; 1262 \d+ DATABASE - {re.escape(name)} (\S+)$", done.stdout, re.MULTILINE)
    return owner[1] if owner else ""


def _begin(target: Target, name: str, version: str) -> None:
    # The version comes from a file: only what the server itself lists comes into a statement.
    known = target.ask("postgres", f"SELECT version FROM pg_available_extension_versions WHERE name = '{TIMESCALEDB}'")
    if version not in known:
        raise fault("extension_version", f"the backup has TimescaleDB {version}, this server has {', '.join(known)}")
    target.ask(name, f"CREATE EXTENSION {TIMESCALEDB} VERSION '{version}'")
    _switch(target, name, "pre_restore", "on")


def _switch(target: Target, name: str, what: str, restoring: str) -> None:
    """Call one of the pair, and see in a new session what it has left. Raises RestoreFault."""
    problem = ""
    try:
        target.ask(name, f"SELECT timescaledb_{what}()")
    except ProgramError as error:
        problem = str(error)
    seen = target.value(name, "SHOW timescaledb.restoring")
    if problem or seen != restoring:
        raise fault(f"{what}_failed", f"{name}: timescaledb.restoring is {seen}. {problem}")


def observe_content(target: Target, name: str) -> Content:
    """Return what the restored database holds, asked as the backup asked. Raises ProgramError, ChecksumError."""
    with session(target.programs, target.server, name) as (ask, _):
        return measure(ask)


def check_indexes(target: Target, name: str) -> None:
    """Raise RestoreFault (`index_damaged`) where amcheck finds an index and its table in disagreement."""
    argv = ["pg_amcheck", "--install-missing", "--heapallindexed", "--rootdescend"]
    argv += [f"--username={target.server.user}", name]
    done = target.programs.run(exec_argv(target.server.container, argv))
    if done.code == _AMCHECK_FOUND:
        raise fault("index_damaged", f"{name}: {' '.join(done.stdout.split())[:300]}")
    checked("pg_amcheck", done)


def check_insert(target: Target, name: str) -> int:
    """Return how many hypertables took a row, which is rolled back. Raises RestoreFault (`insert_failed`)."""
    try:
        # The session ends inside its transaction, which rolls it back.
        seen = target.ask(name, "BEGIN", INSERT_SQL, "SELECT current_setting('restore_test.inserted')")
    except ProgramError as error:
        raise fault("insert_failed", f"{name}: {error}") from error
    if seen in ([], ["0"]):
        raise fault("insert_failed", f"{name}: no hypertable took a row")
    return int(seen[0])


def _restore_fault(name: str, done: Ended) -> RestoreFault:
    lines = [line.strip() for line in done.stderr.splitlines() if "error" in line.lower()]
    text = f"{name}: {(lines or [said(done)])[0][:300]}"
    if _NO_ROOM.search(done.stderr):
        return fault("no_room", text)
    return fault("dump_truncated" if _TRUNCATED.search(done.stderr) else "restore_failed", text)
