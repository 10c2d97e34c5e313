import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trading_ops.state import lease
from trading_ops.state.lease import (
    MAX_SECONDS,
    Clock,
    Lease,
    Wanted,
    build_wanted,
    decide,
    format_lease,
    observe,
    parse_lease,
)

from tests.properties import examples

NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
GOOD = Lease("reno (run 1)", "start the paper bot", NOON, NOON + timedelta(seconds=600))
MINE = build_wanted("reno", "1", "start the paper bot", 600)
THEIRS = build_wanted("kim", "2", "start the feed", 300)


def at(seconds: float = 0) -> Callable[[], datetime]:
    return lambda: NOON + timedelta(seconds=seconds)


def stamp(path: Path, moment: datetime) -> None:
    os.utime(path, (moment.timestamp(), moment.timestamp()))


def hold(state_path: Path, wanted: Wanted, seconds: float = 0, **more: Any) -> dict[str, Any]:
    clock = Clock(at(seconds), lambda: 0.0, lambda _seconds: None)
    return lease.ensure_held(
        state_path, wanted, **{"wait_timeout_seconds": 0, "clock": clock, "dry_run": False, **more}
    )


def audited(state_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (state_path / "audit.jsonl").read_text().splitlines()]


def test_format_and_parse_are_inverse():
    assert parse_lease(format_lease(GOOD), NOON) == GOOD


def changed(**fields: object) -> str:
    return json.dumps(json.loads(format_lease(GOOD)) | fields)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n",
        "garbage",
        "null",
        "[]",
        '"x"',
        "{}",
        "[" * 100_000,
        format_lease(GOOD)[:-10],
        changed(holder=""),
        changed(holder=None),
        changed(holder="a\nb"),
        changed(holder="\ud800"),
        changed(purpose=7),
        changed(since="yesterday"),
        changed(since=None),
        changed(since="2026-11-21T12:00:00"),
        changed(expires="2026-11-21T11:59:59Z"),
        changed(expires="2026-11-21T13:00:01Z"),
        changed(expires="9999-12-31T23:59:59-23:59"),
    ],
    ids=lambda text: text[:40] or "empty",
)
def test_what_cannot_be_understood_is_held_by_somebody_for_an_hour_after_it_was_written(text):
    seen = parse_lease(text, NOON)
    assert seen.damaged
    assert decide(seen, seen.holder, NOON + timedelta(seconds=MAX_SECONDS - 1)) == "held"
    assert decide(seen, "reno (run 1)", NOON + timedelta(seconds=MAX_SECONDS)) == "expired"


@pytest.mark.parametrize(
    ("holder", "seconds", "expected"),
    [
        ("reno (run 1)", 0, "own"),
        ("reno (run 1)", 599.9, "own"),
        ("reno (run 2)", 599.9, "held"),
        ("", 0, "held"),
        ("reno (run 1)", 600, "expired"),
        ("kim (run 2)", 600, "expired"),
        ("kim (run 2)", -9999, "held"),
    ],
)
def test_a_lease_keeps_everybody_out_but_its_run_until_it_is_over(holder, seconds, expected):
    assert decide(GOOD, holder, NOON + timedelta(seconds=seconds)) == expected
    assert decide(None, holder, NOON) == "free"


def test_a_free_lease_is_taken_and_written_down(tmp_path):
    result = hold(tmp_path / "state", MINE)
    assert (result["outcome"], result["changed"], result["warnings"]) == ("proven", True, [])
    assert (
        json.loads((tmp_path / "state" / "lease.json").read_text())
        == result["lease"]
        == {
            "holder": "reno (run 1)",
            "purpose": "start the paper bot",
            "since": "2026-11-21T12:00:00.000Z",
            "expires": "2026-11-21T12:10:00.000Z",
        }
    )
    (entry,) = audited(tmp_path / "state")
    assert (entry["event"], entry["by"], entry["holder"]) == ("lease taken", "reno", "reno (run 1)")
    assert "former" not in entry


def test_another_runs_lease_is_refused_with_who_for_what_since_and_until_when(tmp_path):
    hold(tmp_path, MINE)
    before = (tmp_path / "lease.json").read_text()
    result = hold(tmp_path, THEIRS, 5)
    assert (result["outcome"], result["changed"]) == ("locked", False)
    for word in ("reno (run 1)", "start the paper bot", "2026-11-21T12:00:00Z", "2026-11-21T12:10:00Z", "lease.json"):
        assert word in result["summary"]
    assert (tmp_path / "lease.json").read_text() == before


def test_the_same_person_in_another_run_is_refused_too(tmp_path):
    hold(tmp_path, MINE)
    assert hold(tmp_path, build_wanted("reno", "1.2", "x", 10))["outcome"] == "locked"


def test_the_same_run_prolongs_its_lease_and_never_beyond_an_hour(tmp_path):
    hold(tmp_path, MINE)
    assert hold(tmp_path, MINE, 300)["lease"]["expires"] == "2026-11-21T12:15:00.000Z"
    assert hold(tmp_path, replace(MINE, duration_seconds=3600), 800)["lease"]["expires"] == "2026-11-21T13:00:00.000Z"
    assert hold(tmp_path, MINE, 900)["lease"]["since"] == "2026-11-21T12:00:00.000Z"


def test_a_lease_that_is_over_is_taken_over_and_the_audit_log_says_from_whom(tmp_path):
    hold(tmp_path, MINE)
    result = hold(tmp_path, THEIRS, 600)
    assert result["outcome"] == "proven"
    assert "taken over from reno (run 1)" in result["summary"]
    assert audited(tmp_path)[-1]["former"] == "reno (run 1)"


@pytest.mark.parametrize("kind", ["garbage", "directory", "fifo"])
def test_a_damaged_lease_is_locked_with_the_words_how_to_end_it_until_it_is_old(tmp_path, kind, monkeypatch):
    path = tmp_path / "lease.json"
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        monkeypatch.setattr(lease, "WRITE_SECONDS", 0.1)
        os.mkfifo(path)
    else:
        path.write_text("garbage")
    stamp(path, NOON)
    result = hold(tmp_path, MINE, 60)
    if kind == "fifo":  # nobody writes into it: the read hangs, and what does not answer is not taken
        assert (result["outcome"], "no answer" in result["summary"]) == ("failed", True)
        return
    assert result["outcome"] == "locked"
    assert f"sudo rm -r {path}" in result["summary"]
    assert hold(tmp_path, MINE, MAX_SECONDS)["outcome"] == "proven"
    assert hold(tmp_path, MINE, MAX_SECONDS)["outcome"] == "proven", "what was written can be read again"


def test_an_unreadable_lease_is_locked(tmp_path, monkeypatch):
    (tmp_path / "lease.json").write_text(format_lease(GOOD))
    stamp(tmp_path / "lease.json", NOON)

    def refuse(*_args, **_kwargs):
        raise PermissionError("mode 000")

    monkeypatch.setattr(Path, "read_text", refuse)
    assert "mode 000" in hold(tmp_path, MINE)["summary"]


def test_check_mode_takes_nothing_and_says_who_holds_it(tmp_path):
    state = tmp_path / "state"
    assert (hold(state, MINE, dry_run=True)["outcome"], state.exists()) == ("planned", False)
    hold(state, MINE)
    before = {path.name: path.read_bytes() for path in state.iterdir()}
    result = hold(state, THEIRS, dry_run=True)
    assert (result["outcome"], "reno (run 1)" in result["summary"]) == ("locked", True)
    assert lease.ensure_freed(state, MINE, at(), dry_run=True)["changed"] is False
    assert {path.name: path.read_bytes() for path in state.iterdir()} == before


@pytest.mark.parametrize(("run_id", "duration"), [("", 600), ("  ", 600), ("1", 0), ("1", MAX_SECONDS + 1)])
def test_a_lease_without_a_run_or_with_an_impossible_duration_is_wrong_usage(tmp_path, run_id, duration):
    assert hold(tmp_path, build_wanted("reno", run_id, "x", duration))["outcome"] == "usage"
    assert list(tmp_path.iterdir()) == []


def test_words_of_people_never_make_a_lease_that_cannot_be_read(tmp_path):
    assert hold(tmp_path, build_wanted("re\nno\x1b", "1", "\ud800\t", 10))["outcome"] == "proven"
    assert hold(tmp_path, THEIRS)["outcome"] == "locked"


def test_full_disk_is_failed_and_leaves_no_lease(tmp_path, monkeypatch):
    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    result = hold(tmp_path, MINE)
    assert (result["outcome"], "No space left" in result["summary"]) == ("failed", True)
    assert not (tmp_path / "lease.json").exists()


def test_disk_that_does_not_hold_what_was_written_is_failed(tmp_path, monkeypatch):
    monkeypatch.setattr(lease, "write_durably", lambda _path, _text: None)
    assert hold(tmp_path, MINE)["outcome"] == "failed"


class Time:
    """A clock that moves only while somebody sleeps; `then` is done at each sleep."""

    def __init__(self, then: Callable[[float], None] = lambda _seconds: None) -> None:
        self.seconds, self.slept, self._then = 0.0, [], then

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds
        self._then(self.seconds)


def waited(state_path: Path, wanted: Wanted, limit: float, time: Time) -> dict[str, Any]:
    return lease.ensure_held(state_path, wanted, limit, Clock(time.now, lambda: time.seconds, time.sleep), False)


def test_without_a_wait_the_refusal_comes_at_once(tmp_path):
    hold(tmp_path, MINE)
    time = Time()
    assert (waited(tmp_path, THEIRS, 0, time)["outcome"], time.slept) == ("locked", [])


def test_waiting_ends_at_its_limit_with_the_last_refusal(tmp_path):
    hold(tmp_path, MINE)
    time = Time()
    assert (waited(tmp_path, THEIRS, 2.5, time)["outcome"], time.slept) == ("locked", [1.0, 1.0, 0.5])


def test_waiting_takes_the_lease_as_soon_as_it_is_free(tmp_path):
    hold(tmp_path, MINE)
    time = Time(lambda seconds: lease.free(tmp_path, MINE, at(seconds)) if seconds == 3 else None)
    result = waited(tmp_path, THEIRS, 60, time)
    assert (result["outcome"], time.seconds, result["lease"]["since"]) == ("proven", 3, "2026-11-21T12:00:03.000Z")


def test_waiting_sees_a_lease_run_out(tmp_path):
    hold(tmp_path, replace(MINE, duration_seconds=4))
    time = Time()
    assert (waited(tmp_path, THEIRS, 60, time)["outcome"], time.seconds) == ("proven", 4)


def test_freed_lease_is_gone_and_written_down(tmp_path):
    hold(tmp_path, MINE)
    result = lease.ensure_freed(tmp_path, MINE, at(9), dry_run=False)
    assert (result["outcome"], result["changed"], result["warnings"]) == ("proven", True, [])
    assert not (tmp_path / "lease.json").exists()
    assert [entry["event"] for entry in audited(tmp_path)] == ["lease taken", "lease freed"]
    assert hold(tmp_path, THEIRS)["outcome"] == "proven"


def test_freeing_leaves_anothers_lease_alone_and_warns(tmp_path):
    hold(tmp_path, MINE)
    hold(tmp_path, THEIRS, 700)
    result = lease.ensure_freed(tmp_path, MINE, at(701), dry_run=False)
    assert (result["outcome"], result["changed"]) == ("proven", False)
    assert "kim (run 2)" in result["warnings"][0]
    assert hold(tmp_path, MINE, 702)["outcome"] == "locked"


@pytest.mark.parametrize("left", ["nothing", "garbage", "no directory"])
def test_freeing_what_is_not_there_or_damaged_warns_and_does_not_fail(tmp_path, left):
    if left == "garbage":
        (tmp_path / "lease.json").write_text("garbage")
    state = tmp_path / "away" if left == "no directory" else tmp_path
    result = lease.ensure_freed(state, MINE, at(), dry_run=False)
    assert (result["outcome"], result["changed"], len(result["warnings"])) == ("proven", False, 1)
    assert (tmp_path / "lease.json").exists() == (left == "garbage")


def test_lease_that_cannot_be_given_back_is_warned_about(tmp_path, monkeypatch):
    hold(tmp_path, MINE)

    def refuse(_path):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", refuse)
    result = lease.ensure_freed(tmp_path, MINE, at(), dry_run=False)
    assert (result["outcome"], "Read-only" in result["warnings"][0]) == ("proven", True)


def test_status_says_free_held_over_damaged_and_unreadable_and_never_raises(tmp_path, monkeypatch):
    noon = "2026-11-21T12:00:00.000Z"
    assert observe(tmp_path, noon)["held"] is False
    hold(tmp_path, MINE)
    seen = observe(tmp_path, noon)
    assert (seen["held"], seen["holder"], seen["expires"]) == (True, "reno (run 1)", "2026-11-21T12:10:00.000Z")
    assert observe(tmp_path, "2026-11-21T12:10:00.000Z")["held"] is False
    (tmp_path / "lease.json").write_text("x")
    stamp(tmp_path / "lease.json", NOON)
    assert (observe(tmp_path, noon)["held"], "cannot be understood" in observe(tmp_path, noon)["summary"]) == (
        True,
        True,
    )

    def dead(*_args, **_kwargs):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "lstat", dead)
    assert (observe(tmp_path, noon)["held"], "Input/output" in observe(tmp_path, noon)["summary"]) == (True, True)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.integers(0, 2), st.integers(1, 40)),
        st.tuples(st.just("free"), st.integers(0, 2), st.just(0)),
        st.tuples(st.just("pass"), st.just(0), st.integers(1, 30)),
        st.tuples(st.just("damage"), st.just(0), st.just(0)),
    ),
    max_size=30,
)


@examples(300)
@given(STEPS)
def test_never_two_holders_at_once(steps):
    """Whatever runs take, prolong, free or let run out, in any order: nobody is told yes while another's yes holds."""
    with tempfile.TemporaryDirectory() as directory:
        state, seconds, told = Path(directory), 0.0, {}
        for step, run, number in steps:
            if step == "pass":
                seconds += number + 0.4  # not in step with the whole seconds that a lease is made of
            elif step == "damage":
                (state / "lease.json").write_text("garbage")
                stamp(state / "lease.json", at(seconds)())
            elif step == "free":
                lease.free(state, build_wanted("p", str(run), "x", 1), at(seconds))
                told.pop(run, None)
            else:
                taken = lease.take(state, build_wanted("p", str(run), "x", number), at(seconds), dry_run=False)
                if taken.is_mine:
                    told[run] = taken.lease.expires
            assert len([run for run, expires in told.items() if expires > at(seconds)()]) <= 1


RACER = """
import sys
from pathlib import Path
from trading_ops.state.lease import Clock, build_wanted, ensure_held
wanted = build_wanted("p", sys.argv[2], "race", 60)
print("ready", flush=True)
sys.stdin.readline()
print(ensure_held(Path(sys.argv[1]), wanted, 0, Clock(), False)["outcome"])
"""


def test_of_ten_processes_that_race_for_the_lease_exactly_one_gets_it(tmp_path):
    package = str(Path(lease.__file__).parents[2])
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(tmp_path), str(run)],
            env={**os.environ, "PYTHONPATH": package},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for run in range(10)
    ]
    assert [racer.stdout.readline() for racer in racers] == ["ready\n"] * 10
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    outcomes = [racer.communicate(timeout=30)[0].strip() for racer in racers]
    assert sorted(outcomes) == ["locked"] * 9 + ["proven"]
    winner = outcomes.index("proven")
    assert json.loads((tmp_path / "lease.json").read_text())["holder"] == f"p (run {winner})"
