"""On call on real hosts: access, the start of a shift, alerts, and the handover."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.lab.conftest import GATED, LIVE, PAPER, feed_troubles, flatten, pass_gate, release_halt, remove_bots
from tests.lab.estate import (
    HOSTS,
    TRADING_HOSTS,
    Run,
    no_feed_fault,
    on,
    runbook,
    wait_until,
)

ALERTMANAGER = "http://172.29.77.11:9093/api/v2"
STATE = "/var/lib/trading-core"
KEPT = f"{STATE}-kept-by-a-test"
METRICS = "/var/lib/prometheus/node-exporter"
SECONDS = 20
"""What a report may take."""


ASIDE = ("incidents", "shift", "releases.jsonl")
"""What other tests have left on the control host's record; it is put aside, and back afterwards."""


@pytest.fixture(scope="module")
def well(stacks: None) -> Iterator[None]:
    """Everything is as it should be: bots trade, no incident is open, backups are young, and a shift has begun.

    Backups have tests of their own; here only their metrics are made.
    """
    for name in ASIDE:
        on("lab-control", f"mv {STATE}/{name} {KEPT}-{name} 2>/dev/null; true")
    try:
        for kind in ("backup", "restore_test"):
            metric = f"trading_core_{kind}_last_success_timestamp_seconds"
            on("lab-control", f"echo {metric} $(date +%s) >{METRICS}/by_a_test_{kind}.prom")
        # Other tests start and stop past ./runbook: from here on it is on record what is meant to run.
        for name in ("observability_start", "alerting_start"):
            assert runbook(name).code == 0
        make_well()
        yield
    finally:
        no_feed_fault()
        remove_bots(keep=GATED)
        on("lab-control", f"rm -f {METRICS}/by_a_test_*")
        for name in ASIDE:
            on("lab-control", f"rm -rf {STATE}/{name}; mv {KEPT}-{name} {STATE}/{name} 2>/dev/null; true")


def make_well() -> None:
    """Have both bots started by ./runbook, every check pass and no alert fire, whatever was stopped on the way here."""
    no_feed_fault()
    wait_until(lambda: not feed_troubles(), 120, "a feed without trouble")
    wait_until(lambda: not alerts(acts=True), 300, "no alert that stops bots")
    on("lab-control", f"rm -rf {STATE}/incidents")
    for host in TRADING_HOSTS:
        on(host, "docker ps -q --filter label=com.docker.compose.service=bot | xargs -r docker stop")
    release_halt()
    flatten()
    pass_gate()
    wait_until(lambda: runbook(*PAPER).code == 0, 120, "checks know enough of counters again, and paper starts")
    wait_until(lambda: runbook(*LIVE).code == 0, 300, "paper was good for a minute, and live starts")
    wait_until(lambda: runbook("checks").code == 0, 300, "every check passes")
    wait_until(lambda: not alerts(), 300, "no alert fires")
    assert start_shift("-e", f"since={at()}").code in {0, 1}, "what was restarted until now belongs to the past"


def ask(path: str, body: Any = None, method: str = "GET") -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{ALERTMANAGER}{path}", data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read() or b"null")


def alerts(acts: bool = False) -> list[str]:
    """Return the alerts that fire, or only those that stop bots."""
    found = [each["labels"] for each in ask("/alerts") if each["labels"]["alertname"] != "Watchdog"]
    return [each["alertname"] for each in found if not acts or each.get("action", "").startswith("stop_")]


def at(**more: int) -> str:
    return (datetime.now(UTC) + timedelta(**more)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def raise_alert(name: str, seconds: int = 600, summary: str = "made by a test") -> None:
    labels = {"alertname": name, "severity": "critical", "action": "none"}
    times = {"startsAt": at(minutes=-10), "endsAt": at(seconds=seconds)}
    alert = {"labels": labels, "annotations": {"summary": summary}, **times}
    ask("/alerts", [alert], "POST")
    wait_until(lambda: (name in alerts()) is (seconds > 0), 30, f"{name} is there, or gone")


def silence_directly(name: str) -> str:
    matchers = [{"name": "alertname", "value": name, "isRegex": False, "isEqual": True}]
    more = {"startsAt": at(), "endsAt": at(hours=1), "createdBy": "anna", "comment": "made by a test"}
    return str(ask("/silences", {"matchers": matchers, **more}, "POST")["silenceID"])


def start_shift(*options: str) -> Run:
    return runbook("shift_start", *options)


def newest(reports: Path, kind: str, name: str) -> str:
    return max((reports / kind).iterdir(), key=lambda path: path.name).joinpath(name).read_text(encoding="utf-8")


def section(text: str, number: str) -> str:
    return text.partition(f"\n## {number} ")[2].partition("\n## ")[0]


@pytest.mark.timeout(900)
@pytest.mark.faults
def test_a_healthy_estate_begins_its_shift_green(well, reports):
    run = start_shift()
    assert run.code == 0, run.verdict
    assert "VERDICT 0 shift_start in the LAB: PROVEN" in run.verdict
    page = newest(reports, "shifts", "report.html")
    assert page.count("<svg") == 8
    assert "No data" not in page.partition('id="s2.2"')[2].partition('id="s2.4"')[0], (
        "curves of feed and bots are drawn"
    )


@pytest.mark.faults  # where nothing else runs beside the lab
@pytest.mark.timeout(900)
def test_a_report_takes_no_longer_than_twenty_seconds(well, reports):
    taken = sorted(start_shift().seconds for _ in range(5))
    print(f"seconds: {taken}")
    assert taken[2] <= SECONDS


@pytest.mark.timeout(900)
@pytest.mark.faults
def test_a_feed_that_was_stopped_on_purpose_is_shown_so_with_person_time_and_reason(well, reports):
    assert runbook("feed_stop", "-e", "reason=venue maintenance").code == 0
    try:
        assert start_shift().code == 1, "no feed is no health"
        text = section(newest(reports, "shifts", "report.md"), "2.1")
        assert "✔ good | lab1: ai\\_trading\\_core/live\\_connector | stopped on purpose by" in text
        assert "venue maintenance" in text
    finally:
        assert runbook("feed_start").code == 0
        make_well()


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_a_handover_lists_incident_mitigation_and_silence_and_is_accepted(well, reports):
    incident = f"INC-{datetime.now(UTC):%Y%m%d-%H%M%S}-made-by-a-test"
    about = ("-e", f"incident_id={incident}")
    assert runbook("incident_note", *about, "-e", "text=psi is odd").code == 0
    nobodys = runbook("handover")
    assert (nobodys.code, f"{incident} has not an owner and a next step" in nobodys.verdict) == (1, True)

    raise_alert("MadeByATest", summary="<b>odd</b> [x](http://y) $z$ \x1b[31m")
    asked = ("-e", "alert=MadeByATest", "-e", "next_step=trains it anew")
    assert runbook("alert_take", *asked).code == 0
    fixed = None
    silence = ("-e", "alert=MadeByATest", "-e", "minutes=60", *about, "-e", "reason=training runs")
    try:
        assert runbook("silence", *silence).code == 0
        fixed = runbook("mitigate", *about, "-e", "scale_sizing=0.5", "-e", "reason=calm")
        assert fixed.code == 0, fixed.verdict
        assert (
            runbook("incident_note", *about, "-e", "text=mine", "-e", "owner=anna", "-e", "next_step=trains it").code
            == 0
        )
        run = runbook("handover")
        assert run.code == 0, run.verdict
        text = newest(reports, "handovers", "handover.md")
        shown = text.replace("\\", "")
        assert f"| {incident} | 20" in shown
        assert 'alertname="MadeByATest"' in shown and "ENDS IN THE NEXT SHIFT" in shown
        changes = shown.partition("## Changes")[2].partition("\n## ")[0]
        assert "calm" in changes and "| 20" in changes
        assert "<b>" not in text and "\x1b" not in text
        taken = runbook("handover_accept", "-e", "by=bo")
        assert (taken.code, "bo has taken over HANDOVER-" in taken.verdict) == (0, True)
        assert runbook("handover_accept", "-e", "by=bo").code == 13
    finally:
        if fixed:
            (undo,) = set(re.findall(r"undo: \./runbook (mitigate .*? -e reason=undo)", fixed.verdict))
            runbook(*shlex.split(undo))
        raise_alert("MadeByATest", -1)
        for each in ask("/silences"):
            if each["status"]["state"] == "active" and "MadeByATest" in json.dumps(each["matchers"]):
                ask(f"/silence/{each['id']}", None, "DELETE")


@pytest.mark.timeout(300)
def test_every_access_works_in_the_lab_and_nothing_is_changed(stacks):
    def state() -> dict[str, str]:
        look = f"docker ps -aq --no-trunc | sort; sha256sum {STATE}/*.json* 2>/dev/null; true"
        return {host: on(host, look) for host in HOSTS}

    before = state()
    run = runbook("oncall_access")
    assert run.code == 0, run.output
    assert state() == before


def lab_home(tmp_path: Path) -> Path:
    """Return a copy of the lab's keys and pinned host keys, to be spoiled."""
    known = os.environ.get("TRADING_CORE_LAB_HOME") or Path.home() / ".local/state/trading-core-lab"
    shutil.copytree(known, tmp_path / "lab", ignore_dangling_symlinks=True)
    return tmp_path / "lab"


@pytest.mark.faults
@pytest.mark.timeout(300)
@pytest.mark.parametrize("fault", ["wrong key", "changed host key", "closed port", "wrong password"])
def test_an_access_that_does_not_work_is_red_with_its_fix(stacks, tmp_path, fault):
    home = lab_home(tmp_path)
    options: tuple[str, ...] = ()
    if fault == "wrong key":
        (home / "id_ed25519").unlink()
        key = str(home / "id_ed25519")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        wanted = ("✖ lab1: SSH: your key is refused", "ssh-copy-id")
    elif fault == "changed host key":
        pinned = home / "known_hosts"
        lines = pinned.read_text().splitlines()
        key = next(line.split()[2] for line in lines if "172.29.77.12" in line)
        pinned.write_text(
            "".join(f"{line.rsplit(' ', 1)[0]} {key}\n" if "172.29.77.11" in line else f"{line}\n" for line in lines)
        )
        wanted = ("✖ lab1: SSH: its host key is not the pinned one", "ssh-keygen -f")
    elif fault == "closed port":
        options = ("-e", "ansible_port=1")
        wanted = ("✖ lab1: SSH: nobody listens on its SSH port", "systemctl enable --now ssh")
    else:
        services = [
            {"name": "Grafana", "url": "http://172.29.77.11:3000/api/org", "username": "lab", "password": "wrong"}
        ]
        options = ("-e", json.dumps({"trading_core_access_services": services}))
        wanted = ("✖ Grafana: http://172.29.77.11:3000/api/org refuses your credentials (401)", "from your vault")
    began = time.monotonic()
    run = runbook("oncall_access", *options, env={"TRADING_CORE_LAB_HOME": str(home)})
    assert (run.code, time.monotonic() - began <= 15) == (1, True), run.output
    line = next(line for line in run.output.splitlines() if wanted[0] in line)
    assert wanted[1] in line
