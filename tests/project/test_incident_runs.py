"""Whole runs of incident on this machine, without an engine: the stop decides, what did not come after it is named."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.project.repository import ROOT

# Several whole runs each, of up to a minute where the lab's tests run beside them.
pytestmark = pytest.mark.timeout(900)

WHAT_NEEDS_AN_ENGINE_OR_A_CHANNEL = ["4.2 Stop feed on data corruption", "4.3 Inform", "4.4 Collect evidence"]
AFTER_THE_STOP_OF_NOBODY = ["4.2 Stop feed on data corruption", "4.4 Collect evidence", "4.5 Classify"]
AFTER_THE_STOP = [*WHAT_NEEDS_AN_ENGINE_OR_A_CHANNEL, "4.5 Classify", "5.5 Bring"]


@pytest.fixture
def estate(tmp_path: Path) -> Path:
    """An inventory in which every group is this machine, without an engine."""
    here = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "trading_core_state_path": str(tmp_path / "state"),
        "trading_core_docker_url": f"unix://{tmp_path}/no.sock",
    }
    groups = {
        "trading_hosts": {"hosts": {"here": here}},
        **{group: {"hosts": {"here": {}}} for group in ("feed_hosts", "control")},
    }
    path = tmp_path / "hosts.json"
    path.write_text(json.dumps(groups))
    return path


def run(estate: Path, *argv: str) -> tuple[int, str, str]:
    """Return exit code, verdict and the whole output."""
    done = subprocess.run(
        argv,
        cwd=estate.parent,
        env={
            **os.environ,
            "ANSIBLE_HOME": str(estate.parent / "home"),
            "TRADING_CORE_INVENTORY": str(estate),
            "TRADING_CORE_INCIDENTS_PATH": str(estate.parent / "incidents"),
        },
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    print(done.stdout + done.stderr)
    return done.returncode, done.stdout.rstrip().rsplit("\n", 1)[-1], done.stdout


RUNBOOK = (str(ROOT / "runbook"), "incident")


def raw(estate: Path) -> tuple[str, ...]:
    ansible = Path(sys.executable).with_name("ansible-playbook")
    return (str(ansible), "-i", str(estate), str(ROOT / "playbooks" / "incident.yml"))


@pytest.mark.parametrize(
    "is_raw", [pytest.param(False, id="runbook"), pytest.param(True, id="raw", marks=pytest.mark.faults)]
)
def test_a_stop_that_nobody_proves_decides_and_what_could_not_be_done_after_it_is_named_as_missed(estate, is_raw):
    argv = raw(estate) if is_raw else RUNBOOK
    code, verdict, output = run(estate, *argv, "-e", "reason=gaps", "-e", "data_corruption=true")
    assert (code, "NOT PROVEN: UNKNOWN" in verdict) == (10, True)
    missed = verdict.partition("missed: ")[2]
    assert [step for step in AFTER_THE_STOP if step in missed] == WHAT_NEEDS_AN_ENGINE_OR_A_CHANNEL
    assert [step for step in AFTER_THE_STOP if f"PLAY [{step}" not in output] == []
    (early,) = re.findall(r"^incident (INC-\d{8}-\d{6}-gaps)$", output, re.MULTILINE)
    assert json.loads((estate.parent / "state" / "halt.json").read_text())["incident_ids"] == [early]
    assert f"record: {estate.parent}/incidents/{early}" in verdict
    noted = "".join(path.read_text() for path in (estate.parent / "incidents" / early).glob("*.jsonl"))
    assert "4.1 Stop trading" in noted
    assert "did not run" not in noted  # what comes after a step has not been missed when it ends


@pytest.mark.faults
def test_a_channel_in_a_vault_that_is_not_open_costs_the_message_and_nothing_after_it(estate):
    known = json.loads(estate.read_text())
    known["trading_hosts"]["vars"] = {"trading_core_notification_urls": ["{{ vault_chat_url }}"]}
    estate.write_text(json.dumps({**known, "all": {"vars": known["trading_hosts"]["vars"]}}))
    _, verdict, output = run(estate, *RUNBOOK, "-e", "reason=gaps")
    assert "4.3 Inform (notification : Validating" in verdict.partition("missed: ")[2]
    assert "'vault_chat_url' is undefined" in verdict
    for step in ("4.4 Collect evidence", "4.5 Classify", "5.5 Bring"):
        assert f"PLAY [{step}" in output


@pytest.mark.faults
def test_an_incident_that_was_named_is_the_one_it_belongs_to(estate):
    _, verdict, output = run(estate, *RUNBOOK, "-e", "reason=x", "-e", "incident_id=INC-20261121-080000-first")
    assert "\nincident INC-20261121-080000-first\n" in f"\n{output}"
    assert f"{estate.parent}/incidents/INC-20261121-080000-first" in verdict


@pytest.mark.faults
def test_a_dry_run_leaves_neither_latch_nor_record(estate):
    code, verdict, _ = run(estate, *RUNBOOK, "--check")
    assert (code, "DRY RUN: nothing was changed" in verdict) == (10, True)  # the host could not be looked at
    assert not (estate.parent / "state").exists()
    assert not (estate.parent / "incidents").exists()


def test_an_empty_scope_has_stopped_nothing(estate):
    estate.write_text("{}")
    code, verdict, _ = run(estate, *RUNBOOK)
    assert (code, "NOTHING WAS STOPPED" in verdict) == (12, True)


@pytest.fixture
def channel() -> Iterator[HTTPServer]:
    """A service that takes what Apprise sends, and keeps it in `messages`."""

    class Service(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.messages.append(json.loads(body)["message"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Service)
    server.messages = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "is_raw", [pytest.param(False, id="runbook"), pytest.param(True, id="raw", marks=pytest.mark.faults)]
)
def test_where_no_trading_host_answers_people_are_told_and_all_that_needs_none_of_them_is_done(estate, channel, is_raw):
    known = json.loads(estate.read_text())
    here = known["trading_hosts"]["hosts"]["here"]
    known["trading_hosts"]["hosts"] = {
        name: {
            "ansible_host": "127.0.0.1",
            "ansible_port": 1,
            "trading_core_open_orders_url": "http://127.0.0.1:1/orders",
        }
        for name in ("away", "gone")
    }
    known["feed_hosts"]["hosts"]["here"] = here
    Path(here["trading_core_state_path"]).mkdir()
    known["all"] = {"vars": {"trading_core_notification_urls": [f"ops=json://127.0.0.1:{channel.server_port}/"]}}
    estate.write_text(json.dumps(known))
    argv = raw(estate) if is_raw else RUNBOOK
    code, verdict, output = run(estate, *argv, "-e", "reason=gaps")
    assert (code, "NOT PROVEN: UNKNOWN" in verdict) == (10, True)
    (message,) = channel.messages
    owners, incident_id, sentence, *_ = message.splitlines()
    assert owners == "Incident på AI_TRADING_CORE – bot/feed stoppet midlertidigt, årsag: gaps."
    assert re.fullmatch(r"INC-\d{8}-\d{6}-gaps", incident_id)
    assert sentence.startswith("NOT PROVEN: UNKNOWN: ")
    assert "away: did not answer (" in sentence
    assert "gone: did not answer (" in sentence
    missed = verdict.partition("missed: ")[2]
    assert [step for step in AFTER_THE_STOP if step in missed] == AFTER_THE_STOP_OF_NOBODY
    assert "whether the data is wrong is not known" in missed  # by a Prometheus that is not there
    assert "here: did not" not in missed  # the evidence of the feed's host was taken
    for step in AFTER_THE_STOP:
        assert f"PLAY [{step}" in output
