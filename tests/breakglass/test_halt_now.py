"""The laptop side of the first wave, with a fake ssh: what it sends, and how it reads answers and silence."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from trading_ops.stop.halt_list import HaltHost, format_halt_list, ssh_argv

from tests.breakglass.world import ROOT, Host, container

SHELLS = ["dash", "bash", "bash --posix"]
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
        return self._run(*shell.split(), str(self.root / "breakglass" / "halt-now"), *arguments)

    def runbook(self, *arguments: str) -> Ended:
        return self._run(str(self.root / "runbook"), *arguments)

    def _run(self, *argv: str) -> Ended:
        done = subprocess.run(
            [*argv, "-i", str(self.inventory)],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        print(done.stdout, done.stderr, sep="\n")
        return Ended(done.returncode, done.stdout, done.stderr)

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

UNCLEAR = [
    ["--check"],
    ["--limit", "a"],
    ["--tags", "x"],
    ["-e", '{"reason": "x"}'],
    ["-e", "@vars.yml"],
    ["-e", "scope=live reason=x"],
    ["-e", "grace_period_seconds={{ x }}"],
    ["-e", "trading_core_bot_services=x"],
    ["-i", "other"],
    ["-u", "root"],
    ["--list-tasks"],
    ["words"],
]


@pytest.mark.parametrize("options", UNCLEAR, ids=" ".join)
def test_first_wave_leaves_to_ansible_what_it_does_not_read_exactly(make, options):
    laptop = make(a=PROVEN)
    ended = laptop.run("--first-wave", *options)
    assert ended.code == 64
    assert ended.lines == ""
    assert len([line for line in ended.said.splitlines() if "no first wave" in line]) == 1
    assert not (laptop.folder / "sent-a").exists()


UNDERSTOOD = [
    [],
    ["-v"],
    ["-vvv"],
    ["-e", "reason=bars look wrong"],
    ["--extra-vars=reason=a=b {{ x }}", "-e", "by=Åse"],
    ["-e", "scope=live", "-egrace_period_seconds=5"],
    ["-e", "incident_id=INC-20261121-013000-x"],
]


@pytest.mark.parametrize("options", UNDERSTOOD, ids=" ".join)
def test_first_wave_starts_for_options_that_it_reads_exactly(make, options):
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
