"""Setting hosts up: the quartet, the refusals, and a report that names every mismatch and touches nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from tests.lab.conftest import GATED, release_halt, remove_bots
from tests.lab.estate import TRADING_HOSTS, Run, containers, on, runbook

HOST = "lab1"
FILES = "/etc /usr/local /var/lib/trading-core"
LEFT_OUT = "-name '*.pyc' -o -name __pycache__ -o -name audit.jsonl -o -path /etc/mtab"
BOT_IMAGE = "$(docker inspect -f '{{.Config.Image}}' trading-paper-bot-1)"
SLEEP = "python3 -c 'import time; time.sleep(1000)'"


def fingerprint(host: str) -> tuple[object, str, str]:
    """Return containers, files and units of a host, so that any change shows."""
    files = f"find {FILES} \\( {LEFT_OUT} \\) -prune -o \\( -type f -o -type l \\) -printf '%p %m %T@ %s\\n' | sort"
    units = "systemctl list-unit-files --no-legend --no-pager; systemctl show --property MainPID trading-core-guard"
    return containers(host), on(host, files), on(host, units)


def changes(run: Run) -> int:
    """Return how much the trading hosts were changed; what an incident's record brings home is not theirs."""
    return sum(int(count) for count in re.findall(r"^lab\d .*changed=(\d+) ", run.output, re.MULTILINE))


@pytest.fixture
def bare(stacks: None) -> Iterator[None]:
    """The first host without guard, package and record; set up again afterwards."""
    on(
        HOST,
        "systemctl disable --now trading-core-guard && rm -rf /usr/local/lib/trading-core /etc/trading-core "
        "/usr/local/sbin/trading-halt /usr/local/libexec/trading-core /etc/tmpfiles.d/trading-core.conf "
        "/etc/sudoers.d/trading-core /etc/systemd/system/trading-core-guard.service "
        "/var/lib/trading-core/estate.json /run/trading-core && systemctl daemon-reload",
    )
    yield
    assert runbook("host_setup").code == 0


@pytest.mark.faults
def test_quartet_check_changes_nothing_and_the_second_run_neither(bare):
    before = fingerprint(HOST)
    checked = runbook("host_setup", "--check", "--diff")
    assert checked.code == 0
    assert "DRY RUN: nothing was changed" in checked.verdict
    assert changes(checked) == 2
    assert fingerprint(HOST) == before

    first = runbook("host_setup")
    assert (first.code, changes(first)) == (0, 2), first.verdict
    assert f"{HOST}: guard active" in first.verdict
    assert on(HOST, "systemctl is-enabled trading-core-guard").strip() == "enabled"
    assert on(HOST, "su ops -c 'sudo -n /usr/local/sbin/trading-halt --check'; echo $?").strip().endswith("0")

    after = {host: fingerprint(host) for host in TRADING_HOSTS}
    assert changes(runbook("host_setup", "--check")) == 0
    second = runbook("host_setup")
    assert (second.code, changes(second)) == (0, 0)
    assert {host: fingerprint(host) for host in TRADING_HOSTS} == after


@pytest.mark.faults
def test_missing_prerequisite_is_refused_before_anything_is_installed(bare):
    plugin = on(
        HOST,
        "ls /usr/libexec/docker/cli-plugins/docker-compose /usr/lib/docker/cli-plugins/docker-compose "
        "2>/dev/null | head -1",
    ).strip()
    on(HOST, f"mv {plugin} {plugin}.away")
    try:
        before = fingerprint(HOST)
        refused = runbook("host_setup")
        after = fingerprint(HOST)
    finally:
        on(HOST, f"mv {plugin}.away {plugin}")
    assert refused.code == 13
    assert f"{HOST}: Compose 2.20 or newer is needed" in refused.verdict
    assert "apt-get install docker-compose" in refused.verdict
    assert after == before


@pytest.mark.faults
def test_clock_that_disagrees_is_refused(stacks):
    refused = runbook("host_setup", "-e", '{"host_setup_clock_offset_seconds": -100}')
    assert refused.code == 13
    assert "timedatectl set-ntp true" in refused.verdict


@pytest.mark.faults
def test_host_that_left_the_inventory_is_not_forgotten_without_a_word(stacks):
    path = "/var/lib/trading-core/estate.json"
    known = json.dumps({"trading_hosts": [*TRADING_HOSTS, "homelab9"], "since": "x", "by": "x"})
    on(HOST, f"printf '%s' '{known}' >{path}")
    refused = runbook("host_setup")
    assert refused.code == 13
    assert "homelab9 would no longer be stopped" in refused.verdict
    assert """NEXT: ./runbook host_setup -e '{"forget_hosts": ["homelab9"]}'""" in refused.verdict
    assert "homelab9" in on(HOST, f"cat {path}")
    assert runbook("host_setup", "-e", '{"forget_hosts": ["homelab9"]}').code == 0
    assert json.loads(on(HOST, f"cat {path}"))["trading_hosts"] == list(TRADING_HOSTS)


def label(**labels: str) -> str:
    named = {"project": "com.docker.compose.project", "service": "com.docker.compose.service"}
    return " ".join(f"--label {named.get(key, f'trading-core.{key}')}={value}" for key, value in labels.items())


MISMATCHES = {
    "m1": (
        label(project="trading-live", service="bot") + " --label trading-core.cancels-orders=true -e TRADING_MODE=live",
        "label trading-core.mode is missing",
    ),
    "m2": (
        label(project="trading-paper", service="bot", mode="paper")
        + " --label trading-core.cancels-orders=true -e TRADING_MODE=live",
        "its environment TRADING_MODE=live",
    ),
    "m3": (
        label(project="trading-paper", service="bot", mode="paper") + " -e TRADING_MODE=paper",
        "label trading-core.cancels-orders is missing",
    ),
    "m4": (
        label(project="trading-paper", service="bot", mode="paper")
        + " --label trading-core.cancels-orders=true -e TRADING_MODE=paper --restart always",
        "restart policy always",
    ),
    "m5": (
        label(project="trading-paper", service="bot", mode="paper")
        + " --label trading-core.cancels-orders=true -e TRADING_MODE=paper --stop-timeout -1",
        "stop timeout is -1 s",
    ),
    "m6": (label(project="trading-paper", service="trader") + " -e TRADING_MODE=paper", "a stop would miss it"),
}


@pytest.mark.faults
def test_report_names_six_mismatches_and_changes_nothing(bare):
    app = "$(docker inspect -f '{{.Config.Image}}' trading-paper-gui-1)"
    for name, (options, _) in MISMATCHES.items():
        image = app if name == "m6" else BOT_IMAGE
        on(HOST, f"docker create --name {name} {options} --entrypoint python3 {image} -c pass")
    try:
        before = fingerprint(HOST)
        report = runbook("host_setup", "--check")
        after = fingerprint(HOST)
    finally:
        on(HOST, f"docker rm -f {' '.join(MISMATCHES)}")
    assert report.code == 0
    assert "DRY RUN: nothing was changed; a real run would end with 1, FAILED" in report.verdict
    assert f"{HOST}: 6 mismatches: " in report.verdict
    for name, (_, words) in MISMATCHES.items():
        assert f"{name}: " in report.verdict
        assert words in report.verdict
    assert after == before


@pytest.mark.faults
def test_set_up_ends_with_a_failure_while_something_does_not_match(stacks):
    release_halt()
    remove_bots(keep=GATED)
    options = MISMATCHES["m1"][0]
    on(HOST, f"docker create --name m1 {options} --entrypoint python3 {BOT_IMAGE} -c pass")
    try:
        run = runbook("host_setup")
    finally:
        on(HOST, "docker rm -f m1")
    assert run.code == 1
    assert "m1: label trading-core.mode is missing" in run.verdict
    assert "fix: labels: {trading-core.mode: live}" in run.verdict
