from __future__ import annotations

import io
import stat
import subprocess
import tarfile
import threading
from pathlib import Path

import pytest

from lab import state

ADDRESSES = {"lab1": "172.29.77.11", "lab2": "172.29.77.12"}


def test_keys_are_made_once_and_host_keys_are_pinned_by_name_and_address(tmp_path):
    state.ensure_keys(tmp_path, ADDRESSES)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    state.ensure_keys(tmp_path, ADDRESSES)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    pinned = (tmp_path / "known_hosts").read_text().splitlines()
    assert [line.split()[0] for line in pinned] == ["lab1,172.29.77.11", "lab2,172.29.77.12"]
    assert pinned[0].split()[2] == (tmp_path / "lab1.ssh_host_ed25519_key.pub").read_text().split()[1]
    assert stat.S_IMODE((tmp_path / "id_ed25519").stat().st_mode) == 0o600


def test_ssh_reads_the_configuration_as_it_is_meant(tmp_path):
    home = tmp_path / "a folder"
    (tmp_path / "ssh_config").write_text(state.render_ssh_config(home, ADDRESSES))
    shown = subprocess.run(
        ["ssh", "-G", "-F", tmp_path / "ssh_config", "lab2"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for line in ("hostname 172.29.77.12", "user ops", f"identityfile {home}/id_ed25519", "connecttimeout 5"):
        assert line in shown
    assert {"stricthostkeychecking true", "batchmode yes", "controlmaster false"} <= set(shown)


def test_a_host_gets_its_own_private_key_and_the_operators_public_one(tmp_path):
    state.ensure_keys(tmp_path, ADDRESSES)
    with tarfile.open(fileobj=io.BytesIO(state.host_files(tmp_path, "lab1"))) as tar:
        modes = {member.name: member.mode for member in tar.getmembers()}
        assert modes == {
            "etc/trading-core-lab": 0o755,
            "etc/trading-core-lab/ssh_host_ed25519_key": 0o600,
            "etc/trading-core-lab/authorized_keys": 0o644,
            "etc/machine-id": 0o444,
        }
        assert tar.extractfile("etc/machine-id").read().decode() == f"{state.machine_id('lab1')}\n"
        authorized = tar.extractfile("etc/trading-core-lab/authorized_keys").read()
    assert authorized == (tmp_path / "id_ed25519.pub").read_bytes()
    assert len({state.machine_id(name) for name in ADDRESSES}) == len(ADDRESSES)
    assert state.host_files(tmp_path, "lab1") != state.host_files(tmp_path, "lab2")


def test_down_removes_the_keys_but_not_what_the_engine_left_there(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    state.ensure_keys(home, ADDRESSES)
    (home / "dockerd.log").write_text("still running")
    state.remove_state(home)
    assert [path.name for path in home.iterdir()] == ["dockerd.log"]


def test_down_removes_the_folder_where_it_is_empty_and_does_not_mind_a_missing_one(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    state.ensure_keys(home, ADDRESSES)
    state.remove_state(home)
    assert not home.exists()
    state.remove_state(home)


def test_a_second_lab_command_waits_for_the_first_also_when_that_removes_the_folder(tmp_path):
    home = tmp_path / "home"
    seen: list[str] = []

    def second() -> None:
        with state.lab_lock(home):
            seen.append("second, with a folder" if home.exists() else "second, without")

    with state.lab_lock(home):
        waiting = threading.Thread(target=second)
        waiting.start()
        state.remove_state(home)
        seen.append("first")
    waiting.join(timeout=10)
    assert seen == ["first", "second, with a folder"]


def test_a_folder_that_is_removed_while_it_is_being_made_is_made_again(tmp_path, monkeypatch):
    answers = [FileExistsError("removed between two looks"), None]
    made = Path.mkdir

    def mkdir(self: Path, *arguments: object, **more: object) -> None:
        if answers and (error := answers.pop(0)):
            raise error
        made(self, *arguments, **more)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    with state.lab_lock(tmp_path / "home"):
        assert (tmp_path / "home").is_dir()
    assert answers == []


def test_a_lock_held_too_long_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(state, "LOCK_TIMEOUT_SECONDS", 0)
    with (
        state.lab_lock(tmp_path),
        pytest.raises(state.EstateError, match="another lab command"),
        state.lab_lock(tmp_path),
    ):
        pass
