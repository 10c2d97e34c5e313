"""Rules on the feed host: proven by what Prometheus says it has loaded, and put back where it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from trading_ops.checks.catalogue import parse_checks
from trading_ops.checks.monitoring import Monitored, ensure_monitoring, install
from trading_ops.checks.rules import build_rules, render_document
from trading_ops.host.files import HostFile

from tests.unit.fake_prometheus import catalogue_item
from tests.unit.fakes import FakeClock

(CHECK,) = parse_checks([catalogue_item()])
RULES = build_rules((CHECK,), 5)
OTHER = build_rules((replace(CHECK, threshold=7.0),), 5)


class World:
    """A feed host on a folder with a Prometheus that loads its rules file on a reload, unless it is told otherwise."""

    def __init__(self, root: Path) -> None:
        self.path = root / "rules" / "trading_core.yml"
        self.loaded: list[dict[str, Any]] = []
        self.reloads: list[str] = []
        self.refuses: list[tuple[int, bytes]] = []
        self.health = "ok"
        self.deaf = False
        self.answer: bytes | None = None

    def ask(self, method: str, path: str) -> tuple[int, bytes]:
        if method == "POST" and path == "/-/reload":
            self.reloads.append(self.path.read_text() if self.path.exists() else "")
            if self.refuses:
                return self.refuses.pop(0)
            if not self.deaf:
                self.loaded = json.loads(self.reloads[-1])["groups"] if self.reloads[-1] else []
            return 200, b""
        assert (method, path.partition("?")[0]) == ("GET", "/api/v1/rules")
        if self.answer is not None:
            return 200, self.answer
        groups = [
            {
                "name": group["name"],
                "rules": [{**rule, "name": rule["alert"], "health": self.health} for rule in group["rules"]],
            }
            for group in self.loaded
        ]
        return 200, json.dumps({"status": "success", "data": {"groups": groups}}).encode()

    def ensure(self, rules=RULES, dry_run: bool = False) -> dict[str, Any]:
        clock = FakeClock()
        file = HostFile(self.path, render_document(rules))
        return ensure_monitoring(Monitored(self.ask, clock, clock.sleep), [file], rules, 10, dry_run)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_twice_changes_once_and_reloads_once(world):
    first, second = world.ensure(), world.ensure()
    assert (first["outcome"], first["changed"], first["files"]) == ("proven", True, [str(world.path)])
    assert (second["outcome"], second["changed"], second["files"]) == ("proven", False, [])
    assert first["summary"] == "2 rules loaded and healthy; 1 of 1 files written"
    assert len(world.reloads) == 1


def test_check_mode_writes_nothing_and_shows_what_it_would(world):
    seen = world.ensure(dry_run=True)
    assert (seen["outcome"], seen["changed"]) == ("planned", True)
    assert "would write 1 of 1 files" in seen["summary"]
    assert (seen["diff"]["before"], "FeedBars" in seen["diff"]["after"]) == ("", True)
    assert not world.path.exists()
    assert world.reloads == []
    world.ensure()
    assert world.ensure(dry_run=True)["changed"] is False


def test_rules_that_are_on_disk_but_not_loaded_are_loaded(world):
    world.ensure()
    world.loaded = []
    seen = world.ensure()
    assert (seen["outcome"], seen["changed"], len(world.reloads)) == ("proven", True, 2)


@pytest.mark.parametrize("health", ["err", "unknown"])
def test_rules_that_do_not_evaluate_are_no_proof_and_are_taken_back(world, health):
    world.ensure(OTHER)
    world.health = health
    seen = world.ensure()
    assert seen["outcome"] == "failed"
    assert "After 10 s: not healthy: FeedBars" in seen["summary"]
    assert world.path.read_text() == render_document(OTHER)


def test_where_prometheus_refuses_the_file_before_is_put_back_and_loaded_again(world):
    world.ensure(OTHER)
    world.refuses = [(500, b"group trading_core_feed: bad expr")]
    seen = world.ensure()
    assert seen["outcome"] == "failed"
    assert "refuses the rules (HTTP status 500): group trading_core_feed: bad expr" in seen["summary"]
    assert "The files are as before, and loaded again." in seen["summary"]
    assert world.path.read_text() == render_document(OTHER) == world.reloads[-1]


def test_where_prometheus_refuses_the_first_file_ever_it_is_taken_away(world):
    world.refuses = [(500, b"no")]
    assert world.ensure()["outcome"] == "failed"
    assert not world.path.exists()


def test_a_way_back_that_is_refused_too_is_said(world):
    world.refuses = [(500, b"no"), (500, b"still no")]
    assert "that was refused too" in world.ensure()["summary"]


def test_a_prometheus_that_takes_no_reload_is_named(world):
    world.refuses = [(403, b"Lifecycle API is not enabled."), (403, b"")]
    assert "runs without --web.enable-lifecycle" in world.ensure()["summary"]


def test_a_reload_that_changes_nothing_is_no_proof(world):
    world.ensure(OTHER)
    world.deaf = True
    seen = world.ensure()
    assert seen["outcome"] == "failed"
    assert "other rules of ours are loaded, under the same names" in seen["summary"]


def test_a_rule_of_ours_too_many_is_no_proof_and_rules_of_others_are_left_alone(world):
    world.ensure()
    world.loaded = [*world.loaded, {"name": "theirs", "rules": [{"alert": "Theirs", "annotations": {}}]}]
    assert world.ensure()["changed"] is False
    world.loaded = [*world.loaded, {"name": "trading_core_old", "rules": [{"alert": "Old", "annotations": {}}]}]
    assert world.ensure(dry_run=True)["changed"] is True


@pytest.mark.parametrize(
    "answer", [b"", b"<html>login</html>", b'{"status": "error"}', b'{"data": {"groups": [1]}}', b"[]"]
)
def test_without_a_usable_answer_nothing_is_written(world, answer):
    world.answer = answer
    seen = world.ensure()
    assert (seen["outcome"], seen["changed"], world.reloads) == ("unknown", False, [])
    assert "Nothing was written" in seen["summary"]
    assert not world.path.exists()


def test_a_prometheus_that_is_away_is_unknown(world):
    def refuse(method: str, path: str) -> tuple[int, bytes]:
        raise ConnectionRefusedError("refused")

    world.ask = refuse
    seen = world.ensure()
    assert (seen["outcome"], world.path.exists()) == ("unknown", False)
    assert seen["next_command"].startswith("docker logs prometheus")


def test_a_bad_catalogue_is_invalid_and_asks_nobody():
    assert install({"checks": [{"id": "x"}]}, dry_run=False)["outcome"] == "invalid"
