import os
from pathlib import Path

import pytest
from trading_ops.host import files
from trading_ops.host.files import (
    HostFile,
    HostFileError,
    check_content,
    differs,
    ensure_file,
    exchange,
    remove,
    unexpected,
)


@pytest.fixture
def wanted(tmp_path):
    return HostFile(tmp_path / "etc" / "x.conf", "X=1\n", 0o640)


def test_a_file_in_place_is_what_was_wanted_and_nothing_is_left_beside_it(wanted):
    assert differs(wanted)
    ensure_file(wanted)
    assert not differs(wanted)
    assert [path.name for path in wanted.path.parent.iterdir()] == ["x.conf"]


@pytest.mark.parametrize("change", ["content", "mode", "link", "folder", "gone"])
def test_whatever_else_is_there_differs(wanted, tmp_path, change):
    ensure_file(wanted)
    if change == "content":
        wanted.path.write_text("X=2\n")
    elif change == "mode":
        wanted.path.chmod(0o600)
    else:
        wanted.path.unlink()
    if change == "link":
        (tmp_path / "other").write_text(wanted.content)
        wanted.path.symlink_to(tmp_path / "other")
    elif change == "folder":
        wanted.path.mkdir()
    assert differs(wanted)


def test_a_disk_that_does_not_hold_what_was_written_is_an_error(wanted, monkeypatch):
    monkeypatch.setattr(files, "differs", lambda _: True)
    with pytest.raises(HostFileError, match="does not hold what was written"):
        ensure_file(wanted)


def test_a_write_that_fails_leaves_the_old_file_and_no_other(wanted, monkeypatch):
    ensure_file(wanted)

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(HostFileError, match="No space left"):
        ensure_file(HostFile(wanted.path, "X=2\n"))
    assert wanted.path.read_text() == "X=1\n"
    assert len(list(wanted.path.parent.iterdir())) == 1


def test_the_checker_sees_the_content_under_the_files_own_name(wanted):
    seen = []

    def run(argv):
        seen.append((argv[1].rpartition("/")[2], Path(argv[1]).read_text(encoding="utf-8")))
        return len(seen) - 1, "line 1: bad"

    checked = HostFile(wanted.path, wanted.content, validate=("checker", "%s"))
    check_content(checked, run)
    assert seen == [("x.conf", "X=1\n")]
    with pytest.raises(HostFileError, match=r"checker refuses it \(1\): line 1: bad"):
        check_content(checked, run)
    assert not wanted.path.exists()


def test_a_folder_is_put_in_the_place_of_another_and_that_one_stands_aside(tmp_path):
    new, old = tmp_path / "new", tmp_path / "old"
    for folder in (new, old):
        folder.mkdir()
        (folder / "name").write_text(folder.name)
    exchange(new, old)
    assert ((old / "name").read_text(), (new / "name").read_text()) == ("new", "old")


def test_a_file_system_that_cannot_exchange_in_one_step_ends_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_renamed_at_once", lambda *_: False)
    test_a_folder_is_put_in_the_place_of_another_and_that_one_stands_aside(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "old"]


def test_what_is_no_folder_gives_way_to_one(tmp_path):
    new, old = tmp_path / "new", tmp_path / "old"
    new.mkdir()
    old.symlink_to(tmp_path / "nowhere")
    exchange(new, old)
    assert (old.is_dir(), old.is_symlink(), new.exists()) == (True, False, False)


def test_files_that_no_name_stands_for_are_unexpected_except_what_python_made(tmp_path):
    for name in ("a.py", "room/a.py", "room/b.py", "room/__pycache__/a.pyc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    found = unexpected(tmp_path, {"a.py", "room/a.py"})
    assert [str(path.relative_to(tmp_path)) for path in found] == ["link", "room/b.py"]


def test_removing_takes_a_folder_whole_a_link_alone_and_nothing_for_nothing(tmp_path):
    (tmp_path / "folder" / "in").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    remove(tmp_path / "link")
    assert (tmp_path / "folder" / "in").exists()
    remove(tmp_path / "folder")
    remove(tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []
