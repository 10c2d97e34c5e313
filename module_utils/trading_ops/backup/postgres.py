"""PostgreSQL in its container, through the client programs it carries itself: theirs is always the right version."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from ..host.engine import Engine
from ..host.programs import Ended, ProgramError, Programs
from .checksums import SESSION_SQL, Ask

_MARK: Final = "-- trading-core: end of the answer"
_LOCK_WAIT_MILLISECONDS: Final = 60_000
"""A dump waits for no other session's lock longer than this, and so holds up no one that queues behind it."""

SOURCE_ARGUMENTS: Final[dict[str, dict[str, Any]]] = {
    "database_service": {"type": "str", "default": "timescaledb"},
    "mlflow_service": {"type": "str", "default": "mlflow"},
    "superuser": {"type": "str", "default": "postgres"},
    "artifacts_path": {"type": "str", "default": "/mlartifacts"},
}
"""Options of a module that backs up or restores, documented in playbooks/doc_fragments/backup_source.py."""


@dataclass(frozen=True)
class Server:
    """A database server: its container, and the superuser it is asked as, over the socket inside."""

    container: str
    user: str


def exec_argv(container: str, argv: Sequence[str], is_fed: bool = False) -> list[str]:
    """Return the command that runs `argv` in a running container."""
    return ["docker", "exec", *(["--interactive"] if is_fed else []), container, *argv]


def psql_argv(server: Server, database: str) -> list[str]:
    """Return the command that opens a session which ends at the first error and prints bare rows."""
    plain = ["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--no-password", "--set=ON_ERROR_STOP=1"]
    return exec_argv(
        server.container, ["psql", *plain, f"--username={server.user}", f"--dbname={database}"], is_fed=True
    )


def dump_argv(server: Server, database: str, snapshot: str) -> list[str]:
    """Return the command that writes a custom-format dump of one snapshot; restic compresses, so it does not."""
    argv = ["pg_dump", "--format=custom", "--compress=0", "--no-password", f"--snapshot={snapshot}"]
    argv += [f"--lock-wait-timeout={_LOCK_WAIT_MILLISECONDS}", f"--username={server.user}", f"--dbname={database}"]
    return exec_argv(server.container, argv)


def roles_argv(server: Server) -> list[str]:
    """Return the command that writes the roles as SQL, without their passwords."""
    argv = ["pg_dumpall", "--roles-only", "--no-role-passwords", "--no-password", f"--username={server.user}"]
    return exec_argv(server.container, argv)


def restore_argv(server: Server, database: str) -> list[str]:
    """Return the command that reads a dump. One job: TimescaleDB's catalogue does not take a parallel restore."""
    argv = ["pg_restore", "--exit-on-error", "--no-password", f"--username={server.user}", f"--dbname={database}"]
    return exec_argv(server.container, argv, is_fed=True)


def version_argv(container: str) -> list[str]:
    """Return the command that tells which pg_dump the container has."""
    return exec_argv(container, ["pg_dump", "--version"])


@contextmanager
def session(programs: Programs, server: Server, database: str) -> Iterator[tuple[Ask, Callable[[], None]]]:
    """Give a function that asks one statement in one session, and one that ends the session at once."""
    with programs.talk(psql_argv(server, database)) as conversation:

        def ask(sql: str) -> list[str]:
            lines: list[str] = conversation.ask(f"{sql};\n\\echo {_MARK}\n", _MARK)
            return lines

        ask(SESSION_SQL)
        yield ask, conversation.end


def find_container(engine: Engine, project: str, service: str) -> str:
    """Return the id of the one container that runs a service. ProgramError where there is none, or more than one."""
    labels = [f"com.docker.compose.project={project}", f"com.docker.compose.service={service}"]
    found = engine.containers([*labels, "com.docker.compose.oneoff=False"])
    running = [item for item in found if item.get("State") == "running"]
    if len(running) != 1:
        seen = ", ".join(sorted(str(item.get("State")) for item in found)) or "none"
        raise ProgramError(f"One running container of {project}/{service} was expected, seen: {seen}.")
    return str(running[0]["Id"])


def ended_well(what: str, ended: Ended) -> None:
    """Raise ProgramError where a client program did not end with 0."""
    if ended.code != 0:
        errors = [line for line in ended.stderr.splitlines() if "error" in line.lower() or "fatal" in line.lower()]
        raise ProgramError(
            f"{what} ended with {ended.code}: {(errors or ended.stderr.splitlines() or ['no word'])[-1]}"
        )
