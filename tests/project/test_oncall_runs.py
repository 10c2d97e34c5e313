"""Whole runs of the on-call plays on this machine, against a Prometheus and an Alertmanager that answer as told."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from trading_ops.incident.timeline import Entry, format_new_lines

from tests.project.test_runs import play
from tests.unit.fake_alertmanager import SILENCE as SILENCE_OF_ANOTHER
from tests.unit.fake_alertmanager import FakeAlertmanager, alert
from tests.unit.fake_prometheus import answer, catalogue_item, sample

NOW = "2026-11-21T01:30:00.000Z"
INCIDENT = "INC-20261121-013000-bars-look-wrong"


class Server(ThreadingHTTPServer):
    """Says 1 of both symbols, whatever the query, and is an Alertmanager besides."""

    daemon_threads = True
    alertmanager: FakeAlertmanager


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path.startswith("/api/v2/"):
            return self._say(*self.server.alertmanager.fetch(self.command, parts.path, self._body()))
        query = parse_qs(parts.query)
        if parts.path == "/api/v1/query_range":
            points = [[float(query["end"][0]), "1"]]
            series = [{"metric": {"symbol": "BTCUSDT"}, "values": points}]
            whole = {"status": "success", "data": {"resultType": "matrix", "result": series}}
            return self._say(200, json.dumps(whole).encode())
        word = "0" if query["query"][0].startswith("max by") else "1"
        symbols = [{"symbol": "BTCUSDT"}, {"symbol": "ETHUSDT"}]
        return self._say(*answer([sample(labels, word, time.time()) for labels in symbols]))

    do_POST = do_GET  # noqa: N815
    do_DELETE = do_GET  # noqa: N815

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _say(self, status: int, text: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def alertmanager() -> Iterator[Server]:
    running = Server(("127.0.0.1", 0), Handler)
    running.alertmanager = FakeAlertmanager(alert("Watchdog", "0000000000000000", severity="none"))
    threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


@pytest.fixture
def run(tmp_path: Path, alertmanager: Server) -> Any:
    """Return what runs a play on an estate whose feed and control host are this machine, without an engine."""
    url = f"http://127.0.0.1:{alertmanager.server_port}"
    here = {
        "ansible_connection": "local",
        "ansible_become": False,
        "ansible_python_interpreter": sys.executable,
        "trading_core_prometheus_url": url,
        "trading_core_alertmanager_url": url,
        "trading_core_docker_url": f"unix://{tmp_path}/no.sock",
        "trading_core_state_path": str(tmp_path / "state"),
        "trading_core_reports_path": str(tmp_path / "reports"),
        "trading_core_incidents_path": str(tmp_path / "copies"),
        "trading_core_certificate_paths": [],
        "trading_core_operator": "anna@desk",
    }
    groups = {"feed_hosts": {"hosts": {"here": {}}}, "control": {"hosts": {"lab-control": {}}}}
    inventory = tmp_path / "hosts.json"
    inventory.write_text(json.dumps({"all": {"vars": here, "children": groups}}))
    catalogue = json.dumps({"check_catalogue_checks": [catalogue_item(id="feed_bars_rate")]})

    def play_here(name: str, *options: str) -> tuple[int, str, str]:
        copies = str(tmp_path / "copies")
        # Five plays, one of which draws: a minute is not enough on a machine that is busy.
        return play(name, inventory, "-e", catalogue, *options, timeout_seconds=180, TRADING_CORE_INCIDENTS_PATH=copies)

    return play_here


def shift_log(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "state/shift/log.jsonl").read_text().splitlines()]


def test_a_shift_begins_with_a_report_that_is_kept(run, tmp_path):
    code, verdict, output = run("shift_start")
    assert code == 1, output
    assert "no container" in verdict, "without an engine the feed was not seen"
    (report,) = (tmp_path / "reports/shifts").glob("shift_*/report.html")
    assert str(report) in verdict
    assert "no sample" not in report.read_text()
    (began,) = shift_log(tmp_path)
    assert (began["kind"], began["by"], began["outcome"]) == ("shift_started", "anna@desk", "failed")


@pytest.mark.faults
def test_a_second_report_says_what_changed_and_what_somebody_looked_into(run, tmp_path, alertmanager):
    run("shift_start")
    alertmanager.alertmanager.alerts.append(alert("Psi", severity="critical"))
    time.sleep(1)  # a report is named after its second
    _, _, output = run("shift_start", "-e", f"since={NOW}")
    assert [entry["since"] for entry in shift_log(tmp_path)] == ["", NOW], "what somebody looked into is on record"
    newest = max((tmp_path / "reports/shifts").glob("shift_*/report.json"))
    assert json.loads(newest.read_text())["changed"] == [["2.5", "alert Psi", "new", "fail"]]
    assert "./runbook alert_take -e alert=" in output


@pytest.mark.faults
def test_a_since_that_is_still_to_come_is_wrong_usage_and_is_not_kept(run, tmp_path):
    code, verdict, output = run("shift_start", "-e", "since=2999-11-22T07:00:00Z")
    assert (code, "WRONG USAGE" in verdict, "lies in the future" in verdict) == (2, True, True), output
    assert not (tmp_path / "reports").exists()
    assert not (tmp_path / "state").exists()
    assert "undefined" not in output


@pytest.mark.faults
def test_a_dry_run_of_a_shifts_begin_writes_nothing(run, tmp_path):
    code, verdict, output = run("shift_start", "--check")
    assert (code, "DRY RUN: nothing was changed" in verdict) == (0, True), output
    assert not (tmp_path / "reports").exists()
    assert not (tmp_path / "state").exists()


@pytest.mark.faults
def test_without_the_feed_host_the_rest_of_the_report_is_there(run, tmp_path):
    away = json.dumps({"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1})
    inventory = json.loads((tmp_path / "hosts.json").read_text())
    inventory["all"]["children"]["feed_hosts"]["hosts"]["here"] = json.loads(away)
    (tmp_path / "hosts.json").write_text(json.dumps(inventory))
    code, verdict, output = run("shift_start")
    assert (code, "here: host: did not answer (ssh: connect to host" in verdict) == (10, True), output
    text = next((tmp_path / "reports/shifts").glob("shift_*/report.md")).read_text()
    assert "lab-control: memory" in text


@pytest.mark.faults
def test_a_path_of_alerts_that_is_not_there_is_unknown_in_a_dry_run_too(run):
    code, verdict, output = run("alert_path", "--check")
    assert (code, "DRY RUN: nothing was changed; a real run would end with 10" in verdict) == (10, True), output


def test_an_alert_is_taken_only_while_it_fires(run, tmp_path, alertmanager):
    asked = ("alert_take", "-e", "alert=Psi", "-e", json.dumps({"next_step": "trains the model"}))
    code, verdict, output = run(*asked)
    assert (code, "no alert 'Psi' fires" in verdict) == (13, True), output
    assert not (tmp_path / "state").exists()
    alertmanager.alertmanager.alerts.append(alert("Psi", severity="critical"))
    code, verdict, output = run(*asked)
    assert (code, "anna@desk is on Psi" in verdict) == (0, True), output
    (taken,) = shift_log(tmp_path)
    assert (taken["kind"], taken["next"]) == ("alert_taken", "trains the model")


@pytest.mark.faults
def test_alerts_are_listed(run, alertmanager):
    alertmanager.alertmanager.alerts.append(alert("Psi", severity="critical"))
    code, verdict, output = run("alerts")
    assert (code, "1 alerts fire (1 critical), 0 silences" in verdict) == (0, True), output


def open_incident(tmp_path: Path, place: str = "state/incidents", name: str = "timeline.jsonl") -> None:
    """Put an open incident on the control host's record, or elsewhere."""
    folder = tmp_path / place / INCIDENT
    folder.mkdir(parents=True)
    (folder / name).write_bytes(format_new_lines(b"", [Entry("1", NOW, NOW, "detection")]))


SILENCE = ("silence", "-e", "alert=Psi", "-e", "minutes=60", "-e", f"incident_id={INCIDENT}", "-e", "reason=training")


def test_a_silence_belongs_to_an_open_incident(run, tmp_path, alertmanager):
    code, verdict, output = run(*SILENCE)
    assert (code, "is no open incident" in verdict) == (13, True), output
    assert alertmanager.alertmanager.silences == []
    assert not (tmp_path / "copies").exists(), "an id that was mistyped would be an open incident with the next run"
    open_incident(tmp_path)
    code, verdict, output = run(*SILENCE)
    assert (code, 'alertname="Psi" until' in verdict) == (0, True), output
    near = "'Psi' neither fires nor is a check's alert"
    assert ("it covers NO ALERT that fires now" in verdict, near in verdict) == (True, True), "one check, another name"
    (made,) = alertmanager.alertmanager.silences
    assert made["comment"] == f"{INCIDENT}: training"
    timeline = (tmp_path / "state/incidents" / INCIDENT / "timeline.jsonl").read_text()
    assert 'alertname=\\"Psi\\"' in timeline, "the incident says what was silenced, and until when"
    assert '"begins"' in timeline


@pytest.mark.faults
def test_a_silence_is_ended_by_the_beginning_of_its_id(run, alertmanager):
    made = {**SILENCE_OF_ANOTHER, "endsAt": "2999-11-21T19:50:23.256Z"}
    alertmanager.alertmanager.silences.append(made)
    code, verdict, output = run("silence_end", "-e", "id=12345678")
    assert (code, f"there are: {made['id']}" in verdict) == (13, True), output
    code, verdict, output = run("silence_end", "-e", f"id={made['id'][:8]}")
    assert (code, "ended: " in verdict) == (0, True), output


@pytest.mark.faults
def test_a_silence_of_more_than_a_day_is_wrong_usage(run, tmp_path, alertmanager):
    open_incident(tmp_path)
    code, _, output = run(*SILENCE, "-e", "minutes=1441")
    assert code == 2, output
    assert alertmanager.alertmanager.silences == []


OWNED = (
    "incident_note",
    "-e",
    f"incident_id={INCIDENT}",
    "-e",
    "text=on it",
    "-e",
    "owner=anna",
    "-e",
    "next_step=asks",
)


@pytest.mark.faults
def test_a_shift_is_not_handed_over_while_something_is_nobodys(run, tmp_path):
    code, verdict, output = run("handover_accept", "-e", "by=bo")
    assert (code, "No handover waits" in verdict) == (13, True), output
    open_incident(tmp_path, "copies", "pending.jsonl")
    code, verdict, output = run("handover")
    assert (code, f"NOT COMPLETE: {INCIDENT} has not an owner and a next step" in verdict) == (1, True), output
    assert "NEXT: ./runbook incident_note" in verdict


def test_a_shift_is_handed_over_and_accepted(run, tmp_path):
    open_incident(tmp_path, "copies", "pending.jsonl")  # as a stop leaves it in the checkout
    code, _, output = run(*OWNED)
    assert code == 0, output
    code, verdict, output = run("handover")
    assert (code, "NOT COMPLETE" in verdict) == (10, False), "without an engine not all is known"
    text = max((tmp_path / "reports/handovers").glob("*/handover.md")).read_text()
    assert (
        f"| {INCIDENT.replace('_', chr(92) + '_')} | 2026-11-21T01:30:00.000Z | open, detection | anna | asks |" in text
    )
    code, verdict, output = run("handover_accept", "-e", "by=bo")
    assert (code, "bo has taken over HANDOVER-" in verdict) == (0, True), output
    assert [entry["kind"] for entry in shift_log(tmp_path)] == ["handover", "handover_accepted"]


def test_every_access_is_tried_and_each_that_fails_has_its_fix(run, tmp_path):
    inventory = json.loads((tmp_path / "hosts.json").read_text())
    away = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_ssh_args": ""}
    inventory["all"]["children"]["feed_hosts"]["hosts"]["here"] = away
    (tmp_path / "hosts.json").write_text(json.dumps(inventory))
    services = {
        "trading_core_access_services": [{"name": "Grafana", "url": "http://127.0.0.1:1", "password": "s3cret-x"}]
    }
    code, _, output = run("oncall_access", "-e", json.dumps(services))
    assert code == 1, output
    for words in (
        "✖ here: SSH: nobody listens on its SSH port fix: at its console: systemctl",
        "✖ here: host key: it is not pinned",
        "✖ Grafana: ",
        "✖ Git: no Git repository is named, so none was tried fix: trading_core_access_git_repositories",
        "✔ lab-control: SSH: reached",
        "✔ vault: secrets that come from it are there",
    ):
        assert words in " ".join(output.split()), words
    assert "s3cret-x" not in output.replace(json.dumps(services), "")
