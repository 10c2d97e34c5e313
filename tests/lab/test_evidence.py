"""Evidence of real hosts: all of it, none of the secrets, within its bounds, whatever is broken or away."""

from __future__ import annotations

import json
import random
import shlex
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from trading_ops.evidence.manifest import verify

from tests.lab.conftest import release_halt
from tests.lab.estate import HOSTS, TRADING_HOSTS, Run, containers, docker, now, on, runbook
from tests.planted import PATTERNED, encodings

HOST, OTHER = TRADING_HOSTS
INCIDENT = "INC-20261121-013000-evidence-test"
PLANTED = "/root/planted"
IMAGE = "$(docker inspect -f '{{.Config.Image}}' live_connector)"
PASSWORDS = ("lab-superuser", "lab-trading", "lab-mlflow")
PICTURES = {"feed_latency.png", "data_quality.png", "pnl.png", "drawdown.png", "tracking_error.png"}


@pytest.fixture
def incidents(stacks: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A checkout's incidents, empty; what a test planted on the hosts is gone afterwards."""
    monkeypatch.setenv("TRADING_CORE_INCIDENTS_PATH", str(tmp_path))
    yield tmp_path
    for host in HOSTS:
        on(
            host,
            f"docker ps -aq --filter name=^evidence- | xargs -r docker rm -f >/dev/null; rm -rf {PLANTED} "
            f"/opt/ai_trading_core/logs/incident_* /var/lib/trading-core/incidents/{INCIDENT} /var/tmp/trading-core-*",
        )


def collect(*options: str) -> Run:
    return runbook("evidence_collection", "-e", f"incident_id={INCIDENT}", *options, timeout=400)


def services(**lines: int) -> list[str]:
    return ["-e", json.dumps({"services": {name.replace("_", "-"): count for name, count in lines.items()}})]


def manifest(incidents: Path, host: str) -> dict[str, dict[str, object]]:
    """Return the items of a host's bundle by name, after it was held against its manifest."""
    root = incidents / INCIDENT / "evidence" / host
    assert verify(root) == []
    return {item["name"]: item for item in json.loads((root / "manifest.json").read_text())["items"]}


def log(incidents: Path, name: str) -> str:
    return (incidents / INCIDENT / "evidence" / HOST / "logs" / f"{name}.log").read_text(errors="replace")


def run_container(name: str, program: str = "sleep 3600", options: str = "") -> str:
    """Start a container of the feed's image that has nothing to do with trading; return its log file."""
    on(HOST, f"docker run -d --name {name} {options} --entrypoint sh {IMAGE} -c {shlex.quote(program)}")
    return on(HOST, f"docker inspect -f '{{{{.LogPath}}}}' {name}").strip()


@pytest.mark.faults
def test_both_hosts_are_kept_without_secrets_and_nothing_on_them_changes(incidents):
    before = [containers(host) for host in TRADING_HOSTS]
    run = collect()
    assert run.code == 0, run.verdict
    assert [containers(host) for host in TRADING_HOSTS] == before
    for host, names in (
        (HOST, ["live_connector", "prometheus", "trading-paper-bot-1"]),
        (OTHER, ["trading-live-bot-1"]),
    ):
        items = manifest(incidents, host)
        assert [items[f"log {name}"]["status"] for name in names] == ["complete"] * len(names)
        left = on(host, "ls /opt/ai_trading_core/logs; ls /var/tmp")
        assert all(f"_{name}.log" in left for name in names)
        assert "trading-core-evidence" not in left
    plots = incidents / INCIDENT / "evidence" / HOST / "plots"
    assert {path.name for path in plots.iterdir()} == PICTURES
    assert "without data" not in run.output
    home = on("lab-control", f"cd /var/lib/trading-core/incidents/{INCIDENT}/evidence && sha256sum */manifest.json")
    assert {line.split()[1] for line in home.splitlines()} == {f"{host}/manifest.json" for host in TRADING_HOSTS}
    kept = [path.read_text(errors="replace") for path in incidents.rglob("*") if path.is_file()]
    for password in PASSWORDS:
        assert password not in "".join([run.output, *kept])


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_two_hundred_planted_secrets_are_found_nowhere_after_a_whole_incident(incidents):
    dice = random.Random(5)
    letters = string.ascii_letters + string.digits + "!#%&()*+,-./:;<=>?@^_{|}~\\"
    secrets = ["".join(dice.choices(letters, k=dice.randint(12, 40))) for _ in range(200)]
    texts = [text for secret in secrets for text in encodings(secret).values()]
    texts += [text for pattern in PATTERNED.values() for text in (pattern, encodings(f"{pattern} ")["base64"])]
    halves = [f"INFO {secret[:7]}\nWARN part {secret[7:]} end" for secret in secrets]
    lines = "\n".join([f"at <{text}> end" for text in texts] + halves) + "\n"
    environment = "".join(f"PLANTED_{number}_TOKEN={secret}\n" for number, secret in enumerate(secrets[:100]))
    env_file = "".join(f"SOME_{number}_PASSWORD='{secret}'\n" for number, secret in enumerate(secrets[100:]))
    on(HOST, f"mkdir -p {PLANTED} /etc/trading-core")
    for name, text in (("log", lines), ("env", environment), ("more", env_file)):
        write(f"{PLANTED}/{name}", text)
    on(HOST, f"cp {PLANTED}/more /etc/trading-core/planted-password")
    arguments = " ".join(shlex.quote(secret) for secret in secrets[:5])
    labels = f"--label note={shlex.quote(secrets[6])} --label {shlex.quote('api-key=' + secrets[7])}"
    on(
        HOST,
        # A bot, so that the stop has to do with it as well.
        f"docker run -d --name evidence-planted --label com.docker.compose.project=trading-planted "
        f"--label com.docker.compose.service=bot --label trading-core.mode=paper "
        f"{labels} --env-file {PLANTED}/env -v {PLANTED}:/p:ro --entrypoint sh {IMAGE} "
        f"-c 'trap \"exit 0\" TERM; cat /p/log; sleep 3600 & wait' {arguments}",
    )
    begun = on(HOST, "date +%s").strip()
    try:
        run = runbook("incident", "-vvv", "-e", "reason=planted", *services(evidence_planted=100_000), timeout=400)
    finally:
        on(HOST, "rm -f /etc/trading-core/planted-password")
        release_halt()
    assert run.code == 0, run.verdict
    assert not on(HOST, "docker ps -q --filter name=evidence-planted")
    kept = {str(path): path.read_text(errors="replace") for path in incidents.rglob("*") if path.is_file()}
    kept["output"] = run.output
    for host in HOSTS:
        kept[f"journal of {host}"] = printable(host, f"journalctl --no-pager -o cat --since @{begun}")
        # Records, state, copies of logs, what Ansible left: whatever was written since, but for what was planted.
        written = "/var/lib/trading-core /opt/ai_trading_core /tmp /var/tmp /root /home /etc/trading-core"
        kept[f"files of {host}"] = printable(
            host, f"find {written} -path {PLANTED} -prune -o -type f -newermt @{begun} -exec cat {{}} +"
        )
    assert len(kept[f"files of {HOST}"]) > 100_000 and len(kept["files of lab-control"]) > 100_000
    leaks = [(name, text) for name, content in kept.items() for text in texts if text in content]
    squeezed = {name: "".join(content.split()) for name, content in kept.items()}
    leaks += [
        (name, secret) for name, content in squeezed.items() for secret in secrets if "".join(secret.split()) in content
    ]
    assert leaks == []
    (bundled,) = incidents.glob(f"{run.incident_id}/evidence/{HOST}/logs/evidence-planted.log")
    assert bundled.read_text(errors="replace").count("(redacted: known: ") >= 200 * len(encodings("x"))
    on("lab-control", f"rm -rf /var/lib/trading-core/incidents/{run.incident_id}")


def printable(host: str, shell: str) -> str:
    return on(host, f"{shell} | tr -cd '\\11\\12\\15\\40-\\176'")


def write(path: str, text: str) -> None:
    """Write a long text onto the host: too long for a command line."""
    for start in range(0, len(text), 60_000):
        part = text[start : start + 60_000]
        docker("exec", HOST, "python3", "-c", f"open({path!r}, 'a').write({part!r})")


@pytest.mark.faults
def test_log_of_five_gigabytes_is_kept_within_bounds_with_its_newest_lines(incidents):
    path = run_container("evidence-huge")
    record = json.dumps(
        {"log": "x" * 900 + "\n", "stream": "stdout", "time": "2026-11-21T01:30:00.1Z"}, separators=(",", ":")
    )
    last = json.dumps(
        {"log": "the newest line\n", "stream": "stdout", "time": "2026-11-21T02:30:00.1Z"}, separators=(",", ":")
    )
    program = (
        f"block = ({record!r} + '\\n').encode() * 10000\n"
        f"file = open({path!r}, 'ab')\n"
        "while file.tell() < 5_000_000_000: file.write(block)\n"
        f"file.write(({last!r} + '\\n').encode())\n"
    )
    on(HOST, f"python3 -c {shlex.quote(program)}", timeout=280)
    try:
        run = collect(*services(evidence_huge=100_000))
    finally:
        on(HOST, "docker rm -f evidence-huge")
    assert run.code == 0, run.verdict
    item = manifest(incidents, HOST)["log evidence-huge"]
    assert (item["status"], "for more there is no room" in str(item["reason"])) == ("incomplete", True)
    assert log(incidents, "evidence-huge").endswith("the newest line\n")
    told = json.loads((incidents / INCIDENT / "evidence" / HOST / "manifest.json").read_text())
    assert told["peak_memory_bytes"] < 200 * 1024 * 1024
    assert sum(each["bytes"] for each in told["items"]) < 500 * 1024 * 1024


@pytest.mark.faults
def test_damaged_records_are_named_and_everything_else_is_there(incidents):
    path = run_container("evidence-damaged", "for n in $(seq 1 60); do echo line-$n-; done; sleep 3600")
    on(HOST, f'sed -i \'20s/.*/{{"log":"half of a rec/; 40s/.*/garbage/\' {path}')
    assert collect(*services(evidence_damaged=500)).code == 0
    item = manifest(incidents, HOST)["log evidence-damaged"]
    assert (item["status"], "2 damaged records" in str(item["reason"])) == ("incomplete", True)
    kept = log(incidents, "evidence-damaged")
    assert [n for n in range(1, 61) if f"line-{n}-" not in kept] == [20, 40]
    assert "half of a rec" in kept


@pytest.mark.faults
def test_frozen_host_is_noted_and_costs_the_other_nothing(incidents):
    docker("pause", OTHER)
    try:
        run = collect()
    finally:
        docker("unpause", OTHER)
    assert (run.code, f"{OTHER}: did not answer" in run.verdict) == (10, True)
    assert manifest(incidents, HOST)["log live_connector"]["status"] == "complete"
    (entry,) = manifest(incidents, OTHER).values()
    assert (entry["status"], "gave no answer" in str(entry["reason"])) == ("failed", True)
    again = collect()
    assert again.code == 0
    assert verify(incidents / INCIDENT / "evidence" / f"{OTHER}~2") == []


@pytest.mark.faults
def test_disk_that_is_nearly_full_leaves_a_bundle_that_says_so(incidents):
    run_container(
        "evidence-long",
        "for n in $(seq 1 4000); do echo line-$n-$(head -c 900 /dev/zero | tr '\\0' x); done; sleep 3600",
    )
    on(HOST, "mount -t tmpfs -o size=66m tmpfs /var/tmp")
    try:
        run = collect(*services(evidence_long=4000))
    finally:
        on(HOST, "umount /var/tmp")
    assert run.code == 0, run.verdict
    item = manifest(incidents, HOST)["log evidence-long"]
    assert item["status"] == "incomplete"
    assert "line-4000-" in log(incidents, "evidence-long")


@pytest.mark.faults
def test_evidence_without_an_engine_comes_from_its_files(incidents):
    on(OTHER, "pkill -STOP dockerd")
    try:
        run = collect()
    finally:
        on(OTHER, "pkill -CONT dockerd")
    assert run.code == 0, run.verdict
    item = manifest(incidents, OTHER)["log trading-live-bot-1"]
    assert (item["status"], "taken from the file itself" in str(item["reason"])) == ("incomplete", True)


@pytest.mark.faults
def test_rehearsal_stays_in_the_checkout(incidents):
    began = now()
    run = runbook("evidence_collection", "-e", "rehearsal=true")
    assert run.code == 0, run.verdict
    (folder,) = incidents.iterdir()
    assert folder.name.startswith("incident_test_")
    assert "incident_test_" in on(HOST, "ls /opt/ai_trading_core/logs")
    assert on("lab-control", f"find /var/lib/trading-core -newermt {began!r} -path '*incident_test*'") == ""
