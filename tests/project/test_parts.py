"""The tiers of the tests: each long one is in one part, and ./runbook runs parts, remembers them, and takes turns."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.lab.test_entry import CHECKED, CHECKED_WITH_REPOSITORY
from tests.lab.test_molecule import SCENARIOS
from tests.project.repository import PLAYBOOKS, ROOT

PARTS = {
    name: (int(minutes), files)
    for line in (ROOT / "tests" / "parts.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
    for name, minutes, *files in [line.split()]
}
MARKS = ("mark.faults", "first_of(", "@examples(")


def test_every_file_with_a_long_test_is_in_one_part_that_takes_less_than_an_hour():
    long = [path for path in (ROOT / "tests").rglob("test_*.py") if any(mark in path.read_text() for mark in MARKS)]
    assert len(long) > 20
    for path in long:
        inside = [name for name, (_, files) in PARTS.items() if any(path.is_relative_to(ROOT / file) for file in files)]
        assert len(inside) == 1, path
    for name, (minutes, files) in PARTS.items():
        assert minutes < 60, name
        assert [file for file in files if not (ROOT / file).exists()] == []


def test_there_are_scenarios():
    assert "failsafe_stop" in SCENARIOS


def test_every_playbook_is_in_the_dry_run_test():
    # A restore is refused before anything else where databases are: test_restore.py has its dry run.
    assert {call[0] for call in CHECKED + CHECKED_WITH_REPOSITORY} | {"restore"} == {path.stem for path in PLAYBOOKS}


PYTEST = """#!/bin/sh
echo "$TRADING_CORE_EVERY_EXAMPLE|$TRADING_CORE_SCENARIOS|$*" >>"$CALLS"
case $* in *"${RED:-nothing}"*) exit 1 ;; esac
"""


class Checkout:
    """A commit of ./runbook and its parts, with an environment that notes how pytest is called."""

    def __init__(self, path: Path) -> None:
        self.path, self.calls = path / "checkout", path / "calls"
        for name in ("runbook", "breakglass", "uv.lock", "pyproject.toml", "bootstrap.txt", ".gitignore"):
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, self.path / name)
        for name, text in {
            "tests/parts.txt": "# more\nstop 3 tests/lab/test_a.py tests/lab/test_b.py\nguard 4 tests/lab/test_c.py\n",
            "tests/tools.sh": "",
            "lab/engine.sh": "",
            **{f"molecule/{name}/molecule.yml": "" for name in ("a", "b", "c")},
            ".venv/bin/python": PYTEST,
        }.items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_text(text)
        (self.path / ".venv/bin/python").chmod(0o755)
        stamp = "cksum uv.lock pyproject.toml bootstrap.txt | cut -d' ' -f1 | tr '\\n' '-' >.venv/.stamp"
        subprocess.run(["sh", "-c", stamp], cwd=self.path, check=True)
        self.git("init", "--quiet")
        self.commit()

    def git(self, *arguments: str) -> None:
        identity = ["-c", "user.name=tester", "-c", "user.email=tester@localhost", "-c", "commit.gpgSign=false"]
        subprocess.run(["git", *identity, *arguments], cwd=self.path, check=True, capture_output=True)

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "x")

    def test(self, *arguments: str, red: str = "nothing") -> tuple[int, str, list[str]]:
        """Return exit code and errors of `./runbook test`, and the calls of pytest it came to."""
        self.calls.write_text("")
        environment = {**os.environ, "CALLS": str(self.calls), "RED": red}
        for name in ("TRADING_CORE_EVERY_EXAMPLE", "TRADING_CORE_SCENARIOS", "TRADING_CORE_NO_ENGINE"):
            environment.pop(name, None)
        argv = [str(self.path / "runbook"), "test", *arguments]
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stderr, self.calls.read_text().splitlines()


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_parts_run_in_turn_and_what_was_green_on_this_commit_is_not_run_again(checkout):
    code, said, calls = checkout.test("--faults", red="test_b")
    assert (code, "NOT GREEN: stop. NEXT: ./runbook test --faults stop" in said) == (1, True), said
    assert [call.split()[-2:] for call in calls] == [
        ["tests/lab/test_a.py", "tests/lab/test_b.py"],
        ["properties", "tests/lab/test_c.py"],
    ]
    assert all(call.startswith("yes||") and "-m faults or properties" in call for call in calls)

    code, said, calls = checkout.test("--faults")
    assert (code, "part guard was green on this commit at 20" in said) == (0, True), said
    assert len(calls) == 1
    assert checkout.test("--faults")[::2] == (0, [])

    (checkout.path / "README.md").write_text("changed")
    assert len(checkout.test("--faults")[2]) == 2
    assert len(checkout.test("--faults")[2]) == 2  # of what is in no commit nothing is remembered
    checkout.commit()
    assert len(checkout.test("--faults")[2]) == 2


def test_one_part_runs_alone_with_its_options(checkout):
    code, said, (call,) = checkout.test("--faults", "guard", "-k", "a name")
    assert (code, "part guard, about 4 minutes" in said) == (0, True)
    assert call.endswith("-m faults or properties -k a name tests/lab/test_c.py")
    assert len(checkout.test("--faults")[2]) == 2  # with options it was not the whole part
    assert len(checkout.test("--faults", "guard")[2]) == 1


def test_a_part_that_is_none_is_wrong_usage_with_the_names(checkout):
    code, said, calls = checkout.test("--faults", "nosuch")
    assert (code, "NEXT: ./runbook test --faults stop|guard" in said, calls) == (2, True, [])


@pytest.mark.parametrize("options", [["-k", "name"], ["tests/lab/test_a.py"], ["--durations=5"]], ids=" ".join)
def test_options_go_to_pytest_in_either_tier(checkout, options):
    assert checkout.test(*options)[2][0].endswith(" ".join(["-m not faults", *options]))
    assert checkout.test("--faults", *options)[2][0].endswith(" ".join(["-m faults or properties", *options]))


def test_in_ci_two_scenarios_have_their_turn_with_each_commit(checkout):
    turns = []
    for _ in range(3):
        code, said, calls = checkout.test("--ci")
        assert (code, len(calls)) == (0, 2)
        ((_, scenarios, lane),) = [call.split("|") for call in calls if call.endswith(" tests/lab")]
        assert f"turn of Molecule: {scenarios}" in said
        assert "-m not faults" in lane
        turns.append(scenarios)
        checkout.commit()
    assert turns == ["c a", "b c", "a b"]
    assert all(call.startswith("||") for call in checkout.test()[2])
