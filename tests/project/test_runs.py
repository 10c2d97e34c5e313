"""Whole runs of raw ansible-playbook on this machine, without an engine: what the plugin makes of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.estate import runbook
from tests.tiers import first_of

ROOT = Path(__file__).resolve().parents[2]
ANSIBLE = Path(sys.executable).parent / "ansible-playbook"
SOON_SECONDS = 60
"""Far above what a run takes that reaches nobody: these tests run two at once, and give way to those on lab hosts."""


@pytest.fixture
def estate(tmp_path: Path) -> Path:
    """An inventory of two trading hosts: this machine without an engine, and one that refuses connections."""
    hosts = {
        "here": {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "trading_core_state_path": str(tmp_path / "state"),
            "trading_core_docker_url": f"unix://{tmp_path}/no.sock",
        },
        "away": {"ansible_host": "127.0.0.1", "ansible_port": 1},
    }
    path = tmp_path / "hosts.json"
    path.write_text(json.dumps({"trading_hosts": {"hosts": hosts}}))
    return path


def play(
    name: str, inventory: Path, *options: str, root: Path = ROOT, timeout_seconds: float = 280, **environment: str
) -> tuple[int, str, str]:
    """Return exit code, last line and the whole output of a run from another directory without ansible.cfg."""
    done = subprocess.run(
        [str(ANSIBLE), "-i", str(inventory), str(root / "playbooks" / f"{name}.yml"), *options],
        cwd=inventory.parent,
        env={**os.environ, "ANSIBLE_HOME": str(inventory.parent / "home"), **environment},
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
        check=False,
    )
    return done.returncode, done.stdout.rstrip().rsplit("\n", 1)[-1], done.stdout + done.stderr


def test_silent_engine_and_dead_host_are_unknown_and_both_named(estate):
    code, verdict, output = play("failsafe_stop", estate, "-e", "reason=test")
    assert code == 10, output
    assert verdict.startswith("VERDICT 10 failsafe_stop: NOT PROVEN: UNKNOWN:")
    assert "here: Nothing is known of the bots" in verdict
    assert "away: did not answer (" in verdict
    assert "very machine" not in verdict, "the inventory says that it is this one"
    assert json.loads((estate.parent / "state" / "halt.json").read_text())["reason"] == "test"


def test_two_names_for_this_machine_are_unknown_and_both_named(estate):
    known = json.loads(estate.read_text())
    known["trading_hosts"]["hosts"]["away"] = known["trading_hosts"]["hosts"]["here"]
    estate.write_text(json.dumps(known))
    code, verdict, output = play("failsafe_stop", estate, "-e", "reason=test")
    assert (code, "here and away are one machine" in verdict) == (10, True), output


@pytest.mark.parametrize(
    ("where", "words", "is_right"),
    first_of(
        [
            ("words", ["-e", "ansible_connection=local"], False),
            ("nowhere", ["-c", "local"], False),
            ("inventory", [], True),
        ]
    ),
)
def test_this_machine_is_right_where_the_inventory_says_so_and_not_where_somebody_typed_it(
    estate, where, words, is_right
):
    known = json.loads(estate.read_text())
    del known["trading_hosts"]["hosts"]["away"]
    if where != "inventory":
        del known["trading_hosts"]["hosts"]["here"]["ansible_connection"]
    estate.write_text(json.dumps(known))
    code, verdict, output = play("failsafe_stop", estate, "-e", "reason=test", *words)
    assert "here: " in verdict and "Nothing is known of the bots" in verdict, output
    assert (code, "answers from the very machine that this runs on" in verdict) == (10, not is_right), output


def test_nonsense_in_every_variable_of_the_stop_does_not_refuse_it(estate):
    nonsense = {
        "reason": ["x"],
        "scope": 7,
        "grace_period_seconds": "soon",
        "trading_core_bot_services": 3,
        "trading_core_grace_period_seconds": {"a": 1},
        "trading_core_bot_images": "one",
    }
    code, verdict, output = play("failsafe_stop", estate, "-e", json.dumps(nonsense))
    assert code == 10, output
    assert (estate.parent / "state" / "halt.json").exists()
    assert "NOT PROVEN: UNKNOWN" in verdict


@pytest.mark.parametrize(
    "variable",
    first_of(
        ["trading_core_notification_urls", "trading_core_prometheus_password", "trading_core_open_orders_password"]
    ),
)
def test_a_secret_of_a_vault_that_is_not_open_does_not_end_the_stop(estate, variable):
    known = json.loads(estate.read_text())
    known["trading_hosts"]["vars"] = {variable: "{{ vault_secret }}"}
    estate.write_text(json.dumps(known))
    code, verdict, output = play("failsafe_stop", estate, "-e", "reason=test")
    assert (code, "here: Nothing is known of the bots" in verdict) == (10, True), output
    assert (estate.parent / "state" / "halt.json").exists()


@pytest.mark.parametrize("form", first_of([["-e", "{}"], ["--extra-vars", "{}"], ["--extra-vars={}"]]), ids=" ".join)
def test_reason_in_words_reaches_the_latch_as_it_was_typed(estate, form):
    words = """bars {{ look }} "wrong" {% at $(p99) = 700 \\ms; it's – ø!"""
    options = [option.replace("{}", f"reason={words}") for option in form]
    done = subprocess.run(
        [str(ROOT / "runbook"), "failsafe_stop", "-i", str(estate), *options],
        env={**os.environ, "ANSIBLE_HOME": str(estate.parent / "home")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 10, done.stdout + done.stderr
    assert json.loads((estate.parent / "state" / "halt.json").read_text())["reason"] == words


def test_a_host_without_python_is_named_with_what_to_type_there_and_what_the_first_wave_said(estate, tmp_path):
    known = json.loads(estate.read_text())
    known["trading_hosts"]["hosts"]["here"]["ansible_python_interpreter"] = "/nonexistent/python3"
    del known["trading_hosts"]["hosts"]["away"]
    estate.write_text(json.dumps(known))
    (tmp_path / "said").write_text("here|proven|1 stopped, latched (INC-1)\nother|proven|x\nnonsense\n")
    code, verdict, output = play(
        "failsafe_stop", estate, "-e", "reason=test", TRADING_CORE_FIRST_WAVE_FILE=str(tmp_path / "said")
    )
    assert code == 10, output
    assert "the first wave said of here: proven: 1 stopped, latched (INC-1)" in verdict
    assert "NEXT: sudo trading-halt (on here; runbooks/Incident_Handling.md 4.1, By hand, at the host)" in verdict


@pytest.mark.faults
def test_a_venue_that_the_estate_names_and_nobody_could_ask_is_no_matter_of_a_stop_that_is_not_proven(estate):
    code, verdict, _ = play(
        "failsafe_stop", estate, "-e", "reason=test", "-e", "trading_core_open_orders_url={{ vault_venue }}"
    )
    assert (code, "NOT PROVEN: UNKNOWN" in verdict) == (10, True)


def test_dry_run_leaves_no_latch_and_says_so(estate):
    code, verdict, _ = play("failsafe_stop", estate, "--check")
    assert (code, "DRY RUN: nothing was changed" in verdict) == (10, True)  # the hosts could not be looked at
    assert not (estate.parent / "state").exists()


@pytest.mark.parametrize(
    "narrowed",
    first_of([["--tags", "nosuch"], ["--skip-tags", "all"], ["--start-at-task", "nosuch"], ["--limit", "localhost"]]),
    ids=" ".join,
)
def test_a_stop_that_does_nothing_is_never_zero(estate, narrowed):
    code, verdict, output = play("failsafe_stop", estate, *narrowed)
    assert code != 0, output
    assert not (estate.parent / "state").exists()
    if code == 12:
        assert "NOTHING WAS STOPPED" in verdict


@pytest.mark.parametrize(
    "content",
    first_of(
        [
            "trading_host: {hosts: {h: {}}}\n",
            None,
            "",
            "all: {}\n",
            "trading_hosts: {hosts: {}}\n",
            "{ not: yaml",
            "- a\n- b\n",
        ]
    ),
    ids=["typo in the group", "missing", "empty", "no group", "empty group", "bad YAML", "a list"],
)
def test_an_inventory_without_trading_hosts_is_never_zero(tmp_path, content):
    inventory = tmp_path / "hosts.yml"
    if content is not None:
        inventory.write_text(content)
    assert play("failsafe_stop", inventory)[0] != 0
    wrapped = runbook("failsafe_stop", "-i", str(inventory))
    assert wrapped.code == 12
    assert "NOTHING WAS STOPPED" in wrapped.verdict
    assert wrapped.seconds < SOON_SECONDS


@pytest.mark.faults
def test_host_left_out_by_a_limit_is_missed(estate):
    code, verdict, _ = play("failsafe_stop", estate, "--limit", "here")
    assert (code, "away: no result" in verdict) == (10, True)


def test_missing_variable_is_wrong_usage_and_named_once(estate):
    code, verdict, _ = play("bot_stop", estate)
    assert code == 2
    assert verdict.count("missing required arguments: mode") == 1


def test_refused_release_ends_with_thirteen(estate):
    (estate.parent / "state").mkdir()
    (estate.parent / "state" / "halt.json").write_text('{"scope": "all", "incident_ids": ["INC-1"]}')
    here = json.loads(estate.read_text())
    del here["trading_hosts"]["hosts"]["away"]
    estate.write_text(json.dumps(here))
    code, verdict, _ = play("halt_release", estate, "-e", "incident_id=INC-2")
    assert (code, f"NEXT: ./runbook halt_release -i {estate} -e incident_id=INC-1" in verdict) == (13, True)
    assert (estate.parent / "state" / "halt.json").exists()
    code, verdict, _ = play("halt_release", estate, "-e", "incident_id=INC-1")
    assert (code, "PROVEN: here: Halt latch lifted for INC-1" in verdict) == (0, True)


def test_play_that_names_no_proof_cannot_be_green(estate, tmp_path):
    root = tmp_path / "checkout"
    for name in ("playbooks", "roles", "library", "module_utils"):
        shutil.copytree(ROOT / name, root / name, symlinks=True)
    (root / "playbooks" / "loose.yml").write_text(
        "- name: Loose\n  hosts: here\n  gather_facts: false\n  tasks:\n    - ansible.builtin.debug:\n"
    )
    code, verdict, _ = play("loose", estate, root=root)
    assert (code, "names no proof" in verdict) == (1, True)


def test_control_characters_of_a_result_never_reach_the_terminal_and_tables_keep_their_spaces(estate, tmp_path):
    root = tmp_path / "checkout"
    for name in ("playbooks", "roles", "library", "module_utils"):
        shutil.copytree(ROOT / name, root / name, symlinks=True)
    odd = "odd \x1b[2J\x1b]52;c;eA==\x07\u202ename"
    said = {"outcome": "proven", "summary": odd, "lines": [f"PASS   {odd}", "two\nlines"]}
    (root / "library" / "hostile.py").write_text(
        "from ansible.module_utils.basic import AnsibleModule\n"
        f"AnsibleModule(argument_spec={{}}).exit_json(changed=False, **{said!r})\n"
    )
    (root / "playbooks" / "odd.yml").write_text(
        "- name: Odd\n  hosts: here\n  gather_facts: false\n  vars: {must_prove: hostile}\n  tasks:\n    - hostile:\n"
    )
    code, _, output = play("odd", estate, root=root)
    shown = output.splitlines()
    assert code == 0, output
    assert [line for line in shown if not line.isprintable()] == []
    first, *lines = [line for line in shown if line.startswith("    ")]
    assert first.startswith("    here: proven: odd ")
    assert lines == [f"    PASS   {first.partition('proven: ')[2]}", "    two lines"]


@pytest.mark.parametrize(
    ("task", "expected"),
    first_of(
        [
            ("ansible.builtin.fail: {msg: no space}", 1),
            ("ansible.builtin.assert: {that: false, fail_msg: no space}", 13),
        ]
    ),
)
def test_task_of_ansibles_own_that_fails_beside_a_good_proof_is_not_zero(estate, tmp_path, task, expected):
    root = tmp_path / "checkout"
    for name in ("playbooks", "roles", "library", "module_utils"):
        shutil.copytree(ROOT / name, root / name, symlinks=True)
    released = f"kill_switch: {{state: released, incident_id: INC-1, state_path: {tmp_path}/state}}"
    (root / "playbooks" / "mixed.yml").write_text(
        "- name: Mixed\n  hosts: here\n  gather_facts: false\n  vars: {must_prove: kill_switch}\n"
        f"  tasks:\n    - {released}\n    - {task}\n"
    )
    code, verdict, output = play("mixed", estate, root=root)
    assert (code, "no space" in verdict) == (expected, True), output


@pytest.mark.parametrize(
    ("loop", "held_by", "expected", "words"),
    first_of(
        [
            (["away", "here"], "", 10, "away: did not answer ("),
            (["here"], "", 0, "PROVEN: here: "),
            (["here"], "INC-1", 13, "'INC-2' is not an incident of this latch"),
        ]
    ),
    ids=["one is away", "all answer", "one refuses"],
)
def test_a_task_that_is_handed_to_other_hosts_speaks_of_each_of_them(estate, tmp_path, loop, held_by, expected, words):
    root = tmp_path / "checkout"
    for name in ("playbooks", "roles", "library", "module_utils"):
        shutil.copytree(ROOT / name, root / name, symlinks=True)
    if held_by:
        (tmp_path / "state").mkdir()
        (tmp_path / "state" / "halt.json").write_text(json.dumps({"scope": "all", "incident_ids": [held_by]}))
    (root / "playbooks" / "handed.yml").write_text(
        "- name: Handed\n  hosts: here\n  gather_facts: false\n  vars: {must_prove: kill_switch}\n  tasks:\n"
        f"    - kill_switch: {{state: released, incident_id: INC-2, state_path: {tmp_path}/state}}\n"
        f"      delegate_to: '{{{{ item }}}}'\n      loop: {json.dumps(loop)}\n      ignore_unreachable: true\n"
    )
    code, verdict, output = play("handed", estate, root=root)
    assert (code, words in verdict, "One or more" in verdict) == (expected, True, False), output


def test_verdict_that_breaks_is_a_failure_not_a_warning(estate, tmp_path):
    root = tmp_path / "checkout"
    for name in ("playbooks", "roles", "library", "module_utils"):
        shutil.copytree(ROOT / name, root / name, symlinks=True)
    verdict_py = root / "module_utils" / "trading_ops" / "report" / "verdict.py"
    verdict_py.open("a").write("\ndef judge(run):\n    raise ValueError\n")
    code, verdict, _ = play("failsafe_stop", estate, root=root)
    assert (code, "The verdict itself broke" in verdict) == (1, True)


def test_where_nothing_says_otherwise_the_record_is_kept_beside_the_playbooks(estate, tmp_path):
    root = tmp_path / "checkout"
    for name in ("playbooks", "roles", "library", "module_utils"):
        shutil.copytree(ROOT / name, root / name, symlinks=True)
    about = ["-e", "incident_id=INC-20261121-013000-x", "-e", '{"text": "the venue answers again"}']
    _, verdict, output = play("incident_note", estate, *about, root=root, TRADING_CORE_INCIDENTS_PATH="")
    assert "undefined" not in output
    assert list((root / "incidents" / "INC-20261121-013000-x").iterdir()), verdict
