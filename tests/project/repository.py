"""The repository as data: its files, playbooks, roles, pages and the commands that the pages name."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
PLAYBOOKS = sorted(path for path in (ROOT / "playbooks").glob("*.yml") if not path.name.endswith(".meta.yml"))
ROLES = sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())
PAGES = sorted((ROOT / "runbooks").glob("*.md"))
STOP_PATH_ROLES = ("estate", "failsafe_stop")
"""Roles that failsafe_stop runs: a kill is never refused for its input."""

_COMMAND = re.compile(r"`(\./runbook [^`]+)`|^\s*(?:# )?(\./runbook \S.*)$", re.MULTILINE)
_PLACEHOLDER = re.compile(r"\./runbook (?:NAME\b|…|\[)")


@dataclass(frozen=True)
class Command:
    """One `./runbook …` line of a page: where it stands, what it calls, with which variables."""

    source: str
    line: str
    name: str
    arguments: tuple[str, ...]
    variables: tuple[tuple[str, Any], ...]


@cache
def files() -> tuple[Path, ...]:
    """Return every file that is, or would be, in Git."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    paths = (ROOT / name for name in listed.split("\0") if name)
    return tuple(path for path in paths if path.is_file() and not path.is_symlink())


def load_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def plays(playbook: Path) -> list[dict[str, Any]]:
    """Return the plays of a playbook, each role as a mapping, and those that it imports in their place."""
    found = []
    for play in load_yaml(playbook):
        if imported := play.get("ansible.builtin.import_playbook"):
            handed = play.get("vars", {})
            found += [{**each, "vars": {**each["vars"], **handed}} for each in plays(playbook.parent / imported)]
        else:
            roles = [entry if isinstance(entry, dict) else {"role": entry} for entry in play.get("roles", [])]
            found.append({**play, "roles": roles})
    return found


def play_options(name: str) -> dict[str, dict[str, Any]]:
    """Return the documented variables of playbook `name`, over all its plays."""
    specs = load_yaml(ROOT / "playbooks" / f"{name}.meta.yml")["argument_specs"]
    return {key: option for spec in specs.values() for key, option in spec["options"].items()}


def role_tasks(role: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield every task of a role, those in blocks too, with the file it stands in."""
    for path in sorted((role / "tasks").glob("*.yml")):
        for task in load_yaml(path) or []:
            yield from ((path, each) for each in _flat(task))


def blocks(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return every task, those in blocks too, that is a block."""
    return [task for each in tasks for task in _flat(each) if "block" in task]


def headings(page: Path) -> list[str]:
    """Return the headings of a Markdown page, fenced blocks left out."""
    return [line.lstrip("# ").strip() for line in _without_fences(page) if line.startswith("#")]


def table_rows(page: Path, columns: int) -> list[list[str]]:
    """Return the cells of all table rows with that many columns, without header and rule."""
    rows = [line.strip()[1:-1].split("|") for line in _without_fences(page) if line.startswith("| ")]
    cells = [[cell.strip() for cell in row] for row in rows]
    return [row for row in cells if len(row) == columns and row[0] not in {"id", "fault"}]


def commands(path: Path) -> list[Command]:
    """Return the `./runbook` commands that a text names, placeholders like `./runbook NAME` left out."""
    found = []
    for match in _COMMAND.finditer(path.read_text(encoding="utf-8")):
        line = match.group(1) or match.group(2)
        if not _PLACEHOLDER.match(line):
            found.append(_command(path, line))
    return found


def subcommands() -> set[str]:
    """Return the commands that the entry script itself has, read from its last `case $command in`."""
    script = (ROOT / "runbook").read_text(encoding="utf-8")
    block = script.rpartition("\ncase $command in\n")[2].partition("\nesac")[0]
    labels = re.findall(r"^([a-z][a-z |-]*)\)", block, re.MULTILINE)
    return {word for label in labels for word in label.replace(" ", "").split("|")}


def is_there(reference: str) -> bool:
    """Return whether `path`, or `path::test_name`, is there."""
    name, _, function = reference.partition("::")
    path = ROOT / name
    return path.exists() and (not function or f"def {function}(" in path.read_text(encoding="utf-8"))


def _command(path: Path, line: str) -> Command:
    words = shlex.split(line, comments=True)
    variables: list[tuple[str, Any]] = []
    for option, value in pairwise(words):
        if option == "-e" and value.startswith("{"):
            variables += json.loads(value).items()
        elif option == "-e" and not value.startswith("@"):
            key, _, text = value.partition("=")
            variables.append((key, text))
    return Command(str(path.relative_to(ROOT)), line, words[1], tuple(words[2:]), tuple(variables))


def _flat(task: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    yield dict(task)
    for part in ("block", "rescue", "always"):
        for inner in task.get(part, []):
            yield from _flat(inner)


def _without_fences(page: Path) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL).splitlines()
