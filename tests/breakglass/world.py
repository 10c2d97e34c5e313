"""A host for trading-halt: a fake docker, a folder that stands in for the system's, and a chosen user id."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHELLS = ["dash", "bash --posix", pytest.param("bash", marks=pytest.mark.faults)]
"""What `sh` is on Debian, what it is where it is bash, and bash that was typed."""
TRADING_HALT = ROOT / "breakglass" / "trading-halt"
MACHINE_ID, BOOT_ID = "1" * 32, "a8401e2a-d6b9-4ec6-a763-db764318381a"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Said:
    """How trading-halt ended: its line for people, what it counted for halt-now, and what it warned about."""

    code: int
    line: str
    counted: dict[str, str]
    machine: dict[str, str]
    warnings: str
    seconds: float

    @property
    def word(self) -> str:
        return self.line.partition(":")[0]


def container(name: str, mode: str | None = "paper", **more: Any) -> dict[str, Any]:
    """Return a bot as Compose labels it; mode None leaves that label out. `more` is what fake_docker.py acts on."""
    labels = {
        "com.docker.compose.service": "bot",
        "com.docker.compose.project": "trading-paper",
        "trading-core.cancels-orders": "true",
    }
    labels |= {} if mode is None else {"trading-core.mode": mode}
    labels |= more.pop("labels", {})
    base = {"id": f"{next(_numbers):064x}", "image": "bot:1", "status": "running", "policy": "always", "exit": 0}
    return {**base, "name": name, "labels": labels, **more}


class Host:
    """One fake host below `folder`."""

    def __init__(self, folder: Path, *containers: dict[str, Any], uid: int = 0, **engine: Any) -> None:
        self.system = folder / "system"
        self.state_path = folder / "state"
        self.world_file = folder / "world.json"
        self._bin = folder / "bin"
        self._bin.mkdir(parents=True)
        (self._bin / "docker").symlink_to(Path(__file__).with_name("fake_docker.py"))
        (self._bin / "id").write_text(f"#!/bin/sh\necho {uid}\n")
        (self._bin / "id").chmod(0o755)
        (self._bin / "python3").symlink_to(sys.executable)
        (self.system / "run").mkdir(parents=True)
        self.identify(MACHINE_ID, BOOT_ID)
        self.world_file.write_text(json.dumps({"containers": list(containers), "calls": [], **engine}))

    def identify(self, machine_id: str | None, boot_id: str | None) -> None:
        """Write the files that say which machine this is, None for none."""
        names = {"etc/machine-id": machine_id, "proc/sys/kernel/random/boot_id": boot_id}
        for path, text in ((self.system / name, text) for name, text in names.items()):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            if text is not None:
                path.write_text(f"{text}\n")

    def may_write(self, *programs: str) -> None:
        """Let these programs write files although the shell that calls them may not (`ulimit -S -f 0`)."""
        for name in programs:
            path = self._bin / name
            real = path.resolve() if path.exists() else Path("/bin") / name
            path.unlink(missing_ok=True)
            path.write_text(f'#!/bin/sh\nulimit -S -f unlimited\nexec {real} "$@"\n')
            path.chmod(0o755)

    def halt(self, *options: str, shell: str = "sh") -> Said:
        """Run trading-halt as ssh does: the script on standard input."""
        begun = time.monotonic()
        done = subprocess.run(
            [*shell.split(), "-s", "--", "--state-path", str(self.state_path), *options],
            stdin=TRADING_HALT.open(),
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        print(done.stdout, done.stderr, sep="")
        *machine, line = done.stdout.splitlines()
        assert len(machine) <= 1, done.stdout + done.stderr
        word, *fields = machine[0].split("\t") if machine else ["counted:"]
        assert word == "counted:"
        counted = dict(field.split("=", 1) for field in fields)
        told = {key: counted.pop(key) for key in ("machine", "boot") if key in counted}
        return Said(done.returncode, line, counted, told, done.stderr, time.monotonic() - begun)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self._bin}:{os.environ['PATH']}",
            "FAKE_DOCKER_WORLD": str(self.world_file),
            "TRADING_HALT_SYSTEM_ROOT": str(self.system),
        }

    @property
    def world(self) -> dict[str, Any]:
        return json.loads(self.world_file.read_text())

    @property
    def calls(self) -> list[str]:
        return [call[0] for call in self.world["calls"]]

    @property
    def latch_path(self) -> Path:
        return self.state_path / "halt.json"

    def latch_text(self) -> str:
        return self.latch_path.read_text(encoding="utf-8")

    def status(self) -> dict[str, str]:
        return {item["name"]: item["status"] for item in self.world["containers"]}
