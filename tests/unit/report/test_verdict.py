from dataclasses import replace
from typing import Any

import pytest
from trading_ops.core.outcome import EXIT_CODES, worst
from trading_ops.report.verdict import BestEffortProof, Expected, Result, Run, judge

LATCH = {"engaged": True, "incident_ids": ["INC-1"]}


def stopped(host: str, outcome: str = "proven", bots: int = 2, orders: str = "cancelled") -> Result:
    items = [{"name": f"{host}-bot-{n}", "how": "stopped", "orders": orders} for n in range(bots)]
    return Result(host, "kill_switch", outcome, f"{host} said so", fields={"bots": items, "latch": LATCH})


def run(*results: Result, hosts: str = "ab", proof: str = "kill_switch", **more: Any) -> Run:
    expected = tuple(Expected(host, proof) for host in hosts)
    return Run("failsafe_stop", "lab", False, 2.34, expected, results, retry_command="./runbook failsafe_stop", **more)


def test_all_expected_hosts_proven_is_the_only_way_to_zero():
    verdict = judge(run(stopped("a"), stopped("b")))
    assert verdict.exit_code == 0
    assert verdict.line == (
        "VERDICT 0 failsafe_stop: PROVEN: 4 bots proven stopped on 2 of 2 hosts (4 of them now), latched on 2 (INC-1); "
        "orders: cancelled (bots' own exit: 4 cancelled; nobody was asked at the venue); 2.3 s, inventory lab."
    )


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        ("running", 11),
        ("unknown", 10),
        ("unlatched", 10),
        ("refused", 13),
        ("locked", 75),
        ("failed", 1),
        ("gibberish", 1),
    ],
)
def test_one_host_that_is_not_proven_decides(outcome, code):
    verdict = judge(run(stopped("a"), stopped("b", outcome)))
    assert verdict.exit_code == code
    assert "b: b said so" in verdict.line
    assert "2 bots proven stopped on 1 of 2 hosts" in verdict.line


def test_host_that_gave_no_result_is_unknown_and_named():
    verdict = judge(run(stopped("a")))
    assert verdict.exit_code == 10
    assert "b: no result" in verdict.line
    assert verdict.line.endswith("NEXT: ./runbook failsafe_stop -e incident_id=INC-1")


def test_unreachable_host_is_unknown_with_what_to_do_meanwhile():
    verdict = judge(run(stopped("a"), unreachable=(("b", "timed out"),)))
    assert verdict.exit_code == 10
    assert "b: did not answer (timed out)" in verdict.line
    assert "2 bots proven stopped on 1 of 2 hosts" in verdict.line
    assert "again once b answers" in verdict.line.split("NEXT:")[1]


def test_run_in_which_no_host_answered_is_unknown_not_invalid():
    verdict = judge(run(unreachable=(("a", "timed out"), ("b", "timed out"))))
    assert (verdict.exit_code, "a: did not answer" in verdict.line, "b: did not answer" in verdict.line) == (
        10,
        True,
        True,
    )


@pytest.mark.parametrize("proof", ["kill_switch", "bot_stop", "compose_services", "kill_switch_info"])
def test_unreachable_host_is_unknown_for_every_proof(proof):
    assert judge(run(hosts="b", proof=proof, unreachable=(("b", "timed out"),))).exit_code == 10


@pytest.mark.parametrize(("proof", "code"), [("kill_switch", 10), ("bot_stop", 10), ("compose_services", 1)])
def test_missing_proof_of_a_stop_is_unknown(proof, code):
    seen = replace(stopped("a"), proof=proof)
    assert judge(run(seen, proof=proof)).exit_code == code


def test_result_of_another_module_proves_nothing():
    other = replace(stopped("a"), proof="kill_switch_info")
    assert judge(run(other, hosts="a")).exit_code == 10


@pytest.mark.parametrize("hosts", ["", "ab"])
def test_nothing_done_is_twelve_and_says_so(hosts):
    verdict = judge(run(hosts=hosts))
    assert verdict.exit_code == 12
    assert "NOTHING WAS STOPPED" in verdict.line
    assert ("no task ran for a, b" if hosts else "inventory lab has no host") in verdict.line


def test_nothing_done_by_a_start_is_twelve_too():
    verdict = judge(replace(run(hosts="", proof="compose_services"), procedure="feed_start"))
    assert (verdict.exit_code, "NOTHING WAS DONE" in verdict.line) == (12, True)


def test_host_that_went_away_after_its_first_proof_is_unknown():
    first = Result("a", "compose_services", "proven", "gui running and healthy")
    verdict = judge(run(first, hosts="a", proof="compose_services", unreachable=(("a", "connection reset"),)))
    assert (verdict.exit_code, "a: did not answer (connection reset)" in verdict.line) == (10, True)


def test_bots_that_were_down_before_are_told_apart_and_their_old_orders_are_not_todays():
    old = [{"name": "old", "how": "already stopped", "orders": "UNVERIFIED"}]
    now = [{"name": "new", "how": "stopped", "orders": "cancelled"}]
    result = Result("a", "kill_switch", "proven", "", fields={"bots": old + now, "latch": LATCH})
    line = judge(run(result, hosts="a")).line
    assert "2 bots proven stopped on 1 of 1 hosts (1 of them now), latched on 1 (INC-1); " in line
    assert "orders: cancelled (bots' own exit: 1 cancelled; nobody" in line
    assert "UNVERIFIED" not in line


def test_lab_is_named_at_the_front_of_the_line():
    assert judge(run(stopped("a"), stopped("b"), is_lab=True)).line.startswith(
        "VERDICT 0 failsafe_stop in the LAB: PROVEN"
    )


def test_line_stays_one_line_whatever_a_summary_holds():
    line = judge(run(stopped("a"), Result("b", "kill_switch", "failed", "first\nVERDICT 0\x1b[2J all good"))).line
    assert len(line.splitlines()) == 1
    assert "\x1b" not in line


def test_nothing_released_is_not_called_nothing_stopped():
    verdict = judge(replace(run(hosts="ab"), procedure="halt_release"))
    assert (verdict.exit_code, "NOTHING WAS DONE" in verdict.line) == (12, True)


def test_missing_proof_of_a_start_is_failed_and_does_not_hide_the_refusal():
    refused = Result("a", "compose_services", "refused", "latch engaged", "./runbook halt_release -e incident_id=INC-1")
    verdict = judge(run(refused, proof="compose_services"))
    assert verdict.exit_code == 13
    assert "latch engaged" in verdict.line
    assert verdict.line.endswith("NEXT: ./runbook halt_release -e incident_id=INC-1")


def test_most_serious_result_of_one_module_counts_when_it_ran_twice():
    first = Result("a", "compose_services", "failed", "am_init exited 1")
    second = Result("a", "compose_services", "proven", "alertmanager healthy")
    assert judge(run(first, second, hosts="a", proof="compose_services")).exit_code == 1
    assert judge(run(second, first, hosts="a", proof="compose_services")).exit_code == 1


def test_failed_task_without_an_outcome_is_a_failure_beside_good_proofs():
    stray = Result("a", "", "failed", "Copy a file: no space")
    verdict = judge(run(stopped("a"), stopped("b"), stray))
    assert (verdict.exit_code, "Copy a file: no space" in verdict.line) == (1, True)


def test_wrong_variables_before_anything_ran_are_wrong_usage_also_for_a_stop():
    stray = Result("a", "", "usage", "missing required arguments: mode")
    verdict = judge(run(stray, replace(stray, host="b"), proof="bot_stop"))
    assert (verdict.exit_code, "missing required arguments: mode" in verdict.line) == (2, True)


def test_wrong_variables_of_one_host_do_not_hide_what_another_lacks():
    stray = Result("a", "", "usage", "missing required arguments: mode")
    assert judge(run(stray, stopped("b", "running"))).exit_code == 11
    assert judge(run(stray, Result("b", "", "failed", "Copy a file: no space"))).exit_code == 10


def test_host_that_calls_itself_proven_without_a_latch_is_not():
    loose = replace(stopped("b"), fields={"bots": [], "latch": {"engaged": False}})
    verdict = judge(run(stopped("a"), loose))
    assert verdict.exit_code == 10
    assert "latched on 1 (INC-1)" in verdict.line
    assert "b: b said so; the halt latch is not engaged" in verdict.line


@pytest.mark.parametrize(("how", "code"), [("running", 11), ("unknown", 10), ("paused", 10), (None, 10)])
def test_host_that_calls_itself_proven_beside_a_bot_that_is_not_stopped_is_not(how, code):
    odd = replace(stopped("b"), fields={"bots": [{"name": "x", "how": how}], "latch": LATCH})
    verdict = judge(run(stopped("a"), odd))
    assert (verdict.exit_code, f"x: {how}" in verdict.line) == (code, True)


def test_proof_owed_by_two_plays_counts_once():
    assert "proven stopped on 1 of 1 hosts" in judge(run(stopped("a"), hosts="aa")).line


def test_next_command_is_that_of_the_most_serious_result():
    refused = Result("a", "compose_services", "refused", "latch engaged", "./runbook halt_release")
    silent = Result("b", "compose_services", "unknown", "no engine", "systemctl status docker")
    assert judge(run(refused, silent, proof="compose_services")).line.endswith("NEXT: systemctl status docker")


PAGE = "runbooks/Backup_And_Restore.md 4"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("", PAGE),
        ("./runbook restore -e set=SET-1", PAGE),
        ("./runbook restore -e set=SET-1 (if that is meant)", PAGE),
        ("./runbook backup_info", "./runbook backup_info"),
        ("-e confirm_restore=SET-1", "./runbook restore -e set=SET-1 -e confirm_restore=SET-1"),
    ],
)
@pytest.mark.parametrize("dry_run", [False, True])
def test_what_was_refused_is_not_what_to_type_next(said, shown, dry_run):
    refused = Result("a", "restore", "refused", "Database trading has 1 session: bot of trading", said)
    asked = run(refused, hosts="a", proof="restore", page=PAGE)
    asked = replace(asked, procedure="restore", retry_command="./runbook restore -e set=SET-1", dry_run=dry_run)
    assert judge(asked).line.endswith(f"NEXT: {shown}")


def test_what_failed_may_be_tried_again_and_a_refusal_without_a_page_as_well():
    failed = Result("a", "restore", "failed", "psql ended")
    assert judge(run(failed, hosts="a", proof="restore", page=PAGE)).line.endswith("NEXT: ./runbook failsafe_stop")
    refused = replace(failed, outcome="refused")
    assert judge(run(refused, hosts="a", proof="restore")).line.endswith("NEXT: ./runbook failsafe_stop")


def test_after_a_failed_start_that_halted_comes_the_release_of_that_halt():
    latched = {"latch": {"engaged": True, "scope": "all", "incident_ids": ["INC-7"]}, "bots": []}
    halted = [Result(name, "kill_switch", "proven", "stopped", fields=latched) for name in "ab"]
    watched = Result("a", "wait_for_metrics", "failed", "latency too high", "./runbook checks")
    start = replace(
        run(*halted, watched, hosts="a", proof="wait_for_metrics"),
        procedure="bot_start",
        retry_command="./runbook bot_start",
    )
    assert judge(start).line.endswith("NEXT: ./runbook halt_release -e incident_id=INC-7")
    unknown = replace(halted[0], outcome="unknown")
    assert "halt_release" not in judge(replace(start, results=(unknown, halted[1], watched))).line.split("NEXT:")[1]


def test_a_host_that_went_away_from_what_stops_no_bot_has_none_to_be_stopped_at_its_console():
    gone = replace(
        run(hosts="a", proof="release"),
        procedure="rollback",
        retry_command="./runbook rollback",
        unreachable=(("a", "no route"),),
    )
    assert judge(gone).line.endswith("NEXT: ./runbook rollback (again once a answers)")


def test_what_is_left_half_done_comes_before_the_same_command_again_where_another_run_holds_a_host():
    held = Result("b", "state_lease", "locked", "Held by reno")
    ended = Result("a", "", "failed", "NOT BACK: b", "./runbook releases")
    assert judge(run(held, ended, proof="release")).line.endswith("NEXT: ./runbook releases")
    nothing_left = replace(ended, next_command="")
    assert judge(run(held, nothing_left, proof="release")).line.endswith("NEXT: ./runbook failsafe_stop")


def test_unverified_orders_send_the_operator_to_the_venue():
    odd = stopped("b", bots=1, orders="UNVERIFIED")
    line = judge(run(stopped("a"), odd)).line
    said = "bots' own exit: 2 cancelled, 1 UNVERIFIED (b-bot-0); nobody was asked at the venue"
    assert f"orders: UNVERIFIED ({said}) - NOW at the venue: disable" in line
    assert "cancel all open orders" in line


def venue(host: str, orders: str, count: int = 0, url: str = "http://venue") -> Result:
    outcome = "unknown" if orders == "UNVERIFIED" else "proven"
    words = {"none": "none open", "open": f"{count} open", "UNVERIFIED": "did not answer"}[orders]
    return Result(host, "open_orders_info", outcome, words, fields={"orders": orders, "count": count, "url": url})


@pytest.mark.parametrize(
    ("bots", "venues", "code", "expected", "manual"),
    [
        ("UNVERIFIED", [("a", "none"), ("b", "none")], 0, "orders: none (bots: 4 UNVERIFIED (", False),
        ("UNVERIFIED", [("a", "none"), ("b", "UNVERIFIED")], 14, "orders: UNVERIFIED (", True),
        ("cancelled", [("a", "UNVERIFIED"), ("b", "UNVERIFIED")], 14, "orders: UNVERIFIED (bots: 4 cancelled; ", True),
        ("cancelled", [("a", "open", 3), ("b", "open", 3)], 14, "orders: 3 OPEN (bots: 4 cancelled; venue: 3 o", True),
        ("cancelled", [("a", "open", 3), ("b", "open", 2, "http://other")], 14, "orders: 5 OPEN (", True),
        ("cancelled", [("a", "open", 3), ("a", "none"), ("b", "none")], 14, "orders: 3 OPEN (", True),
        ("cancelled", [("a", "none"), ("a", "open", 3), ("b", "none")], 14, "orders: 3 OPEN (", True),
        ("cancelled", [("a", "none"), ("b", "UNVERIFIED"), ("b", "none")], 14, "orders: UNVERIFIED (", True),
        ("cancelled", [("a", "open", "many"), ("b", "none")], 14, "orders: 1 OPEN (", True),
        ("none", [], 0, "orders: none (bots' own exit: 4 none; nobody was asked at the venue)", False),
        ("gibberish", [], 0, "orders: UNVERIFIED (bots' own exit: ", True),
        (
            "UNVERIFIED",
            [("a", "UNVERIFIED", 0, ""), ("b", "UNVERIFIED", 0, "")],
            0,
            "orders: UNVERIFIED (bots' own",
            True,
        ),
        (
            "cancelled",
            [("a", "UNVERIFIED", 0, ""), ("b", "UNVERIFIED", 0, "")],
            0,
            "the estate names no endpoint",
            False,
        ),
    ],
)
def test_open_orders_are_the_venues_word_and_else_the_bots(bots, venues, code, expected, manual):
    results = stopped("a", orders=bots), stopped("b", orders=bots)
    verdict = judge(run(*results, best_effort_results=tuple(venue(*asked) for asked in venues)))
    assert (verdict.exit_code, expected in verdict.line) == (code, True), verdict.line
    assert ("NOW at the venue" in verdict.line) is manual
    assert ("NEXT: ./runbook status (once they are cancelled" in verdict.line) is (code == 14)


NAMED = {"a": "http://venue", "b": "http://venue"}


@pytest.mark.parametrize("procedure", ["failsafe_stop", "incident", "bot_stop"])
@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ([("a", "none"), ("b", "none")], 0),
        ([("a", "none")], 14),
        ([], 14),
        # A host that says there is no venue, where the estate names one.
        ([("a", "none"), ("b", "UNVERIFIED", 0, "")], 14),
    ],
)
def test_a_venue_that_the_estate_names_has_to_answer_each_host(procedure, asked, code):
    seen = tuple(venue(*each) for each in asked)
    verdict = judge(
        replace(run(stopped("a"), stopped("b"), best_effort_results=seen, venues=NAMED), procedure=procedure)
    )
    assert verdict.exit_code == code, verdict.line
    assert ("STOPPED, ORDERS UNVERIFIED" in verdict.line) is (code == 14)
    assert ("did not ask http://venue" in verdict.line) is (len(asked) < 2)


@pytest.mark.parametrize(("outcome", "code"), [("running", 11), ("unknown", 10), ("unlatched", 10)])
def test_open_orders_make_no_lesser_thing_of_a_stop_that_is_not_proven(outcome, code):
    asked = (venue("a", "open", 3),)
    verdict = judge(run(stopped("a"), stopped("b", outcome), best_effort_results=asked, venues=NAMED))
    assert (verdict.exit_code, "orders: 3 OPEN" in verdict.line) == (code, True), verdict.line


def test_open_orders_weigh_more_than_a_task_that_failed_beside_the_proof():
    stray = Result("a", "", "failed", "Copy a file: no space")
    verdict = judge(run(stopped("a"), stopped("b"), stray, best_effort_results=(venue("a", "open", 3),)))
    assert (verdict.exit_code, "Copy a file: no space" in verdict.line) == (14, True)


def test_a_module_cannot_say_that_only_orders_are_open():
    odd = stopped("b", "orders_open")
    assert judge(run(stopped("a"), odd)).exit_code == 10
    assert judge(run(stopped("a"), stopped("b"), Result("b", "state_lease", "orders_open", "x"))).exit_code == 10


def test_a_dry_run_asks_nobody_and_a_procedure_that_stops_nothing_keeps_its_codes():
    planned = run(stopped("a", "planned"), stopped("b", "planned"), venues=NAMED)
    assert judge(replace(planned, dry_run=True)).exit_code == 0
    seen = Result("a", "kill_switch_info", "proven", "not halted; no bot running")
    look = run(seen, hosts="a", proof="kill_switch_info", best_effort_results=(venue("a", "open", 2),), venues=NAMED)
    verdict = judge(replace(look, procedure="status"))
    assert (verdict.exit_code, "no bot running; orders: 2 open; " in verdict.line) == (0, True), verdict.line


def test_orders_of_bots_that_were_left_running_are_said_to_be_among_them():
    live = replace(stopped("a"), fields={**stopped("a").fields, "latch": {**LATCH, "scope": "live"}})
    seen = (venue("a", "open", 3),)
    line = judge(run(live, hosts="a", best_effort_results=seen)).line
    assert "orders of bots that were left running are among them" in line
    assert "left running" not in judge(run(stopped("a"), hosts="a", best_effort_results=seen)).line


def test_what_people_are_told_is_the_verdict_without_time_and_next():
    verdict = judge(run(stopped("a"), unreachable=(("b", "timed out"),)))
    assert verdict.said.startswith("NOT PROVEN: UNKNOWN: 2 bots proven stopped on 1 of 2 hosts (2 of them now)")
    assert verdict.said.endswith("b: did not answer (timed out)")
    assert judge(run(stopped("a"), stopped("b"), best_effort_results=(venue("a", "open", 3),))).said.startswith(
        "STOPPED, ORDERS OPEN: 4 bots proven stopped"
    )


def test_modes_are_counted():
    bots = [{"name": str(n), "how": "stopped", "mode": mode} for n, mode in enumerate(["live", "paper", "live", "odd"])]
    result = Result("a", "kill_switch", "proven", "", fields={"bots": bots, "latch": LATCH})
    assert "latched on 1 (INC-1), modes: 2 live, 1 paper; orders" in judge(run(result, hosts="a")).line


def test_a_host_without_python_names_the_shell_and_quotes_the_first_wave():
    broken = Result("b", "", "failed", "Without root, stop what the docker group allows: /usr/bin/python3: not found")
    said = {"a": "proven: 2 stopped", "b": "proven: 1 stopped, latched (INC-1)"}
    verdict = judge(run(stopped("a"), broken, first_wave=said))
    assert verdict.exit_code == 10
    assert "the first wave said of b: proven: 1 stopped, latched (INC-1)" in verdict.line
    assert "the first wave said of a" not in verdict.line
    assert "NEXT: sudo trading-halt (on b; runbooks/Incident_Handling.md 4.1, By hand, at the host)" in verdict.line


def test_a_look_that_was_left_out_is_as_little_known_as_a_stop():
    seen = Result("a", "kill_switch_info", "proven", "not halted")
    assert judge(replace(run(seen, proof="kill_switch_info"), procedure="status")).exit_code == 10
    broken = Result("b", "", "failed", "a task broke")
    mixed = replace(run(seen, broken, proof="kill_switch_info"), procedure="status")
    assert judge(mixed).exit_code == 1


def test_second_stop_asks_the_venue_as_well():
    still = Result("a", "kill_switch", "proven", "", fields={"bots": [{"how": "already stopped"}], "latch": LATCH})
    line = judge(run(still, hosts="a", best_effort_results=(venue("a", "open", 1),))).line
    assert "orders: 1 OPEN (venue: 1 open) - NOW at the venue" in line


def test_best_effort_results_other_than_orders_neither_fail_a_stop_nor_save_it():
    broken = Result("a", "open_orders_info", "failed", "boom")
    assert judge(run(stopped("a"), stopped("b"), best_effort_results=(broken,))).exit_code == 0
    assert (
        judge(run(stopped("a"), best_effort_results=(replace(stopped("b"), proof="open_orders_info"),))).exit_code == 10
    )


def test_host_that_the_inventory_lost_is_unknown():
    knows = replace(stopped("a"), fields={**stopped("a").fields, "known_hosts": ["a", "b", "c"]})
    verdict = judge(run(knows, stopped("b")))
    assert verdict.exit_code == 10
    assert "c: host_setup recorded it as a trading host and this inventory does not name it" in verdict.line
    assert judge(run(knows, stopped("b"), stopped("c"), hosts="abc")).exit_code == 0


def test_no_bot_on_any_host_is_not_a_proof():
    verdict = judge(run(stopped("a", bots=0), stopped("b", bots=0)))
    assert (verdict.exit_code, "no bot container was found" in verdict.line) == (10, True)


def test_dry_run_that_finds_no_bot_says_so_and_ends_with_zero():
    verdict = judge(replace(run(stopped("a", "planned", bots=0), hosts="a"), dry_run=True))
    assert (verdict.exit_code, "a real run" in verdict.line) == (0, False)


def test_broken_task_is_the_reason_of_the_missing_proof():
    verdict = judge(run(stopped("a"), Result("b", "", "failed", "Copy a file: no space")))
    assert (verdict.exit_code, "no result" in verdict.line) == (10, False)


def test_no_bot_on_one_host_is_fine_where_another_has_some():
    assert judge(run(stopped("a", bots=0), stopped("b"))).exit_code == 0


def test_dry_run_that_saw_everything_ends_with_zero():
    seen = [stopped(host, "planned", orders="UNVERIFIED") for host in "ab"]
    seen = [replace(item, fields={**item.fields, "last_stopped_at": "2026-11-21T01:30:00.000Z"}) for item in seen]
    verdict = judge(replace(run(*seen), dry_run=True))
    assert verdict.exit_code == 0
    assert "DRY RUN: nothing was changed" in verdict.line
    assert "would be stopped" in verdict.line
    assert not [word for word in ("latched", "orders", "venue", "ended") if word in verdict.line]


def test_dry_run_of_a_refused_start_ends_with_zero_and_says_what_would_happen():
    refused = Result("a", "compose_services", "refused", "latch engaged")
    verdict = judge(replace(run(refused, hosts="a", proof="compose_services"), dry_run=True))
    assert verdict.exit_code == 0
    assert "DRY RUN: nothing was changed; a real run would end with 13, REFUSED: a: latch engaged" in verdict.line


def test_dry_run_that_could_not_look_at_a_host_is_unknown():
    verdict = judge(replace(run(stopped("a", "planned"), unreachable=(("b", "timed out"),)), dry_run=True))
    assert (verdict.exit_code, "DRY RUN: nothing was changed" in verdict.line) == (10, True)


def test_dry_run_with_wrong_variables_is_still_wrong_usage():
    stray = Result("a", "", "usage", "missing required arguments: mode")
    assert judge(replace(run(stray), dry_run=True)).exit_code == 2


def test_dry_run_never_says_proven():
    assert ": DRY RUN: nothing was changed: " in judge(replace(run(stopped("a"), hosts="a"), dry_run=True)).line


def test_dry_run_of_nothing_is_still_twelve():
    assert judge(replace(run(), dry_run=True)).exit_code == 12


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("./runbook status", "./runbook status -i inventories/homelab"),
        (
            "./runbook halt_release -e incident_id=INC-1",
            "./runbook halt_release -i inventories/homelab -e incident_id=INC-1",
        ),
        ("./runbook status -i other", "./runbook status -i other"),
        ("docker ps", "docker ps"),
    ],
)
def test_next_command_stays_in_the_estate_of_this_run(command, shown):
    refused = Result("localhost", "compose_services", "refused", "no", command)
    expected = (Expected("localhost", "compose_services"),)
    verdict = judge(replace(run(refused, inventory_option="-i inventories/homelab"), expected=expected))
    assert verdict.line.endswith(f"NEXT: {shown}")


def test_release_is_not_taken_for_a_stop_without_bots():
    lifted = Result("a", "kill_switch", "proven", "Halt latch lifted for INC-1", fields={"latch": {"engaged": False}})
    verdict = judge(run(lifted, hosts="a"))
    assert (verdict.exit_code, "PROVEN: a: Halt latch lifted for INC-1" in verdict.line) == (0, True)


def test_looking_is_called_seen():
    seen = Result("a", "kill_switch_info", "proven", "not halted; 1 paper bot running")
    verdict = judge(run(seen, hosts="a", proof="kill_switch_info"))
    assert verdict.exit_code == 0
    assert "SEEN: a: not halted; 1 paper bot running" in verdict.line
    both = replace(run(seen, stopped("b")), expected=(Expected("a", "kill_switch_info"), Expected("b", "kill_switch")))
    assert ": PROVEN: " in judge(both).line


def test_worst_knows_the_order_of_seriousness():
    assert list(EXIT_CODES.values()) == [12, 11, 10, 10, 14, 13, 75, 2, 1, 0, 0]
    assert worst([]) == "invalid"
    assert worst(["proven", "refused", "unknown"]) == "unknown"
    assert worst(["proven", "nonsense"]) == "failed"


def test_stop_without_the_engine_is_proven_and_said():
    odd = replace(stopped("b"), fields={**stopped("b").fields, "engine_trouble": "timed out"})
    verdict = judge(run(stopped("a"), odd))
    assert (verdict.exit_code, "latched on 2 (INC-1), without the engine on b" in verdict.line) == (0, True)


def test_refusal_by_a_module_that_a_play_does_not_owe_decides_and_is_said_once():
    held = Result("a", "state_lease", "locked", "Held by reno")
    verdict = judge(run(held, hosts="a", proof="compose_services"))
    assert (verdict.exit_code, verdict.line.count("Held by reno")) == (75, 1)


def test_good_word_of_a_module_that_a_play_does_not_owe_is_neither_proof_nor_noise():
    lease, start = (
        Result("a", "state_lease", "proven", "lease freed"),
        Result("a", "compose_services", "proven", "bot running"),
    )
    verdict = judge(run(lease, start, hosts="a", proof="compose_services"))
    assert (verdict.exit_code, "bot running" in verdict.line, "lease" in verdict.line) == (0, True, False)
    assert judge(run(lease, hosts="a", proof="compose_services")).exit_code == 1


def test_what_was_only_looked_at_and_what_was_said_before_is_not_what_a_run_was_for():
    gates = [Result("a", "feed_gate", "proven", f"gate {state}") for state in ("closed", "open")]
    looked = Result("a", "feed_info", "proven", "the feed runs")
    expected = (Expected("a", "feed_gate"), Expected("a", "feed_info"))
    line = judge(Run("feed_gate", "lab", False, 2.34, expected, (looked, *gates))).line
    assert line == "VERDICT 0 feed_gate: PROVEN: a: gate open; 2.3 s, inventory lab."


def test_a_gate_that_closed_and_could_not_be_opened_is_not_proven():
    gates = [Result("a", "feed_gate", outcome, f"gate {outcome}") for outcome in ("proven", "failed")]
    assert judge(Run("feed_gate", "lab", False, 2.34, (Expected("a", "feed_gate"),), tuple(gates))).exit_code == 1


def test_a_refusal_does_not_begin_with_what_was_fine():
    expected = (Expected("a", "kill_switch_info"), Expected("a", "compose_services"))
    results = (Result("a", "kill_switch_info", "proven", "no bot running"), Result("a", "", "refused", "halted"))
    line = judge(Run("bot_start", "lab", False, 2.34, expected, results)).line
    assert line.startswith("VERDICT 13 bot_start: REFUSED: a: halted; 2.3 s")


def test_a_start_that_halts_the_estate_does_not_miss_the_hosts_it_was_not_for():
    halted = replace(stopped("b"), fields={**stopped("b").fields, "known_hosts": ["a", "b"]})
    results = (Result("a", "wait_for_metrics", "refused", "closed"), halted)
    expected = (Expected("a", "wait_for_metrics"),)
    assert judge(Run("bot_start", "lab", False, 2.34, expected, results)).exit_code == 13


INFORM = BestEffortProof("4.3 Inform (Informér)", "localhost", "notification")
EVIDENCE = BestEffortProof("4.4 Collect evidence (Indsaml evidens)", "b", "evidence")


def incident(*best_effort_results: Result, owed: tuple[BestEffortProof, ...] = (INFORM, EVIDENCE), **more: Any) -> Run:
    more = {"best_effort_results": best_effort_results, "best_effort_expected": owed, **more}
    return replace(run(stopped("a"), stopped("b"), **more), procedure="incident", retry_command="./runbook incident")


def side(owed: BestEffortProof, outcome: str = "proven", summary: str = "done", proof: str | None = None) -> Result:
    return Result(owed.host, owed.proof if proof is None else proof, outcome, summary, step=owed.step)


def test_what_was_missed_after_the_stop_is_named_with_its_reason_and_changes_no_exit_code():
    late = side(INFORM, "failed", "notified on 0 of 1 channels; ops (json): no answer within 10 s")
    verdict = judge(incident(late))
    assert (verdict.exit_code, verdict.outcome) == (0, "proven")
    assert (
        "missed: 4.3 Inform (notified on 0 of 1 channels; ops (json): no answer within 10 s); "
        "4.4 Collect evidence (b: did not run)" in verdict.line
    )


def test_each_step_that_never_began_is_named():
    owed = (INFORM, BestEffortProof("4.5 Classify (Klassificér hændelse)", "localhost", "incident_classify"))
    assert "missed: 4.3 Inform (did not run); 4.5 Classify (did not run)" in judge(incident(owed=owed)).line


def test_a_step_that_did_what_it_owes_is_not_missed_and_the_record_is_named():
    line = judge(incident(side(INFORM), side(EVIDENCE), record="incidents/INC-1")).line
    assert ("missed" in line, "record: incidents/INC-1" in line) == (False, True)


def test_a_host_that_went_away_after_the_stop_is_the_reason_of_what_it_owes():
    away = side(EVIDENCE, "unknown", "did not answer (timed out)", proof="")
    assert "missed: 4.4 Collect evidence (b: did not answer (timed out))" in judge(incident(side(INFORM), away)).line


def test_what_failed_beside_what_a_step_owes_is_missed_and_what_only_looked_is_not():
    feed = BestEffortProof("4.2 Stop feed on data corruption", "a", "data_corruption_info")
    looked = side(feed, "failed", "3 of 9 checks pass", proof="metric_checks_info")
    assert "missed" not in judge(incident(looked, side(feed), owed=(feed,))).line
    failed = side(feed, "failed", "live_connector still runs", proof="compose_services")
    line = judge(incident(looked, side(feed), failed, owed=(feed,))).line
    assert "missed: 4.2 Stop feed on data corruption (a: live_connector still runs)" in line


def test_a_best_effort_neither_betters_nor_fails_the_stop_of_an_incident():
    unproven = replace(incident(side(INFORM), side(EVIDENCE)), results=(stopped("a"), stopped("b", "running")))
    assert judge(unproven).exit_code == 11
    assert "NEXT: ./runbook incident -e incident_id=INC-1" in judge(unproven).line


def test_an_incident_in_which_nothing_ran_has_stopped_nothing():
    assert "NOTHING WAS STOPPED" in judge(replace(incident(), results=())).line


# ---- unexpected bots

DOUBT = "unexpected bot x (no project/no service): it has TRADING_MODE in its environment"


@pytest.mark.parametrize("outcome", ["proven", "planned"])
def test_stop_that_saw_an_unexpected_bot_is_at_best_10(outcome):
    seen = stopped("a", outcome)
    seen = replace(seen, fields={**seen.fields, "doubts": [DOUBT]})
    verdict = judge(replace(run(seen, stopped("b", outcome)), dry_run=outcome == "planned"))
    assert (verdict.exit_code, verdict.outcome, f"a: {DOUBT}" in verdict.line) == (10, "unknown", True)
    assert verdict.line.endswith("NEXT: ./runbook host_setup --check")


def test_bot_that_runs_weighs_more_than_an_unexpected_one():
    seen = stopped("a")
    seen = replace(seen, fields={**seen.fields, "doubts": [DOUBT]})
    assert judge(run(seen, stopped("b", "running"))).exit_code == 11


@pytest.mark.parametrize(("procedure", "code"), [("status", 10), ("deploy", 0)])
def test_status_with_an_unexpected_bot_is_10_and_other_looks_judge_for_themselves(procedure, code):
    look = Result(
        "a", "kill_switch_info", "proven", "not halted; no bot running", fields={"doubts": [DOUBT], "bots": []}
    )
    verdict = judge(replace(run(look, hosts="a", proof="kill_switch_info"), procedure=procedure))
    assert (verdict.exit_code, DOUBT in verdict.line) == (code, code == 10)


def test_no_bot_while_others_run_is_never_0_in_a_dry_run():
    doubt = "no bot found, and 2 other containers run: nas, tv"
    seen = Result("a", "kill_switch", "planned", "said", fields={"bots": [], "latch": LATCH, "doubts": [doubt]})
    verdict = judge(replace(run(seen, hosts="a"), dry_run=True))
    assert (verdict.exit_code, doubt in verdict.line) == (10, True)


STARTED = (
    "a-bot-0 was stopped 3 times by the guard since T; PROBABLY started by: container x. Hold it off: docker stop x"
)


@pytest.mark.parametrize("outcome", ["proven", "planned"])
def test_what_starts_a_bot_again_is_named_and_a_stop_stays_what_it_is(outcome):
    seen = stopped("a", outcome)
    seen = replace(seen, fields={**seen.fields, "started_again": STARTED})
    verdict = judge(replace(run(seen, stopped("b", outcome)), dry_run=outcome == "planned"))
    assert verdict.exit_code == 0
    assert f"; a: {STARTED}; " in verdict.line


def test_what_a_host_says_of_starters_is_bounded_and_never_a_next_command():
    seen = stopped("a")
    seen = replace(seen, fields={**seen.fields, "started_again": "NEXT: rm -rf / \n\x1b[2J" + "x" * 100_000})
    verdict = judge(run(seen, stopped("b")))
    assert (verdict.exit_code, "NEXT:" in verdict.line, "\x1b" in verdict.line) == (0, False, False)
    assert len(verdict.line) < 2500
