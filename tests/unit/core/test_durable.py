import os
import threading
from pathlib import Path

import pytest
from trading_ops.core.durable import append_durably, bounded, write_durably


def test_write_replaces_the_file_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    write_durably(path, "nyt – ø")
    assert path.read_text(encoding="utf-8") == "nyt – ø"
    assert list(tmp_path.iterdir()) == [path]


def test_failed_write_leaves_the_old_file_whole(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("old")

    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_durably(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_file_and_directory_are_synced_before_the_write_returns(tmp_path, monkeypatch):
    synced: list[str] = []
    real = os.fsync

    def note(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink().name))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    write_durably(tmp_path / "file", "text")
    assert synced[0].startswith("file.")
    assert synced[-1] == tmp_path.name


def test_reader_never_sees_half_a_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("old")
    whole: list[tuple[str, str]] = []
    real = os.replace

    def look(source: Path, target: Path) -> None:
        whole.append((Path(source).read_text(), target.read_text()))
        real(source, target)

    monkeypatch.setattr(os, "replace", look)
    write_durably(path, "new")
    assert whole == [("new", "old")]


def test_text_has_left_the_program_before_it_is_synced(tmp_path, monkeypatch):
    texts: list[str] = []
    real = os.fsync

    def note(descriptor: int) -> None:
        seen = Path(f"/proc/self/fd/{descriptor}").readlink()
        texts.extend([seen.read_text()] if seen.is_file() else [])
        real(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    write_durably(tmp_path / "file", "text")
    assert texts == ["text"]


def test_work_that_hangs_cannot_keep_the_program_alive():
    never = threading.Event()
    with pytest.raises(TimeoutError):
        bounded(lambda: never.wait(30), 0.05)
    assert [thread for thread in threading.enumerate() if thread.name.endswith("(run)") and not thread.daemon] == []
    never.set()


def test_bounded_returns_raises_or_gives_up():
    assert bounded(lambda: 7, 1) == 7
    with pytest.raises(KeyError):
        bounded(lambda: {}["x"], 1)
    never = threading.Event()
    with pytest.raises(TimeoutError, match=r"within 0\.05 s"):
        bounded(lambda: never.wait(30), 0.05)
    never.set()


def test_no_name_that_others_can_lay_first_is_written_through(tmp_path, monkeypatch):
    # Finding 14: who owns the folder lays `<name>.<pid>.tmp`, by the thousand if need be.
    victim = tmp_path / "victim"
    victim.write_text("root's")
    (tmp_path / f"trading.yml.{os.getpid()}.tmp").symlink_to(victim)
    for name in ("0" * 16, "1" * 16):  # and a guess that comes true is refused, not followed
        (tmp_path / f"trading.yml.{name}.tmp").symlink_to(victim)
    write_durably(tmp_path / "trading.yml", "sizing: {}", like=victim.stat())
    monkeypatch.setattr("secrets.token_hex", lambda _: "0" * 16)
    with pytest.raises(FileExistsError):
        write_durably(tmp_path / "trading.yml", "other")
    assert victim.read_text() == "root's"
    assert (tmp_path / "trading.yml").read_text() == "sizing: {}"


def test_an_append_follows_no_link(tmp_path):
    (tmp_path / "audit.jsonl").symlink_to(tmp_path / "bots.conf")
    with pytest.raises(OSError, match="symbolic"):
        append_durably(tmp_path / "audit.jsonl", "x\n")
    assert not (tmp_path / "bots.conf").exists()
