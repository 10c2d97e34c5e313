import itertools
import json
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from trading_ops.core.locks import locked
from trading_ops.state import latch
from trading_ops.state.latch import (
    Latch,
    LatchError,
    engage,
    format_latch,
    is_settled,
    join,
    latch_path,
    lift,
    parse_latch,
    places,
    plan_engage,
    read_latch,
    settle,
    state_path_of,
)

GOOD = Latch("all", ("INC-1",), "2026-11-21T01:30:00.000Z", "reno", "bars look wrong")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "halt.json"


def test_format_and_parse_are_inverse():
    assert parse_latch(format_latch(GOOD)) == GOOD


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   \n",
        "not json",
        "[]",
        "null",
        "{}",
        '{"scope": "paper", "incident_ids": ["INC-1"]}',
        '{"scope": "all"}',
        '{"scope": "all", "incident_ids": []}',
        '{"scope": "all", "incident_ids": "INC-1"}',
        '{"scope": "all", "incident_ids": [1]}',
        '{"scope": "all", "incident_ids": [""]}',
        '{"scope": ["all"], "incident_ids": ["INC-1"]}',
        "[" * 100_000,
        format_latch(GOOD)[:-10],
    ],
    ids=lambda text: text[:30] or "empty",
)
def test_what_cannot_be_understood_is_engaged_for_all(text):
    seen = parse_latch(text)
    assert seen.damaged
    assert seen.blocks("paper")
    assert seen.blocks("live")


def test_shell_written_latch_without_optional_fields_is_good():
    seen = parse_latch('{"scope":"live","incident_ids":["INC-9"]}')
    assert (seen.damaged, seen.scope, seen.reason) == ("", "live", "not given")


def test_missing_file_is_released(path):
    assert read_latch(path.parent) is None


def test_directory_and_binary_garbage_are_engaged(path):
    path.mkdir(parents=True)
    assert read_latch(path.parent).damaged
    path.rmdir()
    path.write_bytes(b"\xff\xfe\x00")
    assert read_latch(path.parent).damaged


def test_unreadable_file_is_engaged(path, monkeypatch):
    # Root reads every file, so the refusal itself is made up.
    def refuse(*_args, **_kwargs):
        raise PermissionError("mode 000")

    monkeypatch.setattr(Path, "read_text", refuse)
    assert "mode 000" in read_latch(path.parent).damaged


def test_scope_live_lets_paper_alone_through():
    live = replace(GOOD, scope="live")
    assert [live.blocks(mode) for mode in ("paper", "live", "", "unknown")] == [False, True, True, True]


def test_engage_writes_a_file_others_can_read_whatever_the_umask(path):
    before = os.umask(0o077)
    try:
        assert engage(path.parent, GOOD, False, 2) == (GOOD, True)
    finally:
        os.umask(before)
    assert json.loads(path.read_text())["incident_ids"] == ["INC-1"]
    assert path.stat().st_mode & 0o777 == 0o644
    assert sorted(p.name for p in path.parent.iterdir()) == ["halt.json", "latch"]


def test_second_stop_of_nobodys_incident_keeps_the_first_and_changes_nothing(path):
    engage(path.parent, GOOD, True, 2)
    later = replace(GOOD, incident_ids=("INC-2",), by="other", since="later")
    assert engage(path.parent, later, True, 2) == (GOOD, False)


def test_named_incident_is_appended_and_the_first_writer_stays(path):
    engage(path.parent, GOOD, False, 2)
    engaged, changed = engage(path.parent, replace(GOOD, incident_ids=("INC-2",), by="other"), False, 2)
    assert (engaged.incident_ids, engaged.by, changed) == (("INC-1", "INC-2"), "reno", True)
    assert engage(path.parent, replace(GOOD, incident_ids=("INC-2",), by="third"), False, 2) == (engaged, False)


@pytest.mark.parametrize(
    ("first", "second", "then"), [("live", "all", "all"), ("all", "live", "all"), ("live", "live", "live")]
)
def test_scope_only_widens(path, first, second, then):
    engage(path.parent, replace(GOOD, scope=first), True, 2)
    assert engage(path.parent, replace(GOOD, scope=second), True, 2)[0].scope == then


def test_damaged_latch_is_replaced_by_a_readable_one_and_kept_aside(path):
    path.parent.mkdir()
    path.write_text("garbage")
    assert engage(path.parent, GOOD, False, 2) == (GOOD, True)
    assert [p.read_text() for p in path.parent.glob("halt.json.damaged-*")] == ["garbage"]


def test_latch_that_is_a_directory_is_replaced(path):
    path.mkdir(parents=True)
    assert engage(path.parent, GOOD, False, 2)[1]
    assert read_latch(path.parent) == GOOD


def test_full_disk_is_an_error_and_leaves_nothing_half_written(path, monkeypatch):
    def full(_fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LatchError, match="No space left"):
        engage(path.parent, GOOD, False, 2)
    assert not list(path.parent.glob("*.tmp"))
    assert read_latch(path.parent) is None


def test_hanging_disk_costs_no_more_than_its_time_limit(path, monkeypatch):
    release_it = threading.Event()
    monkeypatch.setattr(latch, "write_durably", lambda *_: release_it.wait(30))
    with pytest.raises(LatchError, match=r"within 0\.05 s"):
        engage(path.parent, GOOD, False, 0.05)
    release_it.set()


def test_disk_that_forgets_is_noticed(path, monkeypatch):
    monkeypatch.setattr(latch, "write_durably", lambda *_: None)
    with pytest.raises(LatchError, match="does not hold"):
        engage(path.parent, GOOD, False, 2)


def test_lifting_wants_one_of_the_ids(path):
    engage(path.parent, replace(GOOD, incident_ids=("INC-1", "INC-2")), False, 2)
    for wrong in ("INC-3", "", "INC"):
        with pytest.raises(LatchError, match="INC-1, INC-2"):
            lift(path.parent, wrong, "reno", "now", 2)
    assert read_latch(path.parent)
    assert lift(path.parent, "INC-2", "reno", "now", 2) is True
    assert read_latch(path.parent) is None


def test_lifting_syncs_the_directory_and_waits_for_the_lock(path, monkeypatch):
    engage(path.parent, GOOD, False, 2)
    synced: list[Path] = []
    monkeypatch.setattr(latch, "fsync_directory", synced.append)
    with locked(path.parent, latch.LOCK):
        with pytest.raises(LatchError, match=r"within 0\.05 s"):
            lift(path.parent, "INC-1", "reno", "now", 0.05)
        assert path.exists()
    assert lift(path.parent, "INC-1", "reno", "now", 2) in {
        True,
        False,
    }  # False where the one that gave up waiting got the lock first
    assert synced == [path.parent, path.parent / "latch"]


def test_lifting_nothing_is_no_change(path):
    assert lift(path.parent, "INC-1", "reno", "now", 2) is False
    assert not path.parent.exists()


def test_damaged_latch_cannot_be_lifted_by_any_id(path):
    path.parent.mkdir()
    path.write_text("")
    with pytest.raises(LatchError, match=r"damaged.*Stop again"):
        lift(path.parent, "", "reno", "now", 2)
    assert path.exists()


def test_lifting_is_written_down_before_the_latch_goes(path):
    engage(path.parent, GOOD, False, 2)
    lift(path.parent, "INC-1", "reno", "2026-11-21T02:00:00.000Z", 2)
    (line,) = (path.parent / "audit.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "time": "2026-11-21T02:00:00.000Z",
        "event": "released",
        "by": "reno",
        "incident_id": "INC-1",
    }


def test_latch_that_blocks_its_reader_counts_as_engaged_and_costs_a_second_at_most(path, monkeypatch):
    monkeypatch.setattr(latch, "READ_SECONDS", 0.05)
    path.parent.mkdir()
    os.mkfifo(path)
    assert "unreadable" in read_latch(path.parent).damaged


def test_stop_of_live_bots_does_not_narrow_a_damaged_latch(path):
    path.parent.mkdir()
    path.write_text("garbage")
    assert engage(path.parent, replace(GOOD, scope="live"), False, 2)[0].scope == "all"


def test_full_disk_does_not_lift_a_damaged_latch(path, monkeypatch):
    path.parent.mkdir()
    path.write_text("garbage")

    def full(_path: Path, _text: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(latch, "write_durably", full)
    with pytest.raises(LatchError, match="No space left"):
        engage(path.parent, GOOD, False, 2)
    assert read_latch(path.parent).damaged


def test_ten_writers_at_once_leave_one_incident(path):
    barrier = threading.Barrier(10)
    changed: list[bool] = []

    def stop(number: int) -> None:
        barrier.wait()
        changed.append(engage(path.parent, replace(GOOD, incident_ids=(f"INC-{number}",)), True, 5)[1])

    threads = [threading.Thread(target=stop, args=(n,)) for n in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read_latch(path.parent).incident_ids) == 1
    assert sorted(changed) == [False] * 9 + [True]


MADE_UP = Latch("all", ("INC-20261121-013005-x",), "2026-11-21T01:30:05.000Z", "reno", "x")


@pytest.mark.parametrize(
    ("seconds", "held", "expected"),
    [
        (5, MADE_UP, "INC-20261121-013000-x"),
        (60, MADE_UP, "INC-20261121-013005-x"),
        (5, replace(MADE_UP, reason="another than the id tells, so somebody named it"), "INC-20261121-013005-x"),
        (5, replace(MADE_UP, since="by hand"), "INC-20261121-013005-x"),
        (5, replace(MADE_UP, incident_ids=("INC-20261121-012959-x",)), "INC-20261121-012959-x"),
    ],
    ids=["together", "a minute later", "given id", "unreadable time", "older one is there"],
)
def test_stops_that_meet_agree_on_the_oldest_made_up_id(seconds, held, expected):
    wanted = replace(MADE_UP, incident_ids=("INC-20261121-013000-x",), since=f"2026-11-21T01:{30 + seconds // 60}:10Z")
    assert plan_engage(held, wanted, keep_first_id=True).incident_ids == (expected,)


def test_concurrent_stops_agree_in_whatever_order_they_reach_a_host():
    ids = [f"INC-20261121-01300{second}-x" for second in range(4)]
    for order in itertools.permutations(ids):
        held = None
        for incident_id in order:
            wanted = replace(MADE_UP, incident_ids=(incident_id,))
            held = plan_engage(held, wanted, keep_first_id=True)
        assert held.incident_ids == (ids[0],)


# ---- two places

OTHER = Latch("live", ("INC-2",), "2026-11-21T01:40:00.000Z", "kim", "another")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def write(path: Path, held: Latch | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(held if isinstance(held, str) else format_latch(held))


# What a version of before knows of the latch: one file, `halt.json` in the state directory, which its bots mount whole.
# The names are frozen here; nothing below may take them from the code.
OLD_PLACE, NEW_PLACE = "halt.json", "latch/halt.json"


def old_engage(state: Path, held: Latch) -> None:
    write(state / OLD_PLACE, held)


def old_lift(state: Path) -> None:
    (state / OLD_PLACE).unlink()


READERS = {
    "old version": lambda state: (state / OLD_PLACE).exists(),
    "old bot, which mounts the state directory": lambda state: (state / OLD_PLACE).exists(),
    "new version": lambda state: read_latch(state) is not None,
    "new bot, which mounts the latch's folder": lambda state: (state / NEW_PLACE).exists(),
}
WRITERS = {
    "old": old_engage,
    "new": lambda state, held: engage(state, held, True, 2),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("layout", ["old", "settled"])
def test_every_reader_sees_a_halt_of_any_writer_once_the_guard_has_looked(state, layout, writer, reader):
    state.mkdir()
    if layout == "settled":
        settle(state, 2)
    assert not READERS[reader](state)
    WRITERS[writer](state, GOOD)
    assert READERS["new version"](state)  # at once: nothing of ours starts a bot
    settle(state, 2)
    assert READERS[reader](state)
    settle(state, 2)
    assert lift(state, "INC-1", "reno", "now", 2)
    settle(state, 2)
    assert not READERS[reader](state)


@pytest.mark.parametrize("writer", WRITERS)
def test_what_an_old_version_lifts_in_its_place_alone_stays_engaged_and_comes_back_to_it(state, writer):
    state.mkdir()
    WRITERS[writer](state, GOOD)
    settle(state, 2)
    old_lift(state)
    assert read_latch(state) == GOOD
    assert settle(state, 2)
    assert all(sees(state) for sees in READERS.values())


@pytest.mark.parametrize("order", list(itertools.permutations(["old stop", "new stop", "host_setup"])))
def test_no_order_of_stops_and_upgrade_loses_an_incident(state, order):
    state.mkdir()
    for step in order:
        if step == "old stop":  # as its kill switch does: it adds its id to what its place holds
            present = parse_latch((state / OLD_PLACE).read_text()) if (state / OLD_PLACE).exists() else None
            old_engage(state, plan_engage(present, GOOD, False))
        elif step == "new stop":
            engage(state, OTHER, False, 2)
        else:
            settle(state, 2)
        assert order.index(step) == 0 or read_latch(state)
    assert set(read_latch(state).incident_ids) == {"INC-1", "INC-2"}
    assert read_latch(state).scope == "all"
    settle(state, 2)
    assert {parse_latch(path.read_text()) for path in places(state)} == {read_latch(state)}


def test_at_every_moment_of_an_upgrade_one_place_says_engaged(state, monkeypatch):
    write(state / OLD_PLACE, GOOD)
    moments: list[bool] = []
    real = os.replace

    def look(source: Path, target: Path) -> None:
        moments.append(read_latch(state) == GOOD and (state / OLD_PLACE).exists())
        real(source, target)
        moments.append(read_latch(state) == GOOD and (state / OLD_PLACE).exists())

    monkeypatch.setattr(os, "replace", look)
    assert settle(state, 2)
    assert moments == [True, True]
    assert is_settled(state)
    assert settle(state, 2) is False


def test_lifting_that_is_killed_half_way_leaves_it_engaged(state, monkeypatch):
    engage(state, GOOD, False, 2)

    def die(_directory: Path) -> None:
        raise OSError("killed")

    monkeypatch.setattr(latch, "fsync_directory", die)
    with pytest.raises(LatchError, match="killed"):
        lift(state, "INC-1", "reno", "now", 2)
    assert read_latch(state) == GOOD


def test_a_stop_that_comes_while_a_halt_is_lifted_stays(state, monkeypatch):
    engage(state, GOOD, False, 2)
    # A version of before and a shell without root hold another lock, or none.
    monkeypatch.setattr(latch.audit, "append", lambda *_args, **_more: old_engage(state, OTHER))
    with pytest.raises(LatchError, match="engaged anew"):
        lift(state, "INC-1", "reno", "now", 2)
    assert read_latch(state).incident_ids == ("INC-1", "INC-2")


@pytest.mark.parametrize("place", [0, 1])
def test_a_damaged_place_holds_everything_and_keeps_the_other_ones_incidents(state, place):
    write(places(state)[place], "garbage")
    write(places(state)[1 - place], OTHER)
    seen = read_latch(state)
    assert (bool(seen.damaged), seen.scope, seen.incident_ids) == (True, "all", ("INC-2",))
    with pytest.raises(LatchError, match="damaged"):
        lift(state, "INC-2", "reno", "now", 2)
    assert settle(state, 2) is False  # what is damaged stays to be looked at
    assert engage(state, GOOD, False, 2)[0].incident_ids == ("INC-2", "INC-1")
    assert lift(state, "INC-2", "reno", "now", 2)


@pytest.mark.parametrize("place", [0, 1])
def test_damage_in_one_place_alone_halts_in_both(state, place):
    write(places(state)[place], "garbage")
    assert settle(state, 2)
    assert all(parse_latch(path.read_text()).damaged for path in places(state))


def test_a_link_that_leads_nowhere_is_engaged(state):
    state.mkdir()
    places(state)[0].symlink_to("gone")
    assert read_latch(state).damaged


def test_one_place_that_cannot_be_written_is_an_error_and_the_other_halts(state):
    state.mkdir()
    (state / "latch").write_text("a file where the folder should be")
    with pytest.raises(LatchError):
        engage(state, GOOD, False, 2)
    assert parse_latch(places(state)[0].read_text()) == GOOD


def test_the_folder_is_there_for_bots_to_mount_before_the_first_halt(state):
    state.mkdir()
    assert settle(state, 2) is False
    assert (state / "latch").stat().st_mode & 0o777 == 0o755
    assert list((state / "latch").iterdir()) == []


def test_bots_see_nothing_in_the_folder_but_the_latch(state):
    engage(state, GOOD, False, 2)
    lift(state, "INC-1", "reno", "now", 2)
    engage(state, OTHER, False, 2)
    assert [path.name for path in (state / "latch").iterdir()] == ["halt.json"]


def test_the_state_directory_is_known_by_either_place(state):
    assert {state_path_of(path) for path in places(state)} == {state}
    assert latch_path(state) == state / NEW_PLACE


def test_a_halt_never_fails_for_its_lock(state, monkeypatch):
    def refuse(*_args: object) -> None:
        raise PermissionError("no lock to be had")

    monkeypatch.setattr(latch, "locked", refuse)
    assert engage(state, GOOD, False, 2) == (GOOD, True)
    with pytest.raises(LatchError, match="no lock"):
        lift(state, "INC-1", "reno", "now", 2)


def test_join_of_nothing_is_released():
    assert join([None, None]) is None
    assert join([GOOD, None]) == join([None, GOOD]) == GOOD
