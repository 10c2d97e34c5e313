"""Asks the hosts themselves, after evidence was collected."""

import pytest

LOGS = "/opt/ai_trading_core/logs"


@pytest.fixture
def log(host):
    """The newest log of the bot that talks."""
    return host.check_output(f"ls -t {LOGS}/incident_test_*molecule-talks.log | head -1")


def test_log_lies_under_the_owners_name_without_the_secret(host, log):
    text = host.check_output(f"cat {log}")
    assert "connect with (redacted: known: VENUE_SECRET)" in text
    assert "Qx7-planted" not in text
    assert "bW9sZWN1bGUt" not in text


def test_nothing_else_is_left_and_the_bot_is_as_it_was(host):
    assert host.check_output("find /var/tmp -name 'trading-core-evidence-*'") == ""
    assert host.check_output("docker ps --all --quiet --filter name=^molecule-talks$ --filter status=exited")
