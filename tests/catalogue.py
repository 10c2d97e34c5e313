"""The check catalogue as Ansible resolves it for an inventory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from trading_ops.checks.catalogue import Check, parse_checks

ROOT = Path(__file__).resolve().parents[1]
PLAY = """
- hosts: feed_hosts
  gather_facts: false
  roles: [estate, check_catalogue]
  tasks:
    - ansible.builtin.copy: {content: "{{ NAMES | to_json }}", dest: "{{ out }}", mode: "0600"}
"""


@cache
def resolved(inventory: str, *names: str, extra: str = "{}") -> list[Any]:
    """Return the values of variables on the feed host. `extra` is JSON that overrides the inventory."""
    with tempfile.TemporaryDirectory() as scratch:
        out, play = Path(scratch, "checks.json"), Path(scratch, "play.yml")
        play.write_text(PLAY.replace("NAMES", f"[{', '.join(names)}]"), encoding="utf-8")
        settings = {
            "out": str(out),
            "ansible_connection": "local",
            "ansible_become": False,
            "ansible_python_interpreter": sys.executable,
        }
        argv = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(ROOT / "inventories" / inventory)]
        done = subprocess.run(
            [*argv, "-e", json.dumps(settings), "-e", extra, str(play)],
            cwd=scratch,
            env={**os.environ, "ANSIBLE_ROLES_PATH": str(ROOT / "roles"), "ANSIBLE_HOME": scratch},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return list(json.loads(out.read_text(encoding="utf-8")))


def catalogue(inventory: str, extra: str = "{}") -> tuple[Check, ...]:
    """Return the parsed checks."""
    return parse_checks(resolved(inventory, "check_catalogue_checks", extra=extra)[0])
