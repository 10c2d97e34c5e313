"""lab/engine.sh under a PATH of our own, so that it meets engines and accounts this machine does not have."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ENGINE_SH = Path(__file__).resolve().parents[3] / "lab" / "engine.sh"
_TOOLS = (
    *("sh", "cat", "cut", "date", "dirname", "env", "grep", "head", "kill", "mkdir", "mktemp", "printf", "readlink"),
    *("rm", "rmdir", "sed", "sleep", "tail", "timeout", "wc"),
)
SHELL = shutil.which("dash") or "sh"


@dataclass(frozen=True)
class World:
    """A folder that is the whole PATH, and the lab's home."""

    bin: Path
    home: Path

    def program(self, name: str, body: str) -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{body}\n")
        (self.bin / name).chmod(0o755)

    def engine(self, verb: str, **environment: str) -> subprocess.CompletedProcess[str]:
        settings = {"PATH": str(self.bin), "HOME": str(self.home), "TRADING_CORE_LAB_HOME": str(self.home / "lab")}
        return subprocess.run(
            [shutil.which(SHELL) or SHELL, str(ENGINE_SH), verb],
            env={**settings, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path / "bin", tmp_path / "home")
    made.bin.mkdir()
    made.home.mkdir()
    for tool in _TOOLS:
        (made.bin / tool).symlink_to(shutil.which(tool) or f"/bin/{tool}")
    made.program("id", "case $1 in -u) echo 1000 ;; *) echo joe ;; esac")
    return made


def test_an_engine_that_answers_needs_nothing_and_is_seen_at_once(world):
    world.program("docker", "echo 26.1.5")
    begun = time.monotonic()
    answer = world.engine("ensure")
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")
    assert time.monotonic() - begun < 0.3


def test_an_account_that_may_not_use_the_engine_gets_the_line_that_helps(world):
    world.program("docker", "echo 'permission denied while trying to connect' >&2; exit 1")
    answer = world.engine("ensure")
    assert answer.returncode == 1
    assert "sudo usermod -aG docker joe" in answer.stderr


def test_an_engine_elsewhere_that_does_not_answer_is_never_replaced_by_one_here(world):
    world.program("docker", "exit 1")
    world.program("apt-get", "echo apt-get was called >&2; exit 1")
    answer = world.engine("ensure", DOCKER_HOST="tcp://192.0.2.1:2375")
    assert answer.returncode == 1
    assert "tcp://192.0.2.1:2375 does not answer" in answer.stderr
    assert "apt-get was called" not in answer.stderr


def test_without_root_nothing_is_tried_and_the_line_to_type_is_said(world):
    world.program("apt-get", "echo apt-get was called >&2; exit 1")
    answer = world.engine("ensure")
    assert answer.returncode == 1
    assert f"sudo sh '{ENGINE_SH}' ensure" in answer.stderr
    assert "apt-get was called" not in answer.stderr


def test_where_there_is_no_apt_the_page_to_follow_is_said(world):
    answer = world.engine("ensure")
    assert answer.returncode == 1
    assert "not Debian or Ubuntu" in answer.stderr


def test_packages_that_cannot_be_installed_end_with_the_last_words_of_apt(world):
    world.program("id", "echo 0")
    world.program("apt-cache", "exit 0")
    world.program(
        "apt-get", "case $* in *update*) exit 100 ;; esac; echo E: Unable to locate package docker.io; exit 100"
    )
    answer = world.engine("ensure")
    assert answer.returncode == 1
    assert "some package lists could not be updated; going on" in answer.stderr
    assert "Unable to locate package docker.io" in answer.stderr
    assert "Type: apt-get install docker.io" in answer.stderr


@pytest.fixture
def daemon(world: World) -> Iterator[subprocess.Popen[bytes]]:
    """A process that stands for a daemon which engine_ensure has started and recorded."""
    process = subprocess.Popen(["sleep", "60"])
    start = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19]
    (world.home / "lab").mkdir()
    (world.home / "lab/dockerd.started").write_text(f"{process.pid} {start}\n")
    (world.home / "lab/dockerd.log").write_text("")
    yield process
    process.kill()
    process.wait()


def test_our_own_daemon_is_ended_when_nothing_is_left_in_it(world, daemon):
    world.program("docker", "true")
    reaper = threading.Thread(target=daemon.wait)
    reaper.start()
    answer = world.engine("stop")
    reaper.join(timeout=10)
    assert answer.returncode == 0
    assert daemon.returncode == -15
    assert not (world.home / "lab").exists()


def test_our_own_daemon_stays_while_it_holds_a_container(world, daemon):
    world.program("docker", "echo 0123456789ab")
    answer = world.engine("stop")
    assert answer.returncode == 0
    assert "1 container(s) are still on it" in answer.stderr
    assert daemon.poll() is None


def test_a_daemon_that_does_not_say_what_it_holds_is_left_running(world, daemon):
    world.program("docker", "exit 1")
    assert world.engine("stop").returncode == 1
    assert daemon.poll() is None


def test_a_process_that_got_the_number_of_our_old_daemon_is_not_touched(world, daemon):
    record = world.home / "lab/dockerd.started"
    record.write_text(f"{record.read_text().split()[0]} 1\n")
    world.program("docker", "true")
    assert world.engine("stop").returncode == 0
    assert daemon.poll() is None
    assert not record.exists()


def test_a_daemon_that_was_there_before_is_not_ours_to_end(world):
    world.program("docker", "true")
    assert world.engine("stop").returncode == 0


def test_wrong_usage_ends_with_2(world):
    assert world.engine("restart").returncode == 2


def test_it_may_be_sourced_without_doing_anything(world):
    world.program("docker", "echo docker was called >&2")
    answer = subprocess.run(
        [SHELL, "-eu", "-c", f". '{ENGINE_SH}'; echo sourced"],
        env={"PATH": os.environ["PATH"], "HOME": str(world.home)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (answer.stdout, answer.stderr) == ("sourced\n", "")
