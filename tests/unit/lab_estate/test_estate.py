from __future__ import annotations

import http.server
import shlex
import threading
from dataclasses import replace

import pytest
import yaml

from lab import estate, images, machines, state
from lab.estate import HOSTS, LabHost, Probe, group_by_hosts, parse_probe
from lab.machines import EstateError, Machine, Observed

HOST_IMAGE, APP_IMAGE = "trading-core-lab/host:abc", "trading-core-lab/app:abc"
REFERENCES = {name: f"trading-core-lab/{name}:abc" for name in images.IMAGES}


@pytest.fixture
def wanted(tmp_path) -> list[Machine]:
    state.ensure_keys(tmp_path, estate.ADDRESSES)
    return estate.build_machines(tmp_path, HOST_IMAGE, APP_IMAGE)


@pytest.fixture
def said() -> list[str]:
    return []


def test_the_lab_is_four_hosts_and_what_lies_outside_at_their_addresses(wanted):
    assert {machine.name: machine.address for machine in wanted} == {
        "lab1": "172.29.77.11",
        "lab2": "172.29.77.12",
        "lab-restore": "172.29.77.13",
        "lab-control": "172.29.77.14",
        "venue": "172.29.77.20",
        "receiver": "172.29.77.21",
    }


def test_the_inventory_has_the_same_hosts_and_addresses():
    text = (estate.ROOT / "inventories/lab/hosts.yml").read_text()
    found: dict[str, str] = {}

    def walk(group: dict) -> None:
        for name, settings in (group.get("hosts") or {}).items():
            found.setdefault(name, "")
            found[name] = (settings or {}).get("ansible_host", found[name])
        for child in (group.get("children") or {}).values():
            walk(child)

    walk(yaml.safe_load(text)["all"])
    assert found == estate.ADDRESSES


def test_the_inventory_and_plain_ssh_have_the_same_options():
    settings = yaml.safe_load((estate.ROOT / "inventories/lab/group_vars/all/connection.yml").read_text())
    words = shlex.split(settings["ansible_ssh_args"])
    options = dict(words[place + 1].split("=", 1) for place, word in enumerate(words) if word == "-o")
    assert options.pop("UserKnownHostsFile") == "{{ lab_home }}/known_hosts"
    options["ConnectTimeout"] = str(settings["ansible_timeout"])
    assert options == dict(state.SSH_OPTIONS)
    assert words[:2] == ["-F", "/dev/null"]


def test_a_first_up_makes_every_machine_and_a_second_does_nothing(docker, wanted, said):
    estate.ensure_machines(wanted, {"lab1": b"keys"}, said.append)
    assert {observed.state for observed in docker.containers.values()} == {"running"}
    assert len(docker.containers) == len(wanted)
    assert docker.copied == {"lab1": b"keys"}
    said.clear()
    estate.ensure_machines(wanted, {}, said.append)
    assert said == []


def test_what_another_checkout_made_is_replaced_and_that_is_said(docker, wanted, said):
    for machine in wanted:
        docker.add(machine, "running")
    docker.add(Machine("venue", "172.29.77.20", "trading-core-lab/app:older"), "running")
    estate.ensure_machines(wanted, {}, said.append)
    assert said == ["venue: replaced, it was made from other sources or keys than this checkout's"]


def test_a_lab_of_the_old_names_is_cleared_before_its_addresses_are_given_away(docker, wanted, said):
    old = machines.build_host("homelab1", "172.29.77.11", HOST_IMAGE, "key")
    docker.add(old, "running")
    docker.containers["bench01"] = Observed("running", "", ("trading-core-bench",))
    docker.volumes = {"trading-core-lab-homelab1"}
    estate.ensure_machines(wanted, {}, said.append)
    assert docker.containers.keys() == {"bench01", *(machine.name for machine in wanted)}
    assert "trading-core-lab-homelab1" not in docker.volumes
    assert said[0] == "removed, of an older lab: homelab1"


def test_one_host_that_does_not_start_is_named_and_the_others_still_get_their_turn(docker, wanted, said):
    docker.refuses_to_start = {"lab2"}
    with pytest.raises(EstateError, match="lab2"):
        estate.ensure_machines(wanted, {}, said.append)
    assert docker.containers["lab-control"].state == "running"
    assert docker.containers["lab2"].state == "created"


def test_each_image_is_read_once_for_all_hosts_that_lack_it():
    assert group_by_hosts({"h1": ["app", "db"], "h2": ["app"], "h3": []}) == {("h1", "h2"): ["app"], ("h1",): ["db"]}
    assert group_by_hosts({"h1": [], "h2": []}) == {}


@pytest.mark.parametrize("answer", ["", "26.1.5\n", "26.1.5\nnot a number\n", "\n\n"])
def test_an_answer_cut_short_is_an_error_and_not_zero_containers(answer):
    assert "unreadable" in parse_probe(answer).error


def test_a_whole_answer_is_engine_containers_and_images():
    assert parse_probe("26.1.5\n3\na:1\nb:2\n") == Probe("26.1.5", 3, frozenset({"a:1", "b:2"}))
    assert parse_probe("26.1.5\n0\n") == Probe("26.1.5", 0)


def test_a_host_that_is_never_ready_ends_with_its_last_word(tmp_path, monkeypatch):
    monkeypatch.setattr(estate, "probe_host", lambda *_: Probe(error="Connection refused"))
    with pytest.raises(EstateError, match=r"lab1 was not ready within 0 s: Connection refused"):
        estate.wait_for_host(tmp_path, "lab1", ready_timeout_seconds=0)


HOST = LabHost("lab2", "172.29.77.12", ("app",), runs_stacks=True)
GOOD = Probe("26.1.5", 2, frozenset(REFERENCES.values()))


def row(docker, wanted, probe: Probe | None, state_word: str = "running") -> tuple[str, ...]:
    machine = next(machine for machine in wanted if machine.name == HOST.name)
    docker.add(machine, state_word)
    probes = {} if probe is None else {HOST.name: probe}
    by_name = {machine.name: machine for machine in wanted}
    return estate.host_row(HOST, machines.observe_machines(), by_name, probes, REFERENCES)


def test_a_host_without_an_error_has_an_empty_last_column(docker, wanted):
    assert row(docker, wanted, GOOD) == ("lab2", "172.29.77.12", "running", "26.1.5", "2", "")


def test_a_host_that_does_not_answer_is_unknown_and_never_zero(docker, wanted):
    shown = row(docker, wanted, Probe(error="Connection timed out"))
    assert shown[3:] == ("unknown", "unknown", "Connection timed out")


def test_a_frozen_host_a_missing_image_and_a_missing_host_are_each_named(docker, wanted):
    assert row(docker, wanted, None, "paused")[2:] == ("paused", "unknown", "unknown", "needs: unpause")
    assert row(docker, wanted, Probe("26.1.5", 0))[-1] == "lacks images: app"
    assert estate.host_row(HOST, {}, {}, {}, REFERENCES)[2:] == ("absent", "unknown", "unknown", "is not there")


def test_hosts_whose_keys_are_gone_are_not_up(docker, wanted):
    docker.add(wanted[1], "running")
    shown = estate.host_row(HOST, machines.observe_machines(), {}, {HOST.name: GOOD}, REFERENCES)
    assert shown[-1] == "its keys are gone"


def test_status_of_nothing_is_not_up_and_says_what_to_type(docker, tmp_path, said):
    assert estate.status(tmp_path, said.append) is False
    assert said == ["lab: nothing is up. Type: ./runbook lab up"]


def test_the_table_lines_up():
    assert estate.format_table([("host", "state"), ("lab1", "up")]) == ["host  state", "lab1  up"]


def test_the_venue_that_refuses_on_purpose_still_answers():
    class Down(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(503)

        def log_message(self, *_: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Down) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        assert estate.outside_error(replace(estate.VENUE, address="127.0.0.1", port=server.server_port)) == ""


def test_a_venue_that_is_not_there_is_named():
    with pytest.raises(EstateError, match=r"the venue at http://127.0.0.1:9 did not answer within 0 s"):
        estate.wait_for_outside(replace(estate.VENUE, address="127.0.0.1", port=9), timeout_seconds=0)


def test_every_host_of_the_stacks_holds_only_images_that_exist():
    assert {name for host in HOSTS for name in host.images} == set(images.IMAGES)


@pytest.fixture
def docker_program(tmp_path, monkeypatch):
    """A docker on PATH whose `save` prints an archive and whose `load` on a host keeps it in a file."""

    def make(save: str = "printf archive", load: str = 'cat >"$3.loaded"') -> None:
        program = tmp_path / "docker"
        program.write_text(f"#!/bin/sh\ncd {tmp_path}\ncase $1 in save) {save} ;; exec) {load} ;; esac\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    return make


def test_images_reach_every_host_from_one_reading(docker_program, tmp_path):
    docker_program()
    estate.stream_images(["trading-core-lab/app:abc"], ["lab1", "lab2"])
    assert [(tmp_path / f"{name}.loaded").read_text() for name in ("lab1", "lab2")] == ["archive", "archive"]


def test_an_archive_that_breaks_off_is_a_failure_though_every_load_ended_well(docker_program):
    docker_program(save="printf half; exit 1")
    with pytest.raises(EstateError, match=r"'docker save': 1"):
        estate.stream_images(["trading-core-lab/app:abc"], ["lab1"])


def test_a_host_that_does_not_take_the_images_is_named(docker_program):
    docker_program(load="cat >/dev/null; [ $3 = lab1 ]")
    with pytest.raises(EstateError, match=r"'load on lab2': 1"):
        estate.stream_images(["trading-core-lab/app:abc"], ["lab1", "lab2"])


def test_a_load_that_hangs_is_given_up(docker_program, monkeypatch):
    monkeypatch.setattr(estate, "LOAD_TIMEOUT_SECONDS", 0)
    docker_program(load="exec sleep 30")
    with pytest.raises(EstateError, match=r"copying images to lab1"):
        estate.stream_images(["trading-core-lab/app:abc"], ["lab1"])
