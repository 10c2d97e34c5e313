"""The lab's folder on the operator's machine: keys, pinned host keys, and the way to reach the hosts."""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import tarfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lab.machines import EstateError, run

LOCK_TIMEOUT_SECONDS = 900
HOST_FILES = "etc/trading-core-lab"
_HOST_KEY = "ssh_host_ed25519_key"
_OWN_FILES = ("id_ed25519", "id_ed25519.pub", "known_hosts", "ssh_config")

# The same as in inventories/lab/group_vars/all/connection.yml, which says why each is there.
SSH_OPTIONS: Mapping[str, str] = {
    "StrictHostKeyChecking": "yes",
    "PreferredAuthentications": "publickey",
    "IdentitiesOnly": "yes",
    "BatchMode": "yes",
    "ControlMaster": "no",
    "ControlPath": "none",
    "ConnectTimeout": "5",
    "ServerAliveInterval": "1",
    "ServerAliveCountMax": "3",
}


def lab_home() -> Path:
    """Return the lab's folder: TRADING_CORE_LAB_HOME, or the default."""
    return Path(os.environ.get("TRADING_CORE_LAB_HOME") or Path.home() / ".local/state/trading-core-lab")


@contextmanager
def lab_lock(home: Path) -> Iterator[None]:
    """Hold the folder, which is made where it is missing, so that two runs never change the lab at once."""
    deadline = time.monotonic() + LOCK_TIMEOUT_SECONDS
    while (held := _try_lock(home)) is None:
        if time.monotonic() > deadline:
            raise EstateError(f"another lab command has held {home} for {LOCK_TIMEOUT_SECONDS} s")
        time.sleep(0.2)
    try:
        yield
    finally:
        os.close(held)


def _try_lock(home: Path) -> int | None:
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(home, os.O_RDONLY)
    except (FileExistsError, FileNotFoundError):  # removed at this very moment
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # `down` ends by removing the folder; a lock on the removed one protects nothing.
        if os.fstat(descriptor).st_ino == home.stat().st_ino:
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None


def ensure_keys(home: Path, addresses: Mapping[str, str]) -> None:
    """Make the operator's key and each host's, once, and write the files by which ssh trusts only those."""
    _ensure_key(home / "id_ed25519", "operator@trading-core-lab")
    for name in addresses:
        _ensure_key(_host_key(home, name), name)
    _write(home / "known_hosts", render_known_hosts(addresses, {name: _public(home, name) for name in addresses}))
    _write(home / "ssh_config", render_ssh_config(home, addresses))


def render_known_hosts(addresses: Mapping[str, str], public_keys: Mapping[str, str]) -> str:
    """Return one line per host: its name and address, and the only key it may show."""
    lines = [f"{name},{address} {' '.join(public_keys[name].split()[:2])}" for name, address in addresses.items()]
    return "\n".join(lines) + "\n"


def render_ssh_config(home: Path, addresses: Mapping[str, str]) -> str:
    """Return the file that makes `ssh -F ssh_config lab1` enough to look around."""
    hosts = "".join(f"Host {name}\n    HostName {address}\n" for name, address in addresses.items())
    common = {"User": "ops", "IdentityFile": f'"{home}/id_ed25519"', "UserKnownHostsFile": f'"{home}/known_hosts"'}
    options = "".join(f"    {key} {value}\n" for key, value in {**common, **SSH_OPTIONS}.items())
    return f"{hosts}Host *\n{options}"


def ssh_argv(home: Path, name: str, command: str) -> list[str]:
    """Return the command that runs a shell line on a host, as the operator."""
    return ["ssh", "-F", str(home / "ssh_config"), name, command]


def host_files(home: Path, name: str, operates: bool = False) -> bytes:
    """Return a tar for the host's root: its key, who may log in, and what an operator has, where it is one as well.

    And its machine id, which the image has none of: two names for one machine must not look like two hosts.
    """
    contents = {
        _HOST_KEY: (0o600, _host_key(home, name).read_bytes()),
        "authorized_keys": (0o644, (home / "id_ed25519.pub").read_bytes()),
    }
    if operates:
        contents |= {
            "id_ed25519": (0o600, (home / "id_ed25519").read_bytes()),
            "known_hosts": (0o644, (home / "known_hosts").read_bytes()),
        }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        folder = tarfile.TarInfo(HOST_FILES)
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(folder)
        for file_name, (mode, content) in contents.items():
            member = tarfile.TarInfo(f"{HOST_FILES}/{file_name}")
            member.mode, member.size = mode, len(content)
            tar.addfile(member, io.BytesIO(content))
        machine = tarfile.TarInfo("etc/machine-id")
        machine.mode, machine.size = 0o444, 33
        tar.addfile(machine, io.BytesIO(f"{machine_id(name)}\n".encode()))
    return buffer.getvalue()


def machine_id(name: str) -> str:
    """Return a lab host's own machine id: the same each time that the host is made."""
    return hashlib.sha256(f"trading-core-lab {name}".encode()).hexdigest()[:32]


def digest(content: bytes) -> str:
    """Return a short digest, for telling contents apart."""
    return hashlib.sha256(content).hexdigest()[:12]


def remove_state(home: Path) -> None:
    """Remove what ensure_keys made, and the folder where nothing else is left in it."""
    for key in [*home.glob(f"*.{_HOST_KEY}"), *home.glob(f"*.{_HOST_KEY}.pub"), *(home / name for name in _OWN_FILES)]:
        key.unlink(missing_ok=True)
    # The engine's log and record stay as long as the daemon does; lab/engine.sh removes them.
    if home.exists() and not any(home.iterdir()):
        home.rmdir()


def _host_key(home: Path, name: str) -> Path:
    return home / f"{name}.{_HOST_KEY}"


def _public(home: Path, name: str) -> str:
    return (home / f"{name}.{_HOST_KEY}.pub").read_text()


def _ensure_key(path: Path, comment: str) -> None:
    if not path.exists():
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)])


def _write(path: Path, content: str) -> None:
    if not path.exists() or path.read_text() != content:
        path.write_text(content)
