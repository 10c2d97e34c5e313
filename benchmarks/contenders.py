"""The ways to stop all bots that are measured side by side, each as the command that an operator would type."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.hosts import ROOT, Estate
from lab import state
from lab.machines import run

PLAYS = ROOT / "benchmarks/plays"
REQUIREMENTS = ROOT / "benchmarks/requirements.txt"
INSTALL_TIMEOUT_SECONDS = 600
_STOP_BY_LABEL = "docker stop --time 10 $(docker ps --quiet --filter label=com.docker.compose.service=bot)"


@dataclass(frozen=True)
class Contender:
    """A command that stops the bots: `key` names it in the records, `title` in the table."""

    key: str
    title: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


def build_contenders(estate: Estate, tools: Path, scratch: Path) -> list[Contender]:
    """Return all contenders, with what they need written into `scratch`."""
    inventory = str(estate.inventory)
    ours = {"TRADING_CORE_LAB_HOME": str(estate.home)}
    runbook = str(ROOT / "runbook")
    contenders = [
        Contender("ours", "`./runbook failsafe_stop`", (runbook, "failsafe_stop", "-i", inventory), ours),
        Contender("ssh", "parallel ssh, `docker stop`", _ssh(estate)),
        Contender("pyinfra", "pyinfra, `docker stop`", _pyinfra(estate, tools, scratch)),
        _play("module", "play with community.docker `docker_compose_v2`", "compose_module", estate, tools, scratch),
        _play("shell", "play with `shell: docker compose stop`", "compose_shell", estate, tools, scratch),
    ]
    if (ROOT / "breakglass/halt-now").exists():
        contenders.append(Contender("halt-now", "`./runbook halt-now`", (runbook, "halt-now", "-i", inventory), ours))
    return contenders


def _ssh(estate: Estate) -> tuple[str, ...]:
    ssh = f"ssh -F {estate.home}/ssh_config {{}} '{_STOP_BY_LABEL}'"
    # `{}` stands in double quotes of no shell: xargs starts ssh itself.
    return ("sh", "-c", f"printf '%s\\n' {' '.join(estate.hosts)} | xargs -P 50 -I '{{}}' {ssh}")


def _pyinfra(estate: Estate, tools: Path, scratch: Path) -> tuple[str, ...]:
    limits = {"banner_timeout": 3, "auth_timeout": 3}
    common = {
        "ssh_user": "ops",
        "ssh_key": str(estate.home / "id_ed25519"),
        "ssh_known_hosts_file": str(estate.home / "known_hosts"),
        "ssh_strict_host_key_checking": "yes",
        "ssh_config_file": "/dev/null",
        "ssh_allow_agent": False,
        "ssh_look_for_keys": False,
        "ssh_paramiko_connect_kwargs": limits,
    }
    hosts = [(name, {**common, "ssh_hostname": address}) for name, address in estate.addresses.items()]
    (scratch / "inventory.py").write_text(f"hosts = {hosts!r}\n")
    # The same limit as everybody else's; pyinfra's own is 10 s.
    (scratch / "config.py").write_text("CONNECT_TIMEOUT = 3\n")
    return (str(tools / "pyinfra"), "--yes", "inventory.py", "exec", "--", _STOP_BY_LABEL)


def _play(key: str, title: str, play: str, estate: Estate, tools: Path, scratch: Path) -> Contender:
    # Multiplexed, as Ansible does unless it is told otherwise: a play with facts needs its connection twice.
    # forget_connections closes what is left open, so that every run starts cold.
    connection = {**state.SSH_OPTIONS, "ControlMaster": "auto", "ControlPersist": "15s"}
    connection |= {"ControlPath": f"{control_path(scratch)}/%C", "UserKnownHostsFile": f"{estate.home}/known_hosts"}
    options = " ".join(f"-o {name}={value}" for name, value in connection.items())
    settings = {"ansible_become": False, "ansible_ssh_args": f"-F /dev/null {options}"}
    command = (str(tools / "ansible-playbook"), "-i", str(estate.inventory), "-e", json.dumps(settings))
    # Empty, or the project's own would be used from wherever it is found.
    configuration = scratch / "ansible.cfg"
    configuration.touch()
    environment = {
        "ANSIBLE_CONFIG": str(configuration),
        "ANSIBLE_FORKS": "50",
        "ANSIBLE_HOME": str(scratch / "ansible"),
        "TRADING_CORE_LAB_HOME": str(estate.home),
    }
    return Contender(key, title, (*command, str(PLAYS / f"{play}.yml")), environment)


def control_path(scratch: Path) -> Path:
    """Return the folder of the sockets of multiplexed connections."""
    return scratch / "ssh"


def forget_connections(scratch: Path) -> None:
    """End whatever connection an earlier run has left open, so that no run finds one."""
    folder = control_path(scratch)
    for socket in folder.glob("*"):
        argv = ["ssh", "-o", f"ControlPath={socket}", "-O", "exit", "any"]
        subprocess.run(argv, capture_output=True, timeout=10, check=False)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()


def ensure_tools() -> Path:
    """Return the folder with the competitors' commands, which have an environment of their own, made once per lock."""
    stamp = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()[:12]
    environment = ROOT / ".cache/benchmarks" / stamp
    if not (environment / "complete").exists():
        shutil.rmtree(environment, ignore_errors=True)
        uv = os.environ.get("UV") or str(ROOT / ".venv-uv/bin/uv")
        run([uv, "venv", "--quiet", "--python", sys.executable, str(environment)])
        install = [uv, "pip", "install", "--quiet", "--python", str(environment / "bin/python"), "--require-hashes"]
        # Compiled, as the project's own environment is: no measured run pays for that.
        run([*install, "--compile-bytecode", "-r", str(REQUIREMENTS)], timeout_seconds=INSTALL_TIMEOUT_SECONDS)
        (environment / "complete").touch()
    return environment / "bin"
