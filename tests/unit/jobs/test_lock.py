"""One run of a job at a time, whatever becomes of the process that holds the lock."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from jobs.lock import Locked, held

ROOT = Path(__file__).parents[3]
HOLDER = """
import os, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from jobs.lock import held
with held(Path(sys.argv[2]), {"run_id": "first", "by": "kim@desk"}) as left:
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock."""
    argv = [sys.executable, "-c", HOLDER, str(ROOT), str(tmp_path / "lock")]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_one_is_refused_and_told_who_has_it(tmp_path, holder):
    with pytest.raises(Locked) as refused, held(tmp_path / "lock", {"run_id": "second"}):
        pytest.fail("two at once")
    assert refused.value.holder == {"run_id": "first", "by": "kim@desk"}


def test_a_killed_one_is_followed_by_the_next_which_learns_of_it(tmp_path, holder):
    holder.kill()
    holder.wait()
    with held(tmp_path / "lock", {"run_id": "second"}) as left:
        assert left["run_id"] == "first"


def test_one_that_ended_by_itself_leaves_nothing(tmp_path, holder):
    holder.stdin.close()
    holder.wait()
    with held(tmp_path / "lock", {"run_id": "second"}) as left:
        assert left == {}


def test_garbage_in_the_file_holds_nobody_up(tmp_path):
    (tmp_path / "lock").write_text("garbage")
    with held(tmp_path / "lock", {"run_id": "a"}) as left:
        assert left == {}
    with held(tmp_path / "lock", {"run_id": "b"}) as left:
        assert left == {}
