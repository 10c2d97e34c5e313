"""Linters and types; ./runbook lint runs only this."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent

SHELL_SCRIPTS = [
    "runbook",
    ".ci/run",
    "breakglass/common.sh",
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


# ansible-lint takes two minutes of a processor; beside the tests on lab hosts that was more than five on the clock.
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "argv",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
        ["yamllint", "--strict", "."],
        ["ansible-lint", "--offline"],
        ["shellcheck", *SHELL_SCRIPTS],
    ],
    ids=" ".join,
)
def test_linter_has_nothing_to_say(argv):
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    done = subprocess.run(
        [str(BIN / argv[0]), *argv[1:]], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


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
