"""Linters and types; ./runbook lint runs only this."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project.repository import PLAYBOOKS, ROLES, ROOT

BIN = Path(sys.executable).parent

SHELL_SCRIPTS = [
    "runbook",
    ".ci/run",
    "breakglass/common.sh",
    "breakglass/stop-words.sh",
    "breakglass/halt-now",
    "breakglass/trading-halt",
    "breakglass/trading-halt-sudo",
    "benchmarks/bot/bench-bot",
    "lab/engine.sh",
    "lab/host/files/usr/local/sbin/lab-host-init",
    "lab/images/alertmanager/am-init",
    "lab/images/timescaledb/timescaledb-start",
    "tests/tools.sh",
    "tests/unit/samples/compose/record.sh",
]


def run(*argv: str, first: str = "") -> None:
    # Resolved too: ansible-lint puts its own folder in front of a path that does not have it.
    path = f"{first}{BIN}:{BIN.resolve()}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "argv",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
        ["yamllint", "--strict", "."],
        ["shellcheck", *SHELL_SCRIPTS],
    ],
    ids=" ".join,
)
def test_linter_has_nothing_to_say(argv):
    run(str(BIN / argv[0]), *argv[1:])


ONCE = """#!/bin/sh
# ansible-lint would start Ansible for each playbook and role, two minutes of a processor: noted, for one start of it.
for last; do :; done
case $last in "${{TMPDIR:-/tmp}}"/play*) cp "$last" {folder}/$$.yml && last={folder}/$$.yml ;; esac # with one role
echo "$last" >>{folder}/playbooks
"""


@pytest.mark.timeout(1200)
def test_ansible_lint_has_nothing_to_say_and_ansible_reads_every_playbook_and_role(tmp_path):
    (tmp_path / "ansible-playbook").write_text(ONCE.format(folder=tmp_path))
    (tmp_path / "ansible-playbook").chmod(0o755)
    run(str(BIN / "ansible-lint"), "--offline", first=f"{tmp_path}:")
    playbooks = {*(tmp_path / "playbooks").read_text().splitlines()}
    assert {str(path.relative_to(ROOT)) for path in PLAYBOOKS} <= playbooks
    assert len([*tmp_path.glob("*.yml")]) >= len(ROLES)
    run(str(BIN / "ansible-playbook"), "--syntax-check", *sorted(playbooks))


def test_every_shell_script_is_linted():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    found = []
    for name in tracked:
        path = ROOT / name
        if (
            path.is_file()
            and not path.is_symlink()
            and path.read_bytes()[:30].startswith((b"#!/bin/sh", b"#!/usr/bin/env bash"))
        ):
            found.append(name)
    assert found
    assert set(found) <= set(SHELL_SCRIPTS)
