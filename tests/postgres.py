"""A PostgreSQL of this machine, for statements that only a real server can judge. Where there is none: skipped."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_SECONDS = 60


@dataclass(frozen=True)
class Postgres:
    """A server that listens on a socket in `folder` alone."""

    programs: Path
    folder: Path

    def psql(self, database: str, name: str = "psql") -> list[str]:
        """Return the command of a session, which calls itself `name`."""
        where = f"host={self.folder} dbname={database} user=postgres application_name='{name}'"
        return [str(self.programs / "psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", where]

    def ask(self, database: str, *statements: str) -> list[str]:
        """Return the lines that statements give, in a session of their own."""
        argv = [*self.psql(database), *(word for sql in statements for word in ("-c", sql))]
        return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=_SECONDS).stdout.splitlines()


@contextmanager
def server() -> Iterator[Postgres]:
    """Give a new, empty server. It runs as nobody where the tests run as root, which it would refuse."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("there is no PostgreSQL on this machine")
    programs, user = found[-1].parent, "nobody" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="tc-pg-"))  # short: a socket's path has a limit
    try:
        if user:
            shutil.chown(folder, user)

        def run(*argv: str) -> None:
            subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, timeout=_SECONDS, user=user, cwd=folder)

        data = folder / "data"
        run(str(programs / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync")
        options = f"-k {folder} -c listen_addresses= -c fsync=off"
        run(str(programs / "pg_ctl"), "-D", str(data), "-w", "-s", "-l", str(folder / "log"), "-o", options, "start")
        try:
            yield Postgres(programs, folder)
        finally:
            run(str(programs / "pg_ctl"), "-D", str(data), "-w", "-s", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)
