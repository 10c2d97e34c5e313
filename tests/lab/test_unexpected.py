"""Bots that no rule knows: the owner's own command, a framework's container, our image under another tag, a label."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.lab.conftest import flatten, release_halt, remove_bots
from tests.lab.estate import on, runbook, wait_until

HOST = "lab1"
UNNAMED = "/opt/unnamed"
OWNERS_COMMAND = (
    f"cd {UNNAMED} && TRADING_MODE=live GUI_PORT=8090 BOT_METRICS_PORT=9290 "
    "docker compose -f ops/compose/trading/docker-compose.yml --profile live up -d bot gui"
)
FREQTRADE = "freqtradeorg/freqtrade:stable"
STOP_THEM = ["-e", json.dumps({"trading_core_stop_unexpected": True})]
OURS = ("live_connector", "prometheus", "grafana", "alertmanager", "gui", "mlflow", "timescaledb", "exchange")


@pytest.fixture
def own_command(idle: None) -> Iterator[None]:
    """The owner's command on a compose file that has no `name:`."""
    copy = f"rm -rf {UNNAMED} && cp -r /opt/ai_trading_core {UNNAMED}"
    on(HOST, f"{copy} && sed -i '/^name:/d' {UNNAMED}/ops/compose/trading/docker-compose.yml && {OWNERS_COMMAND}")
    yield
    on(HOST, f"{OWNERS_COMMAND.partition(' up ')[0]} down --timeout 5; rm -rf {UNNAMED}")
    release_halt()
    flatten()


@pytest.fixture
def strays(idle: None) -> Iterator[None]:
    """One container with freqtrade's names, and one with image and command of the bot under another tag."""
    image = "$(docker inspect -f '{{.Config.Image}}' trading-paper-bot-1)"
    of_freqtrade = "--label com.docker.compose.service=freqtrade --label com.docker.compose.project=ft_userdata"
    on(
        HOST,
        f"docker tag {image} {FREQTRADE}; docker tag {image} foo:1; "
        "docker inspect -f '{{range .Config.Env}}{{println .}}{{end}}' trading-paper-bot-1 >/tmp/env; "
        f"docker run -d --name freqtrade {of_freqtrade} --restart unless-stopped --entrypoint sleep {FREQTRADE} 9999; "
        "docker run -d --name by-hand --env-file /tmp/env -e IGNORE_LATCH=1 -e BOT_METRICS_PORT=9290 --network host "
        "--volumes-from trading-paper-bot-1 foo:1 trading_lab.bot",
    )
    yield
    on(HOST, f"docker rm -f freqtrade by-hand; docker rmi {FREQTRADE} foo:1; rm /tmp/env")
    remove_bots(keep=frozenset({"trading-paper-bot-1", "trading-live-bot-1"}))
    release_halt()
    flatten()


def state(name: str) -> str:
    return on(HOST, f"docker inspect -f '{{{{.State.Status}}}}' {name}").strip()


def test_a_bot_of_the_owners_own_command_is_seen_by_every_look_and_a_stop_proves_it(own_command):
    status = runbook("status")
    assert status.code == 0
    assert "bot trading-bot-1: trading/bot, live (by its label), running" in status.output
    dry = runbook("failsafe_stop", "--check")
    assert dry.code == 0
    assert f"{HOST}: planned: 2 " in dry.output or f"{HOST}: planned: 1 " in dry.output
    assert "trading-bot-1: its Compose project is trading" in runbook("host_setup", "--check").output
    stopped = runbook("failsafe_stop", "-e", "reason=own command")
    assert stopped.code == 0
    assert state("trading-bot-1") == "exited"
    assert state("trading-gui-1") == "running"


@pytest.mark.faults
def test_strays_are_named_by_every_look_and_what_is_no_bot_by_none(strays):
    looks = {
        "status": runbook("status"),
        "dry run": runbook("failsafe_stop", "--check"),
        "bot_stop": runbook("bot_stop", "-e", "mode=all"),
        "stop": runbook("failsafe_stop", "-e", "reason=strays"),
        "halt-now": runbook("halt-now", "strays"),
    }
    for name, look in looks.items():
        assert look.code == 10, name
        assert "unexpected bot freqtrade (ft_userdata/freqtrade): " in look.output, name
        assert "unexpected bot by-hand (no project/no service): " in look.output, name
        assert [service for service in OURS if f"unexpected bot {service}" in look.output] == [], name
    onboarding = runbook("host_setup", "--check")
    assert f'"ft_userdata/freqtrade/{FREQTRADE}" to trading_core_other_services' in onboarding.output
    assert "by-hand: " in onboarding.output
    assert (state("freqtrade"), state("by-hand")) == ("running", "running")

    def told() -> bool:
        return "unexpected bot seen" in on(HOST, "cat /var/lib/trading-core/audit.jsonl")

    wait_until(told, 30, "the guard's line in the audit log")
    assert runbook("shift_start").output.count("unexpected bot") >= 2


@pytest.mark.faults
def test_strays_are_stopped_where_the_estate_says_so_and_the_verdict_is_10_all_the_same(strays):
    stopped = runbook("failsafe_stop", "-e", "reason=strays", *STOP_THEM)
    assert stopped.code == 10
    assert (state("freqtrade"), state("by-hand")) == ("exited", "exited")
    assert on(HOST, "docker inspect -f '{{.HostConfig.RestartPolicy.Name}}' freqtrade").strip() == "no"
    assert state("live_connector") == "running"


@pytest.mark.faults
def test_framework_that_the_estate_exempts_is_listed_and_no_doubt(strays):
    on(HOST, "docker rm -f by-hand && docker run -d --name by-hand --entrypoint sleep foo:1 9999")
    named = {"trading_core_other_services": ["gui", "by-hand", f"ft_userdata/freqtrade/{FREQTRADE}"]}
    dry = runbook("failsafe_stop", "--check", "-e", json.dumps(named))
    assert dry.code == 0
    assert f"exempted by the estate: freqtrade (ft_userdata/freqtrade/{FREQTRADE})" in dry.output


@pytest.mark.faults
def test_the_label_of_a_restore_test_saves_no_bot(own_command):
    file = f"{UNNAMED}/ops/compose/trading/docker-compose.yml"
    on(
        HOST,
        f"sed -i 's/^    labels:/    labels:\\n      trading-core.restore-test: \"true\"/' {file} && {OWNERS_COMMAND}",
    )
    stopped = runbook("failsafe_stop", "-e", "reason=label")
    assert stopped.code == 0
    assert "trading-bot-1 bears the label trading-core.restore-test and is no restore test's" in stopped.output
    assert state("trading-bot-1") == "exited"
