"""Whole deploys and rollbacks on this machine, over an ssh that loses hosts; what needs an engine is told its words."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from datetime import UTC, datetime, timedelta
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
FAKE_HOST={name} sh -c "$last"
code=$?
[ -s "$away" ] && exit 255
exit $code
"""

MODULE = """
import json, os, pathlib
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.release.request import running_bots

def main():
    home, name = pathlib.Path("{home}"), "{name}"
    module = AnsibleModule(argument_spec={options!r}, supports_check_mode=True)
    host = os.environ.get("FAKE_HOST", "local")
    told = [key for key in ("revision", "state", "result") if key in module.params]
    words = [name, host] + [str(module.params[key])[:4] for key in told]
    if name == "release":
        words += running_bots(module.params["bots"] or {{}}, module.params["bots_before"] or [])
    with open(home / "calls", "a") as calls:
        calls.write(" ".join(words) + ("" if not module.check_mode else " (check)") + chr(10))
    said = json.loads((home / "said.json").read_text())
    given = {defaults!r} | said.get(" ".join(words[:2]), {{}})
    given |= said.get(" ".join(words), {{}}) if not module.check_mode else {{}}
    (home / f"{name}-{{host}}.json").write_text(json.dumps(module.params))
    later = home / host / "later"
    if name == "release_fetch" and later.exists():
        later.rename(later.with_name("now"))
    if name == "kill_switch_info" and later.with_name("now").exists():
        given |= json.loads(later.with_name("now").read_text())
    for lost, connections in given.pop("away", {{}}).items():
        (home / lost / "away").write_text(str(connections))
    for path, text in given.pop("meanwhile", {{}}).items():
        (home / path).write_text(text)
    if name == "source_bundle":
        path = pathlib.Path(module.params["bundle_path"])
        path.parent.mkdir(exist_ok=True)
        path.write_text("bundle")
    outcome = "planned" if module.check_mode else "proven"
    result = {{"outcome": outcome, "summary": f"{{name}} of {{host}}", "next_command": ""}} | given
    if result["outcome"] in ("proven", "planned") or name in ("metric_checks_info", "incident_info"):
        module.exit_json(**result)
    module.fail_json(msg=result["summary"], **result)

main()
"""
OLD, NEW = "a" * 40, "b" * 40
RELEASE = {
    "id": "REL-20261121-080010",
    "revision": OLD,
    "images": {"ai_trading_core/gui": f"app:1@sha256:{'1' * 64}"},
    "schema_supported_max": 3,
}
SAYS: dict[str, dict[str, Any]] = {
    "kill_switch_info": {"outcome": "proven", "bots": [], "latch": {"engaged": False}},
    "project_revision_info": {"outcome": "proven", "revision": OLD, "modified": []},
    "metric_checks_info": {"outcome": "proven", "checks": []},
    "backup_info": {"outcome": "proven", "sets": [{"id": "SET-20261121-020000"}]},
    "schema_info": {"outcome": "proven", "version": 1},
    "releases_info": {"outcome": "proven", "pause": {}, "release": RELEASE},
    "incident_info": {"outcome": "proven", "open": [], "pending": {}, "post_mortems": {}},
    "source_revision_info": {"outcome": "proven", "revision": NEW, "texts": {}, "changes": {OLD: {}}},
    "source_bundle": {},
    "release_fetch": {"images": []},
    "release": {
        "changed": True,
        "revision_before": OLD,
        "images": {"ai_trading_core/gui": f"app:1@sha256:{'1' * 64}"},
        "images_before": {},
        "same": [],
        "missing": [],
        "references": ["app:1"],
        "feed_runs": True,
    },
    "wait_for_metrics": {"checks": []},
    "release_record": {},
    "deploy_pause": {},
}
DEPLOY = ("-e", "revision=main", "-e", "reason=test")
ROLLBACK = ("-e", f"release={RELEASE['id']}", "-e", "reason=test")
BOT = {"name": "trading-paper-bot-1", "mode": "paper", "running": True}
SOMEBODY = "test (run 1)"
HELD = {
    "holder": SOMEBODY,
    "purpose": "restore",
    "since": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
    "expires": f"{datetime.now(UTC) + timedelta(minutes=50):%Y-%m-%dT%H:%M:%SZ}",
}
TRACKING_ERROR = {
    "id": "tracking_error",
    "title": "Tracking error",
    "series": [{"labels": {"host": "one", "mode": "paper"}, "outcome": "fail", "reason": "0.004, must be <= 0.001"}],
}


class Estate:
    """Feed and paper on the first host, live on the second, and a control host."""

    def __init__(self, home: Path) -> None:
        self.home, self.checkout, self.inventory = home, home / "checkout", home / "hosts.json"
        for name in ("playbooks", "roles", "library", "module_utils"):
            shutil.copytree(ROOT / name, self.checkout / name, symlinks=True)
        for name, defaults in SAYS.items():
            options = {key: {"type": "raw"} for key in importlib.import_module(name).ARGUMENT_SPEC}
            text = MODULE.format(home=home, name=name, options=options, defaults=defaults)
            (self.checkout / "library" / f"{name}.py").write_text(text)
        hosts = {}
        for host in ("one", "two", "control"):
            (home / host / "state" / "incidents").mkdir(parents=True)
            ssh = home / host / "ssh"
            ssh.write_text(SSH.format(home=home / host, name=host))
            ssh.chmod(0o755)
            hosts[host] = {
                "ansible_connection": "ssh",
                "ansible_host": host,
                "ansible_ssh_executable": str(ssh),
                "ansible_ssh_args": "-o ControlMaster=no",
                "ansible_ssh_pipelining": True,
                "ansible_python_interpreter": sys.executable,
                "trading_core_state_path": str(home / host / "state"),
                "trading_core_root_path": str(home / host / "root"),
                "trading_core_backup_repository": "rest:x",
            }
        self.groups = {
            "trading_hosts": {
                "children": {
                    "paper_hosts": {"hosts": {"one": hosts["one"]}},
                    "live_hosts": {"hosts": {"two": hosts["two"]}},
                }
            },
            "feed_hosts": {"hosts": {"one": {}}},
            "control": {"hosts": {"control": hosts["control"]}},
        }
        self.inventory.write_text(json.dumps(self.groups))

    def run(self, name: str, *options: str, **said: dict[str, Any]) -> tuple[int, str, list[str]]:
        """Run it. `said` is by module and host (and revision, if it acts). Return code, verdict, calls."""
        (self.home / "said.json").write_text(json.dumps({key.replace("__", " "): value for key, value in said.items()}))
        code, verdict, output = play(name, self.inventory, *options, root=self.checkout, timeout_seconds=300)
        print(output)
        self.output = output
        calls = self.home / "calls"
        return code, verdict, calls.read_text().splitlines() if calls.exists() else []


@pytest.fixture
def estate(tmp_path: Path) -> Estate:
    return Estate(tmp_path)


def released(calls: list[str]) -> list[str]:
    """Return the calls that change a host, in their order: host and revision."""
    return [call.partition(" ")[2] for call in calls if call.startswith("release ") and "(check)" not in call]


def assert_every_host_was_asked_first(calls: list[str]) -> None:
    first = calls.index("release one bbbb")
    assert {
        "release one bbbb (check)",
        "release two bbbb (check)",
        "release_fetch one bbbb",
        "release_fetch two bbbb",
    } <= {*calls[:first]}
    assert calls[first + 1] == "wait_for_metrics one", "the feed is looked at after each host"


def leases(estate: Estate) -> list[Path]:
    return list(estate.home.glob("*/state/lease.json"))


@pytest.mark.faults
def test_every_host_is_asked_and_has_it_before_the_first_one_is_changed_then_one_at_a_time(estate):
    code, verdict, calls = estate.run("deploy", *DEPLOY)
    assert code == 0, verdict
    assert released(calls) == ["one bbbb", "two bbbb"]
    assert_every_host_was_asked_first(calls)
    assert calls[-1] == "release_record control depl"
    assert leases(estate) == []
    assert not list(estate.home.glob("*/state/release.bundle"))


@pytest.mark.faults
def test_what_the_second_host_would_refuse_is_asked_before_the_first_one_is_changed(estate):
    refused = {"outcome": "refused", "summary": "a bot runs"}
    code, verdict, calls = estate.run("deploy", *DEPLOY, release__two=refused)
    assert (code, "two: a bot runs" in verdict) == (13, True), verdict
    assert released(calls) == []
    assert not [call for call in calls if call.startswith(("release_fetch", "release_record"))]


@pytest.mark.faults
def test_parity_that_is_off_pauses_deploys_and_names_what_lifts_it(estate):
    said = {
        "kill_switch_info__one": {"bots": [BOT]},
        "metric_checks_info__one": {"outcome": "failed", "checks": [TRACKING_ERROR]},
    }
    code, verdict, calls = estate.run("deploy", *DEPLOY, **said)
    assert code == 13, verdict
    assert "Tracking error of host=one, mode=paper: 0.004, must be <= 0.001" in verdict
    assert "NEXT: ./runbook deploy_resume" in verdict
    assert "deploy_pause control pres" in calls
    assert released(calls) == []


@pytest.mark.faults
def test_a_bot_that_was_started_while_images_came_is_seen_before_the_first_host_is_changed(estate):
    (estate.home / "two" / "later").write_text(json.dumps({"bots": [BOT]}))
    _, verdict, calls = estate.run("deploy", *DEPLOY)
    assert released(calls)[0] == "one bbbb two/trading-paper-bot-1", verdict
    assert "release one bbbb (check)" in calls, "nobody ran when they were asked"


@pytest.mark.faults
def test_a_dry_run_asks_every_host_and_changes_none(estate):
    code, verdict, calls = estate.run("deploy", *DEPLOY, "--check")
    assert (code, "DRY RUN: nothing was changed" in verdict) == (0, True), verdict
    assert released(calls) == []
    assert not [
        call for call in calls if call.startswith(("release_fetch", "release_record")) and "(check)" not in call
    ]
    assert not list(estate.home.glob("*/state/*.json*"))


def test_where_a_change_fails_every_host_that_was_begun_goes_back_and_that_is_on_record(estate):
    failed = {"outcome": "failed", "summary": "gui is not healthy"}
    code, verdict, calls = estate.run("deploy", *DEPLOY, release__two__bbbb=failed)
    assert code == 1, verdict
    assert_every_host_was_asked_first(calls)
    assert released(calls) == ["one bbbb", "two bbbb", "two aaaa", "one aaaa"]
    assert "gui is not healthy" in verdict
    assert "what ran before runs again, and the feed is well" in verdict
    assert calls[-1] == "release_record control fail"
    assert leases(estate) == []


@pytest.mark.faults
def test_a_host_whose_turn_has_not_come_is_not_brought_back(estate):
    said = {"wait_for_metrics__one": {"outcome": "failed", "summary": "closed by feed_bars_rate"}}
    code, verdict, calls = estate.run("deploy", *DEPLOY, **said)
    assert code == 1, verdict
    assert released(calls) == ["one bbbb", "one aaaa"]
    assert "closed by feed_bars_rate" in verdict
    assert "what ran before runs again, and the feed is NOT well by one" in verdict
    assert calls[-1] == "release_record control fail"
    assert leases(estate) == []


@pytest.mark.faults
def test_a_host_that_another_run_holds_is_not_brought_back_as_nothing_was_changed_there(estate):
    lease = estate.home / "two" / "state" / "lease.json"
    said = {"wait_for_metrics__one": {"meanwhile": {str(lease): json.dumps(HELD)}}}
    code, verdict, calls = estate.run("deploy", *DEPLOY, **said)
    assert (code, f"Held by {SOMEBODY}" in verdict) == (75, True), verdict
    assert released(calls) == ["one bbbb", "one aaaa"]
    assert "what ran before runs again" in verdict
    assert "NEXT: ./runbook deploy" in verdict, "nothing is left of it"
    assert [json.loads(path.read_text()) for path in leases(estate)] == [HELD]


@pytest.mark.faults
def test_what_another_run_holds_by_now_is_left_to_it_and_named_as_not_back(estate):
    lease = estate.home / "one" / "state" / "lease.json"
    failed = {"outcome": "failed", "summary": "gui is not healthy", "meanwhile": {str(lease): json.dumps(HELD)}}
    code, verdict, calls = estate.run("deploy", *DEPLOY, release__two__bbbb=failed)
    assert (code, f"one: Held by {SOMEBODY}" in verdict) == (75, True), verdict
    assert released(calls) == ["one bbbb", "two bbbb", "two aaaa"]
    assert "NOT BACK: one (a rollback to the release marked * brings it there)" in verdict
    assert "NEXT: ./runbook releases" in verdict
    assert [json.loads(path.read_text()) for path in leases(estate)] == [HELD]


@pytest.mark.faults
def test_a_bot_that_was_started_during_the_change_is_seen_before_the_feed_goes_back(estate):
    failed = {"outcome": "failed", "summary": "closed by gaps"}
    started = {"meanwhile": {str(estate.home / "two" / "now"): json.dumps({"bots": [BOT]})}}
    refused = {"outcome": "refused", "summary": "live_connector would recreate", "next_command": "./runbook bot_stop"}
    said = {"wait_for_metrics__one": failed | started, f"release one aaaa two/{BOT['name']}": refused}
    code, verdict, calls = estate.run("deploy", *DEPLOY, **said)
    assert code == 13, verdict
    assert released(calls) == ["one bbbb", f"one aaaa two/{BOT['name']}"]
    assert "one: live_connector would recreate" in verdict
    assert "NOT BACK: one (a rollback to the release marked * brings it there)" in verdict
    assert "NEXT: ./runbook bot_stop" in verdict
    assert leases(estate) == []


@pytest.mark.faults
def test_a_host_that_goes_away_before_its_turn_is_named_and_the_others_go_back(estate):
    code, verdict, calls = estate.run("deploy", *DEPLOY, wait_for_metrics__one={"away": {"two": 99}})
    assert code == 10, verdict
    assert released(calls) == ["one bbbb", "one aaaa"]
    assert "two: did not answer" in verdict


@pytest.mark.faults
def test_a_host_that_goes_away_while_it_is_changed_is_named_and_the_others_go_back(estate):
    code, verdict, calls = estate.run("deploy", *DEPLOY, release__two__bbbb={"away": {"two": 99}})
    assert code == 10, verdict
    assert released(calls) == ["one bbbb", "two bbbb", "one aaaa"]
    assert "NOT BACK: two" in verdict


@pytest.mark.faults
def test_a_host_that_went_away_for_a_moment_while_it_was_changed_goes_back_as_well(estate):
    code, verdict, calls = estate.run("deploy", *DEPLOY, release__two__bbbb={"away": {"two": 1}})
    assert code == 10, verdict
    assert {*released(calls)[2:]} == {"one aaaa", "two aaaa"}
    assert "what ran before runs again" in verdict
    assert leases(estate) == []


@pytest.mark.faults
def test_a_bot_of_a_host_that_fell_silent_counts_as_it_was_last_seen(estate):
    (estate.home / "two" / "later").write_text(json.dumps({"bots": [BOT]}))
    said = {f"release two bbbb two/{BOT['name']}": {"away": {"two": 99}}}
    _, verdict, calls = estate.run("deploy", *DEPLOY, **said)
    assert released(calls)[-1] == f"one aaaa two/{BOT['name']}", verdict


@pytest.mark.faults
def test_a_later_task_or_one_host_alone_does_not_pass_what_stands_before(estate):
    for narrowed in (["--limit", "one"], ["--start-at-task", "release : Bring checkout and services to the release"]):
        code, verdict, calls = estate.run("deploy", *DEPLOY, *narrowed)
        assert (code != 0, released(calls)) == (True, []), verdict


IN_AN_INCIDENT: dict[str, dict[str, Any]] = {
    "incident_info__control": {"open": ["INC-1"]},
    "kill_switch_info__one": {"latch": {"engaged": True, "incident_ids": ["INC-1"]}},
    "releases_info__control": {"pause": {"sentence": "Deploys are paused."}},
    "project_revision_info__one": {"revision": NEW},
}


def test_a_rollback_needs_no_repository_and_goes_through_an_incident_a_halt_and_a_pause(estate):
    waived = ("-e", "incident_id=INC-1", "-e", "evidence_waived=test")
    code, verdict, calls = estate.run("rollback", *ROLLBACK, *waived, **IN_AN_INCIDENT)
    assert code == 0, verdict
    assert released(calls) == ["one aaaa", "two aaaa"]
    assert not [call for call in calls if call.startswith(("source_", "backup_info", "metric_checks_info"))]
    assert "release_record control roll" in calls


@pytest.mark.faults
def test_a_rollback_brings_what_the_release_does_not_pin_and_the_host_has_not(estate):
    code, verdict, _ = estate.run("rollback", *ROLLBACK, release__two={"missing": ["alerts:1"]})
    assert code == 0, verdict
    asked = {host: json.loads((estate.home / f"release_fetch-{host}.json").read_text()) for host in ("one", "two")}
    assert {host: params["references"] for host, params in asked.items()} == {"one": [], "two": ["alerts:1"]}
    assert (asked["two"]["pins"], asked["two"]["pinned"]) == (RELEASE["images"], [*RELEASE["images"]])


@pytest.mark.faults
@pytest.mark.parametrize(
    ("options", "words"),
    [((), "this has to name it: INC-1"), (("-e", "incident_id=INC-1"), "There is no evidence of INC-1")],
)
def test_a_rollback_in_an_incident_names_it_and_comes_after_its_evidence(estate, options, words):
    code, verdict, calls = estate.run("rollback", *ROLLBACK, *options, **IN_AN_INCIDENT)
    assert (code, words in verdict, released(calls)) == (13, True, []), verdict


@pytest.mark.faults
def test_a_rollback_that_fails_stays_where_it_is(estate):
    said = {"wait_for_metrics__one": {"outcome": "failed", "summary": "closed by gaps"}}
    code, verdict, calls = estate.run("rollback", *ROLLBACK, **said)
    assert (code, released(calls)) == (1, ["one aaaa"]), verdict
    assert "nothing was brought back" in verdict
    assert calls[-1] == "release_record control fail"
