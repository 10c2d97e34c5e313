"""Alertmanager is told of the receiver, and says itself that it knows it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest
from trading_ops.alerts.alertmanager import Alertmanager
from trading_ops.alerts.delivery import SenderHost, ensure_delivery

PEM = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"
WITHOUT = "route:\n  receiver: on-call\nreceivers:\n- name: on-call\n"
WITH = WITHOUT + "- name: trading-core-control\n"


@dataclass
class World:
    """A host with an Alertmanager that reads, on a reload, what am_init has written."""

    path: object
    config: str | None = WITHOUT
    written: str = WITHOUT
    init: tuple[int, str] = (0, "am_init: alertmanager.yml is in place")
    commands: list = field(default_factory=list)
    now: float = 0.0

    def run(self, argv):
        self.commands.append(argv)
        if self.init[0] == 0 and (self.path / "token").exists():
            self.written = WITH
        return self.init

    def reload(self):
        if self.config is None:
            raise OSError("refused")
        self.config = self.written
        return 200

    def fetch(self, method, path, body):
        if self.config is None:
            raise OSError("refused")
        status = {
            "versionInfo": {"version": "0.28"},
            "uptime": "2026-11-21T00:00:00.000Z",
            "config": {"original": self.config},
        }
        return 200, json.dumps(status).encode()

    def sleep(self, seconds):
        self.now += seconds

    def ensure(self, dry_run=False, token="t" * 43, certificate=PEM):
        host = SenderHost(self.run, Alertmanager(self.fetch, "am"), self.reload, lambda: self.now, self.sleep)
        params = {"token": token, "certificate": certificate, "path": str(self.path), "init_container": "am_init"}
        return ensure_delivery(host, params, dry_run)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "alert-receiver")


def test_token_and_certificate_are_roots_alone_and_alertmanager_has_the_receiver(world):
    first = world.ensure()
    assert (first["outcome"], first["changed"]) == ("proven", True), first
    assert world.path.stat().st_mode & 0o777 == 0o700
    assert (world.path / "token").stat().st_mode & 0o777 == 0o400
    again = world.ensure()
    assert (again["outcome"], again["changed"]) == ("proven", False)


def test_check_mode_writes_and_runs_nothing_also_before_there_is_a_certificate(world):
    for certificate in (PEM, ""):
        result = world.ensure(dry_run=True, certificate=certificate)
        assert (result["outcome"], result["changed"]) == ("planned", True)
    assert (world.path.exists(), world.commands) == (False, [])


@pytest.mark.parametrize(("token", "certificate"), [("", PEM), ("t" * 43, ""), ("t" * 43, "no certificate")])
def test_without_token_or_certificate_it_is_refused(world, token, certificate):
    result = world.ensure(token=token, certificate=certificate)
    assert (result["outcome"], result["next_command"]) == ("refused", "./runbook alert_receiver_setup")


def test_another_token_is_written_and_told(world):
    world.ensure()
    result = world.ensure(token="u" * 43)
    assert (result["outcome"], result["changed"], len(world.commands)) == ("proven", True, 2)
    assert (world.path / "token").read_text() == "u" * 43 + "\n"


def test_a_token_that_a_run_which_was_cut_off_has_written_is_told(world):
    world.ensure()
    (world.path / "token").write_text("u" * 43 + "\n")
    result = world.ensure(token="u" * 43)
    assert (result["outcome"], result["changed"], len(world.commands)) == ("proven", False, 2)


def test_an_alertmanager_that_runs_without_the_receiver_is_told_again_though_no_file_differs(world):
    world.ensure()
    world.config = world.written = WITHOUT
    assert world.ensure()["outcome"] == "proven"
    assert len(world.commands) == 2


def test_an_alertmanager_that_does_not_answer_is_unknown_with_the_files_in_place(world):
    world.config = None
    world.init = (1, "Error response from daemon: No such container: am_init")
    result = world.ensure()
    assert (result["outcome"], result["next_command"]) == ("unknown", "./runbook alerting_start")
    assert (world.path / "token").exists()


def test_an_init_that_fails_is_a_failure_with_its_words(world):
    world.init = (1, "amtool: bad receiver")
    result = world.ensure()
    assert (result["outcome"], "amtool: bad receiver" in result["summary"]) == ("failed", True)


def test_a_configuration_of_the_owners_without_the_receiver_is_a_failure_that_names_the_lines(world):
    world.init = (1, "Error response from daemon: No such container: am_init")
    result = world.ensure()
    assert (result["outcome"], "LiveFeed_Runbook.md 4.2" in result["next_command"]) == ("failed", True)
