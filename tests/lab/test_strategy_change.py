"""A change of sizing or strategy on real hosts: once, on record, followed by the bot that runs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from tests.lab.estate import TRADING_HOSTS, Run, now, on, orders, runbook, wait_until
from tests.lab.test_host_setup import changes

ROOT_PATH = "/opt/ai_trading_core"
CONFIG = f"{ROOT_PATH}/config/trading.yml"
DOCUMENTATION = f"{ROOT_PATH}/docs/strategies/RefStrat_01.md"
LOG = "/var/lib/trading-core/drift_log.jsonl"
KEPT = "/root/kept-by-test"
SMALL = ("-e", "reason=spreads are wide", "-e", "changes=sizing.position_ratio=0.02")
LARGE = ("-e", "reason=a calmer market", "-e", "changes=sizing.position_ratio=0.15")


@pytest.fixture
def config(stacks: None) -> Iterator[None]:
    """Each host's configuration and documentation, put back afterwards; the drift log begins and ends empty."""
    for host in TRADING_HOSTS:
        on(host, f"mkdir -p {KEPT} && cp -p {CONFIG} {DOCUMENTATION} {KEPT} && rm -f {LOG}")
    yield
    back = f"cp -p {KEPT}/trading.yml {CONFIG} && cp -p {KEPT}/RefStrat_01.md {DOCUMENTATION} && rm -rf {KEPT} {LOG}"
    for host in TRADING_HOSTS:
        on(host, back)


def fingerprint(host: str) -> str:
    """Return every file of configuration and state with owner, mode, time and content, so that any change shows."""
    # The lease of a run comes and goes, and the audit log tells of it.
    left_out = "! -name audit.jsonl"
    shown = f"find {ROOT_PATH}/config /var/lib/trading-core -type f {left_out}"
    return on(host, f"{shown} -printf '%p %u %g %m %T@\\n' | sort; {shown} -print0 | sort -z | xargs -0 sha256sum")


def drift(host: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in on(host, f"cat {LOG} 2>/dev/null || true").splitlines()]


def change(*options: str) -> Run:
    return runbook("strategy_change", "-e", "by=tester", *options)


@pytest.mark.faults
def test_quartet_every_host_is_changed_once_and_each_change_is_on_record(config):
    before = {host: fingerprint(host) for host in TRADING_HOSTS}
    owner = on("lab1", f"stat -c '%U %G %a' {CONFIG}")
    checked = change("--check", "--diff", *SMALL)
    assert (checked.code, changes(checked)) == (0, 2)
    assert "DRY RUN: nothing was changed" in checked.verdict
    assert "+sizing.position_ratio: 0.02" in checked.output
    assert {host: fingerprint(host) for host in TRADING_HOSTS} == before

    first = change(*SMALL)
    assert (first.code, changes(first)) == (0, 2)
    for host in TRADING_HOSTS:
        assert f"{host}: sizing.position_ratio 0.1 -> 0.02; documentation due: {DOCUMENTATION}" in first.verdict
        assert on(host, f"diff {KEPT}/trading.yml {CONFIG} || true").splitlines()[1:] == [
            "<   position_ratio: 0.10",
            "---",
            ">   position_ratio: 0.02",
        ]
        (entry,) = drift(host)
        assert (entry["key"], entry["before"], entry["after"]) == ("sizing.position_ratio", 0.1, 0.02)
        assert (entry["by"], entry["why"]) == ("tester", "spreads are wide")
        audited = on(host, "grep -c 'trading configuration changed' /var/lib/trading-core/audit.jsonl")
        assert int(audited) >= 1
    assert on("lab1", f"stat -c '%U %G %a' {CONFIG}") == owner

    after = {host: fingerprint(host) for host in TRADING_HOSTS}
    assert changes(change("--check", *SMALL)) == 0
    second = change(*SMALL)
    assert (second.code, changes(second), "already" in second.verdict) == (0, 0, True)
    assert {host: fingerprint(host) for host in TRADING_HOSTS} == after


@pytest.mark.faults
def test_running_bots_take_no_larger_position_than_the_new_size(trading, config):
    assert change(*SMALL).code == 0
    begun = now()
    for host, mode in zip(TRADING_HOSTS, ("paper", "live"), strict=True):
        wait_until(
            lambda host=host, mode=mode: (
                "position_ratio=0.02" in on(host, f"docker logs --tail 50 trading-{mode}-bot-1")
            ),
            30,
            f"the {mode} bot has read the new size",
        )

    def bought() -> list[float]:
        found = [entry for entry in orders(begun) if entry["side"] == "buy"][5:]  # the first were on their way
        return [entry["quantity"] * 60_000 for entry in found]

    sizes = wait_until(bought, 180, "a bot buys again")
    # An account of about 10,000 USDT, of which the former size took 500 and more.
    assert max(sizes) < 300


@pytest.mark.faults
def test_what_one_host_refuses_is_changed_on_none(config):
    on("lab2", f"sed -i 's/position_ratio: 0.20/position_ratio: 0.12/' {CONFIG}")
    before = {host: fingerprint(host) for host in TRADING_HOSTS}
    refused = change(*LARGE)
    assert refused.code == 2
    assert "lab2: sizing.position_ratio would be 0.15, above risk_limits.position_ratio" in refused.verdict
    assert {host: fingerprint(host) for host in TRADING_HOSTS} == before


@pytest.mark.faults
def test_while_halted_nothing_gets_larger_and_smaller_goes_through(halted, config):
    before = {host: fingerprint(host) for host in TRADING_HOSTS}
    refused = change(*LARGE)
    assert refused.code == 13
    assert re.search(r"NEXT: ./runbook halt_release .*-e incident_id=INC-", refused.verdict)
    assert {host: fingerprint(host) for host in TRADING_HOSTS} == before
    assert change(*SMALL).code == 0


@pytest.mark.faults
def test_documentation_is_due_on_a_host_until_it_is_edited_there(config):
    assert change(*SMALL).code == 0
    on("lab1", f"echo 'Since today 2 %.' >>{DOCUMENTATION}")
    listed = runbook("drift_log")
    assert listed.code == 0
    assert "lab1: 1 change on record; no documentation due" in listed.verdict
    assert "lab2: 1 change on record; documentation due" in listed.verdict
    on("lab2", f"echo garbage >>{LOG}")
    listed = runbook("drift_log")
    assert (listed.code, "cannot be understood in line 2" in listed.verdict) == (10, True)
