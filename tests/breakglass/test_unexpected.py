"""What runs beside the bots: one table for Python and shell, and what a first wave does about it."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest
from trading_ops.core.bots import OTHER_SERVICES, BotRules
from trading_ops.core.frameworks import FRAMEWORKS
from trading_ops.core.unexpected import find_beyond
from trading_ops.stop.first_wave import parse_first_wave

from tests.breakglass.world import TRADING_HALT, Host, container

ID = "INC-20261121-013000-test"
SHELLS = ["dash", "bash"]
RESTORE_TEST = {
    "trading-core.restore-test": "true",
    "com.docker.compose.project": "restoretest-20261121-013000-0a1b2c",
}
BOT_COMMAND = ["python", "-m", "trading_lab.bot"]
UI = "freqtradeorg/freqtrade:stable_ui"


@pytest.fixture
def make(tmp_path):
    return lambda *containers, **more: Host(tmp_path, *containers, **more)


def other(name: str, image: str = "other:1", labels: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """Return a container that no rule matches, and whose image id differs from every other one's."""
    base = {"image_id": f"sha256:{name}", "command": ["run", name]}
    return {**container(name, image=image, **{**base, **more}), "labels": labels or {}}


def compose(service: str, project: str) -> dict[str, str]:
    return {"com.docker.compose.service": service, "com.docker.compose.project": project}


BOT = container("a", command=BOT_COMMAND)
TABLE = [
    other("label", labels={"trading-core.mode": "paper"}),
    other("empty-label", labels={"trading-core.mode": ""}),
    other("gui-label", labels={"trading-core.mode": "live", **compose("gui", "trading-paper")}),
    other("variable", env=["PATH=/bin", "TRADING_MODE=live"]),
    other("empty-variable", env=["TRADING_MODE="]),
    other("other-variable", env=["X_TRADING_MODE=live", "TRADING_MODES=x", "NOTE=TRADING_MODE=live"]),
    other("other-tag", image="foo:1", image_id="sha256:1", command=BOT_COMMAND),
    other("by-id", image="sha256:1", image_id="sha256:1", command=BOT_COMMAND),
    other("same-image", image="bot:1", image_id="sha256:1", command=["python", "-m", "trading_lab.gui"]),
    other("same-command", command=BOT_COMMAND),
    other("stopped", image="freqtradeorg/freqtrade:stable", status="exited"),
    other("paused", image="freqtradeorg/freqtrade:stable", status="paused"),
    other("freqtrade", image="registry.lan:5000/x/freqtrade@sha256:0123", labels=compose("freqtrade", "ft_userdata")),
    other("web", image=UI, labels=compose("web", "ui")),
    other("web-2", image=UI, labels=compose("web-2", "ui")),
    other("web-label", image=UI, labels={**compose("web", "ui"), "trading-core.mode": "live"}),
    other("built", image="ft_userdata-freqtrade"),
    other("hummingbot", image="blaspalmisciano/hummingbot:latest"),
    other("api", image="hummingbot/hummingbot-api"),
    other("nautilus", image="ghcr.io/nautechsystems/nautilus_trader:1"),
    other("octo", image="drakkarsoftware/octobot:2"),
    other("jesse", image="jessesquires/other"),
    other("title", image="sha256:77", labels={"org.opencontainers.image.title": "Passivbot"}),
    other("source", image="me:1", labels={"org.opencontainers.image.source": "https://github.com/freqtrade/Freqtrade"}),
    other("slash", image="me:2", labels={"org.opencontainers.image.source": "https://github.com/freqtrade/freqtrade/"}),
    other("git", image="me:3", labels={"org.opencontainers.image.source": "git@host:freqtrade/freqtrade.git"}),
    other("gateway", image="hummingbot/gateway:1"),
    other("own", image="me:4", command=["freqtrade", "trade"]),
    other("own-tini", image="me:5", command=["/usr/bin/tini", "--", "freqtrade"], labels=compose("own", "me")),
    other("own-shell", image="me:6", command=["sh", "-c", "cd /x && exec freqtrade trade"]),
    other("copies", image="me:7", command=["cp", "-r", "/data/freqtrade", "/backup"]),
    other("restore-label", labels={"trading-core.restore-test": "true"}),
    other("restore-false", labels={"trading-core.restore-test": "False"}),
    other("restore-test", labels=RESTORE_TEST, env=["TRADING_MODE=paper"]),
    other("gui", labels=compose("gui", "trading-paper")),
    other("trading-exchange-1", labels=compose("exchange", "venue")),
    other("prometheus"),
    other("nas"),
    other("odd", labels=compose('s"x\t;$(id)', "p p"), env=["TRADING_MODE=live"]),
    other("odder", labels=compose("bot\nprometheus", "*"), image="*"),
]

TABLE.sort(key=lambda item: item["name"])  # in this order Python names them

RULES = [
    BotRules(),
    BotRules(others=()),
    BotRules(others=("nas", "own", "me/own/me:5", "web", f"ui/web/{UI}", "label", "other-tag")),
    BotRules(others=("*", "ui/*/*", UI)),
    BotRules(services=("nothing",)),
]


def engine_words(items: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """Return the engine's list and its descriptions of fake_docker.py's containers."""
    listed = [
        {"Id": each["id"], "Names": [f"/{each['name']}"], "Image": each["image"], "Labels": each["labels"]}
        | {"State": each["status"]}
        for each in items
    ]
    described = {
        each["id"]: {
            "Path": (each.get("command") or [""])[0],
            "Args": (each.get("command") or [""])[1:],
            "Image": each.get("image_id", "sha256:1"),
            "Config": {"Image": each["image"], "Labels": each["labels"], "Env": each.get("env", [])},
        }
        for each in items
    }
    return listed, described


def options_of(rules: BotRules) -> list[str]:
    return ["--services", " ".join(rules.services), "--other-services", " ".join(rules.others)]


@pytest.mark.parametrize(
    ("rules", "shell"), [*((rules, "dash") for rules in RULES), (RULES[0], "bash")], ids=[*map(str, range(5)), "bash"]
)
def test_the_shell_says_of_each_container_what_python_says(tmp_path, rules, shell):
    for number in range(0, len(TABLE), 8):  # as many as are named
        items = [BOT, *TABLE[number : number + 8]]
        beyond = find_beyond(*engine_words(items), rules)
        said = Host(tmp_path / str(number), *items).halt("--check", *options_of(rules), shell=shell)
        assert (said.code, said.warnings) == (10 if beyond.doubts else 0, "")
        assert said.line.count("unexpected bot ") == len(beyond.unexpected)
        expected = [text for text in beyond.doubts if "unexpected bot odd" not in text]
        assert [text for text in [*expected, *sorted(beyond.exempted)] if text not in said.line] == []
        named = re.search(r"\d+ other containers? runs?: ([^;]*)", said.line)
        assert set(named[1].split(", ") if named else []) == set(beyond.unnamed)


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shell_counts_and_names_all_of_them_as_python_does(make, shell):
    beyond = find_beyond(*engine_words([BOT, *TABLE]), BotRules())
    said = make(BOT, *TABLE).halt(shell=shell)
    assert said.counted["unexpected"] == str(len(beyond.unexpected))
    assert said.counted["others"] == str(len(beyond.unnamed))
    assert f"and {len(beyond.unexpected) - 10} more unexpected bots" in said.line


def test_the_shell_knows_the_same_frameworks_and_the_same_others():
    text = TRADING_HALT.read_text(encoding="utf-8")

    def words(name: str) -> list[str]:
        found = re.search(rf"^{name}='([^']*)'", text, re.MULTILINE)
        assert found
        return found[1].split()

    assert words("FRAMEWORKS") == list(FRAMEWORKS)
    assert words("OTHER_SERVICES") == list(OTHER_SERVICES)


def test_unexpected_bot_is_named_after_the_stop_and_left_alone(make):
    host = make(container("a"), other("stray", env=["TRADING_MODE=live"]))
    said = host.halt("--incident-id", ID)
    assert (said.code, said.word) == (10, "unexpected")
    assert said.line == (
        "unexpected: unexpected bot stray (no project/no service): it has TRADING_MODE in its environment; "
        f"1 stopped, latched ({ID}); orders: 1 cancelled"
    )
    assert host.status() == {"a": "exited", "stray": "running"}
    assert (said.counted["unexpected"], said.counted["stopped"]) == ("1", "1")
    looked = [any("looks:" in word for word in call) for call in host.world["calls"]]
    assert looked.index(True) > host.calls.index("stop")
    assert looked.count(True) == 1


@pytest.mark.parametrize("how", ["option", "settings"])
def test_unexpected_bot_is_stopped_too_where_the_estate_says_so_and_never_proven(make, how):
    host = make(container("a"), other("stray", env=["TRADING_MODE=live"]), other("nas"))
    conf = host.system / "etc/trading-core/bots.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text('TRADING_CORE_STOP_UNEXPECTED="true"\n' if how == "settings" else "")
    said = host.halt("--incident-id", ID, *(["--stop-unexpected", "True"] if how == "option" else []))
    assert (said.code, said.word, "2 stopped" in said.line) == (10, "unexpected", True)
    assert host.status() == {"a": "exited", "stray": "exited", "nas": "running"}
    assert host.world["containers"][1]["policy"] == "no"
    wave = parse_first_wave((host.system / "run/trading-core/signalled").read_text(), ID)
    assert set(wave.deadlines) == {item["id"] for item in host.world["containers"][:2]}


def test_unexpected_bot_that_cannot_be_stopped_is_running(make):
    said = make(other("stray", env=["TRADING_MODE=live"], immortal=True)).halt("--stop-unexpected", "yes")
    assert (said.code, said.word) == (11, "running")


def test_stop_of_live_bots_leaves_an_unexpected_paper_bot_and_names_it(make):
    host = make(container("a"), other("stray", labels={"trading-core.mode": "paper"}))
    said = host.halt("--scope", "live", "--stop-unexpected", "true")
    assert (said.code, host.status()) == (10, {"a": "running", "stray": "running"})


@pytest.mark.parametrize("check", [[], ["--check"]], ids=["stop", "dry run"])
def test_no_bot_while_others_run_is_never_0(make, check):
    said = make(other("nas"), other("tv"), other("gone", status="exited")).halt(*check)
    assert (said.code, "no bot found, and 2 other containers run: nas, tv" in said.line) == (10, True)


def test_no_bot_while_only_named_services_run_is_proven(make):
    said = make(other("prometheus"), other("gui", labels=compose("gui", "trading-paper"))).halt()
    assert (said.code, said.word) == (0, "proven")


def test_container_that_is_not_described_is_named(make):
    said = make(container("a"), other("nas"), fails=["inspect"]).halt("--check")
    assert (said.code, "runs and could not be looked at" in said.line) == (10, True)


def test_label_of_a_restore_test_saves_no_bot(make):
    host = make(container("a"), container("b", labels={"trading-core.restore-test": "true"}))
    said = host.halt("--incident-id", ID)
    assert (said.code, host.status()) == (0, {"a": "exited", "b": "exited"})
    assert "b bears the label trading-core.restore-test and is no restore test's" in said.line


@pytest.mark.parametrize("stops", ["true", "false"])
def test_without_the_engine_its_files_name_them_too(tmp_path, stops):
    items = [container("a"), *TABLE]
    host = Host(tmp_path, *items, fails=["ps"])
    processes = [on_disk(host, item) for item in items if item["status"] != "exited"]
    try:
        said = host.halt("--stop-unexpected", stops, "--grace-seconds", "1")
        beyond = find_beyond(*engine_words(items), BotRules())
        assert said.counted["unexpected"] == str(len(beyond.unexpected))
        assert said.counted["others"] == str(len(beyond.unnamed))
        assert said.code != 0
    finally:
        for process in processes:
            process.kill()


def on_disk(host: Host, item: dict[str, Any]) -> subprocess.Popen[bytes]:
    """Describe a container as the engine's own files do, and let a process of it run."""
    process = subprocess.Popen(["sleep", "60"])
    folder = host.system / "var/lib/docker/containers" / item["id"]
    folder.mkdir(parents=True)
    command = item.get("command") or [""]
    config = {
        "State": {"Running": True, "Pid": process.pid},
        "ID": item["id"],
        "Path": command[0],
        "Args": command[1:],
        "Config": {"Env": item.get("env", []), "Image": item["image"], "Labels": item["labels"]},
        "Image": f"sha256:{abs(hash(item.get('image_id', 'sha256:1'))):x}",
        "Name": f"/{item['name']}",
    }
    (folder / "config.v2.json").write_text(json.dumps(config, separators=(",", ":")))
    (folder / "hostconfig.json").write_text('{"RestartPolicy":{"Name":"no"}}')
    procs = host.system / "sys/fs/cgroup/system.slice" / f"docker-{item['id']}.scope" / "cgroup.procs"
    procs.parent.mkdir(parents=True)
    procs.write_text(f"{process.pid}\n")
    return process
