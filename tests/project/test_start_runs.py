"""Whole starts of bots on this machine, over an ssh that loses hosts; the modules that need an engine are told what to say."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.project.repository import ROOT
from tests.project.test_runs import play

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
    result = {{"outcome": "planned" if module.check_mode else "proven", "summary": name, "bots": [], "latch": {{"engaged": True}},
               "next_command": ""}}
    result.update(said)
    if result["outcome"] in ("proven", "planned"):
        module.exit_json(**result)
    module.fail_json(msg=result["summary"], **result)

main()
"""
FAKED = ["compose_services", "kill_switch", "wait_for_metrics"]
ROLE = """
- name: Start
  hosts: paper_hosts
  gather_facts: false
  serial: 1
  any_errors_fatal: true
  vars: {{proof: compose_services}}
  roles:
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


class Estate:
    """Three trading hosts, two of them for paper, the feed on the first."""

    def __init__(self, home: Path) -> None:
        self.home, self.checkout, self.inventory = home, home / "checkout", home / "hosts.json"
        for name in ("playbooks", "roles", "library", "module_utils"):
            shutil.copytree(ROOT / name, self.checkout / name, symlinks=True)
        (self.checkout / "playbooks" / "start.yml").write_text(ROLE.format())
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
        self.inventory.write_text(json.dumps({"trading_hosts": {"children": groups}}))

    def start(self, **said: dict[str, Any]) -> tuple[int, str, list[str]]:
        """Run it. `said` is what a module says instead, by its name, host and services. Return code, verdict, calls."""
        (self.home / "said.json").write_text(json.dumps({key.replace("__", " "): value for key, value in said.items()}))
        code, verdict, output = play("start", self.inventory, root=self.checkout)
        print(output)
        return code, verdict, (self.home / "calls").read_text().splitlines()

    def halted(self, calls: list[str]) -> list[str]:
        return [call.split()[1] for call in calls if call.startswith("kill_switch")]


def _options(name: str) -> list[str]:
    namespace: dict[str, Any] = {}
    text = (ROOT / "library" / f"{name}.py").read_text(encoding="utf-8")
    begin = text.index("ARGUMENT_SPEC = ")
    exec(text[begin : text.index("\n}\n", begin) + 3], namespace)
    return list(namespace["ARGUMENT_SPEC"])


@pytest.fixture
def estate(tmp_path: Path) -> Estate:
    return Estate(tmp_path)


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


@pytest.mark.parametrize(("call", "said"), LOST.values(), ids=LOST)
def test_a_host_that_goes_away_for_a_moment_is_halted_and_all_others_too(estate, call, said):
    code, verdict, calls = estate.start(**{call: said})
    assert (code, {*estate.halted(calls)}) == (10, {"one", "two", "three"}), verdict
    assert "failed; every trading host was halted" in verdict
    assert "A task failed" not in verdict
    assert "compose_services two bot" not in calls


def test_a_host_that_stays_away_is_named_as_not_halted(estate):
    code, verdict, calls = estate.start(compose_services__one__bot={"away": {"one": 9}})
    assert (code, {*estate.halted(calls)}) == (10, {"two", "three"}), verdict
    assert "NOT HALTED, as they did not answer: one; every other trading host was" in verdict


def test_a_host_that_goes_away_before_any_bot_is_started_halts_none(estate):
    code, verdict, calls = estate.start(compose_services__one__gui={"away": {"one": 1}})
    assert (code, estate.halted(calls)) == (10, []), verdict
    assert "no bot was started" in verdict
