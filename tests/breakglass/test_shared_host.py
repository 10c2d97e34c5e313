"""Who shares the host with trading-halt: users who hold locks, lay links and call it by sudo, and older versions."""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from trading_ops.core.locks import lock_name
from trading_ops.state.latch import Latch, format_latch, parse_latch, read_latch

from tests.breakglass.world import ROOT, TRADING_HALT, Host, container

ID = "INC-20261121-013000-x"
OLD = Latch("all", ("INC-20261121-012900-old",), "2026-11-21T01:29:00Z", "kim", "first")
NOBODY = 65534
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="the place of root's locks is root's")

# What a version of before knows of the latch. The names are frozen here; nothing below may take them from the code.
OLD_PLACE, NEW_PLACE = "halt.json", "latch/halt.json"
PLACES = [OLD_PLACE, NEW_PLACE]


@pytest.fixture
def make(tmp_path: Path):
    numbers = itertools.count()
    return lambda *containers, **more: Host(tmp_path / str(next(numbers)), *containers, **more)


def write(host: Host, place: str, text: str) -> None:
    path = host.state_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def latches(host: Host) -> list[Latch]:
    return [parse_latch((host.state_path / place).read_text()) for place in PLACES]


def written_anywhere(host: Host) -> set[str]:
    return {str(path.relative_to(host.state_path)) for path in host.state_path.rglob("*") if not path.is_dir()}


# ---- two places


@pytest.mark.parametrize("uid", [0, 1000], ids=["root", "the docker group alone"])
def test_a_halt_is_where_bots_of_either_version_look(make, uid):
    host = make(container("a"), uid=uid)
    assert host.halt("--incident-id", ID).code == 0
    old, new = latches(host)
    assert (old, new.incident_ids, old.damaged) == (new, (ID,), "")
    assert (host.state_path / "latch").stat().st_mode & 0o777 == 0o755
    assert all((host.state_path / place).stat().st_mode & 0o777 == 0o644 for place in PLACES)
    assert written_anywhere(host) - {"audit.jsonl"} == set(PLACES)
    assert host.halt().line.endswith(f"latched ({ID})")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("scope", ["all", "live"])
def test_what_stands_in_one_place_alone_comes_to_both_and_keeps_its_incident(make, place, scope):
    host = make()
    write(host, place, format_latch(Latch("live", *list(vars(OLD).values())[1:-1])))
    assert f"latched ({OLD.incident_ids[0]})" in host.halt("--incident-id", ID, "--scope", scope).line
    old, new = latches(host)
    assert (old, old.incident_ids, old.scope) == (new, OLD.incident_ids, scope)
    assert read_latch(host.state_path) == new


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("text", ["", "garbage", '{\n"scope": "all",\n"incident_ids": ["INC-by-hand"]}\n'])
def test_what_no_shell_wrote_halts_in_both_places_too(make, place, text):
    host = make(container("a"))
    write(host, place, text)
    assert host.halt().code == 0
    assert all((host.state_path / each).exists() for each in PLACES)
    assert (host.state_path / place).read_text() == text
    assert read_latch(host.state_path).blocks("paper")


def test_both_places_are_widened(make):
    host = make()
    host.halt("--incident-id", ID, "--scope", "live")
    host.halt("--scope", "all")
    assert {(each.scope, each.incident_ids) for each in latches(host)} == {("all", (ID,))}


@pytest.mark.parametrize("place", PLACES)
def test_one_place_that_cannot_be_written_is_not_latched_and_the_other_halts(make, place):
    host = make(container("a"))
    write(host, "desired.json", "{}")
    if place == OLD_PLACE:
        (host._bin / "ln").write_text(
            f'#!/bin/sh\n[ "$2" = {host.state_path}/halt.json ] || exec /bin/ln "$@"\nexit 1\n'
        )
        (host._bin / "mv").write_text("#!/bin/sh\nexit 1\n")
        for name in ("ln", "mv"):
            (host._bin / name).chmod(0o755)
    else:
        (host.state_path / "latch").write_text("a file where the folder should be")
    said = host.halt()
    assert (said.code, said.word, host.status()) == (10, "unlatched", {"a": "exited"})
    assert read_latch(host.state_path).blocks("paper")


def test_the_latch_is_tried_once_more_after_the_bots_have_ended(make):
    # Finding 5: a bot that filled the disk, or held what the latch needs, has ended by then.
    host = make(container("a"))
    full = host._bin / "dd"
    full.write_text(f'#!/bin/sh\ngrep -q \'"status": "running"\' {host.world_file} && exit 1\nexec /bin/dd "$@"\n')
    full.chmod(0o755)
    said = host.halt("--incident-id", ID)
    assert (said.code, said.word) == (0, "proven")
    assert {each.incident_ids for each in latches(host)} == {(ID,)}
    assert written_anywhere(host) - {"audit.jsonl"} == set(PLACES)  # nothing half written is left


# ---- locks


@pytest.fixture
def holder() -> Iterator[list[int]]:
    held: list[int] = []
    yield held
    for descriptor in held:
        os.close(descriptor)


@root_only
def test_python_and_shell_share_one_lock_that_is_roots_alone(make):
    host = make()
    host.halt()
    folder = host.system / "run/lock/trading-core"
    lock = folder / lock_name(host.state_path, "latch")
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, lock)] == [0o700, 0o600]
    assert not list(host.state_path.rglob("*lock*"))


@root_only
def test_a_halt_waits_for_its_lock_a_second_and_never_fails_for_it(make, holder):
    host = make(container("a"))
    host.halt("--incident-id", ID)
    (host.state_path / OLD_PLACE).unlink()
    holder.append(os.open(host.system / "run/lock/trading-core" / lock_name(host.state_path, "latch"), os.O_RDWR))
    fcntl.flock(holder[0], fcntl.LOCK_EX)
    said = host.halt()
    assert (said.code, said.seconds > 1) == (0, True)
    assert (host.state_path / OLD_PLACE).exists()


def test_who_holds_every_lock_within_reach_holds_up_no_halt(make, holder):
    host = make(container("a"))
    host.halt("--incident-id", ID)
    for path in [host.state_path, *host.state_path.rglob("*")]:
        holder.append(os.open(path, os.O_RDONLY))
        fcntl.flock(holder[-1], fcntl.LOCK_EX)
    for place in PLACES:
        (host.state_path / place).unlink()
    waits = host._bin / "flock"
    waits.write_text(f'#!/bin/sh\n/usr/bin/flock "$@"\necho $? >>{host.system}/waits\n')
    waits.chmod(0o755)
    assert host.halt("--incident-id", ID).code == 0
    assert len(latches(host)) == 2
    if os.geteuid() == 0:
        assert (host.system / "waits").read_text() == "0\n"


@root_only
@pytest.mark.parametrize("kind", ["folder", "link"])
def test_a_lock_folder_of_another_user_is_not_used_and_stops_no_halt(make, tmp_path, kind):
    host = make(container("a"))
    folder, victim = host.system / "run/lock/trading-core", tmp_path / "victim"
    for path in (folder.parent, victim):
        path.mkdir(parents=True)
    if kind == "folder":
        folder.mkdir()
        os.chown(folder, NOBODY, NOBODY)
    else:
        folder.symlink_to(victim)
    assert host.halt().code == 0
    assert list(folder.iterdir()) == list(victim.iterdir()) == []


def test_without_root_there_is_no_lock(make):
    host = make(uid=1000)
    host.halt()
    assert not (host.system / "run/lock").exists()


# ---- files that others lay


def test_a_link_in_the_place_of_the_audit_log_is_not_followed(make):
    # Finding 6: what was appended to bots.conf this way, the next call ran as root.
    host = make(container("a"))
    conf = host.system / "etc/trading-core/bots.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text("TRADING_CORE_BOT_SERVICES=bot\n")
    host.state_path.mkdir()
    (host.state_path / "audit.jsonl").symlink_to(conf)
    assert host.halt("--by", "$(id >PWNED)").code == 0
    assert conf.read_text() == "TRADING_CORE_BOT_SERVICES=bot\n"


@pytest.mark.parametrize("place", PLACES)
def test_a_link_in_the_place_of_the_latch_is_engaged_and_not_written_through(make, tmp_path, place):
    host = make(container("a"))
    (host.state_path / place).parent.mkdir(parents=True)
    (host.state_path / place).symlink_to(tmp_path / "victim")
    assert host.halt("--incident-id", ID).code == 0
    assert not (tmp_path / "victim").exists()
    assert read_latch(host.state_path).blocks("live")


def test_a_name_that_another_user_guessed_is_not_written_through(make, tmp_path):
    host = make(container("a"))
    host.state_path.mkdir()
    victim = tmp_path / "victim"
    code = TRADING_HALT.read_text().replace("/proc/sys/kernel/random/uuid", f"{tmp_path}/guessed")
    (tmp_path / "guessed").write_text("0000\n")
    (tmp_path / "script").write_text(code)
    (host.state_path / "halt.json.0000.tmp").symlink_to(victim)
    done = subprocess.run(
        ["sh", tmp_path / "script", "--state-path", host.state_path],
        env=os.environ | host.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "NOT LATCHED" in done.stdout) == (10, True)
    assert not victim.exists()
    assert (host.state_path / "halt.json.0000.tmp").is_symlink()


# ---- settings are data


@pytest.mark.parametrize(
    "text",
    [
        'TRADING_CORE_BOT_SERVICES="$(touch {pwned})"',
        "TRADING_CORE_BOT_SERVICES=`touch {pwned}`",
        "touch {pwned}",
        '{{"time": 1, "by": "$(touch {pwned})"}}',
        'TRADING_CORE_STATE_PATH="x"; touch {pwned}; y="z"',
        "TRADING_CORE_GRACE_PERIOD_SECONDS=a[$(touch {pwned})]",
    ],
)
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_nothing_in_the_settings_is_run(make, tmp_path, text, shell):
    host = make(container("a"), container("b", labels={"com.docker.compose.service": "strategy"}))
    conf = host.system / "etc/trading-core/bots.conf"
    conf.parent.mkdir(parents=True)
    pwned = tmp_path / "PWNED"
    conf.write_text(text.format(pwned=pwned) + '\nTRADING_CORE_BOT_SERVICES="strategy bot"\n# x\n')
    for options in (["--check"], []):
        assert host.halt(*options, shell=shell).code == 0
    assert not pwned.exists()
    assert host.status() == {"a": "exited", "b": "exited"}


def test_settings_of_before_and_by_hand_are_read(make, tmp_path):
    host = make(container("a", labels={"com.docker.compose.service": "x1"}))
    conf = host.system / "etc/trading-core/bots.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text(
        "# by an older host_setup\n\nTRADING_CORE_BOT_SERVICES='x? y'\nTRADING_CORE_BOT_PROJECTS=\"trading-*\"\n"
        'TRADING_CORE_OTHER_SERVICES=""\nTRADING_CORE_GRACE_PERIOD_SECONDS=3'
    )
    said = host.halt()
    assert (said.code, said.warnings, host.status()) == (0, "", {"a": "exited"})
    assert ["stop", "-t", "3"] in [call[:3] for call in host.world["calls"]]


# ---- by way of sudo


class Sudo:
    """The installed command as sudo runs it: what it may not take over stands in the caller's environment and words."""

    def __init__(self, host: Host, folder: Path) -> None:
        program = folder / "program"
        program.write_text(TRADING_HALT.read_text())
        program.chmod(0o755)
        path = "PATH=/usr/local/sbin:"
        kept = " ".join(f"{key}={value}" for key, value in host.environment.items() if key != "PATH")
        text = (ROOT / "breakglass" / "trading-halt-sudo").read_text()
        assert text.count("/usr/local/libexec/trading-core/trading-halt") == text.count(path) == 1
        text = text.replace("/usr/local/libexec/trading-core/trading-halt", str(program))
        self._script = text.replace(path, f"{kept} PATH={host._bin}:/usr/local/sbin:")
        conf = host.system / "etc/trading-core/bots.conf"
        conf.parent.mkdir(parents=True, exist_ok=True)
        conf.write_text(f'TRADING_CORE_STATE_PATH="{host.state_path}"\nTRADING_CORE_BOT_SERVICES="bot"\n')
        self.host = host

    def call(self, *words: str, shell: str = "sh", **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [shell, "-s", "--", *words],
            input=self._script,
            env={**os.environ, "SUDO_UID": str(NOBODY), **environment},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def sudo(make, tmp_path: Path) -> Sudo:
    return Sudo(make(container("a")), tmp_path)


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_what_a_person_and_a_first_wave_say_is_taken_over(sudo, shell):
    words = ["--incident-id", ID, "--reason", "bars 'look' $(wrong)  ", "--by", "reno", "--scope", "live"]
    done = sudo.call(*words, "--grace-seconds", "3", "--run-id", "20261121-013000", shell=shell)
    assert (done.returncode, done.stderr) == (0, "")
    latch = read_latch(sudo.host.state_path)
    assert (latch.scope, latch.incident_ids, latch.by, latch.reason) == ("live", (ID,), "reno", "bars 'look' $(wrong)")


def test_a_dry_run_writes_nothing(sudo):
    assert "nothing was changed" in sudo.call("--check").stdout
    assert not sudo.host.state_path.exists()


@pytest.mark.parametrize(
    "words", [["--help"], ["-h"], ["-n"], ["--dry-run"], ["--nosuch", "--check"], ["--reason", "--check"]]
)
def test_help_and_a_dry_run_by_way_of_sudo_change_nothing(sudo, words):
    sudo.call(*words)
    assert (sudo.host.status(), sudo.host.state_path.exists()) == ({"a": "running"}, False)


@pytest.mark.parametrize("words", [["--reason=--check"], ["--by", " --dry-run"]])
def test_a_value_that_looks_like_a_dry_run_stops_by_way_of_sudo(sudo, words):
    assert (sudo.call(*words).returncode, sudo.host.status()) == (0, {"a": "exited"})


def test_paths_and_rules_of_an_older_or_newer_caller_are_left_out_and_the_stop_happens(sudo, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    words = ["--state-path", str(elsewhere), "--docker-url", "tcp://evil", "--services", "nothing", "--images", ""]
    done = sudo.call(*words, "--other-services", "a", "--stop-unexpected", "x", "--projects", "x")
    assert done.returncode == 0
    assert "--state-path --docker-url --services" in done.stderr
    assert sudo.host.status() == {"a": "exited"}
    assert read_latch(sudo.host.state_path)
    assert not elsewhere.exists()


@pytest.mark.parametrize(
    "words",
    [
        ["--scope", "papr"],
        ["--grace-seconds", "9999"],
        ["--grace-seconds", "a[$(id)]"],
        ["--incident-id", "INC-../../x"],
        ["--incident-id", "-x"],
        ["--incident-id", "x y"],
        ["--incident-id", f"INC-{'x' * 99}"],
        ["--run-id", "20261121_013000x"],
        ["--nonsense", "x"],
        ["--reason"],
        ["please"],
        ["--"],
        ["--state-path"],
    ],
    ids=" ".join,
)
def test_what_makes_no_sense_is_named_and_everything_stops(sudo, words):
    done = sudo.call(*words)
    assert (done.returncode, "warning: " in done.stderr, sudo.host.status()) == (0, True, {"a": "exited"})
    latch = read_latch(sudo.host.state_path)
    assert (latch.scope, latch.incident_ids[0].endswith("-not-given")) == ("all", True)


def test_finding_6_ends_with_nothing_of_roots_written_or_run(sudo, tmp_path):
    own = tmp_path / "state"
    own.mkdir()
    conf = sudo.host.system / "etc/trading-core/bots.conf"
    before, pwned = conf.read_text(), tmp_path / "PWNED"
    (own / "audit.jsonl").symlink_to(conf)
    for words in (["--state-path", str(own), "--by", f"$(touch {pwned})"], ["--check"]):
        sudo.call(*words)
    assert (conf.read_text(), pwned.exists()) == (before, False)
    assert json.loads((sudo.host.state_path / "audit.jsonl").read_text())["by"] == f"$(touch {pwned})"
    assert [path.name for path in own.iterdir()] == ["audit.jsonl"]


def test_the_callers_environment_is_left_behind(sudo, tmp_path):
    evil = tmp_path / "evil"
    evil.mkdir()
    for name in ("docker", "dd", "id", "iconv", "sed"):
        (evil / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/PWNED\n")
        (evil / name).chmod(0o755)
    seen = tmp_path / "environment"
    (sudo.host._bin / "id").write_text(f"#!/bin/sh\nenv >>{seen}\necho 0\n")
    done = sudo.call(PATH=f"{evil}:{os.environ['PATH']}", TRADING_HALT_SYSTEM_ROOT=str(evil), DOCKER_CONFIG=str(evil))
    assert (done.returncode, sudo.host.status()) == (0, {"a": "exited"})
    assert not (tmp_path / "PWNED").exists()
    assert "DOCKER_CONFIG" not in seen.read_text()


def test_who_is_root_without_sudo_may_say_everything(sudo, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    done = sudo.call("--state-path", str(elsewhere), SUDO_UID="", **sudo.host.environment)
    assert done.returncode == 0
    assert read_latch(elsewhere)


def test_the_rule_allows_that_command_alone():
    rule = (ROOT / "roles/host_setup/templates/sudoers.j2").read_text().splitlines()[-1]
    assert rule == "%{{ host_setup_operator_group }} ALL=(root) NOPASSWD: /usr/local/sbin/trading-halt"
    (play,) = yaml.safe_load((ROOT / "roles/host_setup/tasks/install.yml").read_text())[1:]
    files = {item["path"]: item["content"] for item in play["trading_guard"]["files"]}
    assert "'/trading-halt-sudo'" in files["/usr/local/sbin/trading-halt"]
    assert "'/trading-halt'" in files["/usr/local/libexec/trading-core/trading-halt"]
