"""Roles: what is specified is what is there, and what is dangerous is not."""

from __future__ import annotations

import importlib
import re
from itertools import pairwise

import pytest

from tests.project.repository import PLAYBOOKS, ROLES, ROOT, STOP_PATH_ROLES, blocks, load_yaml, plays, role_tasks

role = pytest.mark.parametrize("role", ROLES, ids=lambda path: path.name)
specified = pytest.mark.parametrize(
    "role", [path for path in ROLES if path.name not in STOP_PATH_ROLES], ids=lambda path: path.name
)
PHASES = {"preflight", "collect", "install", "start", "stop", "restore", "verify", "report"}
DEMANDED_NEXT = {
    *(("bot_start", name) for name in ("main", "start", "verify", "stop")),
    *(("release", name) for name in ("main", "start", "verify", "restore")),
    ("incident_facts", "main"),
}
GOES_ON = "feed_side_stop"
"""For best-effort plays only: a failure on the only feed host would end the run before anybody is informed."""
SHARED_PREFIX = {"estate": "trading_core_"}


def spec_options(path):
    specs = load_yaml(path / "meta" / "argument_specs.yml")["argument_specs"].values()
    return {key: option for spec in specs for key, option in spec["options"].items()}


def defaults(path):
    return load_yaml(path / "defaults" / "main.yml") or {}


def test_there_are_roles():
    assert {"estate", "failsafe_stop", "bot_start", "bot_stop"} <= {path.name for path in ROLES}


@specified
def test_an_option_has_a_default_or_is_required(role):
    """Only defaults/main.yml says it: Ansible would template one of a specification where nothing reads it."""
    options = spec_options(role)
    assert not [key for key, option in options.items() if "default" in option]
    assert options.keys() == defaults(role).keys() | {key for key, option in options.items() if option.get("required")}
    assert not [key for key in defaults(role) if options[key].get("required")]


@specified
def test_ansible_validates_what_a_role_is_given(role):
    entries = [*load_yaml(role / "meta" / "argument_specs.yml")["argument_specs"]]
    tasks = [task for path in PLAYBOOKS for play in plays(path) for task in play.get("tasks", [])]
    asked = [task["ansible.builtin.import_role"] for task in tasks if "ansible.builtin.import_role" in task]
    assert entries == ["main", *dict.fromkeys(part["tasks_from"] for part in asked if part["name"] == role.name)]


def test_the_stop_says_above_each_default_what_it_is():
    lines = (ROOT / "roles" / "failsafe_stop" / "defaults" / "main.yml").read_text(encoding="utf-8").splitlines()
    described = [line.partition(":")[0] for above, line in pairwise(lines) if above.startswith("# ") and ":" in line]
    assert described == [*defaults(ROOT / "roles" / "failsafe_stop")]


@specified
def test_an_option_says_type_and_meaning(role):
    for key, option in spec_options(role).items():
        assert option["type"] and option["description"], key


@role
def test_public_names_carry_the_roles_name(role):
    options = defaults(role) if role.name in STOP_PATH_ROLES else spec_options(role)
    assert all(key.startswith(SHARED_PREFIX.get(role.name, f"{role.name}_")) for key in options)


@pytest.mark.parametrize("name", STOP_PATH_ROLES)
def test_nothing_on_the_stops_path_is_validated(name):
    """The estate holds secrets too, and to validate one that is not there ends a stop."""
    assert not (ROOT / "roles" / name / "meta").exists()


def test_nothing_that_tunes_a_stop_can_be_refused_by_its_module():
    options = importlib.import_module("kill_switch").ARGUMENT_SPEC
    assert {key for key, option in options.items() if option.get("required") or "choices" in option} == {"state"}
    assert {key: option["type"] for key, option in options.items() if option["type"] != "raw"} == {
        "state": "str",
        "state_path": "path",
        "docker_url": "str",
    }


@role
def test_no_task_swallows_a_failure_or_reaches_for_a_shell(role):
    for path, task in role_tasks(role):
        where = f"{path.name}: {task.get('name')}"
        assert task.get("name"), f"{path.name} has a task without a name"
        assert "ignore_errors" not in task, where
        assert "ignore_unreachable" not in task or (role.name, path.stem) in DEMANDED_NEXT, where
        assert not any(key.rpartition(".")[2] in {"shell", "raw"} for key in task), where
        assert not any(key.rpartition(".")[2] == "command" and "argv" not in task[key] for key in task), where


@role
def test_a_phase_file_has_a_fixed_name_and_few_tasks(role):
    for path in (role / "tasks").glob("*.yml"):
        assert path.stem in PHASES | {"main"}, path.name
        assert 1 <= len(load_yaml(path)) <= 10, path.name


def test_the_stop_is_one_task():
    """A kill must not depend on the next task getting its turn. The other task is the same one without root."""
    (task,) = load_yaml(ROOT / "roles" / "failsafe_stop" / "tasks" / "main.yml")
    (first,), (without_root,) = task["block"], task["rescue"]
    assert first["kill_switch"] == without_root["kill_switch"]
    assert without_root["vars"] == {"ansible_become": False}


@pytest.mark.parametrize(
    "name",
    [
        "bot_start",
        "controlled_restart",
        "feed_stack",
        "host_setup",
        "monitoring_setup",
        "strategy_change",
        "service_restart",
        "release",
    ],
)
def test_what_changes_a_host_takes_the_lease_and_gives_it_back_also_after_a_failure(name):
    tasks = load_yaml(ROOT / "roles" / name / "tasks" / "main.yml")
    (work,) = [task for task in tasks if "block" in task]
    if name in {
        "bot_start",
        "release",
    }:  # what fails on the second host is rescued from its lease on: the first is changed
        assert work["rescue"]
    else:
        assert "rescue" not in work
    # In the block, where one host's refusal has to give back what the others took; else right before it.
    take = next(task for task in [*tasks[: tasks.index(work)][::-1][:1], *work["block"]] if "state_lease" in task)
    assert take["state_lease"]["state"] == "present"
    assert [task["state_lease"]["state"] for task in work["always"]] == ["absent"]


@role
def test_a_rescue_fails_again(role):
    """failsafe_stop's rescue is the same stop once more, and fails by itself."""
    for path in (role / "tasks").glob("*.yml"):
        for block in blocks(load_yaml(path)):
            for last in block.get("rescue", [])[-1:]:
                imported = last.get("ansible.builtin.import_tasks")
                task = load_yaml(path.with_name(imported))[-1] if imported else last
                if role.name == GOES_ON:
                    assert last["ansible.builtin.meta"] == "noop"
                    continue
                again = "kill_switch" in task and task["kill_switch"] == block["block"][0].get("kill_switch")
                assert again or "ansible.builtin.fail" in task, path


def test_what_goes_on_after_a_failure_is_a_best_effort_everywhere():
    found = [
        play for path in PLAYBOOKS for play in plays(path) if GOES_ON in [entry["role"] for entry in play["roles"]]
    ]
    assert found
    assert all(play["vars"]["best_effort"] is True for play in found)


def test_anyone_who_lets_a_host_be_unreachable_demands_its_word_next():
    """A feed host that is gone would take the trading host out of the play, and no rescue would run."""
    start = ROOT / "roles" / "bot_start" / "tasks"
    watch, demand = load_yaml(start / "verify.yml")
    assert (watch["ignore_unreachable"], watch["any_errors_fatal"]) == (True, False)
    assert any(
        "default='unknown'" in that and "['proven']" in that for that in demand["ansible.builtin.assert"]["that"]
    )
    halt, end = load_yaml(start / "stop.yml")
    assert (halt["ignore_unreachable"], "ansible.builtin.fail" in end) == (True, True)
    facts, *others = load_yaml(ROOT / "roles" / "incident_facts" / "tasks" / "main.yml")
    assert facts["register"] == "incident_facts_host", "classified as a host that did not answer"
    assert all("incident_facts_host.outcome is defined" in task["when"] for task in others)
    (whole,) = load_yaml(start / "main.yml")
    for tasks in (whole["block"], load_yaml(start / "start.yml")[0]["block"]):
        for task, after in pairwise(tasks):
            if task.get("ignore_unreachable"):
                assert task["any_errors_fatal"] is False, "Ansible would end the host before the next task"
                if "feed_info" not in task:  # the module that starts the bot demands what it has to say
                    assert "default('unknown') in ['proven', 'planned']" in after["ansible.builtin.assert"]["that"]


def test_a_host_that_falls_silent_in_a_release_is_noticed_and_keeps_no_other_from_going_back():
    release = ROOT / "roles" / "release" / "tasks"
    for name in ("start", "verify"):
        tasks = load_yaml(release / f"{name}.yml")
        for act, demand in zip(tasks[::2], tasks[1::2], strict=True):
            assert (act["ignore_unreachable"], act["any_errors_fatal"]) == (True, False)
            said = str(demand["ansible.builtin.assert"]["that"])
            assert "default('unknown')" in said or "default='unknown'" in said
    back, _, end = load_yaml(release / "restore.yml")
    assert (back["ignore_unreachable"], back["any_errors_fatal"]) == (True, False)
    expected = ["state_lease", "kill_switch_info", "release", "wait_for_metrics", "release_record"]
    assert [key for task in back["block"] for key in task if key in expected] == expected
    assert [task["state_lease"]["state"] for task in back["always"]] == ["absent"]
    assert "ansible.builtin.fail" in end


@pytest.mark.parametrize("name", [*STOP_PATH_ROLES, "bot_stop"])
def test_a_stop_never_asks_for_the_lease(name):
    assert not [task for _, task in role_tasks(ROOT / "roles" / name) if "state_lease" in task]


LOGIC = re.compile(r"\.(when|that|until|failed_when|changed_when|loop)(\[\d+\])?$")
"""Values that are an expression without braces."""


def expressions(value, path=""):
    """Yield each expression in a YAML document with the path to it."""
    if isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from expressions(each, f"{path}[{key}]" if isinstance(value, list) else f"{path}.{key}")
    elif isinstance(value, str):
        found = re.findall(r"{{.*?}}|{%.*?%}", value, re.DOTALL)
        yield from ((path, each) for each in found or ([value] if LOGIC.search(path) else []))


def test_what_takes_four_filters_is_a_function_with_rows():
    files = [path for folder in ("playbooks", "roles") for path in (ROOT / folder).rglob("*.yml")]
    found = {
        (path.relative_to(ROOT).as_posix(), key)
        for path in files
        for key, each in expressions(load_yaml(path))
        if re.sub(r"'[^']*'", "", each).count("|") >= 4
    }
    assert found == set()


def test_lists_are_joined_in_an_order_that_lasts():
    """`union` and `intersect` give another order in every run, and rules and dashboards that differ in nothing else."""
    files = [path for folder in ("playbooks", "roles") for path in (ROOT / folder).rglob("*.yml")]
    assert [
        path.relative_to(ROOT).as_posix()
        for path in files
        if re.search(r"\|\s*(union|intersect|symmetric_difference)\b", path.read_text(encoding="utf-8"))
    ] == []


def test_the_controllers_time_does_not_depend_on_its_zone():
    """`now(utc=true)` has no zone, and `timestamp()` takes it for local time: an hour off in Copenhagen."""
    files = [path for folder in ("playbooks", "roles") for path in (ROOT / folder).rglob("*.yml")]
    assert [path for path in files if ".timestamp()" in path.read_text(encoding="utf-8")] == []
