"""Asks the hosts themselves, after a fix was made, kept from being undone over a later change, and undone."""

import json

CONFIG = "/opt/ai_trading_core/config/trading.yml"


def test_configuration_is_as_it_was_to_the_byte(host):
    assert host.run(f"cmp {CONFIG} /root/molecule-trading.yml").rc == 0
    assert host.check_output(f"stat -c '%a %U %G' {CONFIG}") == host.check_output(
        "stat -c '%a %U %G' /root/molecule-trading.yml"
    )


def test_fix_and_undo_are_each_once_in_the_drift_log(host):
    lines = host.check_output("cat /var/lib/trading-core/drift_log.jsonl").splitlines()
    changes = [entry for entry in map(json.loads, lines) if entry["why"] == "molecule"][-2:]
    assert [(entry["key"], entry["after"]) for entry in changes] == [
        ("load.orders_per_minute", 6),
        ("load.orders_per_minute", 120),
    ]


def test_lease_was_given_back(host):
    assert not host.file("/var/lib/trading-core/lease.json").exists
