"""The receiver's installation against a host that answers, refuses, is deaf, or takes too much."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from trading_ops.alerts.receiver import PROBE, PROGRAMS, ReceiverHost, install
from trading_ops.alerts.settings import build_settings
from trading_ops.checks.catalogue import parse_checks
from trading_ops.jobs.job import Jobs, parse_jobs, render_document

from tests.unit.alerts.test_settings import PARAMS
from tests.unit.fake_prometheus import catalogue_item

TOKEN = "t" * 43
SOUND = catalogue_item(action="stop_bots", for_seconds=10)
ETC = "etc/trading-core/alert-receiver"
STATUS = {"no token": 401, "other token": 401, "method": 405, "path": 404, "large": 413, "no alert": 500, "alert": 200}


@dataclass
class World:
    """A control host below a folder. `answers` is what the receiver says to each kind of request."""

    root: Path
    answers: dict = field(default_factory=lambda: dict(STATUS))
    commands: list = field(default_factory=list)
    units: dict = field(default_factory=dict)
    failing: str = ""
    has_account: bool = True
    is_read: bool = True
    certificate_for: str = ""
    is_old: bool = False
    now: float = 0.0

    def run(self, argv):
        self.commands.append(" ".join(argv))
        if self.failing and self.failing in self.commands[-1]:
            return 1, "it says no"
        if argv[:2] == ["systemctl", "show"]:
            state = self.units.get(argv[-1], ("inactive", "disabled"))
            return 0, f"ActiveState={state[0]}\nUnitFileState={state[1]}\nNeedDaemonReload=no\n"
        if argv[:2] == ["systemctl", "restart"]:
            self.units |= dict.fromkeys(argv[2:], ("active", "enabled"))
        if argv[:2] == ["openssl", "req"]:
            Path(argv[argv.index("-keyout") + 1]).write_text("key\n")
            Path(argv[argv.index("-out") + 1]).write_text("certificate\n")
            self.certificate_for = argv[-1].partition(":")[2]
        if argv[:2] == ["openssl", "x509"]:
            if "-checkend" in argv:  # what OpenSSL 3.0 says, whatever else it is asked
                return int(self.is_old), f"Certificate will {'' if self.is_old else 'not '}expire"
            return 0, f"IP {argv[-1]} does {'' if argv[-1] == self.certificate_for else 'NOT '}match certificate"
        return 0, ""

    def ask(self, method, path, headers, body):
        kind = "alert"
        if "Authorization" not in headers:
            kind = "no token"
        elif headers["Authorization"] != f"Bearer {TOKEN}":
            kind = "other token"
        elif method != "POST":
            kind = "method"
        elif path != "/alerts":
            kind = "path"
        elif len(body) > 262_144:
            kind = "large"
        elif body == b"{":
            kind = "no alert"
        elif self.is_read:
            received = self.root / "var/lib/trading-core/alerts/received.jsonl"
            received.write_text(body.decode())
        return self.answers[kind]

    def sleep(self, seconds):
        self.now += seconds

    def install(self, dry_run=False, **changes):
        params = {
            **PARAMS,
            "token": TOKEN,
            "address": "192.0.2.14",
            "listen": "9095",
            "checks": [SOUND],
            "scrape_interval_seconds": 5,
            "checkout_path": "/opt/current",
            "state_path": "/var/lib/trading-core",
            **changes,
        }
        host = ReceiverHost(
            self.run,
            lambda: os.getegid() if self.has_account else None,
            self.ask,
            lambda: self.now,
            self.sleep,
            self.root,
        )
        return install(host, params, dry_run)

    def files(self):
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file())


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    for program in PROGRAMS:
        path = tmp_path / program.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    definitions = {"access": {"arguments": ["status"], "timeout_seconds": 300}}
    document = render_document(
        Jobs(parse_jobs(definitions), "/var/lib/trading-core", environment={"A": "b"}), definitions
    )
    jobs = tmp_path / "etc/trading-core/jobs.json"
    jobs.parent.mkdir(parents=True)
    jobs.write_text(document)
    (tmp_path / "var/lib/trading-core").mkdir(parents=True)
    (tmp_path / "opt/current").mkdir(parents=True)
    (tmp_path / "opt/current/runbook").touch()
    return made


def test_a_first_run_installs_starts_and_proves_and_a_second_one_changes_nothing(world):
    first = world.install()
    assert (first["outcome"], first["changed"]) == ("proven", True), first
    assert "the receiver answers at https://192.0.2.14:9095/alerts" in first["summary"]
    before = world.files()
    again = world.install()
    assert (again["outcome"], again["changed"], again["files"]) == ("proven", False, []), again
    assert world.files() == before
    assert not [command for command in world.commands if "restart" in command][1:]


def test_check_mode_says_what_it_would_do_and_touches_nothing(world):
    before = world.files()
    result = world.install(dry_run=True)
    assert (result["outcome"], result["changed"], world.files()) == ("planned", True, before)
    assert not [command for command in world.commands if "show" not in command]
    world.has_account = False
    assert world.install(dry_run=True)["outcome"] == "planned"


def test_secrets_are_for_root_and_the_account_and_in_no_result(world):
    result = world.install()
    for name in ("nginx.conf", "hooks.json", "key.pem"):
        assert (world.root / ETC / name).stat().st_mode & 0o777 == 0o640
    assert (world.root / "etc/trading-core/alerts.json").stat().st_mode & 0o777 == 0o600
    assert TOKEN not in json.dumps(result)
    for name in ("incoming", "spool"):
        assert (world.root / "var/lib/trading-core/alerts" / name).stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("token", ["", "short", "t" * 42, "t" * 42 + " ", "t" * 43 + '"', "t" * 43 + "\n"])
def test_a_token_that_is_none_is_refused_with_how_to_make_one(world, token):
    result = world.install(token=token)
    assert (result["outcome"], "token_urlsafe(32)" in result["next_command"]) == ("usage", True)
    assert not (world.root / ETC).exists()


def test_without_its_packages_jobs_or_checkout_it_is_refused_with_the_fix(world):
    (world.root / "opt/current/runbook").unlink()
    assert world.install()["next_command"] == "./runbook schedule_setup"
    (world.root / "etc/trading-core/jobs.json").unlink()
    assert world.install()["next_command"] == "./runbook schedule_setup"
    (world.root / "usr/bin/webhook").unlink()
    result = world.install()
    assert (result["outcome"], result["next_command"]) == ("refused", "apt-get install webhook (on the control host)")


@pytest.mark.parametrize("address", ["", "a b", "a;b", "-x", "x" * 300])
def test_an_address_that_is_none_is_wrong_usage(world, address):
    assert world.install(address=address)["outcome"] == "usage"


def test_an_alert_that_would_act_at_once_is_wrong_usage(world):
    result = world.install(checks=[{**SOUND, "action": "stop_bots", "for_seconds": 5}])
    assert result["outcome"] == "usage"
    assert "3 evaluations in a row" in result["summary"]


def test_another_address_makes_another_certificate(world):
    world.install()
    result = world.install(address="control.lan")
    assert "a new certificate" in result["files"]
    assert world.certificate_for == "control.lan"
    assert any("subjectAltName=DNS:control.lan" in command for command in world.commands)
    assert any("-checkhost control.lan" in command for command in world.commands)


def test_a_certificate_that_ends_soon_is_made_anew(world):
    world.install()
    world.is_old = True
    assert "a new certificate" in world.install()["files"]


@pytest.mark.parametrize(
    ("kind", "status", "words"),
    [
        ("no token", 200, "asks for no token"),
        ("other token", 200, "takes another token"),
        ("method", 200, "answers another method"),
        ("path", 200, "answers on another path"),
        ("large", 200, "takes a large body"),
        ("no alert", 200, "takes what is no alert"),
        ("alert", 500, "takes no alert"),
        ("alert", None, "was answered with None"),
    ],
)
def test_a_receiver_that_answers_otherwise_is_not_proven(world, kind, status, words):
    world.answers[kind] = status
    result = world.install()
    assert result["outcome"] == "failed"
    assert words in result["summary"]
    assert "journalctl" in result["next_command"]


def test_an_alert_that_nobody_carries_out_is_not_proven(world):
    world.is_read = False
    result = world.install()
    assert (result["outcome"], "nobody carried it out within 60 s" in result["summary"]) == ("failed", True)


@pytest.mark.parametrize("failing", ["systemd-analyze", "nginx -q -t"])
def test_what_its_checker_refuses_is_not_written(world, failing):
    world.failing = failing
    result = world.install()
    assert (result["outcome"], "refuses it (1): it says no" in result["summary"]) == ("failed", True)
    assert not (world.root / "etc/systemd/system").exists()
    assert not (world.root / ETC / "nginx.conf").exists()


def test_the_checker_sees_no_folder_that_the_account_needs(world):
    seen = []
    original = world.run

    def run(argv):
        if "-t" in argv:
            seen.append(Path(argv[-1]).read_text())
        return original(argv)

    world.run = run
    world.install()
    assert seen
    assert "/run/trading-core-alert-proxy" not in seen[0]


@pytest.mark.parametrize("state", [("failed", "enabled"), ("active", "disabled")])
def test_a_unit_that_is_down_or_would_not_come_back_is_started_again(world, state):
    world.install()
    world.units["trading-core-alerts.path"] = state
    result = world.install()
    assert (result["outcome"], result["files"]) == ("proven", ["(re)started trading-core-alerts.path"])


def test_what_still_runs_with_the_files_of_before_a_run_that_was_cut_off_is_restarted(world):
    world.install()
    world.answers = dict.fromkeys(STATUS, 401)
    original = world.run

    def run(argv):
        if argv[:2] == ["systemctl", "restart"]:
            world.answers = dict(STATUS)
        return original(argv)

    world.run = run
    result = world.install()
    assert (result["outcome"], result["files"]) == ("proven", ["(re)started, what ran had older files"]), result
    assert world.install()["files"] == []


def test_a_restart_that_does_not_help_is_tried_once(world):
    world.install()
    world.answers["method"] = 200
    world.commands.clear()
    result = world.install()
    assert (result["outcome"], "answers another method" in result["summary"]) == ("failed", True)
    assert len([command for command in world.commands if "systemctl restart" in command]) == 1


def test_without_the_account_it_fails_and_says_how_to_make_it(world):
    world.has_account = False
    assert world.install()["next_command"] == "useradd --system trading-alerts"


def test_the_probe_is_an_alert_that_does_nothing():
    assert PROBE not in build_settings(parse_checks([SOUND]), 5, PARAMS).actions
