"""config/trading.yml: one value changes and nothing beside it, on record first, and proven by reading again."""

from __future__ import annotations

import builtins
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from trading_ops.config import drift_log
from trading_ops.config import trading as trading_config
from trading_ops.config.trading import Change, ConfigError, Request, ensure_changed, plan

SHIPPED = Path(__file__).parents[3] / "lab/ai_trading_core/config/trading.yml"
NOW = "2026-11-21T08:00:00.000Z"


@pytest.fixture
def request_(tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "trading.yml").write_bytes(SHIPPED.read_bytes())
    (tmp_path / "RefStrat_01.md").write_text("Position 10 %.\n")
    return Request(
        path=tmp_path / "trading.yml",
        changes={"sizing.position_ratio": "0.12"},
        state_path=tmp_path / "state",
        documentation_path=tmp_path / "RefStrat_01.md",
        by="reno",
        why="a calmer market",
    )


def change(request, dry_run=False, **changes):
    return ensure_changed(replace(request, changes=changes.get("changes", request.changes)), lambda: NOW, dry_run)


def log(request):
    return drift_log.read(request.state_path).entries


def lines_changed(before, after):
    pairs = zip(before.splitlines(keepends=True), after.splitlines(keepends=True), strict=True)
    return [new for old, new in pairs if old != new]


def test_only_the_value_changes_comments_order_and_spaces_stay():
    text = SHIPPED.read_text()
    wanted = {"strategies.RefStrat_01.ema_slow_bars": "14", "sizing.position_ratio": "0.2", "venue.enabled": "false"}
    changes, changed = plan(text, wanted)
    assert lines_changed(text, changed) == ["  enabled: false\n", "    ema_slow_bars: 14\n", "  position_ratio: 0.2\n"]
    assert changes[0] == Change("strategies.RefStrat_01.ema_slow_bars", 12, 14)
    assert plan(changed, wanted) == ((), changed)


@pytest.mark.parametrize(
    ("text", "wanted", "expected"),
    [
        ("a: {b: 1, c: 2} # d\n", {"a.b": 10}, "a: {b: 10, c: 2} # d\n"),
        ("a: 0.10\r\nb: x\r\n", {"a": 0.3}, "a: 0.3\r\nb: x\r\n"),
        ("a:   true   # why\n", {"a": False}, "a:   false   # why\n"),
        ("a: 'x'\nb: \"y\"\n", {"a": "true", "b": "z # no comment"}, "a: 'true'\nb: 'z # no comment'\n"),
        ("a: 1.5", {"a": 2}, "a: 2.0"),
        ("ø: å\na: 1\n", {"a": 2}, "ø: å\na: 2\n"),
        ("a: 0.5\n", {"a": "1e-7"}, "a: 1.0e-07\n"),
        ("a: {b: x}\n", {"a.b": "x, c: y}"}, "a: {b: 'x, c: y}'}\n"),
        ("a: 0.1\n", {"a": "0.10"}, "a: 0.1\n"),
    ],
)
def test_a_value_is_written_so_that_it_reads_as_what_was_asked(text, wanted, expected):
    assert plan(text, wanted)[1] == expected


@pytest.mark.parametrize(
    ("text", "wanted", "why"),
    [
        ("a: 1\n", {"b": 2}, "b does not exist"),
        ("a: {b: 1}\n", {"a.c": 2}, "a.c does not exist"),
        ("a: 1\n", {"a.b": 2}, "a.b does not exist"),
        ("a: 1\n", {"": 2}, "does not exist"),
        ("1: 1\n", {"1": 2}, "does not exist"),
        ("a: {b: 1}\n", {"a": "x"}, "holds more than one value"),
        ("a: [1]\n", {"a": "x"}, "holds more than one value"),
        ("a: 1\na: 2\n", {"a": 3}, "more than once"),
        ("a:\n", {"a": 1}, "no value that can be changed"),
        ("a: 2026-11-21\n", {"a": "2026-11-22"}, "no value that can be changed"),
        ("a: true\n", {"a": "yes"}, "stays true or false"),
        ("a: true\n", {"a": 1}, "stays true or false"),
        ("a: true\n", {"a": ""}, "stays true or false"),
        ("a: 1\n", {"a": "1.5"}, "stays a whole number"),
        ("a: 1\n", {"a": 2.0}, "stays a whole number"),
        ("a: 1\n", {"a": True}, "stays a whole number"),
        ("a: 1\n", {"a": "9" * 5000}, "stays a whole number"),
        ("a: 1.0\n", {"a": "10 %"}, "stays a number"),
        ("a: 1.0\n", {"a": "nan"}, "stays a number"),
        ("a: 1.0\n", {"a": True}, "stays a number"),
        ("a: 1.0\n", {"a": None}, "stays a number"),
        ("a: 1.0\n", {"a": float("nan")}, "number above 0"),
        ("a: 1.0\n", {"a": "1e999"}, "number above 0"),
        ("a: 1.0\n", {"a": "0"}, "number above 0"),
        ("a: 1\n", {"a": "-1"}, "number above 0"),
        ("a: x\n", {"a": 1}, "stays a text"),
        ("a: x\n", {"a": "y\nb: 2"}, "stays a text"),
        ("a: &x 1\nb: *x\n", {"a": 2}, "cannot be changed alone"),
        ("a: &x 1\nb: *x\n", {"b": 2}, "cannot be changed alone"),
        ("a: |\n  x\nb: 1\n", {"a": "y"}, "cannot be changed alone"),
        ("x: &x {a: 1}\ny:\n  <<: *x\n", {"y.a": 2}, "does not exist"),
    ],
)
def test_what_is_not_exactly_one_setting_and_its_kind_is_wrong_usage(text, wanted, why):
    with pytest.raises(ConfigError, match=why) as raised:
        plan(text, wanted)
    assert raised.value.outcome == "usage"


@pytest.mark.parametrize(
    "text", ["", "a: [\n", "- a\n", "a: 1\n---\nb: 1\n", "a: \x00\n", "a: !!python/object:x.y {}\n"]
)
def test_a_file_that_is_no_mapping_of_settings_is_a_failure(text):
    with pytest.raises(ConfigError) as raised:
        plan(text, {"a": 2})
    assert raised.value.outcome == "failed"


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ({"sizing.position_ratio": 0.21}, "above risk_limits.position_ratio, which is 0.2"),
        ({"risk_limits.drawdown_ratio": 1.1}, "at most 1"),
        ({"sizing.position_ratio": 1.5, "risk_limits.position_ratio": 1.6}, "at most 1"),
    ],
)
def test_a_size_beyond_the_files_own_risk_limit_is_refused(wanted, why):
    with pytest.raises(ConfigError, match=why):
        plan(SHIPPED.read_text(), wanted)


@pytest.mark.parametrize(
    "wanted",
    [
        {"sizing.position_ratio": 0.3, "risk_limits.position_ratio": 0.3},
        {"risk_limits.position_ratio": 0.01},
        {"sizing.position_ratio": 0.2},
    ],
    ids=["both raised together", "a limit under the size is smaller", "up to the limit"],
)
def test_what_gets_smaller_or_stays_within_the_limit_is_not_refused(wanted):
    assert len(plan(SHIPPED.read_text(), wanted)[0]) == len(wanted)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("sizing: {position_ratio: 0.5}\nrisk_limits: {position_ratio: 0.2}\n", {"sizing.position_ratio": 0.3}),
        ("sizing: {grid_ratio: 3.0}\n", {"sizing.grid_ratio": 2.0}),
        ("strategies: {A: {reward_ratio: 1.5}}\n", {"strategies.A.reward_ratio": 2.5}),
    ],
)
def test_a_smaller_size_is_held_against_no_limit_and_a_parameter_is_no_size(text, wanted):
    assert len(plan(text, wanted)[0]) == 1


@pytest.mark.parametrize(
    ("key", "before", "after", "allowed"),
    [
        ("sizing.position_ratio", 0.1, 0.2, False),
        ("sizing.position_ratio", 0.2, 0.1, True),
        ("sizing.method", "fixed", "kelly", False),
        ("risk_limits.day_loss_ratio", 0.02, 0.03, False),
        ("risk_limits.day_loss_ratio", 0.03, 0.02, True),
        ("venue.enabled", False, True, False),
        ("venue.enabled", True, False, True),
        ("symbols.BTCUSDT.enabled", False, True, False),
        ("strategies.RefStrat_01.enabled", False, True, False),
        ("strategies.RefStrat_01.ema_slow_bars", 12, 20, True),
        ("strategies.RefStrat_01.symbol", "a", "b", True),
        ("venue.name", "a", "b", False),
        ("leverage", 1, 10, False),
    ],
)
def test_while_halted_only_less_risk_and_parameters_of_strategies_are_allowed(key, before, after, allowed):
    assert Change(key, before, after).is_allowed_while_halted is allowed


def test_check_run_check_run_writes_once(request_):
    before = request_.path.read_bytes()
    checked = change(request_, dry_run=True)
    assert (checked["outcome"], checked["changed"]) == ("planned", True)
    assert (request_.path.read_bytes(), list(request_.state_path.iterdir())) == (before, [])
    first = change(request_)
    assert (first["outcome"], first["changed"], first["diff"]) == ("proven", True, checked["diff"])
    assert first["diff"]["after"] == "sizing.position_ratio: 0.12\n"
    assert yaml.safe_load(request_.path.read_text())["sizing"]["position_ratio"] == 0.12
    seen = {path.name: path.read_bytes() for path in request_.state_path.iterdir()}, request_.path.stat().st_mtime_ns
    for dry_run, outcome in ((True, "planned"), (False, "proven")):
        again = change(request_, dry_run)
        assert (again["outcome"], again["changed"]) == (outcome, False)
        assert "already" in again["summary"]
    assert (
        {path.name: path.read_bytes() for path in request_.state_path.iterdir()},
        request_.path.stat().st_mtime_ns,
    ) == seen


def test_each_change_is_a_line_of_the_drift_log_and_the_run_one_of_the_audit_log(request_):
    change(request_, changes={"sizing.position_ratio": 0.05, "venue.enabled": False})
    first, second = log(request_)
    assert (first.time, first.by, first.why) == (NOW, "reno", "a calmer market")
    assert (first.key, first.before, first.after) == ("sizing.position_ratio", 0.1, 0.05)
    assert (second.key, second.before, second.after) == ("venue.enabled", True, False)
    (line,) = (request_.state_path / "audit.jsonl").read_text().splitlines()
    audited = json.loads(line)
    assert (audited["event"], audited["by"]) == ("trading configuration changed", "reno")
    assert audited["changes"]["venue.enabled"] == [True, False]


@pytest.mark.parametrize(
    ("why", "changes"), [("", {"venue.enabled": False}), (" \n", {"venue.enabled": False}), ("x", {})]
)
def test_without_a_reason_or_a_change_it_is_wrong_usage(request_, why, changes):
    asked = replace(request_, why=why, changes=changes)
    for seen in (ensure_changed(asked, lambda: NOW, True), ensure_changed(asked, lambda: NOW, False)):
        assert (seen["outcome"], seen["changed"]) == ("usage", False)
    assert list(request_.state_path.iterdir()) == []


@pytest.mark.parametrize("latch", ['{"scope": "live", "incident_ids": ["INC-1"]}', "garbage"])
def test_while_halted_nothing_gets_larger_and_everything_may_get_smaller(request_, latch):
    (request_.state_path / "halt.json").write_text(latch)
    before = request_.path.read_bytes()
    both = {"sizing.position_ratio": 0.12, "venue.enabled": False}
    for seen in (change(request_), change(request_, changes=both), change(request_, True)):
        assert (seen["outcome"], seen["changed"]) == ("refused", False)
        assert "halt latch" in seen["summary"]
        assert seen["next_command"] == ("./runbook halt_release -e incident_id=INC-1" if "INC" in latch else "")
    assert (request_.path.read_bytes(), log(request_)) == (before, ())
    smaller = {"sizing.position_ratio": 0.05, "venue.enabled": False, "strategies.RefStrat_01.ema_slow_bars": 20}
    assert change(request_, changes=smaller)["outcome"] == "proven"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes other users' files")
@pytest.mark.parametrize("is_late", [False, True])
def test_a_link_that_another_user_laid_to_a_file_of_roots_is_not_followed(request_, tmp_path, monkeypatch, is_late):
    victim = tmp_path / "victim.yml"
    victim.write_text(request_.path.read_text())
    before = victim.read_text()

    def lay() -> None:
        request_.path.unlink()
        request_.path.symlink_to(victim)
        os.lchown(request_.path, 65534, 65534)

    if is_late:
        monkeypatch.setattr(drift_log, "record", lambda *_: None if request_.path.is_symlink() else lay())
    else:
        lay()
    assert change(request_)["outcome"] == ("failed" if is_late else "refused")
    assert victim.read_text() == before


def test_owner_and_mode_stay_and_a_link_stays_a_link(request_, tmp_path):
    real = tmp_path / "real.yml"
    request_.path.rename(real)
    request_.path.symlink_to(real)
    real.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(real, 1234, 4321)
    before = real.stat()
    assert change(request_)["outcome"] == "proven"
    after = real.stat()
    assert request_.path.is_symlink()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["RefStrat_01.md", "real.yml", "state", "trading.yml"]


def test_no_change_without_its_record(request_):
    (request_.state_path / "drift_log.jsonl").mkdir()
    before = request_.path.read_bytes()
    seen = change(request_)
    assert (seen["outcome"], seen["changed"], request_.path.read_bytes()) == ("failed", False, before)
    assert "Not changed, since it could not be put on record" in seen["summary"]


def lose(path, text, like=None):
    """Claims to have written, and has not."""


def refuse(path, text, like=None):
    raise OSError("disk full")


def spoil_mode(path, text, like=None):
    path.write_text(text)
    path.chmod(0o600)


@pytest.mark.parametrize(
    ("write", "why"),
    [(lose, "does not hold what was written"), (refuse, "disk full"), (spoil_mode, "another owner or mode")],
)
def test_a_write_that_is_not_proven_fails_and_the_drift_log_says_so(request_, monkeypatch, write, why):
    monkeypatch.setattr(trading_config, "write_durably", write)
    seen = change(request_)
    assert (seen["outcome"], seen["next_command"]) == ("failed", f"cat {request_.path}")
    assert why in seen["summary"]
    made, taken_back = log(request_)
    assert (made.after, taken_back.after, taken_back.why) == (0.12, 0.1, "not proven to be written")
    assert not (request_.state_path / "audit.jsonl").exists()


def test_a_file_that_cannot_be_read_is_a_failure_and_named(request_):
    for spoil in (lambda path: path.unlink(), lambda path: path.write_bytes(b"a: \xff\n"), lambda path: path.unlink()):
        spoil(request_.path)
        seen = change(request_)
        assert (seen["outcome"], str(request_.path) in seen["summary"]) == ("failed", True)
    request_.path.write_text("#" * (1024 * 1024) + "\n")
    assert "longer than" in change(request_)["summary"]


def test_without_the_yaml_library_the_line_that_fixes_it_is_named(request_, monkeypatch):
    imported = builtins.__import__

    def without_yaml(name, *more):
        if name == "yaml":
            raise ImportError(name)
        return imported(name, *more)

    monkeypatch.setattr(builtins, "__import__", without_yaml)
    seen = change(request_)
    assert (seen["outcome"], seen["next_command"]) == ("failed", "apt-get install python3-yaml (on the host)")


def test_documentation_is_due_until_it_reads_differently(request_):
    seen = change(request_)
    assert f"documentation due: {request_.documentation_path} for sizing.position_ratio 0.1 -> 0.12" in seen["summary"]
    assert "documentation due" in change(request_)["summary"]
    request_.documentation_path.write_text("Position 12 %.\n")
    assert "documentation due" not in change(request_)["summary"]


def test_every_result_has_the_same_keys(request_):
    expected = change(request_, True).keys()
    assert change(request_).keys() == change(request_, changes={}).keys() == expected
