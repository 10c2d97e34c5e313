"""What is seen of one host: facts, and a name for each that could not be had."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from trading_ops.host.engine import EngineError
from trading_ops.host.programs import Ended, ProgramError
from trading_ops.oncall.host_status import Host, count_errors, observe, parse_container, parse_mounts, read_certificates

from tests.unit.fakes import FakeContainer, FakeEngine, bot

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)


def records(*moments: str, word: str = "ERROR") -> list[bytes]:
    return [f"2026-11-21T{moment}.123456789Z {word} something\n".encode() for moment in moments]


class StatusEngine(FakeEngine):
    """An engine that also tells digests and logs; `logs_of` maps a container's id to its records, or to an error."""

    logs_of: dict[str, Iterable[bytes] | str]

    def image_digests(self, image_id: str) -> tuple[str, ...]:
        return (f"registry/app@{image_id}",)

    def log_records(self, container_id: str, tail_lines: int, since: float | None) -> Iterable[bytes]:
        assert since == NOW.timestamp() - 3 * 86400
        found = self.logs_of.get(container_id, [])
        if isinstance(found, str):
            raise EngineError(found)
        return found


@pytest.fixture
def host(tmp_path):
    """Return what makes a host of containers, its root in a scratch folder."""
    proc = tmp_path / "root/proc"
    proc.mkdir(parents=True)
    (proc / "mounts").write_text("/dev/sda / ext4 rw 0 0\n")
    (proc / "meminfo").write_text("MemTotal:       16000 kB\nMemAvailable:   12000 kB\n")
    (proc / "loadavg").write_text("0.50 0.40 0.30 1/100 4711\n")
    (proc / "uptime").write_text("400000.00 1.00\n")

    def make(*containers: FakeContainer, **logs) -> Host:
        engine = StatusEngine(*containers)
        engine.logs_of = logs
        return Host(lambda: engine, lambda argv: Ended(1, "", "no certificate"), lambda: NOW, tmp_path / "root")

    return make


def look(host: Host, state_path: Path, **more):
    params = {"state_path": str(state_path), "since": "", "certificate_paths": [], "documentation_path": ""}
    return observe({**params, "docker_root_path": "", "controller_epoch": 1.0, **more}, host)


def test_a_host_is_seen_with_its_containers_and_their_errors(tmp_path, host):
    paper = bot("paper")
    seen = look(host(paper, **{paper.id: records("05:10:00", "05:20:00")}), tmp_path)
    assert (seen["outcome"], seen["trouble"]) == ("proven", [])
    (found,) = seen["containers"]
    assert (found["service"], found["state"], found["digests"]) == ("bot", "running", ["registry/app@sha256:1"])
    assert seen["errors"] == [{"name": "paper", "service": "bot", "trouble": "", "recent": 2, "before_per_hour": None}]
    assert seen["machine"]["memory_available_bytes"] == 12_288_000
    assert (seen["latch"], seen["gate"], seen["desired"]) == (None, None, {})
    assert seen["filesystems"][0]["mount"] == "/"


def test_errors_are_recent_for_an_hour_or_since_the_last_shift(tmp_path, host):
    paper = bot("paper")
    made = host(paper, **{paper.id: records("05:10:00", "05:20:00", "05:50:00")})
    assert look(made, tmp_path)["errors_since"] == "2026-11-21T05:00:00.000Z"
    seen = look(made, tmp_path, since="2026-11-21T05:40:00.000Z")
    assert (seen["errors_since"], seen["errors"][0]["recent"]) == ("2026-11-21T05:40:00.000Z", 1)


def test_an_engine_that_does_not_answer_is_named_and_the_rest_is_there(tmp_path, host):
    def refuse():
        raise EngineError("The engine could not answer: timed out.")

    made = host()
    seen = look(Host(refuse, made.run, made.now, made.root), tmp_path)
    assert (seen["outcome"], seen["trouble"]) == ("unknown", ["The engine could not answer: timed out."])
    assert seen["machine"]["load"] == [0.5, 0.4, 0.3]


def test_a_host_that_needs_no_engine_is_not_asked_for_one(tmp_path, host):
    made = host()
    seen = look(Host(None, made.run, made.now, made.root), tmp_path)
    assert (seen["outcome"], seen["containers"]) == ("proven", [])


def test_errors_on_a_terminal_are_counted_however_its_pieces_are_cut(tmp_path, host):
    paper = bot("paper")
    paper.is_tty = True
    text = b"".join(records("05:10:00", "05:20:00", "05:50:00"))
    seen = look(host(paper, **{paper.id: [text[:70], text[70:90], text[90:]]}), tmp_path)
    assert seen["errors"][0]["recent"] == 3


def test_a_log_whose_times_are_none_is_named_and_the_rest_is_there(tmp_path, host):
    paper = bot("paper")
    seen = look(host(paper, **{paper.id: [b"2026-99-99T05:00:00Z ERROR\n"]}), tmp_path)
    assert (seen["errors"][0]["recent"], bool(seen["errors"][0]["trouble"])) == (None, True)


def test_a_log_without_one_time_that_can_be_read_is_not_known(tmp_path, host):
    paper = bot("paper")
    seen = look(host(paper, **{paper.id: [b"ERROR no time\n"]}), tmp_path)
    assert (seen["errors"][0]["recent"], "no record in it says when" in seen["errors"][0]["trouble"]) == (None, True)


def test_a_log_that_cannot_be_read_is_named_with_its_container(tmp_path, host):
    paper = bot("paper")
    seen = look(host(paper, **{paper.id: "The engine could not read logs: none."}), tmp_path)
    assert seen["errors"][0] | {"recent": None, "trouble": "The engine could not read logs: none."} == seen["errors"][0]


def test_files_of_ours_are_read_and_damaged_ones_named(tmp_path, host):
    (tmp_path / "feed_gate.json").write_text('{"passed_at": "a", "expires_at": "b", "by": "anna", "outcome": "pass"}')
    known = {"event": "lease taken", "by": "anna"}
    entries = [{"time": "2026-11-21T05:00:00Z", **known}, {"time": "2026-11-19T05:00:00Z", **known}]
    entries.append({"time": "2026-11-21T05:00:00Z", "event": "lease taken"})
    (tmp_path / "audit.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in entries) + "{cut\n")
    (tmp_path / "desired.json").write_text("garbage")
    (tmp_path / "drift_log.jsonl").write_text("garbage\n")
    (tmp_path / "halt.json").write_text("")
    seen = look(host(), tmp_path)
    assert seen["gate"] == {"passed_at": "a", "expires_at": "b", "by": "anna"}
    assert seen["audit"] == entries[:1]
    assert "the audit log cannot be understood in line 3, 4" in seen["trouble"]
    assert seen["latch"]["damaged"], "an empty latch is engaged"
    assert seen["outcome"] == "unknown"
    assert [words for words in ("desired.json", "drift log") if words not in seen["summary"]] == []


@pytest.mark.parametrize(
    ("log", "recent", "before"),
    [
        ([], 0, None),
        (records("05:30:00", "05:59:59"), 2, None),
        (records("03:00:00", "04:00:00", "05:00:00"), 1, 1.0),
        (records("01:00:00", word="INFO") + records("05:30:00"), 1, 0.0),
        (records("04:50:00", "05:30:00"), 1, None),
    ],
    ids=["none", "last hour", "before", "quiet before", "too short before"],
)
def test_errors_are_counted_for_the_last_hour_and_before(log, recent, before):
    assert count_errors(log, NOW - timedelta(hours=1)) == {"recent": recent, "before_per_hour": before}


@pytest.mark.parametrize(
    ("word", "is_error"),
    [
        ("ERROR", True),
        ("CRITICAL", True),
        ("Traceback (most recent call last):", True),
        ("level=error msg=x", True),
        ('{"level": "error"}', True),
        ("INFO 0 errors", False),
        ("level=info err=none", False),
        ("TERRORS", False),
    ],
)
def test_what_counts_as_an_error(word, is_error):
    assert count_errors(records("05:30:00", word=word), NOW - timedelta(hours=1))["recent"] == int(is_error)


def test_only_file_systems_that_hold_data_are_looked_at():
    text = """proc /proc proc rw 0 0
tmpfs /run tmpfs rw 0 0
tmpfs /run/user/1000 tmpfs rw 0 0
overlay / overlay rw 0 0
overlay /var/lib/docker/overlay2/abc/merged overlay rw 0 0
nsfs /run/docker/netns/abc nsfs rw 0 0
tmpfs /srv/a\\040b tmpfs rw,size=300k 0 0
/dev/sda1 /boot ext4 rw 0 0
"""
    assert parse_mounts(text) == [("/", "overlay"), ("/srv/a b", "tmpfs"), ("/boot", "ext4")]


@pytest.mark.parametrize(
    ("number", "is_told"), [(errno.ESTALE, True), (errno.EIO, True), (errno.ENOENT, False), (errno.EACCES, False)]
)
def test_a_file_system_that_does_not_answer_is_named(tmp_path, host, monkeypatch, number, is_told):
    made = host()
    (made.root / "proc/mounts").write_text("/dev/sda / ext4 rw 0 0\nnas:/x /srv/nas nfs4 rw 0 0\n")

    def statvfs(path):
        if str(path).endswith("/srv/nas"):
            raise OSError(number, "trouble")
        return os.statvfs_result(range(1, 11))

    monkeypatch.setattr("trading_ops.oncall.host_status.os.statvfs", statvfs)
    seen = look(made, tmp_path)
    assert [each["mount"] for each in seen["filesystems"]] == ["/"]
    assert any("/srv/nas" in words for words in seen["trouble"]) is is_told


def test_a_container_is_described_by_what_counts():
    seen = {
        "Id": "abc",
        "Name": "/live_connector",
        "RestartCount": 3,
        "State": {"Status": "running", "StartedAt": "t", "ExitCode": 0, "Health": {"Status": "healthy"}},
        "Config": {"Image": "app:1", "Labels": {"com.docker.compose.service": "live_connector"}},
    }
    found = parse_container(seen, ["app@sha256:1"])
    assert (found["health"], found["restarts"], found["image"], found["project"]) == ("healthy", 3, "app:1", "")
    assert parse_container({}, ())["state"] == ""


def test_the_end_of_a_certificate_is_read(tmp_path):
    folder = tmp_path / "etc/trading-core/tls"
    folder.mkdir(parents=True)
    for name, days in (("good", "30"), ("soon", "1")):
        key, certificate = str(folder / f"{name}.key"), str(folder / f"{name}.crt")
        made = ["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=x", "-days", days]
        subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    (folder / "broken.crt").write_text("no certificate")

    def run(argv):
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        return Ended(done.returncode, done.stdout, done.stderr)

    found = read_certificates(tmp_path, ["/etc/trading-core/**/*.crt", "/etc/trading-core/**/*.key"], run)
    broken, good, soon = found  # the keys beside them are none
    assert (broken["path"], broken["expires_at"], bool(broken["trouble"])) == (
        "/etc/trading-core/tls/broken.crt",
        "",
        True,
    )
    assert good["expires_at"] > soon["expires_at"] > "2026"
    assert (good["trouble"], soon["trouble"]) == ("", "")

    def missing(argv):
        raise ProgramError("openssl could not be run: not found.")

    gone = read_certificates(tmp_path, ["/etc/trading-core/tls.crt", "/etc/elsewhere/*.crt"], run)
    assert gone == [{"path": "/etc/trading-core/tls.crt", "expires_at": "", "trouble": "it is not there"}]
    assert "not found" in read_certificates(tmp_path, ["/etc/trading-core/tls/good.crt"], missing)[0]["trouble"]
