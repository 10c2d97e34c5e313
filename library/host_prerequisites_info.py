#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: host_prerequisites_info
short_description: See whether a host has what this project relies on
description:
  - Engine and Compose versions, Python's Docker SDK and YAML library, free disk, systemd, sudo, root, each with the
    line that fixes it.
  - Fails with RV(outcome) V(refused) where something is missing. Never changes anything.
options:
  controller_epoch:
    description: The controller's clock when the task was sent, handed back to be compared with RV(host_epoch).
    type: float
    required: true
  free_bytes:
    description: What must be left where the engine and the state of this project are.
    type: int
    default: 1000000000
extends_documentation_fragment: [host_state, engine, only_reads]
"""

EXAMPLES = r"""
- name: Look at the prerequisites
  host_prerequisites_info:
    controller_epoch: "{{ now(utc=true).timestamp() }}"
"""

RETURN = r"""
outcome:
  description: V(proven), or V(refused) where something is missing.
  returned: always
  type: str
summary:
  description: The versions, or everything that is missing with the lines that fix it.
  returned: always
  type: str
next_command:
  description: What to type next, empty where nothing is left to do.
  returned: always
  type: str
lacks:
  description: One entry per missing thing with C(text) and C(fix).
  returned: always
  type: list
  elements: dict
host_epoch:
  description: The host's clock, seconds since 1970.
  returned: always
  type: float
controller_epoch:
  description: As handed in.
  returned: always
  type: float
"""

import importlib.util
import os
import shutil
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.arguments import ENGINE_ARGUMENTS, STATE_ARGUMENTS
from ansible.module_utils.trading_ops.core.result import finish
from ansible.module_utils.trading_ops.host.cgroups import find_docker_root
from ansible.module_utils.trading_ops.host.engine import EngineError, docker_engine
from ansible.module_utils.trading_ops.host.prerequisites import SeenHost, evaluate, format_result, free_bytes

ARGUMENT_SPEC = {
    "controller_epoch": {"type": "float", "required": True},
    "free_bytes": {"type": "int", "default": 1_000_000_000},
    **STATE_ARGUMENTS,
    **ENGINE_ARGUMENTS,
}


def observe(module: AnsibleModule) -> SeenHost:
    try:
        engine_api, engine_error = docker_engine(module.params["docker_url"]).api_version, ""
    except EngineError as error:
        engine_api, engine_error = "", str(error)
    code, compose, error = module.run_command(["docker", "compose", "version", "--short"], handle_exceptions=False)
    return SeenHost(
        is_root=os.geteuid() == 0,
        has_systemd=Path("/run/systemd/system").is_dir(),
        has_sudo=shutil.which("visudo", path="/usr/sbin:/sbin:/usr/bin") is not None,
        has_yaml=importlib.util.find_spec("yaml") is not None,
        engine_api=engine_api,
        engine_error=engine_error,
        compose=compose.strip() if code == 0 else "",
        compose_error=error.strip(),
        free_bytes=free_bytes([find_docker_root(), Path(module.params["state_path"])]),
    )


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    host_epoch = time.time()
    seen = observe(module)
    lacks = evaluate(seen, module.params["free_bytes"])
    result = format_result(lacks, seen, module.params["controller_epoch"], host_epoch)
    finish(module, result)


if __name__ == "__main__":
    main()
