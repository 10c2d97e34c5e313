"""Package, files and guard on a host: all or nothing, twice changes once, and proven by a sign of life."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from trading_ops.guard import install
from trading_ops.guard.install import GuardedHost, ensure_guarded
from trading_ops.host import files
from trading_ops.host.files import HostFile

from tests.unit.fakes import FakeClock

SOURCES = {"__init__.py": "", "guard.py": "GUARD = 1\n"}


class World:
    """A host on a folder. `lives`: a start of the guard leaves a sign of life; `broken`: argv word -> its output."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.heartbeat = root / "guard.json"
        self.state = root / "state"
        self.lives = True
        self.broken: dict[str, str] = {}
        self.calls: list[list[str]] = []
        self.shown = ""

    def run(self, argv: Sequence[str]) -> tuple[int, str]:
        self.calls.append(list(argv))
        for word, output in self.broken.items():
            if word in argv:
                return 1, output
        if argv[:2] == ["systemctl", "start"] and self.lives:
            self.heartbeat.write_text("alive")
            self.shown = "UnitFileState=enabled\nNeedDaemonReload=no\n"
        return 0, self.shown if "show" in argv else ""

    def observe_guard(self) -> dict[str, str]:
        state = "active" if self.heartbeat.exists() else "stale"
        return {"state": state, "summary": f"guard {state}"}

    def ensure(self, sources=SOURCES, content: str = "X=1\n", dry_run: bool = False) -> dict:
        clock = FakeClock()
        package = self.root / "lib" / "trading_ops"
        host = GuardedHost(self.run, self.observe_guard, package, self.heartbeat, self.state, clock, clock.sleep)
        file = HostFile(self.root / "etc" / "x.conf", content, 0o640, ("checker", "%s"))
        return ensure_guarded(host, sources, [file], dry_run)

    def files(self) -> dict[str, str]:
        return {str(path.relative_to(self.root)): path.read_text() for path in self.root.rglob("*.*") if path.is_file()}

    def acts(self) -> list[str]:
        return [call[1] for call in self.calls if call[0] == "systemctl" and call[1] != "show"]


def test_twice_changes_once_and_restarts_once(tmp_path):
    world = World(tmp_path)
    first = world.ensure()
    assert (first["outcome"], first["changed"]) == ("proven", True)
    assert world.acts() == ["daemon-reload", "enable", "stop", "start"]
    assert world.files()["lib/trading_ops/guard.py"] == "GUARD = 1\n"
    assert (tmp_path / "etc" / "x.conf").stat().st_mode & 0o777 == 0o640
    second = world.ensure()
    assert (second["outcome"], second["changed"], second["files"]) == ("proven", False, [])
    assert world.acts() == ["daemon-reload", "enable", "stop", "start"]


def test_dry_run_names_every_file_and_writes_none(tmp_path):
    world = World(tmp_path)
    seen = world.ensure(dry_run=True)
    assert (seen["outcome"], seen["changed"], len(seen["files"])) == ("planned", True, 3)
    assert "GUARD = 1" in seen["diff"]["after"]
    assert (world.files(), world.acts()) == ({}, [])


def test_file_that_its_checker_refuses_leaves_the_host_as_it_was(tmp_path):
    world = World(tmp_path)
    world.broken = {"checker": "line 1: syntax error"}
    seen = world.ensure()
    assert (seen["outcome"], world.files(), world.acts()) == ("failed", {}, [])
    assert "line 1: syntax error" in seen["summary"]


@pytest.mark.parametrize("stranger", ["old.py", "folder/x.py"])
def test_what_is_not_part_of_the_package_goes(tmp_path, stranger):
    world = World(tmp_path)
    world.ensure()
    path = tmp_path / "lib" / "trading_ops" / stranger
    path.parent.mkdir(exist_ok=True)
    path.write_text("")
    assert world.ensure(dry_run=True)["changed"] is True
    assert path.exists()
    assert world.ensure()["changed"] is True
    assert not path.exists()


def test_a_flat_copy_from_before_the_rooms_is_replaced_whole(tmp_path):
    world = World(tmp_path)
    world.ensure(sources={"__init__.py": "", "guard.py": "OLD = 1\n", "stop.py": ""})
    rooms = {"__init__.py": "", "guard/__init__.py": "", "guard/__main__.py": "GUARD = 2\n", "stop/__init__.py": ""}
    seen = world.ensure(sources=rooms)
    assert (seen["outcome"], seen["changed"]) == ("proven", True)
    package = tmp_path / "lib" / "trading_ops"
    assert {str(path.relative_to(package)) for path in package.rglob("*.py")} == set(rooms)
    assert list((tmp_path / "lib").iterdir()) == [package]


@pytest.mark.parametrize("nth", range(1, 5))
def test_an_interrupted_replacement_leaves_the_old_package_whole(tmp_path, monkeypatch, nth):
    class Killed(BaseException):
        """Nothing of ours runs after it."""

    world = World(tmp_path)
    world.ensure()
    before = world.files()
    written = []

    def ensure_file(file):
        written.append(file)
        if len(written) == nth:
            raise Killed
        ensured(file)

    ensured = install.ensure_file
    monkeypatch.setattr(install, "ensure_file", ensure_file)
    rooms = {"__init__.py": "", "guard/__init__.py": "", "guard/__main__.py": "GUARD = 2\n", "stop/__init__.py": ""}
    with pytest.raises(Killed):
        world.ensure(sources=rooms)
    assert {name: text for name, text in world.files().items() if ".trading_ops.new" not in name} == before
    assert world.acts().count("stop") == 1
    monkeypatch.setattr(install, "ensure_file", ensured)
    assert world.ensure(sources=rooms)["outcome"] == "proven"
    assert not (tmp_path / "lib" / ".trading_ops.new").exists()


@pytest.mark.parametrize("damage", ["content", "mode", "gone", "link"])
def test_file_that_was_changed_by_hand_is_put_back_and_the_guard_restarted(tmp_path, damage):
    world = World(tmp_path)
    world.ensure()
    path = tmp_path / "lib" / "trading_ops" / "guard.py"
    if damage == "content":
        path.write_text("GUARD = 0\n")
    elif damage == "mode":
        path.chmod(0o666)
    else:
        path.unlink()
        if damage == "link":
            path.symlink_to(tmp_path / "etc" / "x.conf")
    seen = world.ensure()
    assert (seen["outcome"], seen["changed"], seen["files"]) == ("proven", True, [str(path)])
    assert not path.is_symlink()
    assert path.read_text() == "GUARD = 1\n"
    assert world.acts().count("start") == 2


def test_guard_that_gives_no_sign_of_life_fails_after_a_bound(tmp_path):
    world = World(tmp_path)
    world.lives = False
    seen = world.ensure()
    assert (seen["outcome"], seen["summary"]) == ("failed", "guard stale")


def test_sign_of_life_of_the_guard_before_proves_nothing(tmp_path):
    world = World(tmp_path)
    world.ensure()
    world.lives = False
    assert world.ensure(content="X=2\n")["outcome"] == "failed"


@pytest.mark.parametrize(
    "shown",
    ["", "UnitFileState=disabled\nNeedDaemonReload=no\n", "UnitFileState=enabled\nNeedDaemonReload=yes\n"],
    ids=["nothing", "not enabled", "old unit"],
)
def test_guard_that_would_not_come_back_is_started_anew(tmp_path, shown):
    world = World(tmp_path)
    world.ensure()
    world.shown = shown
    assert world.ensure()["changed"] is True
    assert world.ensure()["changed"] is False


def test_systemd_that_refuses_is_told_in_its_own_words(tmp_path):
    world = World(tmp_path)
    world.broken = {"enable": "Unit is masked."}
    seen = world.ensure()
    assert seen["outcome"] == "failed"
    assert "Unit is masked." in seen["summary"]


def test_path_that_cannot_be_written_fails_with_its_name(tmp_path):
    (tmp_path / "lib").write_text("a file where a folder has to be")
    seen = World(tmp_path).ensure()
    assert seen["outcome"] == "failed"
    assert "lib/.trading_ops.new" in seen["summary"]


def test_where_the_file_system_cannot_exchange_and_the_second_rename_fails_the_old_package_is_back(
    tmp_path, monkeypatch
):
    old, new = tmp_path / "trading_ops", tmp_path / ".trading_ops.new"
    for folder in (old, new):
        folder.mkdir()
        (folder / "name").write_text(folder.name)
    renamed = Path.rename

    def rename(self, target):
        if self == new:
            raise OSError("no space")
        return renamed(self, target)

    monkeypatch.setattr(files, "_renamed_at_once", lambda *_: False)
    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(files.HostFileError, match="no space"):
        files.exchange(new, old)
    assert (old / "name").read_text() == "trading_ops"


@pytest.mark.parametrize("is_refused", [False, True])
def test_a_halted_host_of_the_old_layout_is_halted_at_every_moment_of_its_upgrade(tmp_path, is_refused):
    world = World(tmp_path)
    old = world.state / "halt.json"
    world.state.mkdir()
    old.write_text('{"scope": "all", "incident_ids": ["INC-1"]}')
    seen: list[tuple[bool, bool]] = []
    real = world.run

    def look(argv: Sequence[str]) -> tuple[int, str]:
        seen.append((old.exists(), (world.state / "latch" / "halt.json").exists()))
        return real(argv)

    world.run = look
    world.broken = {"checker": "line 1: syntax error"} if is_refused else {}
    assert world.ensure(dry_run=True)["changed"]
    assert not (world.state / "latch").exists()
    first = world.ensure()
    assert all(is_old for is_old, _ in seen)
    assert first["outcome"] == ("failed" if is_refused else "proven")
    assert seen[-1][1] is not is_refused  # from before the guard is stopped
    if not is_refused:
        assert first["files"][0] == str(world.state / "latch" / "halt.json")
        assert world.ensure()["changed"] is False


def test_the_latchs_folder_is_made_before_the_first_halt(tmp_path):
    world = World(tmp_path)
    world.state.mkdir()
    assert world.ensure()["changed"]
    assert list((world.state / "latch").iterdir()) == []
    assert world.ensure()["changed"] is False
