"""The control host itself says who may read what, what runs, and what an alert that asks for nothing has left."""

import json

ETC = "/etc/trading-core/alert-receiver"
ALERTS = "/var/lib/trading-core/alerts"


def test_what_listens_is_no_root_and_comes_back_at_boot(host):
    for name in ("trading-core-alert-proxy", "trading-core-alert-receiver"):
        assert host.service(name).is_enabled
        pid = host.check_output(f"systemctl show -P MainPID {name}")
        assert host.check_output(f"ps -o user= -p {pid}").startswith("trading")
    assert host.socket("tcp://0.0.0.0:9095").is_listening
    assert host.socket("tcp://127.0.0.1:9096").is_listening
    assert not host.socket("tcp://0.0.0.0:9096").is_listening


def test_the_token_is_for_root_and_the_account_alone(host):
    for name in ("nginx.conf", "hooks.json", "key.pem"):
        file = host.file(f"{ETC}/{name}")
        assert (file.mode, file.user, file.group) == (0o640, "root", "trading-alerts")
    assert host.file("/etc/trading-core/alerts.json").mode == 0o600


def test_the_account_can_write_to_the_spool_and_to_nothing_else_of_ours(host):
    for name in ("spool", "incoming"):
        assert host.file(f"{ALERTS}/{name}").user == "trading-alerts"
    assert host.file(ALERTS).user == "root"
    assert host.run("runuser -u trading-alerts -- touch /var/lib/trading-core/alerts/x").rc != 0


def test_an_order_that_asks_for_nothing_was_taken_written_down_and_did_nothing(host):
    host.run("for n in $(seq 60); do ls /var/lib/trading-core/alerts/spool | grep -q . || break; sleep 1; done")
    lines = [json.loads(line) for line in host.file(f"{ALERTS}/received.jsonl").content_string.splitlines()]
    said = {line.get("name"): line["what"] for line in lines}
    assert said["LiveDrawdown"] == "recorded: resolved"
    assert said["MoleculeKnowsIt"] == "recorded: no alert of the catalogue"
    assert not host.file(f"{ALERTS}/drive.json").exists
