"""Whole starts of bots on this machine, over an ssh that loses hosts. What needs an engine says what it is told."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.project.repository import ROOT
from tests.project.test_runs import play
from tests.tiers import first_of

# Several whole runs each, of up to a minute where the lab's tests run beside them.
pytestmark = pytest.mark.timeout(900)

SSH = """#!/bin/sh
# A host is away while its file `away` holds a number of connections that fail; a module may write it and never answer.
for last; do :; done
away={home}/away
if [ -s "$away" ]; then
  left=$(($(cat "$away") - 1))
  [ "$left" -gt 0 ] && echo "$left" >"$away" || rm "$away"
  exit 255
fi
sh -c "$last"
code=$?
[ -s "$away" ] && exit 255
exit $code
"""

MODULE = """
import json, pathlib
from ansible.module_utils.basic import AnsibleModule

def main():
    home, name = pathlib.Path("{home}"), "{name}"
    module = AnsibleModule(argument_spec={options!r}, supports_check_mode=True)
    host = pathlib.Path(module.params.get("state_path") or home / "one" / "state").parent
    words = [name, host.name, *(module.params.get("services") or [])]
    with open(home / "calls", "a") as calls:
        calls.write(" ".join(words) + ("" if not module.check_mode else " (check)") + chr(10))
    said = json.loads((home / "said.json").read_text()).get(" ".join(words), {{}})
    for lost, connections in said.get("away", {{}}).items():
        (home / lost / "away").write_text(str(connections))
    result = {{"outcome": "planned" if module.check_mode else "proven", "summary": name, "next_command": ""}}
    result |= {{"bots": [], "latch": {{"engaged": name == "kill_switch"}}}}
    result |= {{"guard": {{"state": "active"}}, "feed": {{"host": "one"}}, "host_epoch": 0}}
    result.update(said)
    if result["outcome"] in ("proven", "planned"):
        module.exit_json(**result)
    module.fail_json(msg=result["summary"], **result)

main()
"""
FAKED = ["compose_services", "feed_info", "kill_switch", "kill_switch_info", "model_kpis_info", "wait_for_metrics"]
ROLE = """
- name: Start
  hosts: paper_hosts
  gather_facts: false
  serial: 1
  any_errors_fatal: true
  vars: {{must_prove: compose_services}}
  roles:
    - role: estate
    - role: bot_start
      vars:
        bot_start_mode: paper
        bot_start_run_id: run
        bot_start_base_services: [gui]
        bot_start_state_path: "{{{{ trading_core_state_path }}}}"
        bot_start_feed_hosts: [one]
        bot_start_trading_hosts: [one, two, three]
        bot_start_checks: [{{gates: [watch]}}]
        bot_start_incident_run_id: 20261121-013000
"""

RESTART = """
- name: Restart
  hosts: feed_hosts
  gather_facts: false
  vars: {must_prove: compose_services}
  roles:
    - role: estate
    - role: controlled_restart
      vars:
        controlled_restart_run_id: run
        controlled_restart_reason: test
        controlled_restart_profiles: [feed]
        controlled_restart_state_path: "{{ trading_core_state_path }}"
"""


class Estate:
    """Three trading hosts, two of them for paper, the feed on the first."""

    def __init__(self, home: Path) -> None:
        self.home, self.checkout, self.inventory = home, home / "checkout", home / "hosts.json"
        for name in ("playbooks", "roles", "library", "module_utils"):
            shutil.copytree(ROOT / name, self.checkout / name, symlinks=True)
        (self.checkout / "playbooks" / "start.yml").write_text(ROLE.format())
        (self.checkout / "playbooks" / "restart.yml").write_text(RESTART)
        for name in FAKED:
            options = {key: {"type": "raw"} for key in _options(name)}
            path = self.checkout / "library" / f"{name}.py"
            path.write_text(MODULE.format(home=home, name=name, options=options))
        hosts = {}
        for host in ("one", "two", "three"):
            (home / host / "state").mkdir(parents=True)
            ssh = home / host / "ssh"
            ssh.write_text(SSH.format(home=home / host))
            ssh.chmod(0o755)
            hosts[host] = {
                "ansible_connection": "ssh",
                "ansible_host": host,
                "ansible_ssh_executable": str(ssh),
                "ansible_ssh_args": "-o ControlMaster=no",
                "ansible_ssh_pipelining": True,
                "ansible_python_interpreter": sys.executable,
                "trading_core_state_path": str(home / host / "state"),
            }
        paper = {"hosts": {host: hosts[host] for host in ("one", "two")}}
        groups = {"paper_hosts": paper, "live_hosts": {"hosts": {"three": hosts["three"]}}}
        feed = {"hosts": {"one": {}}}
        self.inventory.write_text(json.dumps({"trading_hosts": {"children": groups}, "feed_hosts": feed}))

    def start(self, *options: str, name: str = "start", **said: dict[str, Any]) -> tuple[int, str, list[str]]:
        """Run it. `said` is what a module says instead, by its name, host and services. Return code, verdict, calls."""
        (self.home / "said.json").write_text(json.dumps({key.replace("__", " "): value for key, value in said.items()}))
        catalogue = json.dumps({"check_catalogue_checks": [{"gates": ["feed", "start", "watch", "live"]}]})
        code, verdict, output = play(
            name, self.inventory, "-e", catalogue, *options, root=self.checkout, timeout_seconds=300
        )
        print(output)
        calls = self.home / "calls"
        return code, verdict, calls.read_text().splitlines() if calls.exists() else []

    def halted(self, calls: list[str]) -> list[str]:
        return [call.split()[1] for call in calls if call.startswith("kill_switch ")]


def _options(name: str) -> list[str]:
    return list(importlib.import_module(name).ARGUMENT_SPEC)


@pytest.fixture
def estate(tmp_path: Path) -> Estate:
    return Estate(tmp_path)


@pytest.mark.faults
def test_a_start_of_two_hosts_is_watched_on_each_and_halts_none(estate):
    code, verdict, calls = estate.start()
    assert (code, estate.halted(calls)) == (0, []), verdict
    assert [call for call in calls if "bot" in call] == ["compose_services one bot", "compose_services two bot"]
    assert not list(estate.home.glob("*/state/lease.json"))


LOST: dict[str, tuple[str, dict[str, Any]]] = {
    "in the watch, as the feed is on it": ("wait_for_metrics__one", {"away": {"one": 1}}),
    "when its bot was started": ("compose_services__one__bot", {"away": {"one": 1}}),
    "and is the second one, before its turn": ("compose_services__one__bot", {"away": {"two": 1}}),
}


@pytest.mark.parametrize(("call", "said"), first_of(LOST.values()), ids=LOST)
def test_a_host_that_goes_away_for_a_moment_is_halted_and_all_others_too(estate, call, said):
    code, verdict, calls = estate.start(**{call: said})
    assert (code, {*estate.halted(calls)}) == (10, {"one", "two", "three"}), verdict
    assert "failed; every trading host was halted" in verdict
    assert "A task failed" not in verdict
    assert "compose_services two bot" not in calls


@pytest.mark.faults
def test_a_start_that_somebody_stops_meanwhile_says_who_and_why(estate):
    held = "The halt latch is engaged (all) since 01:30 by kim: bars look wrong [INC-1]"
    watch = {"outcome": "refused", "summary": "the bot is gone"}
    code, verdict, _ = estate.start(wait_for_metrics__one=watch, kill_switch__two={"halted_before": held})
    assert code != 0
    assert f"somebody else had halted meanwhile: {held}" in verdict


@pytest.mark.faults
def test_a_host_that_stays_away_is_named_as_not_halted(estate):
    code, verdict, calls = estate.start(compose_services__one__bot={"away": {"one": 9}})
    assert (code, {*estate.halted(calls)}) == (10, {"two", "three"}), verdict
    assert "NOT HALTED, as they did not answer: one; every other trading host was" in verdict


@pytest.mark.faults
def test_a_host_that_goes_away_before_any_bot_is_started_halts_none(estate):
    code, verdict, calls = estate.start(compose_services__one__gui={"away": {"one": 1}})
    assert (code, estate.halted(calls)) == (10, []), verdict
    assert "no bot was started" in verdict


def test_what_the_second_host_would_refuse_is_asked_before_the_first_one_starts(estate):
    refused = {"outcome": "refused", "summary": "The feed gate is closed."}
    code, verdict, calls = estate.start(
        "-e", "mode=paper", name="bot_start", compose_services__two__timescaledb__mlflow__gui__bot=refused
    )
    assert (code, "two: The feed gate is closed" in verdict) == (13, True), verdict
    assert [call for call in calls if "compose_services" in call and "(check)" not in call] == []
    assert estate.halted(calls) == []


def test_every_host_is_asked_then_each_starts_on_the_feed_as_it_is_right_before(estate):
    code, verdict, calls = estate.start("-e", "mode=paper", name="bot_start")
    assert (code, estate.halted(calls)) == (0, []), verdict
    started = [call for call in calls if call.startswith(("compose_services", "feed_info"))]
    assert started[-3:] == ["compose_services two timescaledb mlflow gui", "feed_info one", "compose_services two bot"]
    assert [call.split()[1] for call in calls if call.endswith(" bot")] == ["one", "two"]
    assert not list(estate.home.glob("*/state/lease.json"))


AT_LATCH_AND_GUARD = ("--start-at-task", "bot_preflight : Look at latch and guard", "-e", "mode=live")


def test_no_start_at_a_later_task_starts_live_without_its_confirmation(estate):
    code, verdict, calls = estate.start(*AT_LATCH_AND_GUARD, name="bot_start")
    assert (code != 0, "Live trading was not confirmed" in verdict) == (True, True), verdict
    assert [call for call in calls if "compose_services" in call and "(check)" not in call] == []
    assert estate.halted(calls) == []


@pytest.mark.faults
def test_a_start_at_a_later_task_starts_live_that_is_confirmed(estate):
    code, verdict, _ = estate.start(*AT_LATCH_AND_GUARD, "-e", "confirm_live=trading-live", name="bot_start")
    assert code == 0, verdict


FEED = "compose_services one live_connector prometheus"
DASHBOARDS = "compose_services one grafana"


@pytest.mark.parametrize(
    ("feed", "dashboards", "stopped"),
    first_of(
        [
            ({"outcome": "failed"}, {}, ["live_connector prometheus"]),
            (
                {
                    "outcome": "failed",
                    "services": [
                        {"service": "live_connector", "action": "created"},
                        {"service": "prometheus", "action": "none"},
                    ],
                },
                {},
                ["live_connector"],
            ),
            ({"services": []}, {"outcome": "failed"}, ["grafana"]),
            (
                {"services": [{"service": "prometheus", "action": "created"}]},
                {"outcome": "failed", "services": [{"service": "grafana", "action": "created"}]},
                ["grafana prometheus"],
            ),
        ]
    ),
    ids=["died without a word", "half of it", "dashboards without a word", "both"],
)
def test_a_restart_that_fails_stops_what_it_began_and_all_where_nobody_can_say(estate, feed, dashboards, stopped):
    said = {FEED.replace(" ", "__"): feed, DASHBOARDS.replace(" ", "__"): dashboards}
    code, verdict, calls = estate.start(name="restart", **said)
    assert code == 1, verdict
    begun = [FEED, DASHBOARDS] if dashboards else [FEED]
    assert calls[: len(begun)] == begun
    assert [" ".join(sorted(call.split()[2:])) for call in calls[len(begun) :]] == stopped


@pytest.mark.parametrize("typed", first_of(["grafana, live_connector", "live_connector", '["live_connector"]']))
def test_a_service_behind_a_gate_is_not_restarted_however_it_is_typed(estate, typed):
    asked = json.dumps({"services": json.loads(typed) if typed.startswith("[") else typed, "reason": "test"})
    code, verdict, calls = estate.start("-e", asked, name="service_restart")
    assert (code, "live_connector is restarted through its gate only" in verdict) == (13, True), verdict
    assert [call for call in calls if call.startswith("compose_services")] == []


@pytest.mark.faults
def test_services_are_restarted_under_their_own_names(estate):
    asked = json.dumps({"services": "grafana,alertmanager", "reason": "test"})
    _, _, calls = estate.start("-e", asked, name="service_restart")
    restarts = [call.split()[2:] for call in calls if call.startswith("compose_services one")]
    assert restarts == [["grafana", "alertmanager"]] * 2
