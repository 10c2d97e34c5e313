"""Temporary fixes: one at a time, on record, and undone to the byte."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from trading_ops.config import drift_log
from trading_ops.config.mitigation import Fix, find_switch, git_reader, mitigate, parse_fix, scale_sizing
from trading_ops.config.trading import ConfigError, Request

SHIPPED = (Path(__file__).parents[3] / "lab/ai_trading_core/config/trading.yml").read_text(encoding="utf-8")
RUN = "20261121-080000.4242"
ID = "MIT-20261121-080000-4242"
NOW = "2026-11-21T08:00:00.000Z"
LATCH = '{"scope": "all", "incident_ids": ["INC-1"]}'


def no_commit(commit: str) -> str:
    raise ConfigError(f"{commit} was not to be read")


@pytest.fixture
def request_(tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "config").mkdir()
    (tmp_path / "config/trading.yml").write_text(SHIPPED)
    return Request(
        path=tmp_path / "config/trading.yml",
        changes={},
        state_path=tmp_path / "state",
        documentation_path=tmp_path / "RefStrat_01.md",
        by="reno",
        why="spreads are wide",
    )


def run(request, action, value, run_id=RUN, dry_run=False, read_commit=no_commit):
    fix = parse_fix({action: value}, run_id)
    return mitigate(fix, request, read_commit, "./runbook mitigate -e undo=<id>", lambda: NOW, dry_run)


def files(request):
    root = request.state_path.parent
    return {str(path): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


FIXES = [
    ("disable", "venue", {"venue.enabled": (True, False)}),
    ("disable", "exchange", {"venue.enabled": (True, False)}),
    ("disable", "RefStrat_01", {"strategies.RefStrat_01.enabled": (True, False)}),
    ("disable", "symbols.ETHUSDT", {"symbols.ETHUSDT.enabled": (True, False)}),
    ("scale_sizing", "0.5", {"sizing.position_ratio": (0.1, 0.05)}),
    ("orders_per_minute", "30", {"load.orders_per_minute": (120, 30)}),
    ("changes", {"risk_limits.drawdown_ratio": "0.03"}, {"risk_limits.drawdown_ratio": (0.05, 0.03)}),
]


@pytest.mark.parametrize("halted", [False, True], ids=["running", "halted"])
@pytest.mark.parametrize(("action", "value", "expected"), FIXES)
def test_a_fix_changes_what_was_asked_is_on_record_and_is_undone_to_the_byte(request_, action, value, expected, halted):
    if halted:
        (request_.state_path / "halt.json").write_text(LATCH)
    before = files(request_)
    planned = run(request_, action, value, dry_run=True)
    assert (planned["outcome"], planned["changed"], files(request_)) == ("planned", True, before)
    done = run(request_, action, value)
    assert done["diff"] == planned["diff"]
    assert {item["key"]: (item["before"], item["after"]) for item in done["changes"]} == expected
    assert [entry.key for entry in drift_log.read(request_.state_path).entries] == [*expected]
    assert done["undo"] == f"./runbook mitigate -e undo={ID}"
    assert done["undo"] in done["summary"]
    if action != "scale_sizing":
        assert run(request_, action, value)["changed"] is False

    (request_.state_path / "halt.json").unlink(missing_ok=True)
    undone = run(request_, "undo", ID, "20261121-090000.1")
    assert (undone["outcome"], undone["changed"]) == ("proven", True)
    assert request_.path.read_text() == SHIPPED
    assert [entry.after for entry in drift_log.read(request_.state_path).entries] == [
        *(after for _, after in expected.values()),
        *(before for before, _ in expected.values()),
    ]
    assert run(request_, "undo", ID, "20261121-090001.1")["changed"] is False


def test_an_undo_can_be_undone(request_):
    run(request_, "scale_sizing", "0.5")
    halved = request_.path.read_text()
    run(request_, "undo", ID, "20261121-090000.1")
    assert run(request_, "undo", "MIT-20261121-090000-1", "20261121-100000.1")["changed"] is True
    assert request_.path.read_text() == halved


def test_an_undo_never_takes_a_later_change_with_it(request_):
    run(request_, "scale_sizing", "0.5")
    run(request_, "disable", "venue", "20261121-090000.1")
    before = files(request_)
    refused = run(request_, "undo", ID, "20261121-100000.1")
    assert (refused["outcome"], files(request_)) == ("refused", before)
    assert f"changed again since {ID}" in refused["summary"]


@pytest.mark.parametrize(
    ("action", "value"), [("undo", ID), ("enable", "venue"), ("changes", {"sizing.position_ratio": "0.15"})]
)
def test_while_halted_no_fix_makes_anything_larger_an_undo_neither(request_, action, value):
    run(request_, "disable", "venue")
    (request_.state_path / "halt.json").write_text(LATCH)
    before = files(request_)
    refused = run(request_, action, value, "20261121-090000.1")
    assert (refused["outcome"], refused["changed"], files(request_)) == ("refused", False, before)
    assert refused["next_command"] == "./runbook halt_release -e incident_id=INC-1"


def test_a_host_that_has_not_done_the_fix_says_so_and_changes_nothing(request_):
    seen = mitigate(Fix("undo", ID, ""), request_, no_commit, "", lambda: NOW, True)
    assert (seen["outcome"], seen["is_known"], seen["changes"]) == ("planned", False, [])


def test_nothing_is_changed_where_the_undo_could_not_be_kept(request_):
    (request_.state_path / "mitigations").write_text("in the way")
    failed = run(request_, "disable", "venue")
    assert (failed["outcome"], failed["changed"]) == ("failed", False)
    assert request_.path.read_text() == SHIPPED
    assert drift_log.read(request_.state_path).entries == ()


def test_what_undoes_a_fix_is_readable_for_whom_the_configuration_is(request_):
    request_.path.chmod(0o640)
    run(request_, "disable", "venue")
    assert (request_.state_path / f"mitigations/{ID}.json").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("content", "value"), [("garbage", ID), ('{"before": 1}', ID), ("", "../../etc/passwd"), ("", "MIT-1")]
)
def test_an_undo_that_cannot_be_understood_changes_nothing(request_, content, value):
    (request_.state_path / "mitigations").mkdir()
    (request_.state_path / f"mitigations/{ID}.json").write_text(content or "{}")
    assert run(request_, "undo", value, "20261121-090000.1")["outcome"] in {"failed", "usage"}
    assert request_.path.read_text() == SHIPPED


@pytest.mark.parametrize(
    "params", [{}, {"disable": ""}, {"changes": {}}, {"disable": "venue", "enable": "venue"}, {"reason": "x"}]
)
def test_exactly_one_fix_is_asked_for(params):
    with pytest.raises(ConfigError, match="One fix at a time"):
        parse_fix(params, RUN)


@pytest.mark.parametrize("run_id", ["", "..", "20261121-080000", "20261121-080000.x"])
def test_a_fix_without_a_run_of_its_own_could_not_be_undone(run_id):
    with pytest.raises(ConfigError, match="names no run"):
        parse_fix({"disable": "venue"}, run_id)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nosuch", "is none of venue, exchange, RefStrat_01, BTCUSDT, ETHUSDT"),
        ("", "is none of"),
        ("sizing", "is none of"),
    ],
)
def test_what_cannot_be_switched_is_refused_with_what_can(name, why):
    with pytest.raises(ConfigError, match=why):
        find_switch(SHIPPED, name)


def test_a_name_that_means_two_things_is_refused_until_it_is_said_which():
    text = "venue: {name: x, enabled: true}\nsymbols: {x: {enabled: true}}\nstrategies: {}\n"
    with pytest.raises(ConfigError, match="more than one thing"):
        find_switch(text, "x")
    assert find_switch(text, "symbols.x") == "symbols.x.enabled"


@pytest.mark.parametrize("factor", ["0", "1", "2", "-1", "nan", "half", "", "inf"])
def test_a_factor_that_is_none_is_refused(factor):
    with pytest.raises(ConfigError, match="between 0 and 1"):
        scale_sizing(SHIPPED, factor)


@pytest.fixture
def checkout(request_):
    """The configuration in two commits: as shipped, then with double the size and a new comment."""
    root = request_.path.parents[1]
    git = ["git", "-C", str(root), "-c", "user.name=x", "-c", "user.email=x@x"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "config"], check=True)
    subprocess.run([*git, "commit", "-qm", "first"], check=True)
    request_.path.write_text(SHIPPED.replace("position_ratio: 0.10", "position_ratio: 0.20 # new"))
    subprocess.run([*git, "commit", "-qam", "second"], check=True)
    return git_reader(root, "config/trading.yml")


def test_a_commit_brings_the_configuration_back_to_the_byte_and_can_be_undone(request_, checkout):
    second = request_.path.read_text()
    done = run(request_, "config_commit", "HEAD~1", read_commit=checkout)
    assert (done["outcome"], request_.path.read_text()) == ("proven", SHIPPED)
    assert done["changes"] == [{"key": "sizing.position_ratio", "before": 0.2, "after": 0.1}]
    run(request_, "undo", ID, "20261121-090000.1")
    assert request_.path.read_text() == second


@pytest.mark.parametrize("commit", ["nosuch", "--output=x", "HEAD:..", "HEAD~9", "a b"])
def test_a_commit_that_is_none_changes_nothing(request_, checkout, commit):
    before = request_.path.read_text()
    failed = run(request_, "config_commit", commit, read_commit=checkout)
    assert (failed["outcome"], request_.path.read_text()) == ("usage", before)


@pytest.mark.parametrize("text", ["", "- a\n", "a: [", "venue: x\n"])
def test_what_a_commit_holds_has_to_be_settings_and_what_it_lacks_is_shown(request_, text):
    done = run(request_, "config_commit", "abc", read_commit=lambda commit: text)
    if text.startswith("venue"):
        assert {"key": "sizing.position_ratio", "before": 0.1, "after": None} in done["changes"]
    else:
        assert (done["outcome"], request_.path.read_text()) == ("failed", SHIPPED)


def test_a_commit_that_takes_a_limit_away_is_refused_while_halted(request_):
    (request_.state_path / "halt.json").write_text(LATCH)
    without = yaml.safe_load(SHIPPED)
    del without["risk_limits"]["drawdown_ratio"]
    refused = run(request_, "config_commit", "abc", read_commit=lambda commit: yaml.safe_dump(without))
    assert refused["outcome"] == "refused"


def test_looking_refuses_what_a_run_would_refuse(request_):
    asked = replace(request_, why=" ")
    assert mitigate(Fix("disable", "venue", ID), asked, no_commit, "", lambda: NOW, True)["outcome"] == "usage"
