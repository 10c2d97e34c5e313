import pytest
from trading_ops.core.bots import OTHER_SERVICES
from trading_ops.stop.halt_list import (
    FIRST_LINE,
    STOP_VARIABLES,
    HaltHost,
    format_halt_list,
    parse_machine_ids,
    ssh_argv,
    trading_halt_options,
)


def test_list_is_one_word_and_value_a_line_and_counts_its_hosts():
    host = HaltHost("h", argv=("ssh", "-o", 'User="a b"', "h"), options=("--images", ""))
    assert format_halt_list("1-2", "/estate", [host]).splitlines() == [
        FIRST_LINE,
        "fingerprint 1-2",
        "inventory /estate",
        "host h",
        "connection ssh",
        "become yes",
        "argv ssh",
        "argv -o",
        'argv User="a b"',
        "argv h",
        "option --images",
        "option ",
        "end",
        "complete 1",
    ]


def test_machines_on_record_are_on_the_list_and_read_from_it_again():
    hosts = [HaltHost("a", machine_ids=("1" * 32,)), HaltHost("b"), HaltHost("c", machine_ids=("2" * 32, "3" * 32))]
    text = format_halt_list("1-2", "/estate", hosts)
    assert text.splitlines().count(f"machine {'1' * 32}") == 1
    assert parse_machine_ids(text) == {"a": ("1" * 32,), "c": ("2" * 32, "3" * 32)}


@pytest.mark.parametrize("text", ["", "machine " + "1" * 32, "host a\nmachine $(id)\nmachine \nmachine x", "\x00\n\n"])
def test_a_list_that_says_nothing_of_machines_is_no_record(text):
    assert parse_machine_ids(text) == {}


def test_value_with_a_newline_cannot_forge_a_line():
    text = format_halt_list("1", "/e", [HaltHost("h", options=("--services", "bot\nhost evil\nend"))])
    assert "option bot host evil end" in text.splitlines()
    assert text.count("\nend\n") == 1


def test_nothing_in_the_inventory_makes_ssh_ask_or_share_a_connection():
    argv = ssh_argv({"ssh_args": "-o ControlMaster=auto -o BatchMode=no"}, "h")
    assert argv.index("ControlMaster=no") < argv.index("ControlMaster=auto")
    assert argv.index("BatchMode=yes") < argv.index("BatchMode=no")
    assert argv[-1] == "h"


def test_ssh_goes_where_the_inventory_says():
    options = {
        "ssh_executable": "/opt/ssh",
        "host": "10.0.0.1",
        "port": 2222,
        "private_key_file": "/k e y",
        "remote_user": "ops",
        "timeout": 3,
        "host_key_checking": False,
        "ssh_common_args": '-J "jump host"',
        "ssh_extra_args": "-4",
    }
    argv = ssh_argv(options, "h")
    assert (argv[0], argv[-1]) == ("/opt/ssh", "10.0.0.1")
    for words in (("-J", "jump host"), ("-4",)):
        assert " ".join(words) in " ".join(argv)
    expected = {"Port=2222", 'IdentityFile="/k e y"', 'User="ops"', "ConnectTimeout=3", "StrictHostKeyChecking=no"}
    assert expected <= set(argv)


@pytest.mark.parametrize(
    ("variables", "option", "value"),
    [
        ({}, "--services", "bot"),
        ({}, "--projects", "trading-* trading"),
        ({}, "--other-services", " ".join(OTHER_SERVICES)),
        ({"trading_core_other_services": []}, "--other-services", ""),
        ({"trading_core_other_services": ["gui", "a/b/c:1"]}, "--other-services", "gui a/b/c:1"),
        ({}, "--stop-unexpected", "false"),
        ({"trading_core_stop_unexpected": True}, "--stop-unexpected", "true"),
        ({}, "--images", ""),
        ({"trading_core_bot_services": ["a", "b"]}, "--services", "a b"),
        ({"trading_core_bot_services": []}, "--services", "bot"),
        ({"trading_core_bot_images": "x:*"}, "--images", "x:*"),
        ({"trading_core_grace_period_seconds": 5}, "--grace-seconds", "5"),
        ({"trading_core_state_path": "/s"}, "--state-path", "/s"),
    ],
)
def test_options_of_trading_halt(variables, option, value):
    words = trading_halt_options(variables)
    assert words[words.index(option) + 1] == value


def test_every_variable_that_a_stop_needs_is_looked_at_and_no_other():
    asked: set[str] = set()

    class Variables(dict):
        def get(self, key, default=None):
            asked.add(key)
            return default

    trading_halt_options(Variables())
    assert asked == {*STOP_VARIABLES}
