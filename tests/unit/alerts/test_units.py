from __future__ import annotations

import json
from dataclasses import replace

import pytest
from trading_ops.alerts.spool import MOST_BYTES
from trading_ops.alerts.units import (
    ACTIONS,
    ACTIONS_PATH,
    PROXY,
    RECEIVER,
    WATCH,
    WATCH_TIMER,
    Layout,
    build_units,
    render_hooks,
    render_nginx,
)
from trading_ops.jobs.job import JobsError

from tests.project.repository import subcommands

TOKEN = "t" * 43
LAYOUT = Layout("/opt/checkout", "/var/lib/trading-core", environment={"TRADING_CORE_INVENTORY": "/opt/inventory"})
UNITS = build_units(LAYOUT)


def test_the_proxy_refuses_before_it_reads_a_body_and_bounds_what_it_reads():
    text = render_nginx(LAYOUT, TOKEN)
    refused, taken = text.index("return 401"), text.index("proxy_pass")
    assert refused < taken
    assert f'"Bearer {TOKEN}" 1;' in text
    assert f"client_max_body_size {MOST_BYTES};" in text
    for bound in ("client_header_timeout 5s", "client_body_timeout 5s", "limit_conn all 16", "proxy_read_timeout 10s"):
        assert bound in text
    assert "proxy_pass http://127.0.0.1:9096;" in text
    assert text.count("location") == 2


def test_the_hook_runs_one_fixed_command_and_nothing_of_the_request_is_an_argument():
    (hook,) = json.loads(render_hooks(LAYOUT, TOKEN))
    assert hook["execute-command"] == "/usr/bin/python3"
    assert [each["source"] for each in hook["pass-arguments-to-command"]] == ["string"] * 4
    assert [each["name"] for each in hook["pass-arguments-to-command"]] == [
        *("-IS", "/usr/local/lib/trading-core-alerts/alert_spool.py"),
        *("/var/lib/trading-core/alerts/incoming", "/var/lib/trading-core/alerts/spool"),
    ]
    assert "pass-environment-to-command" not in hook
    # Without it webhook answers 200 before the command has run.
    assert hook["include-command-output-in-response"] is True
    assert hook["trigger-rule-mismatch-http-response-code"] == 401


@pytest.mark.parametrize("name", [PROXY, RECEIVER, ACTIONS, WATCH])
def test_every_service_has_a_memory_limit(name):
    assert "\nMemoryMax=" in UNITS[name]


@pytest.mark.parametrize("name", [PROXY, RECEIVER])
def test_what_listens_is_no_root_comes_back_forever_and_at_boot(name):
    for line in ("User=trading-alerts", "Restart=always", "StartLimitIntervalSec=0", "NoNewPrivileges=yes"):
        assert f"\n{line}\n" in UNITS[name]
    assert "WantedBy=multi-user.target" in UNITS[name]


def test_only_the_spool_can_be_written_by_who_listens():
    assert "ProtectSystem=strict" in UNITS[PROXY]
    assert "ReadWritePaths" not in UNITS[PROXY]
    # One path: each is a mount of its own, and nothing can be renamed from one mount into another.
    paths = "ReadWritePaths=/var/lib/trading-core/alerts\n"
    assert paths in UNITS[RECEIVER]


def test_an_order_in_the_spool_starts_the_reader_also_at_boot_and_one_not_carried_out_is_tried_again():
    assert "DirectoryNotEmpty=/var/lib/trading-core/alerts/spool\n" in UNITS[ACTIONS_PATH]
    assert "WantedBy=paths.target" in UNITS[ACTIONS_PATH]
    assert "ExecStart=/opt/checkout/runbook alert-actions\n" in UNITS[ACTIONS]
    assert "Restart=on-failure\nRestartSec=15\n" in UNITS[ACTIONS]
    # A burst of alerts starts it often; a limit would end the path unit with it.
    assert "StartLimitIntervalSec=0" in UNITS[ACTIONS]


def test_the_path_is_looked_at_every_minute():
    assert "OnCalendar=*-*-* *:*:30\n" in UNITS[WATCH_TIMER]
    assert "runbook alert-actions --watch\n" in UNITS[WATCH]
    assert 'Environment="TRADING_CORE_INVENTORY=/opt/inventory"\n' in UNITS[WATCH]


def test_a_value_that_a_unit_would_read_otherwise_is_refused():
    with pytest.raises(JobsError):
        build_units(replace(LAYOUT, environment={"A": 'x"\nExecStart=/bin/false'}))


def test_no_unit_holds_the_token():
    assert TOKEN not in "".join(UNITS.values())


def test_the_entry_script_has_the_command_of_the_units_and_the_one_of_units_installed_before():
    assert {"alert-actions", "alert-orders"} <= subcommands()
