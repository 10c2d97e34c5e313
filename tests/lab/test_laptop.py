"""The laptop inventory: the project on the machine whose engine it controls, `connection: local`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from tests.lab.estate import ROOT, Run, bots, command, containers, docker, on

HOST = "lab1"
PLACE = "/opt/laptop"


@pytest.fixture(scope="module")
def laptop(stacks: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A checkout and its Ansible on a lab host, for that host's own Python."""
    site = tmp_path_factory.mktemp("site")
    uv = str(ROOT / ".venv-uv" / "bin" / "uv")
    locked = subprocess.run(
        [uv, "export", "--frozen", "--no-dev", "--no-annotate", "--no-header", "--project", str(ROOT)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    (site / "requirements.txt").write_text(locked)
    target = ["--target", str(site / "packages"), "--python-version", "3.13", "--only-binary", ":all:"]
    subprocess.run(
        [uv, "pip", "install", "--quiet", "--require-hashes", *target, "-r", str(site / "requirements.txt")], check=True
    )
    on(HOST, f"mkdir -p {PLACE}/checkout")
    docker("cp", str(site / "packages"), f"{HOST}:{PLACE}/packages")
    for name in ("playbooks", "roles", "library", "module_utils", "inventories", "ansible.cfg"):
        docker("cp", str(ROOT / name), f"{HOST}:{PLACE}/checkout/{name}")
    yield
    on(HOST, f"rm -rf {PLACE} /root/.ansible")


def play(name: str, *options: str) -> Run:
    environment = ["--env", f"PYTHONPATH={PLACE}/packages", "--env", "HOME=/root", "--env", "LC_ALL=C.UTF-8"]
    ansible = ["python3", "-m", "ansible", "playbook", "-i", f"{PLACE}/checkout/inventories/laptop"]
    playbook = f"{PLACE}/checkout/playbooks/{name}.yml"
    return command("docker", "exec", *environment, HOST, *ansible, playbook, *options)


@pytest.mark.faults
def test_laptop_stops_its_own_bots_and_refuses_a_start_until_released(laptop, trading):
    # The lab's stacks are not a laptop's: other places, other bars, other symbols.
    lab = {"trading_core_root_path": "/opt/ai_trading_core", "trading_core_feed_symbols": ["BTCUSDT", "ETHUSDT"]}
    lab |= {"trading_core_feed_bar_seconds": 1, "trading_core_scrape_interval_seconds": 5}
    lab |= {"trading_core_gate_stable_seconds": 5, "watch_seconds": 0}
    root = ["-e", json.dumps(lab)]
    before = {item.id for item in containers("lab2") if item.is_running}
    seen = play("status")
    assert (seen.code, "1 paper bot running" in seen.verdict) == (0, True)

    stopped = play("failsafe_stop", "-e", "reason=test")
    assert stopped.code == 0, stopped.verdict
    assert not any(bot.is_running for bot in bots(HOST))
    assert {item.id for item in containers("lab2") if item.is_running} == before

    assert play("bot_start", "-e", "mode=paper", *root).code == 13
    assert play("halt_release", "-e", f"incident_id={stopped.incident_id}").code == 0
    assert play("feed_gate", *root).code == 0
    started = play("bot_start", "-e", "mode=paper", *root)
    assert started.code == 0, started.verdict
    assert any(bot.is_running for bot in bots(HOST))
