"""Units, Quadlets, crontabs and scripts as they lie on a host: small texts, live units, nothing of a broken one."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from trading_ops.core.starters import find_in_files
from trading_ops.host import starter_files
from trading_ops.host.starter_files import read_starter_files

UNIT = "[Service]\nExecStart=/usr/local/bin/up.sh\n"
UP = "#!/bin/sh\ndocker start trading-paper-bot-1\n"


def put(root: Path, path: str, text: str = "", mode: int = 0o644) -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)
    return file


def link(root: Path, path: str, to: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).symlink_to(to)


def test_units_are_read_with_their_drop_ins_and_what_they_call(tmp_path):
    put(tmp_path, "etc/systemd/system/up.service", UNIT)
    put(tmp_path, "etc/systemd/system/up.service.d/own.conf", "[Service]\n")
    put(tmp_path, "usr/local/bin/up.sh", UP, 0o755)
    link(tmp_path, "etc/systemd/system/multi-user.target.wants/up.service", "../up.service")
    (tmp_path / "sys/fs/cgroup/system.slice/by-hand.service").mkdir(parents=True)
    seen = read_starter_files(tmp_path)
    assert list(seen.texts) == [
        "/etc/systemd/system/up.service",
        "/etc/systemd/system/up.service.d/own.conf",
        "/usr/local/bin/up.sh",
    ]
    assert seen.live == {"up.service", "by-hand.service"}
    assert [each.what for each in find_in_files(seen)] == ["unit up.service"]


def test_every_place_of_units_quadlets_and_cron_is_looked_at(tmp_path):
    places = [
        *(
            "run/systemd/transient/a.service",
            "usr/local/lib/systemd/system/b.service",
            "usr/lib/systemd/system/c.timer",
        ),
        *("home/reno/.config/systemd/user/d.service", "etc/systemd/user/e.service", "etc/crontab", "etc/cron.d/bots"),
        *("etc/containers/systemd/f.container", "usr/share/containers/systemd/g.kube", "var/spool/cron/crontabs/root"),
        *("home/reno/.config/containers/systemd/h.container", "etc/containers/systemd/users/1000/i.container"),
        *("var/spool/cron/ops", "etc/anacrontab"),
    ]
    for place in places:
        put(tmp_path, place, "x")
    put(tmp_path, "etc/cron.daily/run", "x", 0o755)
    assert set(read_starter_files(tmp_path).texts) == {f"/{place}" for place in [*places, "etc/cron.daily/run"]}


def test_masked_unit_is_an_empty_one_and_hides_the_one_below_it(tmp_path):
    link(tmp_path, "etc/systemd/system/a.service", "/dev/null")
    put(tmp_path, "usr/lib/systemd/system/a.service", UNIT)
    assert read_starter_files(tmp_path).texts["/etc/systemd/system/a.service"] == ""


@pytest.mark.parametrize(
    "name",
    ["cron.d/bots.disabled", "cron.d/bots~", "cron.d/.placeholder", "cron.d/a.dpkg-old", "cron.daily/not-executable"],
)
def test_what_cron_passes_over_is_not_read(tmp_path, name):
    put(tmp_path, f"etc/{name}", "docker start x")
    assert read_starter_files(tmp_path).texts == {}


def test_what_is_large_binary_a_pipe_or_not_there_is_left_out(tmp_path):
    put(tmp_path, "etc/cron.d/large", "#" * 70_000)
    put(tmp_path, "etc/cron.d/binary", "a\0b")
    link(tmp_path, "etc/cron.d/away", "/nonexistent")
    os.mkfifo(tmp_path / "etc/cron.d/pipe")
    put(tmp_path, "etc/cron.d/good", "* * * * * root /opt/away.sh\n")
    assert list(read_starter_files(tmp_path).texts) == ["/etc/cron.d/good"]


def test_a_folder_that_may_not_be_read_hides_no_other(tmp_path, monkeypatch):
    put(tmp_path, "etc/systemd/system/a.service", UNIT)
    put(tmp_path, "home/kim/.config/systemd/user/b.service", UNIT)
    put(tmp_path, "etc/crontab", "x")
    listed = Path.iterdir

    def refuse(folder: Path) -> object:
        if folder.name in {"system", "user"}:
            raise PermissionError(folder)
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert list(read_starter_files(tmp_path).texts) == ["/etc/crontab"]


def test_a_disk_that_hangs_holds_nobody_up_and_what_was_read_counts(tmp_path, monkeypatch):
    put(tmp_path, "etc/systemd/system/a.service", UNIT)
    monkeypatch.setattr(starter_files, "READ_SECONDS", 0.2)
    monkeypatch.setattr(starter_files, "called_scripts", lambda _texts: time.sleep(5) or set())
    begun = time.monotonic()
    assert list(read_starter_files(tmp_path).texts) == ["/etc/systemd/system/a.service"]
    assert time.monotonic() - begun < 2


def test_a_host_without_any_of_them_is_empty(tmp_path):
    assert (read_starter_files(tmp_path).texts, read_starter_files(tmp_path).live) == ({}, frozenset())
