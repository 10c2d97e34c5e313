"""Playbooks: one per procedure, one play per runbook step, under the step's own title."""

from __future__ import annotations

import importlib
import json
import subprocess
from pathlib import Path

import pytest

from tests.project.repository import (
    PAGES,
    PLAYBOOKS,
    ROOT,
    STOP_PATH_ROLES,
    files,
    headings,
    load_yaml,
    play_options,
    plays,
)

playbook = pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda path: path.stem)

PLAY_KEYS = {
    "name",
    "hosts",
    "gather_facts",
    "strategy",
    "ignore_unreachable",
    "serial",
    "any_errors_fatal",
    "validate_argspec",
    "ignore_errors",
    "vars",
    "roles",
    "tasks",
}
"""No pre_tasks, handlers or prompts: a play says who, in what batches, and which roles, or its one task."""
VALUES = {"estate", "check_catalogue", "host_recall"}
"""Roles that do nothing to a host."""


def steps(name):
    """Return the plays of a procedure without its best-effort plays."""
    return [play for play in plays(ROOT / "playbooks" / f"{name}.yml") if not play["vars"].get("best_effort")]


def folded(value):
    return " ".join(value.split()) if isinstance(value, str) else value


def meta(path):
    return load_yaml(path.with_suffix(".meta.yml"))["argument_specs"]


def test_the_procedures_are_there():
    expected = {"failsafe_stop", "halt_release", "status", "feed_start", "feed_stop"}
    expected |= {"observability_start", "alerting_start", "bot_start", "bot_stop", "feed_gate", "controlled_restart"}
    assert expected <= {path.stem for path in PLAYBOOKS}


@playbook
def test_every_play_is_named_hosts_roles_and_nothing_more(playbook):
    for play in plays(playbook):
        assert play.keys() <= PLAY_KEYS, play["name"]
        assert play["hosts"] and play["roles"][0]["role"] == "estate"
        assert play["gather_facts"] is False, play["name"]


@playbook
def test_a_play_acts_by_its_roles_or_by_one_task_of_ours(playbook):
    """Several tasks, or one with logic, are a role's: there arguments are specified, and a phase is tested."""
    for play in plays(playbook):
        acting = {entry["role"] for entry in play["roles"]} - VALUES
        assert acting or play.get("tasks"), play["name"]
        for task in play.get("tasks", [])[1:]:
            pytest.fail(f"{play['name']}: {task['name']}")
        for task in play.get("tasks", []):
            if part := task.get("ansible.builtin.import_role"):
                assert task.keys() == {"name", "ansible.builtin.import_role", "vars"}, play["name"]
                assert (ROOT / "roles" / part["name"] / "tasks" / f"{part['tasks_from']}.yml").is_file()
                continue
            (module,) = task.keys() - {"name", "register", "when"}
            assert (ROOT / "library" / f"{module}.py").is_file(), f"{play['name']}: {module}"


@playbook
def test_a_play_passes_only_what_differs_from_the_roles_default(playbook):
    same = [
        (entry["role"], key)
        for play in plays(playbook)
        for entry in play["roles"]
        for key, value in entry.get("vars", {}).items()
        if folded(value) == folded(load_yaml(ROOT / "roles" / entry["role"] / "defaults" / "main.yml").get(key, ...))
    ]
    assert same == []


def test_a_step_that_procedures_share_is_none_by_itself():
    """Beside it Ansible finds no module of ours, and `./runbook` no procedure."""
    shared = [path.name for path in (ROOT / "playbooks" / "steps").iterdir() if path.name != "roles"]
    assert shared and not {*shared} & {path.name for path in PLAYBOOKS}
    assert (ROOT / "playbooks" / "steps" / "roles").readlink() == Path("../../roles")


@playbook
def test_every_play_names_a_proof_that_is_a_module_of_ours(playbook):
    for play in plays(playbook):
        # A best-effort play may name one too: what it then does not give is said to be missed.
        assert "must_prove" in play["vars"] or play["vars"].get("best_effort") is True, play["name"]
        proof = play["vars"].get("must_prove", [])
        for module in [proof] if isinstance(proof, str) else proof:
            assert (ROOT / "library" / f"{module}.py").is_file(), f"{play['name']}: {module}"


@playbook
def test_only_a_best_effort_goes_on_without_a_host_that_went_away_or_after_an_error(playbook):
    for play in plays(playbook):
        if {"ignore_unreachable", "ignore_errors"} & play.keys():
            assert play["vars"].get("best_effort") is True, play["name"]


@playbook
def test_every_play_is_a_heading_of_the_runbooks(playbook):
    known = {heading for page in PAGES for heading in headings(page)}
    assert known
    for play in plays(playbook):
        assert play["name"] in known


@playbook
def test_meta_documents_the_plays_and_the_situation(playbook):
    documented = meta(playbook)
    assert documented.keys() <= {play["name"] for play in plays(playbook)}
    first = plays(playbook)[0]["name"]
    assert documented[first]["short_description"], "./runbook list would have no line for it"


@playbook
def test_a_play_that_validates_has_a_specification(playbook):
    for play in plays(playbook):
        if play.get("validate_argspec"):
            assert play["name"] in meta(playbook)


def test_the_stop_waits_for_nobody_and_validates_nothing():
    play, *after = plays(ROOT / "playbooks" / "failsafe_stop.yml")
    assert [entry["vars"]["best_effort"] for entry in after] == [True]
    (ask,) = [task for entry in after for task in entry["tasks"]]
    assert ask.keys() == {"name", "when", "open_orders_info"}
    asked = importlib.import_module("open_orders_info").ARGUMENT_SPEC
    assert not any(option.get("required") for option in asked.values())
    for each in (play, *after):
        assert each["strategy"] == "free"
        assert not {"serial", "any_errors_fatal", "validate_argspec"} & each.keys()
    assert {entry["role"] for each in (play, *after) for entry in each["roles"]} == set(STOP_PATH_ROLES)
    assert [entry["role"] for entry in play["roles"]] == ["estate", "failsafe_stop"]
    # Nothing runs on localhost: it is there because Ansible ends a run in whose play every host fails.
    assert (play["hosts"], play["vars"]["must_prove_on"]) == ("trading_hosts:localhost", "trading_hosts")
    assert play["roles"][1]["when"] == "inventory_hostname in groups['trading_hosts'] | default([])"
    options = meta(ROOT / "playbooks" / "failsafe_stop.yml")[play["name"]]["options"]
    assert not any(option.get("required") for option in options.values())


def test_an_incident_begins_as_the_stop_and_all_that_follows_is_a_best_effort():
    stop = plays(ROOT / "playbooks" / "failsafe_stop.yml")
    incident = plays(ROOT / "playbooks" / "incident.yml")
    assert incident[: len(stop)] == stop
    assert all(play["vars"].get("best_effort") is True for play in incident[1:])
    assert not any({"serial", "any_errors_fatal", "validate_argspec"} & play.keys() for play in incident)
    assert all(play.get("ignore_unreachable") for play in incident[1:] if play["hosts"] != "localhost")
    numbers = [play["name"].split()[0] for play in incident if "must_prove" in play["vars"]]
    assert numbers == ["4.1", "4.2", "4.3", "4.4", "4.5", "5.5"]


@pytest.mark.parametrize("name", ["incident_classify", "evidence_collection"])
def test_an_incident_does_in_a_step_what_its_own_procedure_does(name):
    """Written out in both, because an incident has other plays between them, and no step of it may end the run."""

    def roles(path):
        return {
            play["name"]: ([role for role in play["roles"] if role["role"] != "host_recall"], play.get("tasks"))
            for play in plays(path)
        }

    own, incident = roles(ROOT / "playbooks" / f"{name}.yml"), roles(ROOT / "playbooks" / "incident.yml")
    assert own
    assert {step: incident[step] for step in own} == own


@pytest.mark.parametrize("name", ["bot_start", "feed_start", "observability_start", "alerting_start"])
def test_a_start_goes_one_host_at_a_time_and_ends_at_the_first_failure(name):
    *before, start = plays(ROOT / "playbooks" / f"{name}.yml")
    assert start["serial"] == 1
    for play in (*before, start):
        assert play["any_errors_fatal"] is True
        assert play["validate_argspec"] is True


def test_a_bot_only_starts_after_every_host_and_the_feed_were_looked_at():
    demands, gates, asked, start = plays(ROOT / "playbooks" / "bot_start.yml")
    assert (asked["hosts"], "serial" in asked) == (start["hosts"], False)
    assert (demands["hosts"], gates["hosts"]) == (start["hosts"], "feed_hosts")
    assert "bot_preflight_result" in start["vars"]["not_looked_at"]
    assert "not_looked_at" in start["roles"][-1]["vars"]["bot_start_mode"]


def test_the_feed_is_only_touched_after_every_bot_was_proven_stopped():
    bots, feed, ask = plays(ROOT / "playbooks" / "feed_stop.yml")
    assert ask["vars"]["best_effort"] is True
    assert (bots["hosts"], bots["vars"]["must_prove"], bots["any_errors_fatal"]) == ("trading_hosts", "bot_stop", True)
    assert feed["hosts"] == "feed_hosts"


def test_live_needs_its_confirmation_and_a_mode_has_no_default():
    demands, gates, asked, start = meta(ROOT / "playbooks" / "bot_start.yml").values()
    assert demands["options"] == gates["options"] == asked["options"] == start["options"]
    assert start["options"]["mode"]["required"] is True
    assert "default" not in start["options"]["confirm_live"]


@pytest.mark.parametrize("name", ["feed_gate", "controlled_restart"])
def test_a_gate_closes_everywhere_before_it_is_measured_and_opens_after_it(name):
    first, *_, last = steps(name)
    for play, state in ((first, "closed"), (last, "open")):
        assert (play["hosts"], play["any_errors_fatal"], play["vars"]["must_prove"]) == (
            "trading_hosts",
            True,
            "feed_gate",
        )
        assert play["roles"][-1]["vars"]["feed_gate_state"] == state


def test_a_restart_goes_one_host_at_a_time_and_never_touches_the_halt():
    _, restart, _ = steps("controlled_restart")
    assert (restart["hosts"], restart["serial"], restart["any_errors_fatal"]) == ("feed_hosts", 1, True)
    roles = [entry["role"] for play in plays(ROOT / "playbooks" / "controlled_restart.yml") for entry in play["roles"]]
    assert not {"halt_release", "bot_start"} & {*roles}


@pytest.mark.parametrize(
    "name",
    [
        *("halt_release", "controlled_restart", "strategy_change", "incident_note"),
        *("inform", "escalate", "evidence_collection", "mitigate", "service_restart", "rollback"),
    ],
)
def test_what_belongs_to_an_incident_ends_with_bringing_its_record_home(name):
    last = plays(ROOT / "playbooks" / f"{name}.yml")[-1]
    assert (last["hosts"], last["vars"]["best_effort"]) == ("control", True)
    assert last["roles"][-1]["role"] == "incident_record"


@pytest.mark.parametrize("name", ["deploy", "rollback"])
def test_a_release_is_asked_of_every_host_and_fetched_before_the_first_one_is_changed(name):
    facts, gate, *_, asked, fetched, change, record = steps(name)
    hosts = "feed_hosts:trading_hosts"
    assert [play["hosts"] for play in (facts, asked, fetched, change)] == [hosts] * 4
    assert (gate["hosts"], record["hosts"]) == ("control", "control")
    assert ["serial" in play for play in (asked, fetched)] == [False, False]
    assert (change["serial"], change["any_errors_fatal"]) == (1, True)
    assert all(play["any_errors_fatal"] for play in steps(name))
    guarded = change["roles"][-1]["vars"]["release_revision"]
    assert "not_ready" in guarded
    assert "gate.outcome != 'proven'" in guarded


def test_a_deploy_demands_everything_and_a_rollback_only_that_an_open_incident_is_named():
    def demands(name):
        return steps(name)[1]["roles"][-1]["vars"]["deploy_gate_demands"]

    assert demands("deploy") == ["incidents", "latch", "pause", "parity", "backup"]
    assert demands("rollback") == ["named"]


def test_neither_a_deploy_nor_a_rollback_has_a_role_that_starts_a_bot():
    roles = [entry["role"] for name in ("deploy", "rollback") for play in steps(name) for entry in play["roles"]]
    assert not {"bot_start", "halt_release", "feed_gate", "controlled_restart"} & {*roles}


def test_the_texts_of_a_revision_reach_no_journal():
    for name in ("release/tasks/start.yml", "release/tasks/preflight.yml"):
        (task,) = (task for task in load_yaml(ROOT / "roles" / name) if "source" in task.get("release", {}))
        assert task["vars"]["ansible_no_target_syslog"] is True, name


MIXED = [path for path in sorted((ROOT / "molecule").glob("*/*.yml")) if "import_playbook" in path.read_text("utf-8")]


@pytest.mark.parametrize("playbook", MIXED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_a_scenario_does_beside_a_procedure_is_a_best_effort_of_its_verdict(playbook):
    own = [play for play in load_yaml(playbook) if "hosts" in play]
    assert [play["name"] for play in own if play.get("vars", {}).get("best_effort") is not True] == []


def test_no_role_entry_skips_its_argument_validation():
    """tasks_from with a file extension silently skips the specification."""
    checked = [path for path in files() if path.suffix in {".yml", ".yaml"}]
    assert checked
    for path in checked:
        for line in path.read_text(encoding="utf-8").splitlines():
            name = line.partition("tasks_from:")[2].strip().strip("\"'")
            assert not name.endswith((".yml", ".yaml")), path


NO_WORDS = {
    "config_commit",
    "confirm_live",
    "confirm_restore",
    "data_corruption",
    "disable",
    "downtime_seconds",
    "enable",
    "head",
    "host",
    "id",
    "incident_id",
    "job",
    "loss_percent",
    "mlflow_database",
    "orders_per_minute",
    "release",
    "restore_set",
    "revision",
    "scale_sizing",
    "set",
    "set_path",
    "since",
    "trading_database",
    "undo",
}
"""Variables of one word: ids, numbers, times, names that a host, a file or a database has."""


def test_every_variable_that_may_hold_several_words_reaches_the_play_as_it_was_typed():
    texts = {
        name
        for path in PLAYBOOKS
        for name, option in play_options(path.stem).items()
        if option.get("type") == "str" and not option.get("choices")
    }
    assert texts >= NO_WORDS
    entry = (ROOT / "runbook").read_text(encoding="utf-8")
    function = "free_text() {" + entry.partition("\nfree_text() {")[2].partition("\n}\n")[0] + "\n}"
    typed = r'Anna {{ x }} "Berg" \1'
    cut = {}
    for name in sorted(texts - NO_WORDS):
        line = f'. breakglass/common.sh; . breakglass/stop-words.sh\n{function}\nfree_text "$1"'
        command = ["sh", "-c", line, "sh", f"{name}={typed}"]
        handed = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
        if handed.stdout != f'{{"{name}": !unsafe {json.dumps(typed)}}}':
            cut[name] = handed.stdout
    assert cut == {}
