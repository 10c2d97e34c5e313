"""Control groups as files in a folder: what is read, what is written, who is signalled."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from trading_ops.host.cgroups import CgroupError, HostCgroups, find_docker_root, find_docker_roots, parse_container

A, B = "a" * 64, "b" * 64


@pytest.fixture
def host(tmp_path: Path) -> HostCgroups:
    (tmp_path / "docker" / "containers").mkdir(parents=True)
    (tmp_path / "cgroup").mkdir()
    return HostCgroups((tmp_path / "docker",), tmp_path / "cgroup")


@pytest.fixture
def signalled(monkeypatch) -> list[tuple[int, int]]:
    seen: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: seen.append((pid, number)))
    return seen


def describe(root: Path, container_id: str, pid: int = 0, policy: str = "", **config: Any) -> None:
    folder = root / "docker" / "containers" / container_id
    folder.mkdir()
    content = {"ID": container_id, "Name": "/x", "State": {"Pid": pid}, "Config": {"Labels": {"k": "v"}} | config}
    (folder / "config.v2.json").write_text(json.dumps(content))
    (folder / "hostconfig.json").write_text(json.dumps({"RestartPolicy": {"Name": policy}}))


def group(root: Path, name: str, pids: str) -> Path:
    folder = root / "cgroup" / name
    folder.mkdir(parents=True)
    (folder / "cgroup.procs").write_text(pids)
    return folder


@pytest.mark.parametrize("name", [f"system.slice/docker-{A}.scope", f"docker/{A}", f"memory/docker/{A}"])
def test_processes_are_found_under_every_driver_and_hierarchy(host, tmp_path, name):
    folder = group(tmp_path, name, "12\n11\n")
    (folder / "below").mkdir()
    (folder / "below" / "cgroup.procs").write_text("13\n")
    group(tmp_path, "system.slice/ssh.service", "1\n")
    assert host.processes() == {A: [11, 12, 13]}


def test_group_without_a_process_is_no_running_container(host, tmp_path):
    group(tmp_path, f"docker/{A}", "")
    assert host.processes() == {}


def test_containers_are_described_in_the_shape_of_the_engines_list(host, tmp_path):
    describe(tmp_path, A, Image="bot:1")
    describe(tmp_path, B)
    group(tmp_path, f"docker/{A}", "12")
    first, second = host.containers()
    assert first == {"Id": A, "Names": ["/x"], "Image": "bot:1", "Labels": {"k": "v"}, "State": "running"}
    assert second["State"] == "exited"


def test_container_whose_file_is_damaged_keeps_no_other_from_being_seen(host, tmp_path):
    describe(tmp_path, A)
    describe(tmp_path, B)
    (tmp_path / "docker" / "containers" / A / "config.v2.json").write_text('{"Config"')
    assert [item["Id"] for item in host.containers()] == [B]


@pytest.mark.parametrize("config", [{}, {"Config": None}, {"Config": {"Labels": "x"}}, {"Config": []}])
def test_file_that_tells_no_labels_describes_nothing(config):
    with pytest.raises(CgroupError, match="labels"):
        parse_container(config, A, True)


def test_missing_roots_are_errors_and_not_empty_hosts(tmp_path):
    with pytest.raises(CgroupError, match="could not be read"):
        HostCgroups((tmp_path / "none",), tmp_path).containers()
    with pytest.raises(CgroupError, match="no control groups"):
        HostCgroups((tmp_path,), tmp_path / "none").processes()


@pytest.mark.parametrize(("written", "expected"), [("", "no"), ("always", "always")])
def test_restart_policy_comes_from_disk(host, tmp_path, written, expected):
    describe(tmp_path, A, policy=written)
    assert host.restart_policy(A) == expected


def test_terminate_signals_the_first_process_alone_and_thaws(host, tmp_path, signalled):
    describe(tmp_path, A, pid=12)
    folder = group(tmp_path, f"docker/{A}", "12 13")
    (folder / "cgroup.freeze").write_text("1")
    host.terminate(A)
    assert signalled == [(12, signal.SIGTERM)]
    assert (folder / "cgroup.freeze").read_text() == "0"


def test_terminate_signals_all_where_the_recorded_first_process_is_an_old_one(host, tmp_path, signalled):
    describe(tmp_path, A, pid=7)
    group(tmp_path, f"docker/{A}", "12 13")
    host.terminate(A)
    assert signalled == [(12, signal.SIGTERM), (13, signal.SIGTERM)]


def test_kill_reaches_the_whole_group(host, tmp_path, signalled):
    folder = group(tmp_path, f"docker/{A}", "12 13")
    (folder / "cgroup.kill").write_text("")
    host.kill(A)
    assert (folder / "cgroup.kill").read_text() == "1"
    assert signalled == [(12, signal.SIGKILL), (13, signal.SIGKILL)]


def test_process_outside_our_view_is_never_signalled_as_our_own_group(host, tmp_path, signalled):
    group(tmp_path, f"docker/{A}", "0\n")
    with pytest.raises(CgroupError, match="outside"):
        host.kill(A)
    assert signalled == []


def test_process_that_ended_meanwhile_is_no_error_and_a_forbidden_one_is(host, tmp_path, monkeypatch):
    group(tmp_path, f"docker/{A}", "12")

    def gone(_pid: int, _number: int) -> None:
        raise ProcessLookupError

    monkeypatch.setattr(os, "kill", gone)
    host.kill(A)

    def forbidden(_pid: int, _number: int) -> None:
        raise PermissionError("not permitted")

    monkeypatch.setattr(os, "kill", forbidden)
    with pytest.raises(CgroupError, match="not permitted"):
        host.kill(A)


@pytest.mark.parametrize(("number", "is_error"), [(19, False), (13, True)], ids=["ended", "forbidden"])
def test_group_that_ends_while_it_is_read_is_empty_and_a_forbidden_one_is_an_error(
    host, tmp_path, monkeypatch, number, is_error
):
    group(tmp_path, f"docker/{A}", "12")

    def fail(*_: object, **__: object) -> str:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "read_text", fail)
    if is_error:
        with pytest.raises(CgroupError):
            host.processes()
    else:
        assert host.processes() == {}


WAYS = {
    "the default": ({}, "/var/lib/docker"),
    "daemon.json": ({"etc/docker/daemon.json": '{"data-root": "/srv/my docker"}'}, "/srv/my docker"),
    "daemon.json that is damaged": ({"etc/docker/daemon.json": "garbage"}, "/var/lib/docker"),
    "the command line": ({"proc/12/cmdline": "/usr/bin/dockerd\0--data-root\0/srv/d\0-H\0fd://\0"}, "/srv/d"),
    "the command line, with =": ({"proc/12/cmdline": "dockerd\0--data-root=/srv/d\0"}, "/srv/d"),
    "a drop-in of systemd": (
        {"etc/systemd/system/docker.service.d/a.conf": "[Service]\nExecStart=\nExecStart=dockerd --data-root /srv/d\n"},
        "/srv/d",
    ),
    "the old option": ({"etc/default/docker": 'DOCKER_OPTS="--graph=/srv/d --debug"\n'}, "/srv/d"),
    "a snap": ({"var/snap/docker/common/var-lib-docker/keep": ""}, "/var/snap/docker/common/var-lib-docker"),
    "a snap that is set elsewhere": (
        {"var/snap/docker/current/config/daemon.json": '{"data-root":"/srv/d"}'},
        "/srv/d",
    ),
    "userns-remap": ({"etc/docker/daemon.json": '{"userns-remap": "default"}'}, "/var/lib/docker/100000.100000"),
}
"""Where an engine can have its files: what says so, and where they are."""


def lay_out(root: Path, files: dict[str, str], data: str) -> Path:
    """Write the files that say where the engine's are, and return the folder of these."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    folder = root / data.lstrip("/") / "containers"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.mark.parametrize("way", WAYS)
def test_the_engines_files_are_found_wherever_it_keeps_them(tmp_path, way):
    files, data = WAYS[way]
    folder = lay_out(tmp_path, files, data) / A
    (tmp_path / "var/lib/docker/containers").mkdir(parents=True, exist_ok=True)  # left behind, and empty
    folder.mkdir()
    (folder / "config.v2.json").write_text(json.dumps({"Name": "/x", "Config": {"Labels": None}}))
    (folder / "hostconfig.json").write_text('{"RestartPolicy": {"Name": "always"}}')
    (tmp_path / "cgroup").mkdir()
    group(tmp_path, f"docker/{A}", "12")
    host = HostCgroups(find_docker_roots(tmp_path), tmp_path / "cgroup")
    assert [(item["Id"], item["Names"], item["State"]) for item in host.containers()] == [(A, ["/x"], "running")]
    assert host.restart_policy(A) == "always"
    if not data.endswith(".100000"):
        assert find_docker_root(tmp_path) in {tmp_path / data.lstrip("/"), tmp_path / "var/lib/docker"}


def test_a_folder_that_an_engine_left_behind_describes_nothing_where_another_has_what_runs(host, tmp_path):
    describe(tmp_path, A)
    (tmp_path / "old/containers" / B).mkdir(parents=True)
    (tmp_path / "old/containers" / B / "config.v2.json").write_text('{"Name": "/old", "Config": {"Labels": {}}}')
    both = HostCgroups((tmp_path / "old", tmp_path / "docker"), tmp_path / "cgroup")
    assert [item["Id"] for item in both.containers()] == [A, B]
    group(tmp_path, f"docker/{A}", "12")
    assert [item["Id"] for item in both.containers()] == [A]


@pytest.mark.parametrize("odd", ["always", 7, [], {"Name": ["no"]}, {"Name": False}], ids=str)
def test_policy_on_disk_that_is_not_understood_is_not_no(host, tmp_path, odd):
    describe(tmp_path, A)
    (tmp_path / "docker/containers" / A / "hostconfig.json").write_text(json.dumps({"RestartPolicy": odd}))
    assert host.restart_policy(A) == "unknown"


@pytest.mark.parametrize("state", ["running", 7, [], None], ids=str)
def test_a_state_on_disk_that_is_not_understood_spares_nothing(host, tmp_path, signalled, state):
    describe(tmp_path, A, State=state)
    (tmp_path / "docker/containers" / A / "config.v2.json").write_text(json.dumps({"State": state}))
    group(tmp_path, f"docker/{A}", "12\n13\n")
    host.terminate(A)
    assert signalled == [(12, signal.SIGTERM), (13, signal.SIGTERM)]
