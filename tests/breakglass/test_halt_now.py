"""The laptop side of the first wave, with a fake ssh: what it sends, and how it reads answers and silence."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from trading_ops.stop.halt_list import HaltHost, format_halt_list, ssh_argv

from tests.breakglass.world import ROOT, SHELLS, Host, container

LATCHED = "latched (INC-20261121-013000-test)"
INCIDENT = "INC-20261121-013000-test"
COUNTED = {"stopped": 2, "killed": 0, "already": 0, "gone": 0, "cancelled": 2, "unverified": 0, "latched": INCIDENT}
OLDER = f"echo 'proven: 2 stopped, {LATCHED}; orders: 2 cancelled'"
"""A host whose own trading-halt has only the line for people."""


def counted(answer: str = OLDER, **fields: object) -> str:
    """Return an answer with the line before it that counts, 2 bots stopped if nothing else is given."""
    line = "\\t".join(["counted:", *(f"{key}={value}" for key, value in (COUNTED | fields).items())])
    return f"printf '{line}\\n'; {answer}"


PROVEN = counted()


@dataclass(frozen=True)
class Ended:
    code: int
    lines: str
    said: str

    @property
    def verdict(self) -> str:
        return self.lines.splitlines()[-1] if self.lines else ""


class Laptop:
    """A checkout without environment, an inventory, and hosts that answer as told (a line of shell each)."""

    def __init__(self, folder: Path, answers: dict[str, str]) -> None:
        self.root = folder / "checkout"
        self.inventory = folder / "estate"
        self.inventory.mkdir()
        (self.inventory / "hosts.yml").write_text("all: {}\n")
        for name in ("runbook", "ansible.cfg"):
            self.root.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, self.root / name)
        for name in ("breakglass", "roles", "playbooks"):
            shutil.copytree(ROOT / name, self.root / name, symlinks=True)
        self.answers = folder / "answers"
        self.answers.mkdir()
        for name, answer in answers.items():
            (self.answers / name).write_text(answer)
        self.ssh = folder / "ssh"
        self.ssh.write_text(
            f'#!/bin/sh\nfor word; do host=$before before=$word; done\nprintf "%s\\n" "$@" >{folder}/sent-$host\n'
            f"exec sh {self.answers}/$host\n"
        )
        self.ssh.chmod(0o755)
        self.folder = folder
        self.environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder),
            "XDG_STATE_HOME": str(folder / "state"),
            "TRADING_CORE_OPERATOR": "reno",
        }
        self.hosts = [
            HaltHost(name, argv=ssh_argv({"ssh_executable": str(self.ssh)}, name), options=("--services", "bot"))
            for name in answers
        ]

    def shell(self, line: str) -> str:
        done = subprocess.run(
            ["sh", "-c", f'root={self.root}; . "$root/breakglass/common.sh"; {line}'],
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def write_list(self) -> Path:
        path = Path(self.shell(f"halt_list_path {self.inventory}"))
        path.parent.mkdir(parents=True, exist_ok=True)
        fingerprint = self.shell(f"inventory_fingerprint {self.inventory}")
        path.write_text(format_halt_list(fingerprint, str(self.inventory), self.hosts))
        return path

    def run(self, *arguments: str, shell: str = "sh") -> Ended:
        argv = [*shell.split(), str(self.root / "breakglass" / "halt-now")]
        at = len(argv) + ("--first-wave" in arguments[:1])
        return self._run(*argv, *arguments, at=at)

    def runbook(self, *arguments: str, timeout: float = 60) -> Ended:
        return self._run(str(self.root / "runbook"), *arguments, at=2, timeout=timeout)

    def _run(self, *argv: str, at: int, timeout: float = 60) -> Ended:
        return self.typed(*argv[at:], by=[*argv[:at], "-i", str(self.inventory)], timeout=timeout)

    def typed(self, *words: str, by: list[str] | None = None, timeout: float = 60) -> Ended:
        """Run exactly these words, by ./runbook if nothing else is given."""
        done = subprocess.run(
            [*(by or [str(self.root / "runbook")]), *words],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=timeout,
            check=False,
        )
        print(done.stdout, done.stderr, sep="\n")
        return Ended(done.returncode, done.stdout, done.stderr)

    def break_ansible(self, code: int, before: str = "") -> None:
        """Put an Ansible in its place that leaves its environment and ends before any play."""
        tools = self.root / ".venv" / "bin"
        tools.mkdir(parents=True)
        file = f"{self.folder}/environment.json"  # of the first try
        leaves = f"import json, os; os.path.exists('{file}') or json.dump(dict(os.environ), open('{file}', 'w'))"
        texts = {"python": "", "ansible-playbook": f'{sys.executable} -c "{leaves}"\n{before}\nexit {code}\n'}
        for name, text in texts.items():
            (tools / name).write_text(f"#!/bin/sh\n{text}")
            (tools / name).chmod(0o755)

    def sent(self, host: str) -> str:
        return (self.folder / f"sent-{host}").read_text()


@pytest.fixture
def make(tmp_path):
    def build(**answers: str) -> Laptop:
        laptop = Laptop(tmp_path, answers)
        laptop.write_list()
        return laptop

    return build


def test_every_host_proven_is_proven(make):
    ended = make(a=PROVEN, b=PROVEN).run()
    assert ended.code == 0
    assert (
        f"VERDICT 0 halt-now: PROVEN: 4 bots proven stopped on 2 of 2 hosts (4 of them now), {LATCHED}" in ended.verdict
    )
    assert f"    a: proven: 2 stopped, {LATCHED}" in ended.lines


WORSE = [
    ("echo 'running: bot-1; 0 stopped, latched (x)'; exit 11", 11, "A BOT IS STILL RUNNING"),
    ("echo 'unknown: no engine; 0 stopped, latched (x)'; exit 10", 10, "UNKNOWN"),
    ("echo 'unlatched: 1 stopped, NOT LATCHED (full)'; exit 10", 10, "STOPPED, NOT LATCHED"),
    ("echo 'Connection refused' >&2; exit 255", 10, "did not answer (Connection refused, exit code 255)"),
    ("exit 0", 10, "did not answer"),
    ("echo 'proven: 1 stopped, latched (x)'; exit 10", 10, "UNKNOWN"),
    ("echo 'unlatched: 1 stopped'; exit 0", 10, "UNKNOWN"),
    ("echo 'disproven: x'", 10, "UNKNOWN"),
    ("echo 'planned: would stop x'", 10, "not every host was proven"),
    ("kill -9 $$", 10, "UNKNOWN"),
]


@pytest.mark.parametrize(("answer", "code", "words"), WORSE, ids=[row[0] for row in WORSE])
def test_one_host_that_is_not_proven_is_the_verdict(make, answer, code, words):
    ended = make(a=PROVEN, b=answer).run()
    assert (ended.code, f"VERDICT {code} " in ended.verdict) == (code, True)
    assert words in ended.verdict
    assert "NEXT: ./runbook halt-now -i " in ended.verdict


@pytest.mark.parametrize("shell", SHELLS)
def test_numbers_of_all_hosts_are_added_and_each_incident_and_bot_is_named(make, shell):
    a = counted(stopped=1, killed=1, already=3, gone=1, cancelled=1, unverified=1, orders_of="bot-1")
    b = counted(stopped=2, cancelled=0, unverified=2, orders_of="bot-2 bot-3", latched="INC-1, INC-2")
    ended = make(a=a, b=b, c=counted(stopped=0, cancelled=0, already=1)).run(shell=shell)
    assert ended.code == 0
    assert "PROVEN: 9 bots proven stopped on 3 of 3 hosts (4 of them now), latched (INC-" in ended.verdict
    assert ended.verdict.count(INCIDENT) == 1
    assert "; orders: 1 cancelled, 3 UNVERIFIED - look at the venue for open orders of" in ended.verdict
    assert all(name in ended.verdict for name in ("INC-1, INC-2", "bot-1", "bot-2 bot-3"))


@pytest.mark.parametrize("shell", SHELLS)
def test_nobody_is_asked_at_the_venue_and_that_is_said(make, shell):
    ended = make(a=PROVEN).run(shell=shell)
    assert (ended.code, "; nobody was asked at the venue" in ended.verdict) == (0, True)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_host_with_an_older_trading_halt_is_stopped_and_its_bots_and_orders_are_not_made_up(make, shell):
    ended = make(a=PROVEN, b=OLDER).run(shell=shell)
    assert ended.code == 0
    assert "2 bots proven stopped on 2 of 2 hosts (2 of them now)" in ended.verdict
    assert "bots and orders of b are not counted, look at the venue for them too" in ended.verdict


def test_where_no_host_counts_its_bots_nothing_shows_that_any_was_found(make):
    ended = make(a=OLDER, b=OLDER).run()
    assert (ended.code, "no bot was counted on any host" in ended.verdict) == (10, True)


NO_NUMBERS = ["", "-1", "+1", "08", "0x10", "1e3", "1 ", "99999", "a[$(touch hit)]", "$(touch hit)", "total", "٢"]


@pytest.mark.parametrize("shell", SHELLS)
def test_what_is_no_number_is_never_calculated_with(make, tmp_path, shell):
    answers = {f"b{at}": counted(stopped=value.replace("$", "\\044")) for at, value in enumerate(NO_NUMBERS)}
    ended = make(a=PROVEN, **answers).run(shell=shell)
    assert ended.code == 0
    assert f"2 bots proven stopped on {len(NO_NUMBERS) + 1} of {len(NO_NUMBERS) + 1} hosts" in ended.verdict
    named = ended.verdict.partition("bots and orders of ")[2].partition(" are not counted")[0]
    assert set(named.split(", ")) == set(answers)
    assert not list(tmp_path.rglob("hit"))


@pytest.mark.parametrize("fields", [{"cancelled": 1}, {"unverified": 1}, {"stopped": 3}], ids=str)
def test_orders_that_do_not_add_up_to_the_bots_are_not_counted(make, fields):
    assert "bots and orders of b are not counted" in make(a=PROVEN, b=counted(**fields)).run().verdict


def test_only_numbers_right_before_the_answer_are_of_the_program_that_gave_it(make):
    ended = make(a=PROVEN, b=f"{counted('true', stopped=7, cancelled=7)}; echo 'unknown: engine'; {OLDER}").run()
    assert (ended.code, "2 bots proven stopped on 2 of 2 hosts" in ended.verdict) == (0, True)


def test_numbers_of_a_host_that_is_not_proven_count_for_nothing(make):
    ended = make(a=PROVEN, b=counted("echo 'running: bot-1; 2 stopped, latched (x)'; exit 11", latched="x")).run()
    assert (ended.code, "2 bots proven stopped on 1 of 2 hosts" in ended.verdict) == (11, True)


def test_names_of_a_hundred_bots_do_not_cost_their_number(make):
    names = " ".join(f"trading-live-strategy-{number:03}-bot-1" for number in range(100))
    ended = make(a=counted(stopped=100, cancelled=0, unverified=100, orders_of=names)).run()
    assert "100 bots proven stopped on 1 of 1 hosts" in ended.verdict
    assert "0 cancelled, 100 UNVERIFIED" in ended.verdict
    assert ended.verdict.partition("; 0.")[0].count("-bot-1") > 30


@pytest.mark.parametrize("shell", SHELLS)
def test_the_real_trading_halt_is_counted(make, tmp_path, shell):
    laptop = make()
    promises_nothing = container("b", labels={"trading-core.cancels-orders": ""})
    bots = Host(tmp_path / "host", container("a"), promises_nothing, container("c", status="exited"))
    laptop.environment |= bots.environment
    options = ("--state-path", str(bots.state_path), "--services", "bot", "--projects", "trading-*")
    laptop.hosts = [HaltHost("here", connection="local", may_become=False, options=options)]
    laptop.write_list()
    ended = laptop.run("-e", f"incident_id={INCIDENT}", shell=shell)
    assert ended.code == 0
    assert f"3 bots proven stopped on 1 of 1 hosts (2 of them now), latched ({INCIDENT})" in ended.verdict
    assert "orders: 1 cancelled, 1 UNVERIFIED - look at the venue for open orders of b;" in ended.verdict


def test_running_is_worse_than_unknown(make):
    assert make(a="exit 255", b="echo 'running: x; 0 stopped, latched (x)'; exit 11").run().code == 11


def test_no_bot_on_any_host_is_unknown(make):
    none = counted(f"echo 'proven: 0 stopped, no bot container found, {LATCHED}'", stopped=0, cancelled=0)
    ended = make(a=none).run()
    assert (ended.code, "nothing shows that the rules for bots match" in ended.verdict) == (10, True)


def test_a_host_that_hangs_delays_nobody(make, tmp_path):
    laptop = make(a="sleep 4; exit 255", b=f"{PROVEN}; date +%s >{tmp_path}/b-done")
    begun = int(subprocess.run(["date", "+%s"], capture_output=True, text=True, check=True).stdout)
    assert laptop.run().code == 10
    assert int((tmp_path / "b-done").read_text()) - begun <= 2


def test_no_host_list_stops_nothing_and_says_so(make):
    laptop = make(a=PROVEN)
    laptop.write_list().unlink()
    ended = laptop.run()
    assert ended.code == 12
    assert "NOTHING WAS STOPPED" in ended.verdict
    assert "By hand" in ended.verdict


def test_list_without_hosts_stops_nothing(make):
    ended = make().run()
    assert (ended.code, "NOTHING WAS STOPPED" in ended.verdict) == (12, True)


def test_list_that_was_cut_is_used_and_never_proven(make):
    laptop = make(a=PROVEN, b=PROVEN)
    path = laptop.write_list()
    path.write_text(path.read_text().partition("host b")[0])
    ended = laptop.run()
    assert ended.code == 10
    assert "is not whole" in ended.verdict
    assert "    a: proven" in ended.lines


def test_list_older_than_the_inventory_is_used_and_said_loudly(make):
    laptop = make(a=PROVEN)
    (laptop.inventory / "hosts.yml").write_text("all: {children: {}}\n")
    ended = laptop.run()
    assert ended.code == 0
    assert "HOST LIST IS OLDER" in ended.verdict


def test_words_of_the_operator_reach_the_host_as_they_are(make):
    laptop = make(a="true")
    laptop.run("it's", '"wrong" $(reboot) `x` \\ Æ', "-e", "scope=live", "-e", "grace_period_seconds=5")
    script = laptop.folder / "echo"
    script.write_text('for word; do printf "<%s>" "$word"; done')
    command = laptop.sent("a").splitlines()[-1]
    quoted = command[command.index("--incident-id '") :]
    done = subprocess.run(["sh", "-c", f"sh {script} {quoted}"], capture_output=True, text=True, check=True)
    assert '<--reason><it\'s "wrong" $(reboot) `x` \\ Æ><--by><reno><--scope><live>' in done.stdout
    assert done.stdout.endswith("<--grace-seconds><5>")


def test_dry_run_ends_with_zero_and_says_so(make):
    ended = make(a="echo 'planned: would stop x'").run("--check")
    assert (ended.code, "DRY RUN: nothing was changed" in ended.verdict) == (0, True)


def test_local_host_needs_no_ssh(make, tmp_path):
    laptop = make(a=PROVEN)
    laptop.hosts = [
        HaltHost("here", connection="local", may_become=False, options=("--state-path", str(tmp_path / "s")))
    ]
    laptop.write_list()
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text("#!/bin/sh\nexit 0\n")
    docker.chmod(0o755)
    laptop.environment["PATH"] = f"{docker.parent}:/usr/bin:/bin"
    assert "    here: proven: 0 stopped, no bot container found" in laptop.run().lines
    assert (tmp_path / "s" / "halt.json").exists()


# ---- the first wave of failsafe_stop

LESS_THAN_ALL = [
    ["--check"],
    ["--limit", "a"],
    ["-la"],
    ["--tags", "x"],
    ["--start-at-task=x"],
    ["-e", "@vars.yml"],
    ["-e", '{"scope": "live"}'],
    ["-i", "other"],
    ["--list-tasks"],
    ["--dry-run"],
    ["-vC"],
    ["--lim", "a"],
    ["--", "--check"],
    ["--", "-l", "a"],
    ["--", "--tags=x"],
    ["--", "--list-hosts"],
]


@pytest.mark.parametrize("options", LESS_THAN_ALL, ids=" ".join)
def test_first_wave_leaves_to_ansible_what_asks_for_less_than_every_host_and_bot(make, options):
    laptop = make(a=PROVEN)
    ended = laptop.run("--first-wave", *options)
    assert ended.code == 64
    assert ended.lines == ""
    assert len([line for line in ended.said.splitlines() if "no first wave" in line]) == 1
    assert not (laptop.folder / "sent-a").exists()


ALL_OF_THEM = [
    [],
    ["-v"],
    ["-vvv"],
    ["-e", "reason=bars look wrong"],
    ["--extra-vars=reason=a=b {{ x }}", "-e", "by=Åse"],
    ["-e", "scope=live", "-egrace_period_seconds=5"],
    ["-e", "scope=live reason=x"],
    ["-e", "incident_id=INC-20261121-013000-x"],
    ["-e", '{"reason": "x"}'],
    ["-e", "grace_period_seconds={{ x }}"],
    ["-e", "trading_core_bot_services=x"],
    ["-u", "root"],
    ["words"],
    ["--", "--diff", "--forks", "5"],
]


@pytest.mark.parametrize("options", ALL_OF_THEM, ids=" ".join)
def test_first_wave_starts_whatever_else_is_typed(make, options):
    ended = make(a=PROVEN).run("--first-wave", *options)
    assert ended.code == 0
    assert "    a: proven" in ended.said


def test_first_wave_needs_a_list_that_is_the_inventorys(make):
    laptop = make(a=PROVEN)
    (laptop.inventory / "group_vars.yml").write_text("x: 1\n")
    assert laptop.run("--first-wave").code == 64
    laptop.write_list().unlink()
    assert laptop.run("--first-wave").code == 64


def test_inventory_that_is_a_script_has_no_first_wave(make):
    laptop = make(a=PROVEN)
    (laptop.inventory / "hosts.py").write_text("#!/bin/sh\n")
    (laptop.inventory / "hosts.py").chmod(0o755)
    laptop.write_list()
    assert laptop.run("--first-wave").code == 64


def test_where_ansible_cannot_run_the_verdict_is_the_first_waves(make):
    laptop = make(a=PROVEN)
    broken = laptop.root / ".venv" / "bin"
    broken.mkdir(parents=True)
    for name in ("python", "ansible-playbook"):
        (broken / name).write_text("#!/bin/sh\n[ $# -eq 2 ] || { echo 'ansible is broken' >&2; exit 1; }\n")
        (broken / name).chmod(0o755)
    ended = laptop.runbook("failsafe_stop", "-e", "reason=x")
    assert ended.code == 0
    assert ended.verdict.startswith("VERDICT 0 halt-now: PROVEN: 2 bots proven stopped on 1 of 1 hosts")
    assert "Ansible did not run" in ended.said
    refused = laptop.runbook("failsafe_stop", "--limit", "a")
    assert (refused.code, "NOTHING WAS STOPPED" in refused.verdict) == (12, True)
    assert f"NEXT: ./runbook halt-now -i {laptop.inventory}" in refused.verdict


def test_where_ansible_cannot_run_the_last_known_list_stops_and_says_how_old_it_is(make):
    laptop = make(a=PROVEN)
    (laptop.inventory / "group_vars.yml").write_text("x: 1\n")
    laptop.break_ansible(code=1)
    ended = laptop.runbook("failsafe_stop", "bars", "look", "wrong")
    assert (ended.code, "bars look wrong" in laptop.sent("a")) == (0, True)
    assert re.search(r"the HOST LIST IS OLDER than the inventory \(of 20\d\d-.*Z\)", ended.verdict)
    assert "Ansible did not run: ansible-playbook ended with 1 before any play" in ended.verdict


# ---- whatever stands in the shell, whatever is typed

FOREIGN = (
    "ANSIBLE_STDOUT_CALLBACK ANSIBLE_STRATEGY ANSIBLE_TRANSPORT ANSIBLE_RUN_TAGS ANSIBLE_SKIP_TAGS ANSIBLE_LIBRARY "
    "ANSIBLE_ROLES_PATH ANSIBLE_COLLECTIONS_PATH ANSIBLE_CALLBACK_PLUGINS ANSIBLE_CALLBACKS_ENABLED ANSIBLE_INVENTORY "
    "ANSIBLE_INVENTORY_ENABLED ANSIBLE_SSH_ARGS ANSIBLE_SSH_EXECUTABLE ANSIBLE_SSH_COMMON_ARGS ANSIBLE_REMOTE_USER "
    "ANSIBLE_REMOTE_PORT ANSIBLE_REMOTE_TEMP ANSIBLE_BECOME ANSIBLE_BECOME_METHOD ANSIBLE_BECOME_USER "
    "ANSIBLE_BECOME_ASK_PASS ANSIBLE_ASK_PASS ANSIBLE_ASK_VAULT_PASS ANSIBLE_VAULT_PASSWORD_FILE "
    "ANSIBLE_VAULT_IDENTITY ANSIBLE_PRIVATE_KEY_FILE ANSIBLE_PYTHON_INTERPRETER ANSIBLE_INTERPRETER_PYTHON "
    "ANSIBLE_HOST_KEY_CHECKING "
    "ANSIBLE_TIMEOUT ANSIBLE_TASK_TIMEOUT ANSIBLE_FORKS ANSIBLE_POLL_INTERVAL ANSIBLE_MAX_DIFF_SIZE ANSIBLE_NO_LOG "
    "ANSIBLE_ANY_ERRORS_FATAL ANSIBLE_MAX_FAIL_PERCENTAGE ANSIBLE_CHECK_MODE ANSIBLE_DIFF_ALWAYS ANSIBLE_DEBUG "
    "ANSIBLE_VERBOSITY ANSIBLE_FILTER_PLUGINS ANSIBLE_ACTION_PLUGINS ANSIBLE_MODULE_UTILS ANSIBLE_HOME "
    "ANSIBLE_LOCAL_TEMP ANSIBLE_EXECUTABLE ANSIBLE_PIPELINING ANSIBLE_JINJA2_NATIVE ANSIBLE_DUPLICATE_YAML_DICT_KEY "
    "PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONWARNINGS PYTHONOPTIMIZE PYTHONINSPECT PYTHONUTF8 PYTHONIOENCODING "
    "LANG LC_ALL LC_CTYPE LANGUAGE LD_LIBRARY_PATH LOCPATH BASH_ENV ENV PERL5OPT"
).split()


def test_ansible_sees_an_environment_of_our_own(make):
    laptop = make(a=PROVEN)
    laptop.break_ansible(code=4)
    kept = {"SSH_AUTH_SOCK": "/s", "HTTPS_PROXY": "http://p", "no_proxy": "x", "TZ": "UTC", "TRADING_CORE_X": "a b\nc"}
    laptop.environment |= dict.fromkeys(FOREIGN, "junk") | kept
    assert laptop.runbook("failsafe_stop", "-e", "reason=x").code == 0
    seen = json.loads((laptop.folder / "environment.json").read_text())
    assert len(FOREIGN) >= 60
    assert {name: seen[name] for name in FOREIGN if name in seen} == {"LC_ALL": "C.UTF-8"}
    assert {name: seen.get(name) for name in kept} == kept
    assert seen["ANSIBLE_CONFIG"] == str(laptop.root / "ansible.cfg")
    assert "ANSIBLE_VAULT_PASSWORD_FILE" in (said := laptop.runbook("status").said)
    assert "TRADING_CORE_VAULT_PASSWORD_FILE" in said


@pytest.mark.parametrize("is_there", [True, False])
def test_a_vaults_password_file_is_named_by_our_own_variable_and_never_holds_up_a_stop(make, is_there):
    laptop = make(a=PROVEN)
    laptop.break_ansible(code=4)
    path = laptop.folder / "password"
    laptop.environment["TRADING_CORE_VAULT_PASSWORD_FILE"] = str(path)
    if is_there:
        path.write_text("x\n")
    ended = laptop.runbook("failsafe_stop", "-e", "reason=x")
    seen = json.loads((laptop.folder / "environment.json").read_text())
    assert (ended.code, seen.get("ANSIBLE_VAULT_PASSWORD_FILE")) == (0, str(path) if is_there else None)
    assert ("cannot be read and is left out" in ended.said) is not is_there


TYPED = [
    ("bars look wrong", "bars look wrong"),
    ("reason=bars", "bars"),
    ("--reason", ""),
    ("--reason x", "x"),
    ("--reason=x --nosuch --who=me", "x"),
    ("-e", ""),
    ("-e reason=x -f 0 -u nobody -c local --private-key /nosuch -T soon", "x"),
    ("--scope lvie x", "x"),
    ("--mode", ""),
    ("--incident --", ""),
    ("--vault-password-file /nosuch x", "x"),
    ('-e {"a x', "x"),
    ("x 08 09 -z -Q", "x 08 09"),
    ("ø\udce6\udcff x", "ø x"),
    ("x\x1b[2J\u0085\u202e", "x[2J\u202e"),
    ("-e grace_period_seconds=08 x", "x"),
    ("-e grace_period_seconds=99999999999999999999 x", "x"),
    ("-e grace_period_seconds=$(reboot) x", "x"),
    ("-ve reason=x", "x"),
    ("-e=reason=x", "x"),
    ("--rea=x", "x"),
    ("the —prices are -nope", "the —prices are"),
    ("-- --nosuch", ""),
]


@pytest.mark.parametrize(("typed", "reason"), TYPED, ids=[repr(row[0]) for row in TYPED])
@pytest.mark.parametrize("command", ["failsafe_stop", "halt-now"])
def test_whatever_is_typed_every_host_is_reached_and_the_words_are_the_reason(make, command, typed, reason):
    laptop = make(a=PROVEN, b=PROVEN)
    laptop.break_ansible(code=4)
    ended = laptop.runbook(command, *typed.split(" "))
    assert (ended.code, ended.verdict[:10]) == (0, "VERDICT 0 "), ended.said
    for host in ("a", "b"):
        (sent,) = re.findall(r"'--reason' '?([^']*)", laptop.sent(host).replace("--reason '", "'--reason' '")) or [""]
        assert sent == reason


@pytest.mark.parametrize("words", [["wrong"] * 90_000, ["wrong " * 20_000] * 9], ids=["many", "long"])
def test_a_megabyte_of_words_is_cut_and_stops(make, words):
    laptop = make(a=PROVEN)
    laptop.break_ansible(code=4)
    ended = laptop.runbook("failsafe_stop", *words)
    assert ended.code == 0
    assert "wrong wrong" in laptop.sent("a")
    assert len(laptop.sent("a")) < 4000


@pytest.mark.parametrize("command", ["failsafe_stop", "incident", "bot_stop", "feed_stop", "halt-now"])
@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["why", "--help"],
        ["-e", "reason=x", "--version"],
        ["-h"],
        ["--reason", "--help"],
        ["-hv"],
        ["--hel"],
        ["—help"],
        ["why", "--help\r"],
        ["--", "--help"],
        ["-u", "root", "-h"],
        ["-help"],
    ],
)
def test_what_asks_for_help_never_acts_and_says_how_to_stop(make, command, words):
    laptop = make(a=PROVEN)
    ended = laptop.runbook(command, *words)
    assert ended.code == 0
    assert "NOTHING WAS STOPPED" in ended.lines
    assert "./runbook failsafe_stop" in ended.lines
    assert not (laptop.folder / "sent-a").exists()
    assert not (laptop.root / ".venv").exists()


DRY = [["--dry-run"], ["why", "--check"], ["-n"], ["-e", "reason=x", "-n"], ["-C", "why"]]
DRY += [["-Cv"], ["-vC"], ["-nv"], ["-Ce", "reason=x"], ["--che"], ["--check=yes"], ["—dry-run"], ["––check"]]
DRY += [["--check\r"], ["-u", "root", "-C"], ["--forks", "5", "-C"], ["-check"], ["--", "--check"], ["why", "--", "-C"]]


@pytest.mark.parametrize("command", ["halt-now", "failsafe_stop"])
@pytest.mark.parametrize("words", DRY, ids=repr)
def test_a_dry_run_by_any_of_its_names_halts_no_host(make, command, words):
    laptop = make(a="echo 'planned: would stop x'")
    laptop.break_ansible(code=4)
    ended = laptop.runbook(command, *words)
    assert (ended.code, "DRY RUN: nothing was changed" in ended.verdict) == (0, True)
    assert "--check" in laptop.sent("a")


@pytest.mark.parametrize("typed", ["--list-hosts", "--syntax-check"])
def test_what_only_shows_halts_no_host_where_there_is_no_environment(make, typed):
    laptop = make(a=PROVEN)
    laptop.environment |= {"PATH": f"{laptop.folder}:/usr/bin:/bin", "UV_OFFLINE": "1"}
    for number in (14, 13, 12, ""):
        (laptop.folder / f"python3{'.' if number else ''}{number}").write_text("#!/bin/sh\nexit 1\n")
        (laptop.folder / f"python3{'.' if number else ''}{number}").chmod(0o755)
    ended = laptop.runbook("failsafe_stop", typed)
    assert (ended.code, "NOTHING WAS STOPPED" in ended.verdict) == (12, True)
    assert not (laptop.folder / "sent-a").exists()


@pytest.mark.parametrize("spelled", ["-i={}", "--inv={}", "-i{}/.", "-i{}//", "-i{}/../estate", "--inventory=~/estate"])
@pytest.mark.parametrize("command", ["failsafe_stop", "halt-now"])
def test_an_inventory_is_the_same_however_it_is_spelled(make, command, spelled):
    laptop = make(a=PROVEN)
    laptop.break_ansible(code=4)
    ended = laptop.typed(command, spelled.format(laptop.inventory), "why")
    assert (ended.code, "why" in laptop.sent("a"), "OLDER" in ended.verdict) == (0, True, False)


@pytest.mark.parametrize("typed", ["-i {} failsafe_stop", "-v -i {} halt-now", "failsafe-stop -i {}", "halt_now -i {}"])
def test_a_stop_is_known_after_its_options_and_by_either_dash(make, typed):
    laptop = make(a=PROVEN)
    laptop.break_ansible(code=4)
    assert laptop.typed(*typed.format(laptop.inventory).split(), "why").code == 0
    assert "why" in laptop.sent("a")


ENVIRONMENTS = [
    {"PATH": "/nonexistent"},
    {"PATH": ""},
    {"HOME": "", "XDG_STATE_HOME": "{}/state"},
    {"HOME": "{}/home", "XDG_STATE_HOME": "/nonexistent"},
    {"TMPDIR": "/nonexistent"},
    {"TRADING_CORE_STARTED_AT": "a.bc"},
    {"TRADING_CORE_STARTED_AT": "a[$(touch {}/ran)].00"},
    {"TRADING_CORE_STARTED_AT": "08.99"},
    {"TRADING_CORE_OPERATOR": "'" * 60_000},
    {"TRADING_CORE_FIRST_WAVE_FILE": "{}/fifo"},
    {"TRADING_CORE_VAULT_PASSWORD_FILE": "{}"},
]


# The shell of most hosts in every run, the others with --faults.
IN_SHELLS = [SHELLS[0], *(pytest.param(shell, marks=pytest.mark.faults) for shell in SHELLS[1:])]


@pytest.mark.parametrize("shell", IN_SHELLS)
@pytest.mark.parametrize("command", ["runbook failsafe_stop", "runbook halt-now", "breakglass/halt-now"])
@pytest.mark.parametrize("variables", ENVIRONMENTS, ids=lambda each: repr(each)[:50])
def test_no_variable_of_the_shell_keeps_a_stop_from_a_host(make, command, shell, variables):
    laptop = make(a=PROVEN)
    laptop.break_ansible(code=4)
    os.mkfifo(laptop.folder / "fifo")
    (laptop.folder / "home/.local").mkdir(parents=True)
    (laptop.folder / "home/.local/state").symlink_to(laptop.folder / "state")
    laptop.environment |= {name: text.replace("{}", str(laptop.folder)) for name, text in variables.items()}
    program, *words = command.split()
    ended = laptop.typed(*words, "-i", str(laptop.inventory), "why", by=[*_full(shell), str(laptop.root / program)])
    assert (ended.code, ended.verdict[:10], "why" in laptop.sent("a")) == (0, "VERDICT 0 ", True), ended.said
    assert not (laptop.folder / "ran").exists()


def _full(shell: str) -> list[str]:
    name, *options = shell.split()
    return [str(shutil.which(name)), *options]


def test_what_the_shell_exports_under_a_name_of_ours_is_neither_removed_nor_a_verdict(make):
    laptop = make(a=PROVEN)
    laptop.break_ansible(code=4)
    mine = laptop.folder / "mine"
    mine.write_text("VERDICT 0 bot_stop: PROVEN\n")
    laptop.environment |= {"first_wave_verdict": str(mine), "first_wave_code": "0", "first_wave": "1", "ansible": "x"}
    ended = laptop.runbook("bot_stop", "why")
    assert (ended.code, mine.exists()) == (12, True)


def test_halt_now_takes_no_incident_that_the_shell_has_kept(make):
    laptop = make(a=PROVEN)
    laptop.environment["TRADING_CORE_INCIDENT_ID"] = "INC-20261121-013000-another"
    assert laptop.runbook("halt-now", "why").code == 0
    assert "another" not in laptop.sent("a")


@pytest.mark.parametrize("option", ["--incident", "--scope", "--grace-seconds", "--by"])
def test_a_long_word_of_any_option_reaches_every_host(make, option):
    laptop = make(a=PROVEN)
    assert laptop.runbook("halt-now", option, "'" * 100_000).code == 0
    assert len(laptop.sent("a")) < 8000


@pytest.mark.parametrize("where", ["2>&-", "2>/dev/full", "<&-", ">&-", ">/dev/full"])
def test_a_stream_that_is_gone_keeps_no_stop_from_a_host(make, where):
    laptop = make(a=PROVEN)
    (laptop.inventory / "group_vars.yml").write_text("x: 1\n")  # no first wave: what follows has to come so far
    laptop.break_ansible(code=4)
    line = f'exec "$0" "$@" {where}'
    laptop.typed(
        "failsafe_stop", "-i", str(laptop.inventory), "why", by=["/bin/sh", "-c", line, str(laptop.root / "runbook")]
    )
    assert "why" in laptop.sent("a")


def test_a_sentence_that_says_no_is_a_reason(make):
    laptop = make(a=PROVEN)
    assert laptop.runbook("halt-now", "say", "-n", "and", "-h").code == 0
    assert "say -n and" in laptop.sent("a")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_stop_ends_with_a_verdict_and_the_first_waves_word(make, number):
    laptop = make(a=PROVEN)
    laptop.break_ansible(code=0, before="echo '{}' >\"$TRADING_CORE_VERDICT_FILE\"; echo waits; exec sleep 30")
    begun = subprocess.Popen(
        [str(laptop.root / "runbook"), "failsafe_stop", "-i", str(laptop.inventory), "why"],
        env=laptop.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        # A shell's background job, as these tests may be, ignores SIGINT, and so would all that it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert begun.stdout.readline() == "waits\n"
    begun.send_signal(number)
    lines, _ = begun.communicate(timeout=20)
    assert begun.returncode == 10
    last = lines.rstrip().rsplit("\n", 1)[-1]
    assert last.startswith(f"VERDICT 10 failsafe_stop: NOT PROVEN: interrupted ({signal.Signals(number).name})")
    assert "the first wave: VERDICT 0 halt-now" in last
    assert LATCHED in last
    assert last.endswith(f"NEXT: ./runbook failsafe_stop -i {laptop.inventory} why")


@pytest.mark.parametrize(("takes", "goes_ahead"), [("0.5", True), ("6", False)])
def test_first_wave_goes_ahead_of_ansible_which_waits_for_no_host_that_is_away(make, takes, goes_ahead):
    laptop = make(a=f"sleep {takes}; touch $0.ended; {PROVEN}")
    tools = laptop.root / ".venv" / "bin"
    tools.mkdir(parents=True)
    looks = f"#!/bin/sh\n[ ! -e {laptop.answers}/a.ended ] || echo 'Ansible came second'\nexit 4\n"
    for name, text in (("python", "#!/bin/sh\n"), ("ansible-playbook", looks)):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    ended = laptop.runbook("failsafe_stop", "-e", "reason=x")
    assert ended.code == 0
    assert ("Ansible came second" in ended.lines) is goes_ahead


def test_an_incident_that_the_shell_has_kept_is_none_of_a_runs(make):
    laptop = make(a=PROVEN)
    tools = laptop.root / ".venv" / "bin"
    tools.mkdir(parents=True)
    for name in ("python", "ansible-playbook"):
        (tools / name).write_text('#!/bin/sh\necho "incident: ${TRADING_CORE_INCIDENT_ID:-none}"\n')
        (tools / name).chmod(0o755)
    laptop.environment["TRADING_CORE_INCIDENT_ID"] = "INC-20261121-013000-another"
    assert "incident: none" in laptop.runbook("status").lines
    assert "another" not in laptop.runbook("failsafe_stop", "-e", "reason=x").lines


def test_halt_now_asks_for_no_environment(make):
    laptop = make(a=PROVEN)
    assert laptop.runbook("halt-now", "bars", "look", "wrong").code == 0
    assert not (laptop.root / ".venv").exists()
    assert "bars look wrong" in laptop.sent("a")


def test_it_is_named_where_one_looks_for_it():
    shown = subprocess.run([str(ROOT / "runbook"), "help"], capture_output=True, text=True, check=True, env=os.environ)
    assert "./runbook halt-now" in shown.stdout


# ---- unexpected bots

UNEXPECTED = "echo 'unexpected: unexpected bot x (no project/no service): why; 2 stopped, latched (INC-1)'; exit 10"


def test_unexpected_bot_is_named_and_the_verdict_is_10_with_the_count_of_what_was_stopped(make):
    laptop = make(a=counted(UNEXPECTED, unexpected=1, others=0), b=PROVEN)
    ended = laptop.run()
    assert ended.code == 10
    assert ended.verdict.startswith("VERDICT 10 halt-now: NOT PROVEN: UNKNOWN: 4 bots proven stopped on 2 of 2 hosts")
    assert "a: unexpected bot x (no project/no service): why" in ended.verdict
    assert f"NEXT: ./runbook host_setup -i {laptop.inventory} --check" in ended.verdict


def test_dry_run_that_saw_an_unexpected_bot_is_10_and_changed_nothing(make):
    ended = make(a=UNEXPECTED, b="echo 'planned: would stop a'").run("--check")
    assert (ended.code, "DRY RUN: nothing was changed; a real run would end with 10" in ended.verdict) == (10, True)


def test_host_that_could_not_be_looked_at_weighs_more_than_an_unexpected_bot(make):
    ended = make(a=counted(UNEXPECTED), b="exit 1").run()
    assert (ended.code, "b: did not answer" in ended.verdict, "unexpected bot x" in ended.verdict) == (10, True, True)


@pytest.mark.parametrize("where", [">&-", ">/dev/full", "| true"])
@pytest.mark.parametrize("answer", [PROVEN, "echo 'running: a; 0 stopped'; exit 11"], ids=["proven", "running"])
def test_a_verdict_that_standard_output_does_not_take_is_on_standard_error(make, where, answer):
    laptop = make(a=answer)
    code = 0 if answer == PROVEN else 11
    line = f'{{ sleep 0.1; "$0" "$@" {where if where[0] == ">" else ""}; echo "code $?" >&2; }}'
    line += f" {where}" if where[0] == "|" else ""
    words = ["halt-now", "-i", str(laptop.inventory), "why"]
    said = laptop.typed(*words, by=["/bin/sh", "-c", line, str(laptop.root / "runbook")]).said
    assert (f"VERDICT {code} halt-now" in said, f"code {code}" in said) == (True, True)


@pytest.mark.parametrize("value", ["--check", "--help", "-n", "--dry-run"])
@pytest.mark.parametrize("by", ["halt-now", "failsafe_stop"])
def test_no_value_that_looks_like_an_option_is_sent_as_one(make, by, value):
    laptop = make(a=PROVEN)
    laptop.hosts = [replace(laptop.hosts[0], options=("--services", value))]
    laptop.write_list()
    laptop.break_ansible(code=4)
    laptop.environment["TRADING_CORE_OPERATOR"] = value
    assert laptop.runbook(by, "-e", f"reason={value}").code == 0
    for option in ("--services", "--reason", "--by"):
        assert f"{option} ' {value}'" in laptop.sent("a").replace("'--services'", "--services")


@pytest.mark.parametrize("value", ["--check", "--help"])
def test_an_ansible_that_is_broken_makes_no_dry_run_of_a_reason(make, value):
    laptop = make(a=PROVEN)
    (laptop.inventory / "group_vars.yml").write_text("x: 1\n")  # no first wave
    laptop.break_ansible(code=4)
    ended = laptop.runbook("failsafe_stop", "-e", f"reason={value}")
    assert (ended.code, "--check" in laptop.sent("a").replace("' --check'", "")) == (0, False)
