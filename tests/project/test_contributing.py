"""CONTRIBUTING: its picture of the rooms is the table, and an option of the stop is the four edits that it shows."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project.repository import ROOT
from tests.project.test_rooms import ALLOWED
from tests.project.test_runs import estate, play

__all__ = ["estate"]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SECTION = TEXT.partition("## Add an option to the stop, in four edits")[2].partition("\n## ")[0]
EDITS = re.findall(r"^\d\. `([^`]+)`.*?^   ```diff\n(.*?)^   ```", SECTION, re.MULTILINE | re.DOTALL)


def edited(text: str, hunk: list[str]) -> str:
    """Return the text with one hunk of a diff applied, whose old lines have to stand in it once."""
    old, new = ("".join(f"{line[1:]}\n" for line in hunk if line[0] in kept) for kept in (" -", " +"))
    assert f"\n{text}".count(f"\n{old}") == 1, old
    return f"\n{text}".replace(f"\n{old}", f"\n{new}")[1:]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository with the edits in it."""
    root = tmp_path_factory.mktemp("copy")
    for name in ("playbooks", "roles", "library", "module_utils", "tests"):
        shutil.copytree(ROOT / name, root / name, symlinks=True)
    shutil.copy(ROOT / "pyproject.toml", root)
    for name, diff in EDITS:
        lines = [line[3:] for line in diff.splitlines()]
        for hunk in "\n".join(lines).split("\n@@\n"):
            path = root / name
            path.write_text(edited(path.read_text(encoding="utf-8"), hunk.split("\n")), encoding="utf-8")
    return root


def test_the_picture_shows_the_rooms_on_their_levels():
    shown = {int(level): names.split() for level, names in re.findall(r"^(\d)  ([a-z ]+)$", TEXT, re.MULTILINE)}
    levels = {level for level, _ in ALLOWED.values()}
    assert shown == {level: [room for room in ALLOWED if ALLOWED[room][0] == level] for level in levels}


def test_an_option_is_four_edits_each_of_another_file():
    assert [*dict(EDITS)] == [name for name, _ in EDITS]
    assert len(EDITS) == 4


def test_the_option_reaches_the_stop_from_the_inventory(copy, estate):
    hosts = json.loads(estate.read_text())
    del hosts["trading_hosts"]["hosts"]["away"]
    hosts["trading_hosts"]["vars"] = {"failsafe_stop_ticket": "OPS-17"}
    estate.write_text(json.dumps(hosts))
    _, verdict, output = play("failsafe_stop", estate, "-e", "reason=test", root=copy)
    assert verdict.startswith("VERDICT 10 failsafe_stop: NOT PROVEN"), output
    assert json.loads((estate.parent / "state" / "halt.json").read_text())["reason"] == "test OPS-17"


def test_roles_module_and_documentation_are_still_in_order(copy):
    tests = [
        "tests/project/test_roles.py",
        "tests/unit/library/test_documentation.py",
        "tests/unit/stop/test_kill_switch.py",
    ]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            "-p",
            "no:cacheprovider",
            *tests,
            "-k",
            "failsafe_stop or kill_switch",
        ],
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "decisions").glob("0*.md")), ids=lambda path: path.stem)
def test_a_decision_is_listed_and_held_by_what_is_there(path):
    number = int(path.stem[:4])
    assert f"| [{number}]({path.name}) | " in (path.parent / "README.md").read_text(encoding="utf-8")
    page = path.read_text(encoding="utf-8")
    assert page.startswith(f"# {number}. ")
    held = page.partition("**Held by.**")[2]
    names = re.findall(r"`([\w/]+(?:\.\w+)?)`", held)
    folders = [ROOT / name for name in names if "/" in name]
    assert held and [folder for folder in folders if not folder.exists()] == []
    files = [name for name in names if name.startswith("test_")]
    assert [name for name in files if not any((folder / name).is_file() for folder in folders)] == []
