"""The first wave on a host, with a fake docker command."""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
from pathlib import Path

import pytest
from trading_ops.core.bots import BotRules, in_scope, select_bots
from trading_ops.core.ids import slug
from trading_ops.host.cgroups import HostCgroups, find_docker_roots
from trading_ops.state.latch import Latch, format_latch, parse_latch
from trading_ops.stop.first_wave import parse_first_wave

from tests.breakglass.world import SHELLS, TRADING_HALT, Host, Said, container
from tests.unit.host.test_cgroups import WAYS, lay_out

ID = "INC-20261121-013000-test"


@pytest.fixture
def make(tmp_path):
    return lambda *containers, **more: Host(tmp_path, *containers, **more)


# ---- the stop


@pytest.mark.parametrize("status", ["removing", "dead"])
def test_what_is_being_removed_has_no_process_and_its_policy_says_nothing(make, status):
    host = make(container("a", status=status, policy="always"), fails=["update"])
    said = host.halt("--incident-id", ID)
    assert (said.code, said.word, said.counted["already"]) == (0, "proven", "1")


def test_every_bot_is_stopped_neutralised_and_the_host_latched(make):
    host = make(container("a"), container("b", mode="live"), container("c", status="exited"))
    said = host.halt("--incident-id", ID, "--reason", "bars look wrong", "--by", "reno")
    assert (said.code, said.line) == (
        0,
        f"proven: 2 stopped, 1 already stopped, latched ({ID}); orders: 2 cancelled",
    )
    assert set(host.status().values()) == {"exited"}
    assert {item["policy"] for item in host.world["containers"]} == {"no"}
    latch = parse_latch(host.latch_text())
    assert (latch.scope, latch.incident_ids, latch.by, latch.reason) == ("all", (ID,), "reno", "bars look wrong")


@pytest.mark.parametrize("shell", SHELLS)
def test_one_line_counts_for_halt_now_what_the_last_one_says_to_people(make, shell):
    host = make(
        container("a"),
        container("b", ignores_sigterm=True),
        container("c", status="exited"),
        container("d", vanishes=True),
        container("e", labels={"trading-core.cancels-orders": ""}),
    )
    said = host.halt("--incident-id", ID, "--grace-seconds", "1", shell=shell)
    assert said.line == (
        f"proven: 2 stopped, 1 killed, 1 already stopped, 1 gone, latched ({ID}); "
        "orders: 1 cancelled, 2 UNVERIFIED (b e)"
    )
    numbers = {"stopped": "2", "killed": "1", "already": "1", "gone": "1", "cancelled": "1", "unverified": "2"}
    assert said.counted == {**numbers, "latched": ID, "orders_of": "b e", "unexpected": "0", "others": "0"}


def test_a_dry_run_counts_nothing(make):
    assert make(container("a")).halt("--check").counted == {}


def test_second_stop_changes_nothing_and_keeps_the_first_incident(make):
    host = make(container("a"))
    host.halt("--incident-id", ID)
    before = host.latch_text()
    assert host.halt().line == f"proven: 0 stopped, 1 already stopped, latched ({ID})"
    assert host.latch_text() == before


def test_one_call_of_docker_comes_before_the_stop(make):
    host = make(container("a"))
    host.halt()
    assert host.calls[0] == "ps"
    assert "stop" in host.calls[1:3]


def test_bot_that_ignores_sigterm_is_killed_and_its_orders_are_unverified(make):
    said = make(container("a", ignores_sigterm=True)).halt()
    assert (said.code, "1 killed" in said.line, "1 UNVERIFIED (a)" in said.line) == (0, True, True)


def test_orders_of_an_image_that_promises_nothing_are_unverified(make):
    said = make(container("a", labels={"trading-core.cancels-orders": ""})).halt()
    assert "orders: 0 cancelled, 1 UNVERIFIED (a)" in said.line


def test_bot_that_came_back_is_killed(make):
    host = make(container("a", resurrects=True))
    assert host.halt().code == 0
    assert host.status() == {"a": "exited"}


def test_bot_that_starts_during_the_stop_is_met_by_the_next_look(make):
    host = make(container("a"), starts_meanwhile=container("late"))
    assert host.halt().line.startswith("proven: 2 stopped")
    assert host.status() == {"a": "exited", "late": "exited"}


def test_engine_that_says_stopped_while_the_bot_runs_is_not_believed(make):
    said = make(container("stubborn", immortal=True), container("b")).halt()
    assert said.code == 11
    assert said.line.startswith("running: stubborn; 1 stopped")


def test_policy_that_could_not_be_changed_while_the_bot_ended_is_changed_then(make):
    host = make(container("a", update_fails_once=True))
    assert host.halt().code == 0
    assert host.world["containers"][0]["policy"] == "no"


def test_bot_whose_policy_stays_is_unknown(make):
    said = make(container("a", stuck_policy="always")).halt()
    assert (said.code, said.word) == (10, "unknown")
    assert "its restart policy is still always" in said.line


def test_vanishing_container_hides_no_other(make):
    said = make(container("a", vanishes=True), container("b")).halt()
    assert said.code == 0
    assert "1 stopped, 1 gone" in said.line


def test_container_that_is_listed_and_not_described_is_unknown(make):
    said = make(container("a"), fails=["inspect"]).halt()
    assert (said.code, said.word) == (10, "unknown")


def test_no_bot_is_said_so(make):
    said = make(container("db", mode=None, labels={"com.docker.compose.service": "timescaledb"})).halt(
        "--incident-id", ID
    )
    assert said.line == f"proven: 0 stopped, no bot container found, latched ({ID})"


def test_sixty_bots_go_to_the_engine_in_groups(make):
    host = make(*(container(f"b{number}") for number in range(60)))
    assert host.halt().line.startswith("proven: 60 stopped")
    sizes = [len(call) - 3 for call in host.world["calls"] if call[0] == "stop"]
    assert sorted(sizes) == [10, 50]


def test_the_second_wave_reads_what_was_signalled(make):
    host = make(container("a"), container("b", status="exited"))
    host.halt("--incident-id", ID, "--grace-seconds", "7")
    text = (host.system / "run/trading-core/signalled").read_text()
    wave = parse_first_wave(text, ID)
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    assert wave.is_ours
    assert list(wave.deadlines) == [host.world["containers"][0]["id"]]
    assert 0 < wave.deadlines[host.world["containers"][0]["id"]] - uptime <= 8


def test_dry_run_changes_nothing(make):
    host = make(container("a"), container("b", status="exited"))
    said = host.halt("--check", "--incident-id", ID)
    assert (said.code, said.line) == (0, f"planned: would stop a and latch ({ID}); nothing was changed")
    assert set(host.calls) == {"ps"}
    assert not host.state_path.exists()


# ---- no room for a temporary file


def no_room(host: Host, shell: str, monkeypatch: pytest.MonkeyPatch) -> Said:
    """Halt in a shell that can write no file: bash needs one for a here-document, since 5.1 for one above 64 KB."""
    monkeypatch.setenv("TMPDIR", "/nonexistent")
    (host._bin / "small").write_text(f'#!/bin/sh\nulimit -S -f 0\nexec {shell} "$@"\n')
    (host._bin / "small").chmod(0o755)
    return host.halt("--incident-id", ID, shell=str(host._bin / "small"))


@pytest.mark.parametrize("shell", SHELLS)
def test_bots_are_seen_where_no_temporary_file_can_be_made(make, monkeypatch, shell):
    host = make(*(container(f"{number:02}{'x' * 1500}") for number in range(60)))
    host.may_write("docker", "dd")
    said = no_room(host, shell, monkeypatch)
    assert (said.code, said.counted["stopped"]) == (0, "60")
    assert set(host.status().values()) == {"exited"}


@pytest.mark.parametrize("shell", SHELLS)
def test_file_that_may_not_grow_ends_no_stop_and_proves_none(make, monkeypatch, shell):
    host = make(container("a"))
    host.may_write("docker")
    said = no_room(host, shell, monkeypatch)
    assert (said.code, said.word, host.status()["a"]) == (10, "unlatched", "exited")


@pytest.mark.parametrize("name", ["halt-now", "trading-halt", "common.sh", "stop-words.sh"])
def test_no_list_is_read_from_a_here_document(name):
    assert "<<" not in (TRADING_HALT.parent / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "name", ["DOCKER_TLS_VERIFY", "DOCKER_API_VERSION", "DOCKER_CONTEXT", "DOCKER_CERT_PATH", "DOCKER_CONFIG"]
)
def test_no_variable_of_a_docker_client_leads_a_local_stop_astray(make, monkeypatch, name):
    host = make(container("a"), minds=[name])
    monkeypatch.setenv(name, "1")
    assert host.halt().code == 0


# ---- which containers are bots: one table for Python and shell

RESTORE_TEST_PROJECT = {"com.docker.compose.project": "restoretest-20261121-013000-0a1b2c"}

TABLE = [
    container("paper"),
    container("live", mode="live"),
    container("unlabelled", mode=None),
    container("odd-mode", mode="Paper"),
    container("quoted-mode", mode='paper"'),
    container("restore", labels={"trading-core.restore-test": "true"}),
    container("restore-test", labels={"trading-core.restore-test": "true"} | RESTORE_TEST_PROJECT),
    container("restore-project", labels=RESTORE_TEST_PROJECT),
    container("no-name", labels={"com.docker.compose.project": "trading"}),
    container("restore-word", labels={"trading-core.restore-test": "True"}),
    container("database", labels={"com.docker.compose.service": "db"}),
    container("other-project", labels={"com.docker.compose.project": "discord"}),
    container("no-project", labels={"com.docker.compose.project": ""}),
    container("bot-2", labels={"com.docker.compose.service": "bot-2"}),
    container("upper-case", labels={"com.docker.compose.service": "Bot"}),
    container("service-with-quote", labels={"com.docker.compose.service": 'bot"x'}),
    container("service-with-tab", labels={"com.docker.compose.service": "bot\tx"}),
    container("service-with-newline", labels={"com.docker.compose.service": "bot\nbot"}),
    container("service-with-backslash", labels={"com.docker.compose.service": "bot\\n"}),
    container("service-with-blank", labels={"com.docker.compose.service": "bot bot"}),
    {**container("stray"), "labels": {}, "image": "registry.lan:5000/refstrat/bot:1"},
    {**container("stray-2"), "labels": {}, "image": "trading-core-lab/bot:2"},
    {**container("nginx"), "labels": {}, "image": "nginx"},
    {**container("star"), "labels": {}, "image": "a*b"},
    {**container("caret"), "labels": {}, "image": "^x"},
]

RULES = [
    BotRules(),
    BotRules(services=("*",), projects=("*",)),
    BotRules(services=("bot?x", "bot\\n"), projects=("trading-[lp]*",)),
    BotRules(services=("bot", "bot-[0-9]"), images=("trading-core-lab/bot:*", "*/refstrat/*")),
    BotRules(services=("bot*",), images=("a[*]b", "[^a]x")),
    BotRules(services=("[!a-z]*", "bo[t]"), projects=("trading-paper", "discord")),
    BotRules(services=("BOT*",), images=("NGIN[X-Z]",)),
    BotRules(services=("$(reboot)", "`x`"), images=("ngin?",)),
]


@pytest.mark.parametrize("scope", ["all", "live"])
@pytest.mark.parametrize("rules", RULES, ids=range(len(RULES)))
def test_the_shell_selects_what_python_selects(make, rules, scope):
    summaries = [
        {"Id": item["id"], "Names": [f"/{item['name']}"], "Image": item["image"], "Labels": item["labels"]}
        for item in TABLE
    ]
    expected = {bot.name for bot in select_bots(summaries, rules) if in_scope(bot, scope)}
    said = make(*TABLE).halt(
        "--check",
        *("--scope", scope, "--services", " ".join(rules.services)),
        *("--projects", " ".join(rules.projects), "--images", " ".join(rules.images)),
    )
    found = re.search(r"would stop (.*?)\s?and latch", said.line)
    assert found
    assert set(found[1].replace("nothing", "").split()) == expected


# ---- input


@pytest.mark.parametrize(
    ("options", "warned"),
    [
        (["--scope", "papr"], "scope 'papr'"),
        (["--grace-seconds", "soon"], "'soon'"),
        (["--grace-seconds", "-1"], "'-1'"),
        (["--grace-seconds", "3600"], "more than 20"),
        (["--nonsense", "x"], "--nonsense"),
        (["--reason"], "lacks its value"),
        (["please"], "'please'"),
    ],
    ids=" ".join,
)
def test_nonsense_is_warned_about_and_stops_all_the_same(make, options, warned):
    host = make(container("a"), container("live", mode="live"))
    said = host.halt(*options)
    assert said.code == 0
    assert warned in said.warnings
    assert set(host.status().values()) == {"exited"}


@pytest.mark.parametrize(
    "words",
    [
        *(["--dry-run"], ["-n"], ["-C"], ["-vn"], ["--chec"], ["--check=yes"], ["—check"], ["--check\r"], ["-check"]),
        *(["please", "-n"], ["--nosuch", "--check"], ["--reason", "--check"], ["--by", "-n"], ["--by=x", "--check"]),
    ],
    ids=repr,
)
def test_a_dry_run_by_any_of_its_names_changes_nothing(make, words):
    host = make(container("a"))
    said = host.halt(*words)
    assert (said.code, said.word, host.status()) == (0, "planned", {"a": "running"})
    assert not host.state_path.exists()


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["--version"], ["--check", "-hv"], ["--by", "--hel"]], ids=repr)
def test_what_asks_for_help_acts_on_nothing(make, words):
    host = make(container("a"))
    done = subprocess.run(
        ["sh", str(TRADING_HALT), *words], env=host.environment, capture_output=True, text=True, check=True
    )
    assert "NOTHING WAS STOPPED" in done.stdout
    assert (host.calls, host.state_path.exists()) == ([], False)


@pytest.mark.parametrize("words", [["--by", " --check"], ["--by=--check"], ["--by", " —check"]], ids=repr)
def test_a_value_that_means_itself_is_no_option(make, words):
    host = make(container("a"))
    assert host.halt(*words).code == 0
    assert parse_latch(host.latch_text()).by == words[-1].removeprefix("--by=").strip()


@pytest.mark.parametrize("words", [["-nope"], ["--reason", "-5 degrees"], ["--nosuch=--check"], ["-v"]], ids=repr)
def test_what_is_like_no_dry_run_stops(make, words):
    host = make(container("a"))
    assert (host.halt(*words).code, host.status()) == (0, {"a": "exited"})


@pytest.mark.parametrize(
    ("given", "used"), [("0", "0"), ("007", "7"), ("08", "8"), ("99", "20"), ("x", "10"), ("", "10")]
)
def test_grace_period_is_at_most_20_seconds_and_10_where_it_is_none(make, given, used):
    host = make(container("a"))
    host.halt("--grace-seconds", given)
    (stop,) = [call for call in host.world["calls"] if call[0] == "stop"]
    assert stop[1:3] == ["-t", used]


def test_installed_settings_count_where_no_option_is_given(make):
    host = make(container("a", labels={"com.docker.compose.service": "strategy"}), container("b"))
    conf = host.system / "etc/trading-core/bots.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text('TRADING_CORE_BOT_SERVICES="strategy x"\nTRADING_CORE_GRACE_PERIOD_SECONDS=3\n')
    host.halt()
    assert host.status() == {"a": "exited", "b": "running"}
    assert ["stop", "-t", "3"] in [call[:3] for call in host.world["calls"]]
    host.halt("--services", "bot")
    assert host.status()["b"] == "exited"


def test_setting_on_two_lines_moves_no_other_one(make):
    host = make(container("a", labels={"com.docker.compose.service": "strategy"}), container("b"))
    conf = host.system / "etc/trading-core/bots.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text('TRADING_CORE_BOT_SERVICES="bot\nstrategy"\nTRADING_CORE_GRACE_PERIOD_SECONDS=3\n')
    host.halt()
    assert set(host.status().values()) == {"exited"}
    assert ["stop", "-t", "3"] in [call[:3] for call in host.world["calls"]]


@pytest.mark.parametrize("damage", ['TRADING_CORE_BOT_SERVICES="strategy', "exit 3", "$(", "\0"])
def test_damaged_settings_are_warned_about_and_the_defaults_stop(make, damage):
    host = make(container("a"))
    conf = host.system / "etc/trading-core/bots.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text(damage)
    assert host.halt().code == 0
    assert host.status() == {"a": "exited"}


# ---- the latch

REASONS = [
    "bars look wrong",
    'say "stop" \\ now',
    "it's {{ 7 * 7 }} {% raw %}",
    "Æblet på øen: 5 €",
    "two\nlines\tand\r\nmore",
    "$(reboot) `reboot` ; | & > /dev/null",
    "%s %n \\n \\u0041",
    '"scope": "live"',
    "",
]


@pytest.mark.parametrize("reason", REASONS)
def test_the_shells_latch_reads_as_the_same_latch(make, reason):
    host = make()
    host.halt("--incident-id", ID, "--reason", reason, "--by", reason, "--scope", "live")
    latch = parse_latch(host.latch_text())
    words = " ".join(reason.split()) or "not given"
    assert latch == Latch("live", (ID,), latch.since, words, words)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", latch.since)


def test_reason_that_is_no_utf8_leaves_a_latch_that_can_be_read(make, tmp_path):
    host = make()
    subprocess.run(
        [
            b"sh",
            str(TRADING_HALT).encode(),
            b"--state-path",
            str(host.state_path).encode(),
            b"--reason",
            b"caf\xe9 bad",
        ],
        env={**{k.encode(): v.encode() for k, v in host.environment.items()}},
        check=True,
    )
    assert parse_latch(host.latch_text()).damaged == ""


def test_the_audit_log_says_who_engaged_the_latch_once(make):
    host = make()
    host.halt("--incident-id", ID, "--reason", 'a "b"', "--by", "reno")
    host.halt("--incident-id", ID)
    time.sleep(0.2)  # it is written after the answer
    (entry,) = map(json.loads, (host.state_path / "audit.jsonl").read_text().splitlines())
    assert entry == {
        "time": entry["time"],
        "event": "engaged",
        "by": "reno",
        "incident_id": ID,
        "scope": "all",
        "reason": 'a "b"',
    }


def test_latch_that_holds_live_only_is_widened_and_keeps_its_incident(make):
    host = make()
    host.halt("--incident-id", ID, "--reason", "first", "--scope", "live")
    host.halt("--reason", "second")
    latch = parse_latch(host.latch_text())
    assert (latch.scope, latch.incident_ids, latch.reason) == ("all", (ID,), "first")


def test_stop_of_live_bots_never_narrows_a_halt(make):
    host = make()
    host.halt("--incident-id", ID)
    host.halt("--scope", "live")
    assert parse_latch(host.latch_text()).scope == "all"


def test_latch_that_somebody_writes_at_the_same_moment_is_not_overwritten(make):
    host = make(container("a"))
    other = format_latch(Latch("all", ("INC-20261121-012959-other",), "2026-11-21T01:29:59Z", "kim", "first"))
    (host.system / "other").write_text(other)
    slow = host._bin / "dd"
    slow.write_text(f'#!/bin/sh\ncp {host.system}/other {host.latch_path}\nexec /bin/dd "$@"\n')
    slow.chmod(0o755)
    said = host.halt("--incident-id", ID)
    assert "latched (INC-20261121-012959-other)" in said.line
    assert host.latch_text() == other


@pytest.mark.parametrize("damage", ["", "garbage"])
def test_damaged_latch_is_left_and_counts_as_engaged(make, damage):
    host = make(container("a"))
    host.state_path.mkdir()
    host.latch_path.write_text(damage)
    said = host.halt()
    assert (said.code, "latched (by a file that cannot be read)" in said.line) == (0, True)
    assert host.latch_text() == damage


def test_state_path_that_cannot_be_made_still_stops_and_says_not_latched(make):
    host = make(container("a"))
    host.state_path.write_text("a file where the directory should be")
    said = host.halt()
    assert (said.code, said.word, "NOT LATCHED" in said.line) == (10, "unlatched", True)
    assert host.status() == {"a": "exited"}


def test_disk_that_does_not_answer_holds_the_stop_for_two_seconds_only(make):
    host = make(container("a"))
    dead = host._bin / "dd"
    dead.write_text("#!/bin/sh\nexec sleep 30\n")
    dead.chmod(0o755)
    said = host.halt()
    assert (said.code, said.word) == (10, "unlatched")
    assert said.seconds < 5
    assert host.status() == {"a": "exited"}


def test_no_half_written_latch_is_put_in_place(make):
    host = make(container("a"))
    full = host._bin / "dd"
    full.write_text("#!/bin/sh\nhead -c 10\n")
    full.chmod(0o755)
    assert host.halt().word == "unlatched"
    assert [path.name for path in host.state_path.rglob("*")] == ["latch"]


# ---- the incident id

CORPUS = [
    *REASONS,
    "Bars look wrong!",
    "???",
    "../../etc/passwd\n$(reboot)",
    "a" * 99,
    "x" * 31 + " y",
    "-x-" * 20,
    "café crème brûlée",
    "2 \N{KELVIN SIGN}",
    "ÅÆØ åæø",
    "a\N{COMBINING RING ABOVE}b",
    "日本語",
    "UPPER Case 42",
]


@pytest.mark.parametrize("reason", CORPUS)
def test_shell_and_python_name_an_incident_alike(make, reason):
    said = make().halt("--print-incident-id", "--run-id", "20261121-013000", "--reason", reason)
    assert said.line == f"INC-20261121-013000-{slug(reason or 'not given')}"


# ---- without the engine


class Kernel:
    """Containers that the engine's files describe and control groups hold; a group empties when its process ends."""

    def __init__(
        self, host: Host, *, policy: str = "no", ignores_sigterm: bool = False, data: str = "/var/lib/docker"
    ) -> None:
        self.item = host.world["containers"][0]
        trap = "trap '' TERM; " if ignores_sigterm else ""
        self.process = subprocess.Popen(["sh", "-c", f"{trap}while :; do sleep 0.05; done"])
        folder = host.system / data.lstrip("/") / "containers" / self.item["id"]
        folder.mkdir(parents=True)
        config = {
            "State": {"Running": True, "Paused": False, "Pid": self.process.pid},
            "ID": self.item["id"],
            "Config": {"Env": ['X="com.docker.compose.service":"db"'], "Image": self.item["image"]}
            | {"Labels": self.item["labels"]},
            "Image": "sha256:1",
            "Name": f"/{self.item['name']}",
        }
        (folder / "config.v2.json").write_text(json.dumps(config, separators=(",", ":")))
        (folder / "hostconfig.json").write_text(
            json.dumps({"RestartPolicy": {"Name": policy, "MaximumRetryCount": 0}}, separators=(",", ":"))
        )
        self.procs = host.system / "sys/fs/cgroup/system.slice" / f"docker-{self.item['id']}.scope" / "cgroup.procs"
        self.procs.parent.mkdir(parents=True)
        self.procs.write_text(f"{self.process.pid}\n")
        threading.Thread(target=self._empty_at_the_end, daemon=True).start()

    def _empty_at_the_end(self) -> None:
        self.process.wait()
        self.procs.write_text("")


@pytest.fixture
def without_engine(make):
    kernels = []

    def build(**more):
        host = make(container("a"), fails=["ps"], uid=more.pop("uid", 0))
        kernels.append(Kernel(host, **more))
        return host, kernels[-1]

    yield build
    for kernel in kernels:
        kernel.process.kill()


def test_bots_end_without_their_engine(without_engine):
    host, kernel = without_engine()
    said = host.halt("--incident-id", ID)
    assert (said.code, said.line) == (0, f"proven: 1 stopped, latched ({ID}); orders: 0 cancelled, 1 UNVERIFIED (a)")
    assert kernel.process.wait(1) == -15


def test_bot_that_ignores_sigterm_is_killed_without_the_engine(without_engine):
    host, kernel = without_engine(ignores_sigterm=True)
    assert host.halt("--grace-seconds", "1").code == 0
    assert kernel.process.wait(1) == -9


def test_engine_that_hangs_costs_seconds_and_not_the_stop(without_engine):
    host, kernel = without_engine()
    host.world_file.write_text(json.dumps({**host.world, "fails": [], "hangs": ["ps"]}))
    said = host.halt()
    assert (said.code, kernel.process.wait(1)) == (0, -15)
    assert said.seconds < 8


@pytest.mark.parametrize("verb", ["stop", "inspect"])
def test_engine_that_hangs_in_mid_stop_leaves_nothing_running(without_engine, verb):
    host, kernel = without_engine()
    world = {**host.world, "fails": ["inspect"] if verb == "inspect" else [], "hangs": [verb]}
    world["containers"][0]["immortal"] = True
    host.world_file.write_text(json.dumps(world))
    said = host.halt("--grace-seconds", "1")
    assert said.code != 0
    assert kernel.process.wait(1) < 0
    assert said.seconds < 11 + 5


def test_bot_that_would_come_back_with_the_engine_is_unknown_where_no_guard_watches(without_engine):
    host, _ = without_engine(policy="always")
    assert host.halt().word == "unknown"


@pytest.mark.parametrize(("age", "word"), [(5, "proven"), (60, "unknown")])
def test_a_guard_makes_it_a_stop_only_while_its_heart_beats(without_engine, age, word):
    host, _ = without_engine(policy="always")
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    (host.system / "run/trading-core").mkdir()
    (host.system / "run/trading-core/guard.json").write_text(json.dumps({"uptime": uptime - age, "digest": "x"}))
    assert host.halt().word == word


def test_without_root_and_engine_nothing_is_known(without_engine):
    host, kernel = without_engine(uid=1000)
    said = host.halt()
    assert (said.code, said.word) == (10, "unknown")
    assert kernel.process.poll() is None


def test_container_that_runs_and_that_nobody_describes_is_unknown(without_engine):
    host, kernel = without_engine()
    (host.system / "var/lib/docker/containers" / kernel.item["id"] / "config.v2.json").write_text('{"Config":')
    said = host.halt()
    assert (said.code, said.word) == (10, "unknown")
    assert kernel.process.poll() is None


def test_process_that_outlives_sigkill_is_running(without_engine):
    host, kernel = without_engine()
    kernel.process.kill()
    time.sleep(0.2)
    kernel.procs.write_text("4194304\n")  # no such process: whatever is sent, the group does not empty
    said = host.halt("--grace-seconds", "0")
    assert (said.code, said.word) == (11, "running")


@pytest.mark.parametrize("way", WAYS)
def test_shell_and_python_find_the_engines_files_wherever_it_keeps_them(without_engine, way):
    files, data = WAYS[way]
    host, kernel = without_engine(data=data)
    lay_out(host.system, files, data)
    # What an engine has left behind, with a bot of that time, and what is empty.
    old = host.system / "var/lib/docker/containers"
    if data != "/var/lib/docker":
        (old / ("f" * 64)).mkdir(parents=True)
        (old / ("f" * 64) / "config.v2.json").write_text('{"Config":{"Labels":{}},"Name":"/old"}')
    found = HostCgroups(find_docker_roots(host.system), host.system / "sys/fs/cgroup").containers()
    assert [bot.name for bot in select_bots(found, BotRules())] == ["a"]
    said = host.halt()
    assert (said.code, said.word) == (0, "proven")
    assert kernel.process.poll() is not None


def test_an_engine_that_keeps_its_files_nowhere_we_know_is_unknown(without_engine):
    host, kernel = without_engine(data="/srv/elsewhere")
    said = host.halt()
    assert (said.code, said.word) == (10, "unknown")
    assert kernel.process.poll() is None


def test_a_sign_of_life_of_a_moment_to_come_is_none(without_engine):
    host, _ = without_engine(policy="always")
    (host.system / "run/trading-core").mkdir()
    (host.system / "run/trading-core/guard.json").write_text('{"uptime": 99999999999, "digest": "x"}')
    assert host.halt().word == "unknown"


def test_shell_and_python_read_the_same_from_the_engines_files(without_engine):
    host, _ = without_engine()
    (seen,) = HostCgroups((host.system / "var/lib/docker",), host.system / "sys/fs/cgroup").containers()
    assert [bot.name for bot in select_bots([seen], BotRules())] == ["a"]
    assert host.halt().code == 0


# ---- what it cannot do


def test_it_has_no_verb_that_creates_starts_pulls_or_removes():
    text = TRADING_HALT.read_text(encoding="utf-8")
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    calls = re.findall(r'^\s*(?:\w+=\$\()?engine (?:"\$ANSWER_SECONDS"|\$\(\(grace \+ 3\)\)) (\w+)', code, re.MULTILINE)
    assert set(calls) == {"ps", "update", "stop", "kill", "inspect"}
    assert re.findall(r".*\bdocker -H.*", code) == ['    timeout -k 1 "$limit" docker -H "$docker_url" "$@"']
    assert not re.search(r"\b(docker|engine \S+) (run|create|start|restart|unpause|pull|rm|exec|compose)\b", code)
    assert re.findall(r"\brm\b.*", code) == ['rm -f "$temporary"'] * 3
