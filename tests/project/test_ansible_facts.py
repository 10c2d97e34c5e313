"""What we lean on in Ansible, pinned: an upgrade that changes one of these is seen here first."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project.repository import ROOT
from tests.tiers import first_of

CALLBACK = """
import os
from ansible.plugins.callback import CallbackBase

class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = 'notification'
    CALLBACK_NAME = 'pinned'
    CALLBACK_NEEDS_ENABLED = False

    def __init__(self):
        super().__init__()
        os.environ['PINNED'] = 'from the callback'

    def v2_playbook_on_stats(self, stats):
        raise SystemExit(42)
"""
PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Speak
      ansible.builtin.debug:
        msg: "said {{ lookup('ansible.builtin.env', 'PINNED') }}"
"""
ROLE_SPEC = """
argument_specs:
  main: {options: &options {demo_name: {type: str, required: true}}}
  other: {options: *options}
"""
LOCAL = "one: {hosts: {here: {ansible_connection: local}}}\n"


def run_ansible(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ansible-playbook in `directory` with no configuration of ours or the user's."""
    return subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), *arguments],
        cwd=directory,
        env={"PATH": os.environ["PATH"], "HOME": str(directory), "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "play.yml").write_text(PLAY)
    (tmp_path / "nobody.yml").write_text(PLAY.replace("hosts: all", "hosts: nobody"))
    (tmp_path / "hosts.yml").write_text(LOCAL)
    return tmp_path


@pytest.fixture
def guarded(directory):
    plugins = directory / "plays" / "callback_plugins"
    plugins.mkdir(parents=True)
    (plugins / "pinned.py").write_text(CALLBACK)
    for name in ("play.yml", "nobody.yml"):
        (directory / name).rename(directory / "plays" / name)
    return directory


@pytest.mark.parametrize(
    "arguments",
    first_of([["nobody.yml"], ["play.yml", "--tags", "nosuch"], ["play.yml", "--skip-tags", "all"]]),
    ids=" ".join,
)
def test_without_a_callback_a_run_that_does_nothing_ends_with_zero(directory, arguments):
    assert run_ansible(directory, "-i", "hosts.yml", *arguments).returncode == 0


@pytest.mark.parametrize(
    "arguments",
    first_of(
        [
            ["plays/nobody.yml"],
            ["plays/play.yml"],
            ["plays/play.yml", "--tags", "nosuch"],
            ["plays/play.yml", "--skip-tags", "all"],
            ["plays/play.yml", "--start-at-task", "nosuch"],
        ]
    ),
    ids=" ".join,
)
def test_callback_beside_the_playbook_sets_the_exit_code_without_configuration(guarded, arguments):
    assert run_ansible(guarded, "-i", "hosts.yml", *arguments).returncode == 42


def test_what_the_callback_puts_into_the_environment_is_seen_by_every_task(guarded):
    assert "said from the callback" in run_ansible(guarded, "-i", "hosts.yml", "plays/play.yml").stdout


def test_limit_to_no_host_fails_before_any_callback(guarded):
    assert run_ansible(guarded, "-i", "hosts.yml", "plays/play.yml", "--limit", "nosuch").returncode not in {0, 42}


@pytest.mark.parametrize(("entry", "refused"), [("other", True), ("other.yml", False)])
def test_tasks_from_with_an_extension_skips_the_argument_specification(directory, entry, refused):
    role = directory / "roles" / "demo"
    parts = {"meta/argument_specs.yml": ROLE_SPEC, "tasks/other.yml": "[]\n", "tasks/main.yml": "[]\n"}
    for name, text in parts.items():
        (role / name).parent.mkdir(parents=True, exist_ok=True)
        (role / name).write_text(text)
    (directory / "call.yml").write_text(
        "- hosts: all\n  gather_facts: false\n  tasks:\n    - name: Call\n"
        f"      ansible.builtin.include_role: {{name: demo, tasks_from: {entry}}}\n"
    )
    assert (run_ansible(directory, "-i", "hosts.yml", "call.yml").returncode != 0) == refused


STOP = str(ROOT / "playbooks" / "failsafe_stop.yml")
ESTATE = """
trading_hosts: {hosts: {here: {ansible_connection: local, ansible_python_interpreter: "{{ ansible_playbook_python }}"}}}
"""


@pytest.mark.parametrize(
    "inventory",
    first_of([ESTATE.replace("trading_hosts", "trading_host"), "{}\n"]),
    ids=["group typo", "empty inventory"],
)
def test_raw_stop_without_a_trading_host_says_so_and_ends_with_twelve(tmp_path, inventory):
    (tmp_path / "hosts.yml").write_text(inventory)
    run = run_ansible(tmp_path, "-i", "hosts.yml", STOP)
    assert run.returncode == 12
    assert "NOTHING WAS STOPPED" in run.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    "arguments",
    first_of([["-i", "hosts.yml", "--limit", "nosuchhost"], ["-i", "missing.yml"], ["-i", "broken.yml"]]),
    ids=["limit to nobody", "missing inventory", "broken inventory"],
)
def test_raw_stop_without_a_usable_inventory_never_ends_with_zero(tmp_path, arguments):
    (tmp_path / "hosts.yml").write_text(ESTATE)
    (tmp_path / "broken.yml").write_text("trading_hosts: [\n")
    assert run_ansible(tmp_path, *arguments, STOP).returncode != 0
