"""Evidence of one host, over an engine that answers, ends early, hangs, or is not there."""

from __future__ import annotations

import json
import os
import tarfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from trading_ops.compose.config import Command, CommandResult, ComposeError
from trading_ops.core.bots import BotRules
from trading_ops.core.scratch import SCRATCH_PREFIX
from trading_ops.evidence import collect as evidence
from trading_ops.evidence.archive import unpack
from trading_ops.evidence.collect import collect, remove_scratch
from trading_ops.evidence.manifest import verify
from trading_ops.evidence.request import Request, Tools
from trading_ops.host.engine import EngineError

NOW = datetime(2026, 11, 21, 1, 30, tzinfo=UTC)
INCIDENT = "INC-20261121-013000-bars-look-wrong"
SECRET = "pl4nted-Secret-99"


@dataclass
class FakeContainer:
    """A container with a log. `answers` are how many of its records the engine gives; `log_path` is its raw file."""

    name: str
    lines: list[str] = field(default_factory=list)
    service: str = ""
    environment: list[str] = field(default_factory=list)
    driver: str = "json-file"
    log_path: str = ""
    answers: int | None = None
    started: str = "2026-11-21T01:00:00Z"
    arguments: list[str] = field(default_factory=list)

    @property
    def id(self) -> str:
        return (self.name.encode().hex() * 64)[:64]

    def stamp(self, number: int) -> str:
        return f"2026-11-21T01:{number // 60:02}:{number % 60:02}.000000001Z"

    def records(self) -> list[bytes]:
        return [f"{self.stamp(n)} {line}\n".encode() for n, line in enumerate(self.lines)]

    def described(self) -> dict[str, Any]:
        labels = {"com.docker.compose.service": self.service, "com.docker.compose.project": "trading-paper"}
        return {
            "Id": self.id,
            "Name": f"/{self.name}",
            "Args": self.arguments,
            "State": {"Status": "running", "StartedAt": self.started},
            "Config": {"Env": self.environment, "Labels": labels if self.service else {}, "Image": "x:1", "Tty": False},
            "HostConfig": {"LogConfig": {"Type": self.driver}, "Binds": ["/secret"]},
            "LogPath": self.log_path,
            "NetworkSettings": {"Networks": {"default": {"IPAddress": "10.0.0.2"}}},
        }

    def write_raw(self, path: Path, damage: bytes = b"") -> None:
        """Write the file that the json-file driver keeps, with damage after its first record."""
        lines = [
            json.dumps({"log": f"{line}\n", "stream": "stdout", "time": self.stamp(n)}, separators=(",", ":")).encode()
            + b"\n"
            for n, line in enumerate(self.lines)
        ]
        path.write_bytes(b"".join([*lines[:1], damage, *lines[1:]]))
        self.log_path = str(path)


class FakeEngine:
    """EvidenceEngine over FakeContainers. `hangs` in the middle of every log until it is released."""

    def __init__(self, *containers: FakeContainer) -> None:
        self.by_id = {one.id: one for one in containers}
        self.hangs = False
        self.released = threading.Event()

    def containers(self, labels: Any = ()) -> list[dict[str, Any]]:
        return [{"Id": name} for name in self.by_id]

    def inspect(self, container_id: str) -> dict[str, Any]:
        return self.by_id[container_id].described()

    def log_records(self, container_id: str, tail_lines: int, since: float | None) -> Iterator[bytes]:
        one = self.by_id[container_id]
        if one.driver == "none":
            raise EngineError("The engine could not read logs: configured logging driver does not support reading.")
        yield from one.records()[-tail_lines:][: one.answers]
        if self.hangs:
            self.released.wait(5)

    def events(self, since: float, until: float) -> Iterator[dict[str, Any]]:
        actor = {"ID": "abc", "Attributes": {"name": "bot", "exitCode": "137", "note": SECRET}}
        yield {"Type": "container", "Action": "die", "Actor": actor, "timeNano": 1795224600_000000000}
        yield {"Type": "container", "Action": f"exec_create: sh -c {SECRET}", "Actor": actor, "timeNano": 1}

    def version(self) -> dict[str, Any]:
        return {"Version": "26.1.5", "ApiVersion": "1.45"}


class Host:
    """A host in a directory: what is there, and what a run makes of it."""

    def __init__(self, root: Path, *containers: FakeContainer) -> None:
        self.root = root
        self.engine = FakeEngine(*containers)
        self.has_engine = True
        self.seconds = 0.0
        for name in ("app/config", "state", "scratch", "proc/pressure"):
            (root / name).mkdir(parents=True, exist_ok=True)
        (root / "app/config/trading.yml").write_text(f"venue: x\npassword: {SECRET}\n")
        (root / "proc/loadavg").write_text("0.1 0.2 0.3\n")
        self.request = Request(
            incident_id=INCIDENT,
            host="lab1",
            services={one.name: 500 for one in containers if not one.service},
            bot_tail_lines=500,
            bot_rules=BotRules(),
            since="",
            root_path=root / "app",
            state_path=root / "state",
            scratch_path=root / "scratch",
            compose_files={},
            secret_paths=(),
            secrets=(),
            patterns={},
            adopted={},
            most_bytes=50_000_000,
            timeout_seconds=60,
        )

    def run(self, command: Command) -> CommandResult:
        if command.argv[0] == "journalctl":
            raise ComposeError("journalctl could not be run on this host.")
        if command.argv[:2] == ["docker", "compose"]:
            return CommandResult(0, json.dumps({"services": {"a": {"environment": {"A": SECRET, "B": None}}}}), "")
        return CommandResult(0, f"{command.argv[0]} says {SECRET}\n", "")

    def connect(self) -> FakeEngine:
        if not self.has_engine:
            raise EngineError("The engine could not answer: it is away.")
        return self.engine

    def collect(self, check_mode: bool = False, **changes: Any) -> dict[str, Any]:
        self.request = replace(self.request, **changes)
        tools = Tools(
            connect=self.connect,
            run=self.run,
            now=lambda: NOW,
            clock=time.monotonic,
            docker_roots=(self.root / "docker",),
            proc_path=self.root / "proc",
        )
        self.result = collect(self.request, tools, check_mode)
        return self.result

    def unpacked(self) -> Path:
        target = self.root / "unpacked"
        unpack(Path(self.result["archive"]), target, 10**9)
        assert verify(target) == []
        return target

    def item(self, name: str) -> dict[str, Any]:
        (found,) = [item for item in self.result["manifest"]["items"] if item["name"] == name]
        return found

    def text(self) -> str:
        """Return everything that left the host: each file, the result, the copies."""
        files = [path for folder in ("unpacked", "app/logs") for path in (self.root / folder).rglob("*")]
        if not (self.root / "unpacked").exists():
            files += self.unpacked().rglob("*")
        texts = [path.read_text(errors="replace") for path in files if path.is_file()]
        return "\n".join([*texts, json.dumps(self.result), *map(str, files)])


def feed(**more: Any) -> FakeContainer:
    return FakeContainer("live_connector", [f"bar {n}" for n in range(600)], **more)


def bot(**more: Any) -> FakeContainer:
    lines = ["order sent", f"password={SECRET}", f"key {SECRET[:9]}", f"INFO {SECRET[9:]} end"]
    return FakeContainer("trading-paper-bot-1", lines, service="bot", environment=[f"VENUE_SECRET={SECRET}"], **more)


def test_services_and_every_bot_leave_their_newest_lines_in_bundle_and_on_the_host(tmp_path):
    host = Host(tmp_path, feed(), bot())
    result = host.collect(services={"live_connector": 500})
    assert result["outcome"] == "proven", result["summary"]
    log = (host.unpacked() / "logs/live_connector.log").read_text().splitlines()
    assert (len(log), log[0].split()[1:], log[-1].split()[1:]) == (500, ["bar", "100"], ["bar", "599"])
    assert log[-1].startswith("2026-11-21T01:09:59.000000001Z ")
    copies = {copy["name"]: Path(copy["path"]) for copy in result["host_logs"]}
    assert copies["live_connector"] == tmp_path / "app/logs/incident_20261121-013000_live_connector.log"
    assert copies["live_connector"].read_text().splitlines() == log
    assert host.item("log trading-paper-bot-1")["status"] == "complete"


def test_no_secret_leaves_the_host_in_any_item(tmp_path):
    named = bot(arguments=["run", "--secret", SECRET, f"--x={SECRET}"])
    host = Host(tmp_path, feed(environment=[f"TOKEN={SECRET}"]), named)
    result = host.collect(compose_files={"feed": ["config/trading.yml"]})
    text = host.text()
    for part in (SECRET, SECRET[:9], SECRET[9:]):
        assert part not in text
    assert result["manifest"]["redactions"]["known: TOKEN"] > 1
    assert "VENUE_SECRET" in text
    assert '"exitCode": "137"' in text


def test_compose_file_that_needs_its_variables_is_read_with_them(tmp_path):
    host = Host(tmp_path, feed())
    asked: list[Command] = []

    def run(command: Command) -> CommandResult:
        asked.append(command)
        if "--no-interpolate" in command.argv:
            return CommandResult(15, "", "invalid spec: ${A:-/x}:/y:ro: too many colons")
        return CommandResult(0, json.dumps({"services": {"a": {"environment": {"A": SECRET}, "image": "b:1"}}}), "")

    host.run = run
    host.collect(compose_files={"feed": ["config/trading.yml"]})
    assert host.item("compose feed")["status"] == "complete"
    kept = json.loads((host.unpacked() / "compose/feed.json").read_text())
    assert kept == {"services": {"a": {"environment": ["A"], "image": "b:1"}}}
    host.run = lambda command: CommandResult(1, "", "no such thing")
    host.collect(compose_files={"feed": ["config/trading.yml"]})
    assert "no such thing" in host.item("compose feed")["reason"]


def test_copies_on_the_host_never_replace_one(tmp_path):
    host = Host(tmp_path, feed())
    first = host.collect()["host_logs"][0]
    second = host.collect()["host_logs"][0]
    assert (Path(first["path"]).exists(), second["path"], "File exists" in second["reason"]) == (True, "", True)


@pytest.mark.parametrize("laid", ["folder", "file"])
def test_copies_on_the_host_follow_no_link_that_the_checkouts_owner_laid(tmp_path, laid):
    host = Host(tmp_path, feed())
    target = Path(host.collect()["host_logs"][0]["path"])
    target.unlink()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if laid == "folder":
        target.parent.rmdir()
        target.parent.symlink_to(elsewhere)
    else:
        target.symlink_to(elsewhere / "x")
    (copy,) = host.collect()["host_logs"]
    assert (copy["path"], bool(copy["reason"])) == ("", True)
    assert list(elsewhere.iterdir()) == []


def test_rehearsal_is_named_so(tmp_path):
    host = Host(tmp_path, feed())
    (copy,) = host.collect(incident_id="incident_test_20261121-013000")["host_logs"]
    assert Path(copy["path"]).name == "incident_test_20261121-013000_live_connector.log"


@pytest.mark.parametrize("name", ["", "INC-1", "INC-20261121-013000-a/../../etc", "../x", "INC-20261121-013000-Ø"])
def test_what_is_no_incident_is_wrong_usage(tmp_path, name):
    host = Host(tmp_path, feed())
    assert host.collect(incident_id=name)["outcome"] == "usage"
    assert list((tmp_path / "scratch").iterdir()) == []


def test_check_mode_names_the_logs_and_writes_nothing(tmp_path):
    host = Host(tmp_path, feed(), bot())
    result = host.collect(check_mode=True)
    assert (result["outcome"], result["archive"]) == ("planned", "")
    assert "live_connector, trading-paper-bot-1" in result["summary"]
    assert (list((tmp_path / "scratch").iterdir()), (tmp_path / "app/logs").exists()) == ([], False)


def test_missing_and_never_started_containers_are_entries_with_their_reason(tmp_path):
    host = Host(tmp_path, feed(started="0001-01-01T00:00:00Z"))
    result = host.collect(services={"live_connector": 5, "prometheus": 5})
    assert result["outcome"] == "proven"
    assert host.item("log live_connector") | {"bytes": 0} == host.item("log live_connector")
    assert host.item("log live_connector")["reason"] == "the container was never started"
    assert host.item("log prometheus")["status"] == "missing"
    assert "no container is called prometheus" in result["summary"]


def test_log_driver_that_cannot_be_read_is_a_failure_that_is_named(tmp_path):
    host = Host(tmp_path, feed(driver="none"), bot())
    assert host.collect()["outcome"] == "failed"
    assert "does not support reading" in host.item("log live_connector")["reason"]
    assert host.item("log trading-paper-bot-1")["status"] == "complete"


def test_answer_that_ends_early_is_taken_from_the_file(tmp_path):
    cut = feed(answers=70)
    cut.write_raw(tmp_path / "raw.log")
    host = Host(tmp_path, cut)
    host.collect()
    item = host.item("log live_connector")
    assert (item["status"], "ended early" in item["reason"]) == ("incomplete", True)
    log = (host.unpacked() / "logs/live_connector.log").read_text().splitlines()
    assert (len(log), log[-1].endswith("bar 599")) == (500, True)


@pytest.mark.parametrize(
    "damage",
    [b'{"log":"half of a rec', b"\0" * 4096, b"\xff\xfe garbage \n", b'{"log": 7, "time": 1}\n', b"[" * 3000 + b"\n"],
    ids=["torn", "zeros", "garbage", "no text", "nested"],
)
def test_damaged_record_is_named_and_everything_else_is_there(tmp_path, damage):
    damaged = FakeContainer("live_connector", [f"bar {n}" for n in range(40)], answers=1)
    damaged.write_raw(tmp_path / "raw.log", damage)
    host = Host(tmp_path, damaged)
    host.collect()
    item = host.item("log live_connector")
    assert (item["status"], "1 damaged records" in item["reason"]) == ("incomplete", True)
    log = (host.unpacked() / "logs/live_connector.log").read_text(errors="replace")
    assert [f"bar {n}\n" in log for n in range(40)] == [True] * 40


def test_engine_that_hangs_in_mid_answer_costs_the_time_limit_and_no_more(tmp_path):
    stuck = feed()
    host = Host(tmp_path, stuck)
    host.engine.hangs = True
    begun = time.monotonic()
    host.collect(timeout_seconds=0.4)
    host.engine.released.set()
    assert time.monotonic() - begun < 3
    assert host.item("log live_connector")["status"] in {"incomplete", "failed", "skipped"}


def test_without_the_engine_logs_come_from_its_own_files(tmp_path):
    container = bot()
    host = Host(tmp_path, container)
    folder = tmp_path / "docker/containers" / container.id
    folder.mkdir(parents=True)
    container.write_raw(folder / "raw.log")
    described = container.described()
    (folder / "hostconfig.json").write_text(json.dumps(described.pop("HostConfig")))
    (folder / "config.v2.json").write_text(json.dumps(described))
    host.has_engine = False
    host.collect()
    item = host.item("log trading-paper-bot-1")
    assert (item["status"], "it is away" in item["reason"]) == ("incomplete", True)
    assert host.item("engine")["status"] == "failed"
    assert "order sent" in host.text()
    assert SECRET not in host.text()


def test_nothing_is_kept_where_nobody_knows_what_is_secret(tmp_path):
    host = Host(tmp_path, feed())
    host.has_engine = False
    result = host.collect()
    assert (result["outcome"], "environment cannot be read" in result["summary"]) == ("failed", True)
    assert [path.name for path in host.unpacked().rglob("*")] == ["manifest.json"]
    host.has_engine = True
    assert "nothing was kept" in host.collect(patterns={"mine": "("})["summary"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_env_file_that_cannot_be_read_keeps_everything_back(tmp_path):
    (tmp_path / ".env").write_text("A=1")
    (tmp_path / ".env").chmod(0)
    host = Host(tmp_path, feed())
    assert host.collect(secret_paths=(f"{tmp_path}/.env",))["outcome"] == "failed"


def test_values_of_env_files_and_single_tokens_are_looked_for(tmp_path):
    (tmp_path / ".env").write_text("# comment\nexport A='Qr7-one-Xy12'\nB=paper\n")
    (tmp_path / "token").write_text("Zz9-two-Wv34\n")
    talk = FakeContainer("live_connector", ["saw Qr7-one-Xy12 and Zz9-two-Wv34 on paper"])
    host = Host(tmp_path, talk)
    host.collect(secret_paths=(f"{tmp_path}/.e*", f"{tmp_path}/token", "/nosuch/*"), secrets=("on",))
    log = (host.unpacked() / "logs/live_connector.log").read_text()
    assert log.endswith("saw (redacted: known: A) and (redacted: known: token) on paper\n")
    assert host.result["manifest"]["too_short_to_look_for"] == ["given"]


def test_bundle_stays_within_its_bytes_and_keeps_the_newest_lines(tmp_path):
    long = FakeContainer("live_connector", [f"line {n} " + "x" * 900 for n in range(4000)])
    host = Host(tmp_path, long, bot())
    host.collect(services={"live_connector": 4000}, most_bytes=600_000)
    item = host.item("log live_connector")
    assert item["bytes"] < 600_000
    assert (item["status"], "newest 62 lines of 4000" in item["reason"]) == ("incomplete", True)
    log = (host.unpacked() / "logs/live_connector.log").read_text()
    assert "line 3999 " in log
    assert host.item("log trading-paper-bot-1")["status"] == "complete"
    assert sum(one["bytes"] for one in host.result["manifest"]["items"]) <= 600_000


def test_time_that_is_over_leaves_a_manifest_that_says_so(tmp_path):
    host = Host(tmp_path, feed(), bot())
    result = host.collect(timeout_seconds=0)
    assert (result["outcome"], host.item("log live_connector")["status"]) == ("failed", "skipped")
    assert host.unpacked()


def test_full_disk_leaves_a_bundle_that_says_so(tmp_path, monkeypatch):
    host = Host(tmp_path, feed())
    real = evidence.pack
    tried = []

    def full(root: Path, archive: Path) -> None:
        tried.append(1)
        if len(tried) < 3:
            raise OSError(28, "No space left on device")
        real(root, archive)

    monkeypatch.setattr(evidence, "pack", full)
    host.collect()
    item = host.item("log live_connector")
    assert (item["status"], "No space left on device" in item["reason"]) == ("failed", True)
    assert host.unpacked()


def test_odd_names_are_safe_and_unique(tmp_path):
    odd = ["a/../../b", "A", "a", "-rf", ".hidden", "x" * 300, "new\nline", "ø {{ 7 * 7 }}"]
    host = Host(tmp_path, *(FakeContainer(name, ["x"]) for name in odd))
    host.collect()
    files = [path for path in (host.unpacked() / "logs").rglob("*") if path.is_file()]
    assert len(files) == len(odd) == len({path.name.lower() for path in files})
    assert all(path.parent == host.root / "unpacked/logs" and len(path.name) < 120 for path in files)


def test_adopted_file_is_moved_into_the_bundle_and_redacted(tmp_path):
    folder = tmp_path / "scratch" / f"{SCRATCH_PREFIX}x"
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(f'{{"label": "{SECRET}"}}')
    host = Host(tmp_path, feed(), bot())
    host.collect(adopted={"metric ranges": folder / "metrics.json"})
    assert not folder.exists()
    assert SECRET not in (host.unpacked() / "metrics.json").read_text()


def test_archive_is_its_owners_alone_and_goes_when_told(tmp_path):
    host = Host(tmp_path, feed())
    archive = Path(host.collect()["archive"])
    assert (archive.stat().st_mode & 0o777, archive.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    with tarfile.open(archive) as tar:
        assert "manifest.json" in tar.getnames()
    assert [path.name for path in archive.parent.iterdir()] == ["evidence.tar.gz"]
    remove_scratch(archive)
    assert list((tmp_path / "scratch").iterdir()) == []
    with pytest.raises(evidence.EvidenceError):
        remove_scratch(tmp_path / "app/config/trading.yml")
