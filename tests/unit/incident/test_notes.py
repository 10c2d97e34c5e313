"""What a run notes by itself: once it is known which incident it belongs to, and never more."""

from __future__ import annotations

import pytest
from trading_ops.incident.folder import UNSYNCED, read_timeline
from trading_ops.incident.notes import Notes, describe_play, was_turned_down
from trading_ops.report.verdict import Expected, Result, Run

MADE_UP = "INC-20261121-080000-gaps"
OLDER = "INC-20261121-070000-halt"
PROVEN = {"bots": [{"name": "b", "how": "stopped"}], "latch": {"engaged": True, "incident_ids": [MADE_UP]}}


@pytest.fixture
def notes(tmp_path):
    ticks = iter(f"2026-11-21T08:00:{second:02}.000Z" for second in range(60))
    return Notes(
        procedure="failsafe_stop",
        run_id="20261121-080000.7",
        by="reno",
        origin="reno@laptop",
        incidents_path=tmp_path,
        now=lambda: next(ticks),
        fallback_id=MADE_UP,
        reason="gaps",
    )


def written(notes, incident_id):
    return [
        (entry.kind, entry.step, entry.outcome, entry.text)
        for entry in read_timeline(notes.incidents_path / incident_id, UNSYNCED).entries
    ]


def stopped(*ids):
    return Result("h", "kill_switch", "proven", "1 stopped", fields={**PROVEN, "latch": {"incident_ids": list(ids)}})


def test_a_stop_notes_what_was_noticed_its_begin_and_its_end(notes):
    assert notes.begin("4.1 Stop") == []
    assert list(notes.incidents_path.iterdir()) == [], "it is not known yet which incident it joins"
    notes.see(stopped(MADE_UP))
    assert notes.end("proven", "1 bot", {"stopped": True}) == []
    assert written(notes, MADE_UP) == [
        ("detection", "", "", "Noticed: gaps"),
        ("step", "4.1 Stop", "", "begins"),
        ("step", "4.1 Stop", "proven", "1 bot"),
    ]
    assert len({entry.id for entry in read_timeline(notes.incidents_path / MADE_UP, UNSYNCED).entries}) == 3


def test_a_stop_of_what_is_halted_already_joins_that_incident_and_notices_nothing_new(notes):
    (notes.incidents_path / OLDER).mkdir()
    (notes.incidents_path / OLDER / "timeline.jsonl").write_text("")
    notes.begin("4.1 Stop")
    notes.see(stopped(OLDER))
    notes.end("proven", "", {})
    assert [kind for kind, *_ in written(notes, OLDER)] == ["step", "step"]
    assert not (notes.incidents_path / MADE_UP).exists()


def test_where_no_host_answers_the_incident_is_the_one_that_the_stop_made_up(notes):
    notes.begin("4.1 Stop")
    notes.end("unknown", "", {})
    assert len(written(notes, MADE_UP)) == 3


def test_an_id_that_was_given_is_the_one_whatever_a_latch_says(notes):
    notes.given_id, notes.procedure = OLDER, "halt_release"
    (notes.incidents_path / OLDER).mkdir()
    notes.begin("4.8 Release")
    assert written(notes, OLDER) == [("step", "4.8 Release", "", "begins")], "a run that dies leaves its begin"
    notes.see(stopped(MADE_UP))
    notes.end("proven", "", {})
    assert len(written(notes, OLDER)) == 2


def test_an_id_that_the_checkout_does_not_know_makes_no_incident_until_the_run_has_done_something(notes):
    notes.given_id, notes.fallback_id, notes.procedure = OLDER, "", "rollback"
    notes.begin("4.1 What runs")
    assert notes.end("proven", "", {}) == []
    notes.begin("4.4 Roll back")
    assert list(notes.incidents_path.iterdir()) == [], "the id can be mistyped"
    assert notes.keep() == []
    assert [step for _, step, *_ in written(notes, OLDER)] == ["4.1 What runs"] * 2 + ["4.4 Roll back"]
    notes.end("proven", "", {})
    assert len(written(notes, OLDER)) == 4
    notes.begin("4.5 Record")
    assert len(written(notes, OLDER)) == 5, "a run that dies leaves its begin"


def test_what_a_stop_has_done_does_not_make_it_write_before_it_is_over(notes):
    notes.given_id = OLDER
    notes.begin("4.1 Stop")
    assert notes.keep() == []
    assert list(notes.incidents_path.iterdir()) == [], "a disk that hangs would hold the stop up"


@pytest.mark.parametrize("procedure", ["failsafe_stop", "incident", "bot_stop", "feed_stop"])
def test_a_stop_whose_incident_is_given_writes_nothing_before_it_is_over(notes, procedure):
    notes.given_id, notes.procedure = OLDER, procedure
    assert notes.begin("4.1 Stop") == []
    assert list(notes.incidents_path.iterdir()) == [], "a disk that hangs would hold the stop up"
    notes.end("proven", "", {})
    assert ("step", "4.1 Stop", "", "begins") in written(notes, OLDER)
    notes.begin("4.3 Inform")
    assert ("step", "4.3 Inform", "", "begins") in written(notes, OLDER)


def test_a_run_that_belongs_to_no_incident_writes_nothing(notes):
    notes.fallback_id, notes.procedure = "", "feed_start"
    notes.begin("2 Start")
    notes.see(Result("h", "kill_switch_info", "proven", "", fields={"latch": {"incident_ids": [OLDER]}}))
    notes.end("proven", "", {})
    assert list(notes.incidents_path.iterdir()) == []


def test_a_start_that_halts_everything_becomes_an_incident_with_all_that_came_before(notes):
    notes.fallback_id, notes.procedure = "", "bot_start"
    notes.begin("3 start")
    notes.end("proven", "", {})
    notes.begin("3 watch")
    notes.see(stopped(OLDER))
    notes.end("failed", "", {})
    assert [text for *_, text in written(notes, OLDER)] == ["begins", "", "begins", ""]


@pytest.mark.parametrize("given", ["../x", "INC 1"])
def test_what_cannot_be_written_is_said_and_raises_nothing(notes, given):
    notes.given_id = given
    notes.begin("4.1 Stop")
    assert "is no incident id" in notes.end("proven", "", {})[0]
    assert list(notes.incidents_path.iterdir()) == []


def test_a_disk_that_refuses_is_said(notes):
    notes.incidents_path = notes.incidents_path / "file"
    notes.incidents_path.write_text("")
    notes.begin("4.1 Stop")
    assert "could not be written" in notes.end("proven", "", {})[0]


def run(**more):
    return Run("failsafe_stop", "lab", False, 1.0, **more)


def test_a_play_is_described_as_the_verdict_judges_it():
    owed = (Expected("h", "kill_switch"),)
    fields = {**PROVEN, "last_stopped_at": "2026-11-21T08:00:01Z"}
    good = Result("h", "kill_switch", "proven", "1 stopped", fields=fields)
    outcome, words, facts = describe_play(run(expected=owed, results=(good,)), False)
    assert (outcome, "1 bot proven stopped on 1 of 1 hosts" in words) == ("proven", True)
    assert facts == {"stopped": True, "last_stopped_at": "2026-11-21T08:00:01Z"}
    outcome, words, facts = describe_play(run(expected=owed, unreachable=(("h", "timed out"),)), False)
    assert (outcome, "did not answer" in words, facts) == ("unknown", True, {})


def test_a_best_effort_without_a_result_is_unknown_and_one_with_results_is_the_worst_of_them():
    assert describe_play(run(), True)[:2] == ("unknown", "no result")
    results = (Result("a", "open_orders_info", "proven", "none"), Result("b", "open_orders_info", "unknown", "away"))
    assert describe_play(run(best_effort_results=results), True)[:2] == ("unknown", "a: none; b: away")


def test_a_best_effort_that_looks_has_done_what_it_owes_whatever_it_saw():
    saw = Result("a", "metric_checks_info", "failed", "1 of 20 checks does not pass: gaps")
    assert describe_play(run(best_effort_results=(saw,)), True)[:2] == ("proven", f"a: {saw.summary}")
    broke = Result("a", "feed_side_stop", "failed", "it runs on")
    assert describe_play(run(best_effort_results=(saw, broke)), True)[0] == "failed"
    blind = Result("a", "metric_checks_info", "unknown", "no answer")
    assert describe_play(run(best_effort_results=(saw, blind)), True)[0] == "unknown"


def test_a_play_that_only_rehearses_says_what_it_would_do_and_not_that_nothing_was_done():
    owed = (Expected("a", "compose_services"),)
    would = Result("a", "compose_services", "planned", "bot would be created")
    assert describe_play(run(expected=owed), False)[0] == "invalid"
    assert describe_play(run(expected=owed), False, (would,)) == ("planned", "a: bot would be created", {})
    skipped = (Result("a", "", "proven", "nothing to do"),) * 2
    assert describe_play(run(), True, skipped) == ("proven", "a: nothing to do", {})
    refused = Result("a", "compose_services", "refused", "the gate is closed")
    assert describe_play(run(expected=owed, results=(refused,)), False, (would,))[0] == "refused"


GATE = Result("h", "gate_info", "proven", "open")
REFUSED = Result("h", "", "refused", "no open incident")


@pytest.mark.parametrize(
    ("results", "is_turned_down"),
    [
        ((GATE, REFUSED), True),
        ((GATE, Result("", "", "usage", "minutes: too many")), True),
        ((Result("", "", "usage", "minutes: too many"),), True),
        ((GATE, Result("h", "", "locked", "another run holds the lease")), True),
        ((), True),
        ((GATE,), False),
        ((GATE, REFUSED, Result("i", "silence", "failed", "half of it")), False),
        ((GATE, Result("h", "silence", "proven", "made", fields={"changed": True}), REFUSED), False),
        ((GATE, Result("h", "silence", "failed", "half of it")), False),
        ((GATE, Result("h", "silence", "unknown", "no answer")), False),
    ],
)
def test_a_run_is_turned_down_when_nothing_came_of_it_but_a_refusal(results, is_turned_down):
    owed = (Expected("h", "gate_info"), *([Expected("h", "silence")] if len(results) > 1 else []))
    judged = Run("silence", "lab", False, 1.0, expected=owed, results=results)
    assert was_turned_down(judged) == is_turned_down


def test_a_run_whose_host_did_not_answer_is_not_turned_down():
    owed = (Expected("h", "silence"), Expected("i", "silence"))
    refused = (Result("h", "silence", "refused", "closed"),)
    assert not was_turned_down(run(expected=owed, results=refused, unreachable=(("i", "timed out"),)))
