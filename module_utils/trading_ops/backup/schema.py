"""Which schema a database has: a whole number that its migrations count up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..core.result import build_result
from ..host.engine import Engine, EngineError
from ..host.programs import ProgramError, Programs
from .postgres import Server, find_container, session


def observe(params: Mapping[str, Any], connect: Callable[[], Engine], programs: Programs) -> dict[str, Any]:
    """Return the module result of asking the database. Anything but one whole number is unknown. Never raises."""
    where = f"{params['project_name']}/{params['service']}"
    try:
        container = find_container(connect(), params["project_name"], params["service"])
        with session(programs, Server(container, params["superuser"]), params["database"]) as (ask, _):
            version = parse_version(ask(params["query"].strip().rstrip(";")))
    except (EngineError, ProgramError, ValueError) as error:
        text = f"the schema of {where} is not known: {error}"
        return build_result("unknown", text, next_command="docker ps -a (on the host)", version=None)
    return build_result("proven", f"{where} has schema {version}", version=version)


def parse_version(lines: Sequence[str]) -> int:
    """Return the version from the answer. ValueError for anything but one whole number."""
    found = [line.strip() for line in lines if line.strip()]
    if len(found) != 1 or not found[0].isdecimal():
        raise ValueError(f"one whole number was expected, seen: {', '.join(found)[:80] or 'nothing'}")
    return int(found[0])
