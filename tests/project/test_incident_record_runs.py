"""Whole runs on this machine around an incident's record, through ./runbook."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project.repository import ROOT

# Several whole runs each, of up to a minute where the lab's tests run beside them.
pytestmark = pytest.mark.timeout(900)

ID = "INC-20261121-080000-gaps"


@pytest.fixture
def estate(tmp_path: Path) -> Path:
    """An inventory whose hosts are this machine: a trading and feed host without an engine, and a control host.

    Anyone who becomes another user here, or takes the hosts' interpreter on the controller, fails.
    """

    def host(name: str) -> dict[str, object]:
        return {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "ansible_become": False,
            "trading_core_state_path": str(tmp_path / name),
            "trading_core_docker_url": f"unix://{tmp_path}/no.sock",
        }

    (tmp_path / "one").mkdir()
    inventory = {
        "all": {
            "vars": {
                "ansible_become": True,
                "ansible_become_exe": "/nonexistent",
                "ansible_python_interpreter": "/nonexistent",
                "trading_core_prometheus_url": "http://127.0.0.1:1",
            },
            "children": {
                "trading_hosts": {"children": {"paper_hosts": {"hosts": {"one": host("one")}}, "live_hosts": {}}},
                "feed_hosts": {"hosts": {"one": {}}},
                "control": {"hosts": {"ctl": host("ctl")}},
            },
        }
    }
    path = tmp_path / "hosts.json"
    path.write_text(json.dumps(inventory))
    return path


def runbook(estate: Path, name: str, *options: str) -> tuple[int, str, str]:
    """Return exit code, verdict and output; copies are beside the inventory."""
    done = subprocess.run(
        [str(ROOT / "runbook"), name, "-i", str(estate), *options],
        env={
            **os.environ,
            "ANSIBLE_HOME": str(estate.parent / "home"),
            "TRADING_CORE_INCIDENTS_PATH": str(estate.parent / "copies"),
        },
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    print(done.stdout + done.stderr)
    return done.returncode, done.stdout.rstrip().rsplit("\n", 1)[-1], done.stdout


def control_goes_away(estate: Path) -> None:
    inventory = json.loads(estate.read_text())
    inventory["all"]["children"]["control"]["hosts"]["ctl"] = {"ansible_host": "127.0.0.1", "ansible_port": 1}
    estate.write_text(json.dumps(inventory))


def entries(folder: Path, name: str = "timeline.jsonl") -> list[dict[str, object]]:
    path = folder / name
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_stop_notes_itself_and_the_next_run_brings_it_home(estate):
    copies, home = estate.parent / "copies", estate.parent / "ctl" / "incidents"
    code, _, _ = runbook(estate, "failsafe_stop", "-e", "reason=gaps {{ x }}", "-e", f"incident_id={ID}")
    assert code == 10, "the engine is away"
    noted = entries(copies / ID, "pending.jsonl")
    assert [(item["kind"], item["step"], item["outcome"]) for item in noted][:3] == [
        ("detection", "", ""),
        ("step", "4.1 Stop trading (fail-safe)", ""),
        ("step", "4.1 Stop trading (fail-safe)", "unknown"),
    ]
    assert noted[0]["facts"] == {"record": {"reason": "gaps {{ x }}"}}
    assert all(item["by"] and "@" in item["origin"] for item in noted)
    assert not home.exists()

    code, verdict, _ = runbook(estate, "incident_note", "-e", f"incident_id={ID}", "-e", "text=bars {{ look }} well")
    assert (code, "bars {{ look }} well" in verdict) == (0, True)
    texts = [item["text"] for item in entries(home / ID)]
    assert texts[-1] == "bars {{ look }} well"
    assert len(texts) == len(noted) + 1 + 2, "and the phases: detection, stabilisation"
    assert (copies / ID / "timeline.jsonl").read_bytes() == (home / ID / "timeline.jsonl").read_bytes()
    assert not (copies / ID / "pending.jsonl").exists()

    (home / ID / "incident.yml").write_text("id: another\n")
    code, verdict, output = runbook(estate, "incident_verify", "-e", f"incident_id={ID}")
    assert (code, "ctl: INC-" in verdict, "localhost: INC-" in verdict) == (1, True, True)
    assert verdict.count("are what they were") == 1, "the copy is"
    assert "    incident.yml: it is not what the entries of the timeline add up to" in output


def test_while_the_control_host_is_away_the_checkout_keeps_everything_and_brings_it_home_later(estate):
    whole = estate.read_text()
    control_goes_away(estate)
    assert runbook(estate, "incident_note", "-e", f"incident_id={ID}", "-e", "text=first")[0] == 0
    said = ("-e", "category=E", "-e", "severity=critical", "-e", "reason=the venue says so")
    code, verdict, _ = runbook(estate, "incident_classify", "-e", f"incident_id={ID}", *said)
    assert (code, "Severity computed: critical" in verdict, "Category set: E" in verdict) == (0, True, True)
    code, verdict, _ = runbook(estate, "status")
    assert (code, "ctl: did not answer" in verdict) == (10, True)

    estate.write_text(whole)
    said = ("-e", "cause=a lost | stream", "-e", "actions=reno: fix it; anna: look after it")
    code, _, output = runbook(estate, "incident_close", "-e", f"incident_id={ID}", *said)
    assert (code, f"    backlog: - [ ] look after it (anna, {ID})" in output) == (0, True)
    home = entries(estate.parent / "ctl" / "incidents" / ID)
    assert [item["text"] for item in home if item["kind"] == "note"] == ["first"]
    assert {"severity", "category", "closing"} <= {item["kind"] for item in home}
    for folder in (estate.parent / "ctl" / "incidents" / ID, estate.parent / "copies" / ID):
        text = (folder / "post_mortem.md").read_text()
        assert "a lost \\| stream" in text
        assert "| reno | fix it |" in text


def test_a_refused_command_is_on_record_of_an_incident_that_is_known_and_makes_none_of_a_mistyped_id(estate):
    assert runbook(estate, "failsafe_stop", "-e", "reason=gaps", "-e", f"incident_id={ID}")[0] == 10
    copies, mistyped = estate.parent / "copies", f"{ID}s"
    code, verdict, _ = runbook(estate, "halt_release", "-e", f"incident_id={mistyped}")
    assert (code, "is not an incident of this latch" in verdict) == (13, True)
    assert [path.name for path in copies.iterdir()] == [ID]

    latch = estate.parent / "one" / "halt.json"
    latch.write_text(json.dumps(json.loads(latch.read_text()) | {"incident_ids": ["INC-20261121-070000-other"]}))
    assert runbook(estate, "halt_release", "-e", f"incident_id={ID}")[0] == 13
    assert [item["outcome"] for item in entries(copies / ID, "pending.jsonl")][-2:] == ["", "refused"]


MODULE = """#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule
AnsibleModule({}).exit_json(outcome="proven", summary="", changed=CHANGED, latch={"engaged": True})
"""


@pytest.mark.parametrize(
    ("proof", "has_changed", "is_noted"),
    [
        pytest.param("repair", True, True, id="a run that dies after it has left its notes"),
        pytest.param("repair", False, False, id="nothing was done"),
        pytest.param("kill_switch", True, False, id="a stop in the middle waits for no disk"),
    ],
)
def test_notes_for_an_incident_that_the_checkout_does_not_know_begin_with_the_first_change(
    tmp_path, proof, has_changed, is_noted
):
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / f"{proof}.py").write_text(MODULE.replace("CHANGED", str(has_changed)))
    noted = tmp_path / "copies" / ID / "pending.jsonl"
    look = {"name": "Look", "ansible.builtin.stat": {"path": str(noted)}, "register": "seen"}
    say = {"name": "Say", "ansible.builtin.debug": {"msg": "noted meanwhile: {{ seen.stat.exists }}"}}
    tasks = [{"name": "Act", proof: None}, look, say]
    step = {"name": "1 Act", "hosts": "localhost", "gather_facts": False, "vars": {"must_prove": proof}, "tasks": tasks}
    (tmp_path / "fix.yml").write_text(json.dumps([step]))
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), "fix.yml", "-e", f"incident_id={ID}"],
        cwd=tmp_path,
        env={
            **os.environ,
            "ANSIBLE_HOME": str(tmp_path / "home"),
            "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "playbooks" / "callback_plugins"),
            "TRADING_CORE_INCIDENTS_PATH": str(tmp_path / "copies"),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert f"noted meanwhile: {is_noted}" in done.stdout, done.stdout + done.stderr
    assert [item["text"] for item in entries(noted.parent, noted.name)][:1] == ["begins"], "at the latest at its end"


@pytest.mark.faults
def test_an_incident_stays_open_until_cause_and_owners_are_said(estate):
    noted = ("-e", f"incident_id={ID}", "-e", "category=E", "-e", "severity=critical", "-e", "reason=the venue says so")
    assert runbook(estate, "incident_classify", *noted)[0] == 0
    code, verdict, output = runbook(estate, "status")
    assert (code, f"1 open incident: {ID}" in verdict) == (10, True)
    assert f"    OPEN  {ID}  since " in output
    code, verdict, _ = runbook(estate, "incident_close", "-e", f"incident_id={ID}")
    assert (code, "nobody has said the cause" in verdict) == (13, True)
    said = ("-e", "cause=a lost stream", "-e", "actions=reno: fix it")
    assert runbook(estate, "incident_close", "--check", "-e", f"incident_id={ID}", *said)[0] == 0
    assert not (estate.parent / "ctl" / "incidents" / ID / "post_mortem.md").exists()
    assert runbook(estate, "incident_close", "-e", f"incident_id={ID}", *said)[0] == 0
    assert "no open incident" in runbook(estate, "incident_info")[1]


@pytest.mark.faults
def test_a_dry_run_notes_nothing(estate):
    for command in (
        ("failsafe_stop", "-e", "reason=x"),
        ("incident_note", "-e", f"incident_id={ID}", "-e", "text=x"),
        ("incident_classify", "-e", f"incident_id={ID}"),
    ):
        assert runbook(estate, *command, "--check")[0] in {0, 10}
    assert not (estate.parent / "copies").exists()
    assert not (estate.parent / "ctl").exists()


def test_a_checkout_that_cannot_be_written_changes_neither_verdict_nor_exit_code(estate):
    (estate.parent / "copies").write_text("in the way")
    code, verdict, _ = runbook(estate, "failsafe_stop", "-e", "reason=x")
    assert (code, verdict.startswith("VERDICT 10 failsafe_stop: NOT PROVEN: UNKNOWN:")) == (10, True)
    assert (estate.parent / "one" / "halt.json").exists()
