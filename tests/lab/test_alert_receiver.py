"""From an alert to a stop, on the lab's hosts, with nobody touching a key; and all that must not become one."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.alert_requests import Receiver, bad_requests
from tests.lab.conftest import release_halt, start_trading
from tests.lab.estate import (
    FEED_HOST,
    ROOT,
    bots,
    docker,
    feed_fault,
    latch,
    messages,
    no_feed_fault,
    no_venue_fault,
    now,
    on,
    runbook,
    running_bots,
    venue_fault,
    wait_until,
)

pytestmark = [pytest.mark.faults, pytest.mark.timeout(2700)]

CONTROL = "lab-control"
ALERTS = "/var/lib/trading-core/alerts"
INCIDENTS = "/var/lib/trading-core/incidents"
COPIES = "/opt/trading-core-runbooks/current/incidents"
UNITS = "trading-core-alert-proxy trading-core-alert-receiver trading-core-alerts.path trading-core-alert-watch.timer"
SERVICES = "trading-core-alerts.service trading-core-alert-watch.service"
ACCESS = {"access": {"arguments": ["status"], "timeout_seconds": 300, "notice_on_failure": False}}
PROMETHEUS = "http://172.29.77.11:9090"
ALERTMANAGER = "http://172.29.77.11:9093"
SCRAPE_SECONDS = 5
LOSS = re.compile("alert Live(Drawdown|PnlDay|RiskLimit)")
RECEIVER = Receiver(
    "172.29.77.14",
    9095,
    ROOT / ".cache" / "alert-receiver.pem",
    "lab-alert-receiver-token-0123456789-0123456789",
)


@pytest.fixture(scope="module")
def receiver(stacks: None) -> Iterator[None]:
    """The receiver is set up, and a heartbeat has come through; gone again afterwards."""
    try:
        subprocess.run([sys.executable, str(ROOT / "lab" / "estate.py"), "up", "--jobs"], check=True, timeout=900)
        assert runbook("schedule_setup", "-e", json.dumps({"trading_core_jobs": ACCESS})).code == 0
        assert runbook("alerting_start").code == 0
        assert runbook("alert_receiver_setup").code == 0
        yield
    finally:
        _remove()


def _remove() -> None:
    """Take the receiver and its jobs away, also what a setup left half-way: it would stop the bots of other tests."""
    on(CONTROL, f"systemctl disable --now {UNITS} 2>/dev/null; systemctl stop {SERVICES} 2>/dev/null; rm -rf {ALERTS}")
    on(CONTROL, "rm -rf /etc/trading-core/alert* /usr/local/lib/trading-core-alerts")
    kept = " ".join(f"/var/lib/trading-core/{name}" for name in ("jobs", "records", "reports", "checkout.tar.gz"))
    on(CONTROL, f"rm -rf /opt/trading-core-runbooks /var/cache/trading-core-lab /etc/trading-core/jobs.json {kept}")
    units = " ".join(f"/etc/systemd/system/trading-core-{name}*" for name in ("alert", "job-", "notice@"))
    on(CONTROL, f"rm -f {units}; systemctl daemon-reload; systemctl reset-failed 'trading-core-alert*' || true")
    on(
        FEED_HOST,
        "rm -f /etc/trading-core/alert-receiver/*; docker start -a am_init; docker kill -s HUP alertmanager || true",
    )


@pytest.fixture
def armed(receiver: None, trading: None) -> Iterator[None]:
    """Both bots trade, no alert that acts fires, and no incident of the alerts lasts."""
    _forget()
    wait_until(lambda: not acting() and is_empty(), 400, "no alert that acts fires, and none is carried out")
    _forget()
    if len(running_bots()) < 2:  # one of the test before stopped them once more
        release_halt()
        start_trading()
    yield
    no_feed_fault()
    no_venue_fault()
    on(CONTROL, "systemctl start trading-core-alerts.path trading-core-alert-watch.timer")  # a test may have failed
    assert runbook("monitoring_setup").code == 0
    # Released before that, it would be halted again.
    wait_until(lambda: not acting() and is_empty(), 400, "no alert that acts fires, and none is carried out")
    _forget()
    release_halt()


def _forget() -> None:
    """Let nothing of an earlier alert last; also no pause of deploys, which noise in the market can have set."""
    on(CONTROL, "rm -f /var/lib/trading-core/deploy_pause.json")
    on(CONTROL, f"rm -f {ALERTS}/drive.json {ALERTS}/told.json {ALERTS}/received.jsonl")
    # The copies too: what a run that was ended has left there comes home with the next one.
    on(CONTROL, f"rm -rf {INCIDENTS}/*alert-* {COPIES}/*alert-*")


def ask(query: str) -> list[dict[str, Any]]:
    url = f"{PROMETHEUS}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        return list(json.load(answer)["data"]["result"])


def acting() -> list[str]:
    """Return the alerts that act and fire, or are about to."""
    found = ask('ALERTS{action=~"stop_bots|stop_live"}')
    return [sample["metric"]["alertname"] for sample in found]


def alert_since(name: str, begun: float) -> datetime | None:
    """Return since when, after `begun`, Prometheus has seen what an alert is about, also where that is over."""
    seconds = int(time.time() - begun) + 1
    found = ask(f'min_over_time(timestamp(ALERTS{{alertname="{name}"}})[{seconds}s:1s])')
    return min((datetime.fromtimestamp(float(sample["value"][1]), UTC) for sample in found), default=None)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(f"{text[:26].rstrip('Z')}+00:00")


def ended_at(host: str) -> datetime:
    text = on(
        host, "docker inspect -f '{{.State.FinishedAt}}' $(docker ps -aq --filter label=com.docker.compose.service=bot)"
    )
    return max(map(moment, text.split()))


def incidents() -> list[str]:
    return on(CONTROL, f"ls {INCIDENTS} 2>/dev/null | grep -- -alert- || true").split()


def timeline(incident_id: str) -> list[dict[str, Any]]:
    text = on(CONTROL, f"cat {INCIDENTS}/{incident_id}/timeline.jsonl 2>/dev/null || true")
    return [json.loads(line) for line in text.splitlines()]


def received() -> list[dict[str, Any]]:
    text = on(CONTROL, f"cat {ALERTS}/received.jsonl 2>/dev/null || true")
    return [json.loads(line) for line in text.splitlines()]


def is_empty() -> bool:
    return on(CONTROL, f"ls {ALERTS}/spool {ALERTS}/incoming | grep json || true") == ""


def hold_orders() -> None:
    """Have nobody carry out what comes from now on, nor who began a moment ago."""
    on(CONTROL, "systemctl stop trading-core-alerts.path trading-core-alert-watch.timer")
    wait_until(
        lambda: "activating" not in on(CONTROL, f"systemctl is-active {SERVICES} || true"), 60, "the end of a turn"
    )


def test_a_drawdown_beyond_its_limit_stops_live_bots_within_30_seconds_and_paper_goes_on(armed):
    """A trade at a price far off is beyond all three limits of a live bot at once; whichever is told first stops it."""
    begun, started = now(), time.time()
    venue_fault("slippage", mode="live")
    since = wait_until(lambda: alert_since("LiveDrawdown", started), 300, "a loss, and the alert is pending")
    told = wait_until(
        lambda: [text for text in messages("ops", begun) if LOSS.search(text)] and datetime.now(UTC),
        60,
        "the channel is told",
    )
    # The first sample beyond the limit is at most a scrape older than the evaluation that saw it.
    first_bad_sample = since - timedelta(seconds=SCRAPE_SECONDS)
    print(f"live bot ended {(ended_at('lab2') - first_bad_sample).total_seconds():.1f} s after the first bad sample")
    print(f"the channel was told {(told - first_bad_sample).total_seconds():.1f} s after it")
    assert running_bots(["lab2"]) == []
    assert ended_at("lab2") - first_bad_sample <= timedelta(seconds=30)
    assert told - first_bad_sample <= timedelta(seconds=30)
    assert {latch(host)["scope"] for host in ("lab1", "lab2")} == {"live"}
    assert len(running_bots(["lab1"])) == 1
    # Evidence comes first.
    (incident,) = wait_until(incidents, 400, "the record on the control host")
    entries = wait_until(lambda: timeline(incident), 60, "its timeline")
    detection = next(entry for entry in entries if entry["kind"] == "detection")
    assert detection["by"] == "alertmanager"
    assert LOSS.fullmatch(f"alert {detection['facts']['alerts'][0]['name']}")
    wait_until(lambda: "open" in on(CONTROL, f"grep -s ^state {INCIDENTS}/{incident}/incident.yml || true"), 60, "open")


def test_a_degraded_feed_stops_paper_and_live_bots_as_one_incident(armed):
    begun = datetime.now(UTC)
    feed_fault("latency", milliseconds=900)
    wait_until(lambda: running_bots() == [], 90, "no bot runs")
    seconds = max((ended_at(host) - begun).total_seconds() for host in ("lab1", "lab2"))
    print(f"both ended {seconds:.1f} s after the fault")
    assert {latch(host)["scope"] for host in ("lab1", "lab2")} == {"all"}
    # More alerts follow, and each drives the same incident again.
    wait_until(is_empty, 400, "an empty spool")
    assert len(incidents()) == 1
    assert {tuple(latch(host)["incident_ids"]) for host in ("lab1", "lab2")} == {tuple(incidents())}


def test_of_ten_thousand_requests_that_are_no_alert_none_becomes_an_order(armed):
    restarts = on(CONTROL, "systemctl show -P NRestarts trading-core-alert-proxy trading-core-alert-receiver")
    try:
        hold_orders()
        statuses = {RECEIVER.send(request) for request in bad_requests(RECEIVER, 10_000, seed=1)}
        # Heartbeats come meanwhile, and an alert may: only Alertmanager says where it is to be found.
        ours = on(CONTROL, f"grep -L externalURL {ALERTS}/spool/*.json 2>/dev/null || true")
        assert ours == "", "something that Alertmanager did not send lies in the spool"
        wait_until(lambda: on(CONTROL, f"ls {ALERTS}/incoming") == "", 10, "nothing that is half taken")
        assert all(status is None or status >= 400 for status in statuses), statuses
    finally:
        on(CONTROL, "systemctl start trading-core-alerts.path trading-core-alert-watch.timer")
    again = on(CONTROL, "systemctl show -P NRestarts trading-core-alert-proxy trading-core-alert-receiver")
    assert again == restarts
    for unit, limit in (("proxy", 64), ("receiver", 256)):
        peak = on(CONTROL, f"systemctl show -P MemoryPeak trading-core-alert-{unit}").strip()
        print(f"{unit}: {peak} bytes at most")
        assert not peak.isdigit() or int(peak) <= limit * 2**20
    assert RECEIVER.send(RECEIVER.good("HostDisk")) == 200


def test_a_thousand_replays_are_one_incident_and_one_run_at_a_time(armed):
    most, done = [0], threading.Event()
    runs = "tr '\\0' '\\n' | grep ^TRADING_CORE_JOB_RUN=alert_stop- | sort -u | wc -l"
    shell = f"cat /proc/[0-9]*/environ 2>/dev/null | {runs}"

    def look() -> None:
        while not done.is_set():
            most[0] = max(most[0], int(on(CONTROL, shell)))
            time.sleep(0.5)

    looking = threading.Thread(target=look)
    looking.start()
    seconds = []
    try:
        # Two Alertmanagers send the same.
        for connection in (RECEIVER.connect(), RECEIVER.connect()):
            for _ in range(500):
                begun = time.monotonic()
                assert RECEIVER.send(RECEIVER.good("LiveDrawdown"), connection) == 200
                seconds.append(time.monotonic() - begun)
            connection.close()
        wait_until(is_empty, 400, "an empty spool")
    finally:
        done.set()
        looking.join()
    seconds.sort()
    print(f"answered after {seconds[500] * 1000:.0f} ms (median), {seconds[990] * 1000:.0f} ms (p99)")
    assert seconds[990] <= 0.2
    assert most[0] == 1
    assert len(incidents()) == 1
    assert sum(line.get("count", 0) for line in received() if line.get("name") == "LiveDrawdown") == 1000
    assert running_bots(["lab2"]) == []


def test_killed_at_its_200_fifty_times_every_order_is_carried_out(armed):
    for number in range(50):
        name = f"KilledAt{number}"
        wait_until(lambda name=name: RECEIVER.send(RECEIVER.good(name)) == 200, 30, "the receiver takes it")
        on(CONTROL, "systemctl kill --signal=KILL trading-core-alert-receiver")
    wait_until(is_empty, 120, "an empty spool")
    carried_out = {line.get("name") for line in received()}
    assert {f"KilledAt{number}" for number in range(50)} <= carried_out


def test_an_order_in_the_spool_is_carried_out_after_a_reboot_of_the_control_host(armed):
    hold_orders()
    assert RECEIVER.send(RECEIVER.good("LiveDrawdown")) == 200
    time.sleep(5)
    assert len(running_bots(["lab2"])) == 1
    docker("restart", CONTROL, timeout=120)
    wait_until(lambda: running_bots(["lab2"]) == [], 120, "the live bot stops")
    assert len(running_bots(["lab1"])) == 1
    assert latch("lab2")["scope"] == "live"
    wait_until(lambda: RECEIVER.send(RECEIVER.good("HostDisk")) == 200, 60, "the receiver is back by itself")


def test_killed_in_the_middle_of_a_stop_the_same_incident_goes_on(armed):
    assert RECEIVER.send(RECEIVER.good("LiveDrawdown")) == 200
    drive = wait_until(lambda: on(CONTROL, f"cat {ALERTS}/drive.json 2>/dev/null || true"), 30, "the stop begins")
    on(CONTROL, "systemctl kill --signal=KILL trading-core-alerts.service")
    wait_until(is_empty, 400, "the order is carried out")
    assert incidents() in ([], [json.loads(drive)["incident_id"]])
    assert running_bots(["lab2"]) == []


def test_the_silence_of_the_path_is_told_within_five_minutes_and_so_is_its_end(armed):
    begun, started = now(), time.monotonic()
    on(FEED_HOST, "docker stop alertmanager")
    try:
        wait_until(
            lambda: [text for text in messages("ops", begun) if "No heartbeat of the alerts" in text], 300, "it is told"
        )
        print(f"told {time.monotonic() - started:.0f} s after Alertmanager was stopped")
        assert runbook("alert_path").code == 10
    finally:
        on(FEED_HOST, "docker start alertmanager")
    wait_until(lambda: [text for text in messages("ops", begun) if "arrive again" in text], 240, "its end is told")
    assert runbook("alert_path").code == 0


def test_a_silence_over_an_alert_that_stops_bots_is_told_at_once(armed):
    begun = now()
    ends = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    silence = {
        "matchers": [{"name": "alertname", "value": "LiveDrawdown", "isRegex": False}],
        "startsAt": datetime.now(UTC).isoformat(),
        "endsAt": ends,
        "createdBy": "kim",
        "comment": "too loud",
    }
    request = urllib.request.Request(
        f"{ALERTMANAGER}/api/v2/silences", json.dumps(silence).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        made = json.load(answer)["silenceID"]
    try:
        (text,) = wait_until(
            lambda: [text for text in messages("ops", begun) if "kim has silenced alerts" in text], 120, "it is told"
        )
        assert "LiveDrawdown" in text
        assert "too loud" in text
    finally:
        url = f"{ALERTMANAGER}/api/v2/silence/{made}"
        urllib.request.urlopen(urllib.request.Request(url, method="DELETE"), timeout=10).close()


def test_a_wider_stop_does_not_wait_for_the_one_that_runs(armed):
    assert RECEIVER.send(RECEIVER.good("LiveDrawdown")) == 200
    wait_until(lambda: running_bots(["lab2"]) == [], 60, "the live bot stops")
    begun = time.monotonic()
    assert RECEIVER.send(RECEIVER.good("FeedBarsRate")) == 200
    wait_until(lambda: running_bots() == [], 30, "the paper bot stops")
    print(f"stopped {time.monotonic() - begun:.1f} s after the wider alert")
    assert bots("lab1")
    wait_until(is_empty, 400, "an empty spool")
    assert len(incidents()) == 1
