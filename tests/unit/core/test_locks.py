import fcntl
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import takewhile
from pathlib import Path

import pytest
from trading_ops.core import locks
from trading_ops.core.locks import lock_name, locked, opened_lock
from trading_ops.state import desired, latch, lease

GOOD = latch.Latch("all", ("INC-1",), "2026-11-21T01:30:00.000Z", "reno", "bars look wrong")
NOBODY = 65534
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="root's locks are root's")


@contextmanager
def everything_held(uid: int, *tops: Path) -> Iterator[int]:
    """Another process of `uid` holds the lock of every file and folder below `tops` that it can open."""
    (reports, says), (ends, end) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.close(end)
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
        paths = [Path(at) / name for top in tops for at, _, names in os.walk(top) for name in (".", *names)]
        held = 0
        for path in paths:
            with suppress(OSError):
                fcntl.flock(os.open(path, os.O_RDONLY | os.O_NONBLOCK), fcntl.LOCK_EX)
                held += 1
        os.write(says, b"%d\n" % held)
        os.read(ends, 1)
        os._exit(0)
    os.close(ends)
    try:
        yield int(os.read(reports, 16))
    finally:
        os.close(end)
        os.waitpid(child, 0)
        os.close(reports)
        os.close(says)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    public = Path(tempfile.gettempdir())
    for each in takewhile(lambda at: at != public and public in at.parents, (tmp_path, *tmp_path.parents)):
        each.chmod(0o755)
    path = tmp_path / "run" / "lock" / "trading-core"
    path.parent.mkdir(parents=True)
    path.parent.chmod(0o1777)  # as Debian has it: the first to come makes it
    monkeypatch.setattr(locks, "FOLDER", path)
    return path


@pytest.fixture
def state(tmp_path: Path) -> Path:
    path = tmp_path / "state"
    path.mkdir(mode=0o755)
    return path


def use_every_lock(state: Path) -> None:
    wanted = lease.Wanted("x (run 1)", "test", 60, "x")
    latch.engage(state, GOOD, True, 2)
    assert latch.read_latch(state) == GOOD
    now = lambda: lease.datetime.now(lease.UTC)  # noqa: E731
    assert lease.take(state, wanted, now, False).is_mine
    assert lease.free(state, wanted, now)[0]
    assert latch.lift(state, "INC-1", "reno", "now", 2)
    desired.record(state, {"p/bot": "stopped"}, "reno", "test", "2026-11-21T01:30:00.000Z")


@root_only
@pytest.mark.parametrize("uid", [NOBODY, 0], ids=["local user", "root of a container that mounts the state directory"])
def test_who_holds_every_lock_within_reach_holds_up_neither_latch_lease_nor_release(state, folder, uid):
    use_every_lock(state)  # so that every file is there to be held
    with everything_held(uid, state, *([] if uid == 0 else [folder.parent])) as count:
        assert count >= 3
        use_every_lock(state)


@root_only
def test_locks_are_roots_alone(state, folder):
    use_every_lock(state)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert {path.name for path in folder.iterdir()} >= {lock_name(state, "latch"), lock_name(state, "lease")}
    assert not list(state.glob("**/*lock*"))


@root_only
@pytest.mark.parametrize("kind", ["folder", "link", "link to nowhere", "file", "wide folder of root"])
def test_what_another_user_laid_there_is_moved_away(tmp_path, state, folder, kind):
    victim = tmp_path / "victim"
    victim.mkdir()
    if kind == "folder":
        folder.mkdir(mode=0o777)
        os.chown(folder, NOBODY, NOBODY)
    elif kind == "wide folder of root":
        folder.mkdir(mode=0o777)
        folder.chmod(0o777)
    elif kind == "file":
        folder.write_text("")
    else:
        folder.symlink_to(victim if kind == "link" else tmp_path / "nowhere")
    use_every_lock(state)
    seen = folder.lstat()
    assert (seen.st_uid, seen.st_mode & 0o777) == (0, 0o700)
    assert list(victim.iterdir()) == []
    assert not (tmp_path / "nowhere").exists()


@root_only
def test_a_reboot_clears_the_folder_and_the_next_who_needs_it_makes_it_again(state, folder):
    use_every_lock(state)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    folder.parent.rmdir()
    use_every_lock(state)


@root_only
def test_many_at_once_agree_on_one_folder_whatever_lies_there(state, folder):
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)
    inside, most = [], []
    barrier = threading.Barrier(12)

    def work() -> None:
        barrier.wait()
        with locked(state, "x"):
            inside.append(1)
            most.append(len(inside))
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 12


def test_a_lock_is_held_against_others_and_named_after_what_it_guards(state):
    with ExitStack() as stack:
        stack.enter_context(locked(state, "x"))
        for guarded, name, is_free in ((state, "x", False), (state, "y", True), (state.parent, "x", True)):
            with opened_lock(guarded, name) as descriptor:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    assert is_free
                except BlockingIOError:
                    assert not is_free
    assert lock_name(Path("/var/lib/trading-core"), "latch") == "var-lib-trading-core.latch"
    assert len(lock_name(Path("/" + "x" * 300), "latch")) <= 200


def test_without_root_the_lock_stands_beside_and_is_its_owners(state, folder, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with locked(state, "latch"):
        assert (state / ".latch.lock").stat().st_mode & 0o777 == 0o600
    assert not folder.exists()


def test_a_link_in_the_place_of_a_lock_is_not_followed(state, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    (state / ".latch.lock").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic"), locked(state, "latch"):
        pass
    assert not (tmp_path / "victim").exists()
