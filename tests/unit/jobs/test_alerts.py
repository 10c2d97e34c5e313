"""What lies in the spool is carried out, by a process that may die at any moment, and the path is watched."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace

import pytest
from trading_ops.alerts.actions import BY
from trading_ops.alerts.alertmanager import AlertmanagerError, Matcher, Silence
from trading_ops.incident.folder import TIMELINE, UNSYNCED, append, read_timeline
from trading_ops.incident.timeline import Entry

from jobs import alerts
from jobs.alerts import Desk, Ran, carry_out, watch
from tests.unit.alerts.test_settings import SETTINGS

ACTIONS = {"Gaps": "stop_bots", "LiveDrawdown": "stop_live", "TrackingError": "pause_deploys", "HostDisk": "none"}
PROVEN = Ran(0, "VERDICT 0 incident: PROVEN", True)
NOW = 1_800_000_000.0


class Killed(BaseException):
    """The process dies here."""


@dataclass
class World:
    """The control host with a ./runbook that does what a test says: an answer for each call, the last one forever."""

    desk: Desk
    calls: list[list[str]] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)
    answers: dict[str, list] = field(default_factory=dict)
    silences: object = ()
    now: float = NOW
    number: int = 0

    def run(self, name, arguments, timeout_seconds, is_superseded):
        self.calls.append(list(arguments))
        self.jobs.append(name)
        answers = self.answers.get(arguments[0], [PROVEN])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if callable(answer):
            answer = answer(is_superseded)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def look(self):
        if isinstance(self.silences, Exception):
            raise self.silences
        return self.silences

    def arrives(self, *names, status="firing"):
        self.number += 1
        alerts = [{"status": status, "labels": {"alertname": name}, "annotations": {}} for name in names]
        name = f"{int(self.now * 1e9) + self.number:020d}-aa.json"
        (self.desk.spool / name).write_text(json.dumps({"alerts": alerts}))

    @property
    def procedures(self):
        return [call[0] for call in self.calls]

    def incident_ids(self):
        words = [word for call in self.calls for word in call if word.startswith("incident_id=")]
        return sorted(set(words))

    def waiting(self):
        return len(list(self.desk.spool.iterdir()))

    def told(self):
        return [call[2].removeprefix("reason=") for call in self.calls if call[0] == "alert_notice"]

    def records(self):
        return [json.loads(line) for line in (self.desk.path / "received.jsonl").read_text().splitlines()]


@pytest.fixture
def world(tmp_path):
    (tmp_path / "alerts" / "spool").mkdir(parents=True)
    made = World(None)
    made.desk = Desk(
        path=tmp_path / "alerts",
        incidents_path=tmp_path / "incidents",
        local_copies_path=tmp_path / "copies",
        settings=replace(SETTINGS, actions=ACTIONS),
        settings_since=NOW - 10_000,
        run=made.run,
        silences=made.look,
        clock=lambda: made.now,
    )
    return made


def release(world, incident_id, procedure="halt_release", moment="2027-01-15T08:00:00.000Z"):
    entry = Entry(f"{procedure}-1", moment, moment, "step", "4.8", procedure, "proven", "", "kim", "kim@desk", {})
    folder = world.desk.incidents_path / incident_id.removeprefix("incident_id=")
    append(folder, TIMELINE, [entry])
    os.utime(folder / TIMELINE, (world.now + 1, world.now + 1))


def test_an_alert_that_stops_is_a_whole_incident_and_leaves_the_spool_once_it_is_proven(world):
    world.arrives("LiveDrawdown")
    assert carry_out(world.desk) == 0
    (call,) = world.calls
    assert call[:3] == ["incident", "-e", "scope=live"]
    assert call[-1] == "reason=alert LiveDrawdown"
    assert world.waiting() == 0
    assert [record["what"] for record in world.records()] == ["stop_live"]


def test_the_incidents_record_says_which_alert_it_was_before_anything_stops(world):
    seen = []

    def look(_):
        seen.extend(read_timeline(next(world.desk.local_copies_path.iterdir()), UNSYNCED).entries)
        return PROVEN

    world.answers["incident"] = [look]
    world.arrives("LiveDrawdown")
    carry_out(world.desk)
    assert [(entry.kind, entry.by, entry.text) for entry in seen] == [
        ("detection", BY, "Noticed by alert LiveDrawdown: LiveDrawdown")
    ]


def test_duplicates_drive_the_stop_of_the_same_incident_again(world):
    for _ in range(1000):
        world.arrives("Gaps")
    carry_out(world.desk)
    world.now += 90
    world.arrives("Gaps")
    carry_out(world.desk)
    assert world.procedures == ["incident", "failsafe_stop", "incident_note"]
    assert len(world.incident_ids()) == 1
    assert world.records()[0]["count"] == 1000


@pytest.mark.parametrize("status", ["resolved", "pending"])
def test_what_is_no_call_to_act_is_recorded_and_nothing_runs(world, status):
    world.arrives("Gaps", status=status)
    world.arrives("NobodyKnows")
    world.arrives("HostDisk")
    assert carry_out(world.desk) == 0
    assert (world.calls, world.waiting(), len(world.records())) == ([], 0, 3)


def test_killed_in_the_middle_of_a_stop_the_next_process_carries_it_out_as_the_same_incident(world):
    world.answers["incident"] = [Killed(), PROVEN]
    world.arrives("Gaps")
    with pytest.raises(Killed):
        carry_out(world.desk)
    assert world.waiting() == 1
    world.now += 90  # an id of its own would have another time in it
    assert carry_out(world.desk) == 0
    assert world.procedures == ["incident", "incident"]
    assert (len(world.incident_ids()), world.waiting()) == (1, 0)


UNKNOWN = Ran(10, "VERDICT 10 incident: lab2 is unknown", True)


def to_its_end(world, answer):
    """An incident that brings its record home, as its last step."""

    def incident(_):
        release(world, world.incident_ids()[0], "incident", "2027-01-15T08:01:00.000Z")
        return answer

    return incident


@pytest.mark.parametrize("comes_home", [True, False])
def test_a_stop_that_is_not_proven_is_told_and_tried_three_times(world, comes_home):
    """As a whole incident until one has come to its end: where no host proves its stop, that is all there was."""
    world.answers["incident"] = [to_its_end(world, UNKNOWN) if comes_home else UNKNOWN]
    world.answers["failsafe_stop"] = [UNKNOWN]
    world.arrives("Gaps")
    assert [carry_out(world.desk) for _ in range(4)] == [1, 1, 0, 0]
    assert [name for name in world.procedures if name != "alert_notice"] == [
        "incident",
        *["failsafe_stop" if comes_home else "incident"] * 2,
    ]
    assert [text[:58] for text in world.told()] == [
        f"AUTOMATIC STOP NOT PROVEN (alert Gaps, try {number} of 3): VERDICT"[:58] for number in (1, 2, 3)
    ]
    assert (world.waiting(), len(world.incident_ids())) == (0, 1)


def test_a_stop_that_is_proven_after_all_is_told(world):
    world.answers["incident"] = [to_its_end(world, UNKNOWN)]
    world.arrives("Gaps")
    assert [carry_out(world.desk), carry_out(world.desk)] == [1, 0]
    assert world.procedures == ["incident", "alert_notice", "failsafe_stop", "incident_note", "alert_notice"]
    assert world.told()[1] == "Automatic stop proven (alert Gaps, try 2 of 3)."


def test_a_stop_that_left_orders_open_is_proven_told_with_them_and_not_repeated(world):
    """What is open at the venue is for people: no further stop closes it."""
    verdict = "VERDICT 14 incident: STOPPED, ORDERS OPEN: 2 bots proven stopped; orders: 3 OPEN"
    world.answers = {"incident": [Ran(14, verdict, True)], "failsafe_stop": [Ran(14, verdict, True)]}
    world.arrives("Gaps")
    assert carry_out(world.desk) == 0
    assert world.procedures == ["incident", "alert_notice"]
    assert world.told() == [f"AUTOMATIC STOP PROVEN, ORDERS OPEN OR UNVERIFIED (alert Gaps): {verdict}"]
    assert world.waiting() == 0


@pytest.mark.parametrize(("later", "notices"), [(90, 1), (3600, 2)])
def test_orders_that_stay_open_are_told_once_an_hour_however_often_the_alert_comes(world, later, notices):
    left = Ran(14, "VERDICT 14 x: STOPPED, ORDERS OPEN", True)
    world.answers = {"incident": [left], "failsafe_stop": [left]}
    for _ in range(2):
        world.arrives("Gaps")
        assert carry_out(world.desk) == 0
        world.now += later
    assert [name for name in world.procedures if name != "alert_notice"] == [
        "incident",
        "failsafe_stop",
        "incident_note",
    ]
    assert len(world.told()) == notices


def test_a_notice_of_orders_that_was_not_taken_is_given_again(world):
    left = Ran(14, "VERDICT 14 x: STOPPED, ORDERS OPEN", True)
    world.answers = {"incident": [left], "failsafe_stop": [left], "alert_notice": [Ran(1, "VERDICT 1", True), PROVEN]}
    for _ in range(3):
        world.arrives("Gaps")
        carry_out(world.desk)
        world.now += 90
    assert len(world.told()) == 2


def test_a_notice_of_a_stop_is_another_job_than_that_of_the_watch_which_may_run_at_the_same_time(world):
    world.answers = {"incident": [UNKNOWN], "deploy_pause": [UNKNOWN]}
    world.desk = replace(world.desk, settings_since=NOW - 9000)
    watch(world.desk)
    (of_watch,) = world.jobs
    world.arrives("TrackingError")
    carry_out(world.desk)
    world.arrives("Gaps")
    carry_out(world.desk)
    assert len(world.told()) == 3
    assert world.jobs.count(of_watch) == 1


def test_a_wider_stop_that_ends_early_is_a_whole_incident_again_though_the_narrower_one_was(world):
    world.answers["incident"] = [to_its_end(world, PROVEN), UNKNOWN, PROVEN]
    world.arrives("LiveDrawdown")
    assert carry_out(world.desk) == 0
    world.now += 300
    world.arrives("Gaps")
    assert [carry_out(world.desk), carry_out(world.desk)] == [1, 0]
    assert world.procedures == ["incident", "incident", "alert_notice", "incident"]


def test_a_run_without_a_verdict_is_the_whole_incident_again(world):
    world.answers["incident"] = [Ran(1, "VERDICT 1 job alert_stop: NOT PROVEN: over its time limit", False), PROVEN]
    world.arrives("Gaps")
    assert [carry_out(world.desk), carry_out(world.desk)] == [1, 0]
    assert [name for name in world.procedures if name != "alert_notice"] == ["incident", "incident"]


def test_a_wider_stop_ends_the_one_that_runs_and_is_carried_out_at_once(world):
    def live(is_superseded):
        assert not is_superseded()
        world.arrives("Gaps")
        assert is_superseded()
        return Ran(1, "VERDICT 1 job alert_stop: NOT PROVEN: ended for one that does more", False)

    world.answers["incident"] = [live, PROVEN]
    world.arrives("LiveDrawdown")
    assert carry_out(world.desk) == 0
    assert [call[2] for call in world.calls] == ["scope=live", "scope=all"]
    assert (len(world.incident_ids()), world.told(), world.waiting()) == (1, [], 0)


def test_a_narrower_or_equal_one_waits_for_the_end_and_narrows_nothing(world):
    def stop(is_superseded):
        world.arrives("LiveDrawdown")
        assert not is_superseded()
        return PROVEN

    world.answers["incident"] = [stop]
    world.arrives("Gaps")
    assert carry_out(world.desk) == 0
    assert [call[2] for call in world.calls[:2]] == ["scope=all", "scope=all"]


def test_text_that_is_no_utf_8_ends_no_reader(world):
    """A half surrogate in an alert, and names of files that only the account of the receiver could give."""
    alert = {"status": "\ud800", "labels": {"alertname": "\ud800", "\ud800": "\ud800"}, "startsAt": "\ud800"}
    (world.desk.spool / "1-aa.json").write_text(json.dumps({"alerts": [alert]}))
    for name in (b"\xc2\xb2-x.json", b"\xff-x.json", b"2-\xff.json"):
        with open(os.fsencode(world.desk.spool) + b"/" + name, "wb") as file:
            file.write(b"{}")
    (world.desk.spool / "3-\udcff.json").mkdir()
    world.arrives("Gaps")
    assert carry_out(world.desk) == 0
    assert (world.procedures, world.waiting()) == (["incident"], 0)
    assert sum(record["what"].startswith("refused") for record in world.records()) == 4


@pytest.mark.parametrize("procedure", ["halt_release", "closed"])
def test_after_a_release_or_the_end_of_the_incident_an_alert_is_a_new_one(world, procedure):
    world.arrives("Gaps")
    carry_out(world.desk)
    (first,) = world.incident_ids()
    if procedure == "halt_release":
        release(world, first)
    else:
        world.now += 3601  # nothing of it ever came on record
    world.arrives("LiveDrawdown")
    carry_out(world.desk)
    assert world.procedures == ["incident", "incident"]
    assert len(world.incident_ids()) == 2


@pytest.mark.parametrize(
    ("released_at", "incidents"),
    [("2027-01-15T07:59:59.000Z", 1), ("2027-01-15T08:30:00.000Z", 2)],
)
@pytest.mark.parametrize("has_record", [True, False])
def test_a_release_under_another_id_of_the_same_latch_ends_the_stop_too(world, released_at, incidents, has_record):
    """A latch is lifted as a whole, by any of its ids; a release before the alert's stop lifted another one."""
    world.arrives("Gaps")
    carry_out(world.desk)
    if has_record:
        release(world, world.incident_ids()[0], procedure="incident")
    broken = world.desk.incidents_path / "INC-broken"
    broken.mkdir(parents=True)
    (broken / TIMELINE).write_bytes(b"\xff")
    release(world, "INC-person", moment=released_at)
    world.now += 3000
    world.arrives("Gaps")
    carry_out(world.desk)
    assert len(world.incident_ids()) == incidents


def test_another_step_of_the_record_is_no_release(world):
    world.arrives("Gaps")
    carry_out(world.desk)
    release(world, world.incident_ids()[0], procedure="failsafe_stop")
    world.now += 9999
    world.arrives("Gaps")
    carry_out(world.desk)
    assert len(world.incident_ids()) == 1


def test_deploys_are_paused_after_the_stop_and_a_failure_is_told(world):
    world.answers["deploy_pause"] = [Ran(1, "VERDICT 1 deploy_pause: FAILED", True)]
    world.arrives("TrackingError", "LiveDrawdown")
    assert carry_out(world.desk) == 0
    assert world.procedures == ["incident", "deploy_pause", "alert_notice"]
    assert world.told() == ["DEPLOYS ARE NOT PAUSED (alert TrackingError): VERDICT 1 deploy_pause: FAILED"]


@pytest.mark.parametrize("name", ["Gaps", "LiveDrawdown"])
def test_a_stop_that_was_carried_out_does_not_end_the_pause_after_it(world, name):
    def pause(is_superseded):
        assert not is_superseded()
        return PROVEN

    world.answers["deploy_pause"] = [pause]
    world.arrives("TrackingError", name)
    assert carry_out(world.desk) == 0
    assert (world.procedures, world.waiting()) == (["incident", "deploy_pause"], 0)


def test_a_stop_of_live_bots_does_not_wait_for_the_end_of_a_pause(world):
    def pause(is_superseded):
        assert not is_superseded()
        world.arrives("LiveDrawdown")
        assert is_superseded()
        return Ran(1, "VERDICT 1 job alert_pause: NOT PROVEN: ended for one that does more", False)

    world.answers["deploy_pause"] = [pause, PROVEN]
    world.arrives("TrackingError")
    assert carry_out(world.desk) == 0
    assert (world.procedures, world.waiting()) == (["deploy_pause", "incident", "deploy_pause"], 0)


def test_what_is_no_order_is_refused_on_record_and_holds_up_nobody(world, tmp_path):
    spool = world.desk.spool
    (spool / "00-link.json").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(spool / "01-pipe.json")
    (spool / "02-giant.json").write_bytes(b"x" * 300_000)
    (spool / "03-dir.json").mkdir()
    (spool / "nonsense").write_text("x")
    world.arrives("Gaps")
    assert carry_out(world.desk) == 0
    assert world.procedures == ["incident"]
    assert world.waiting() == 0
    assert sum(record["what"].startswith("refused") for record in world.records()) == 5


def test_a_disk_that_takes_nothing_holds_up_no_stop_and_does_not_go_round_forever(world, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    for name in ("write_durably", "append_durably", "append"):
        monkeypatch.setattr(alerts, name, full)
    monkeypatch.setattr(alerts, "_remove", lambda *_: None)
    world.arrives("Gaps")
    assert carry_out(world.desk) == 1
    assert world.procedures == ["incident"]


def heartbeat(world, ago=0.0):
    world.now -= ago
    world.arrives("Watchdog")
    world.now += ago
    carry_out(world.desk)


def test_a_heartbeat_is_kept_pinged_and_nothing_runs(world, monkeypatch):
    pings = []
    monkeypatch.setattr(alerts, "ping", pings.append)
    world.desk = replace(world.desk, settings=replace(world.desk.settings, heartbeat_url_path="/etc/url"))
    heartbeat(world)
    assert (world.calls, pings, world.waiting()) == ([], ["/etc/url"], 0)
    assert alerts.read_heartbeat(world.desk.path) == pytest.approx(NOW)
    carry_out(world.desk)
    assert pings == ["/etc/url"]  # an empty spool is no sign of life


def test_the_silence_of_the_path_is_told_once_and_so_is_its_end(world):
    heartbeat(world, ago=170)
    watch(world.desk)
    assert world.told() == []
    world.now += 60
    for _ in range(3):
        watch(world.desk)
    assert [text[:61] for text in world.told()] == ["No heartbeat of the alerts: the last came 230 s ago, and one "]
    heartbeat(world)
    watch(world.desk)
    watch(world.desk)
    assert world.told()[1:] == ["Heartbeats of the alerts arrive again."]
    world.now += 300
    watch(world.desk)
    assert len(world.told()) == 3


def test_a_heartbeat_that_never_came_is_missed_from_when_it_could_have_come(world):
    world.desk = replace(world.desk, settings_since=NOW)
    watch(world.desk)
    world.now += 181
    watch(world.desk)
    assert [text[:51] for text in world.told()] == ["No heartbeat of the alerts: none ever came, and one"]


def test_a_host_that_was_off_first_waits_for_a_heartbeat(world):
    heartbeat(world, ago=9000)
    world.desk = replace(world.desk, settings_since=NOW - 100)
    watch(world.desk)
    assert world.told() == []


def test_a_heartbeat_that_waits_behind_a_long_run_has_arrived(world):
    heartbeat(world, ago=400)
    world.arrives("Watchdog")
    watch(world.desk)
    assert world.told() == []


@pytest.mark.parametrize("kept", ["1e12", "NaN", "Infinity"])
def test_a_heartbeat_that_cannot_be_one_gives_way_to_the_next(world, kept):
    (world.desk.path / "heartbeat.json").write_text(kept)
    heartbeat(world)
    watch(world.desk)
    assert alerts.read_heartbeat(world.desk.path) == pytest.approx(NOW)
    assert world.told() == []


def test_an_order_that_is_no_heartbeat_makes_none_of_one_from_the_future(world, monkeypatch):
    pings = []
    monkeypatch.setattr(alerts, "ping", pings.append)
    (world.desk.path / "heartbeat.json").write_text("1e12")
    world.arrives("Gaps")
    carry_out(world.desk)
    assert (alerts.read_heartbeat(world.desk.path), pings) == (1e12, [])


def test_a_spool_that_is_gone_is_told(world):
    heartbeat(world)
    world.desk.spool.rmdir()
    watch(world.desk)
    watch(world.desk)
    (told,) = world.told()
    assert told.startswith("What alerts ask for cannot be read, so no alert would stop a bot now: ")


def test_what_could_not_be_told_is_told_the_next_time(world):
    heartbeat(world, ago=400)
    world.answers["alert_notice"] = [Ran(1, "VERDICT 1 alert_notice: FAILED", True), PROVEN]
    watch(world.desk)
    watch(world.desk)
    watch(world.desk)
    assert len(world.told()) == 2


def test_a_silence_over_an_alert_that_stops_bots_is_told_at_once_and_each_one_once(world):
    heartbeat(world)
    ends = "2027-01-15T12:00:00.000Z"
    world.silences = [Silence("a", (Matcher("severity", "critical"),), "kim", "noise", ends, ends, "active")]
    watch(world.desk)
    watch(world.desk)
    world.silences = [*world.silences, Silence("b", (Matcher("action", "none"),), "bo", "", ends, ends, "active")]
    watch(world.desk)
    assert [text.partition(" until")[0] for text in world.told()] == [
        "kim has silenced alerts that stop bots",
        "bo has silenced alerts that stop bots",
    ]


def test_an_alertmanager_that_cannot_be_asked_is_told_but_not_beside_the_silence_it_explains(world):
    world.silences = AlertmanagerError("http://lab1:9093: no answer: refused.")
    heartbeat(world)
    watch(world.desk)
    assert world.told() == [
        "It cannot be seen whether alerts that stop bots are silenced: http://lab1:9093: no answer: refused."
    ]
    world.calls.clear()
    world.now += 300
    watch(world.desk)
    assert [text[:26] for text in world.told()] == ["No heartbeat of the alerts"]


def test_the_log_of_what_came_is_bounded(world, monkeypatch):
    monkeypatch.setattr(alerts, "MOST_LOG_BYTES", 10)
    for _ in range(3):
        world.arrives("HostDisk")
        carry_out(world.desk)
    assert len(world.records()) == 1
    assert (world.desk.path / "received.1.jsonl").exists()
