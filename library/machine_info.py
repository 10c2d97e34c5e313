#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: machine_info
short_description: See which machine a host is
description:
  - Tells machine id and boot id. Where there is no C(/etc/machine-id) the engine's ID stands for it.
  - Where all hosts have answered, the verdict names two names for one machine, and a clone's doubled machine id.
  - Fails with RV(outcome) V(unknown) where neither can be read. Never changes anything.
extends_documentation_fragment: [engine, only_reads]
"""

EXAMPLES = r"""
- name: See which machine each name is
  machine_info:
"""

RETURN = r"""
outcome:
  description: V(proven), or V(unknown) where the machine does not say which it is.
  returned: always
  type: str
summary:
  description: The machine id, or what is missing.
  returned: always
  type: str
next_command:
  description: What to type next, empty where nothing is left to do.
  returned: always
  type: str
machine:
  description: C(machine_id) and C(boot_id), empty where they are not known.
  returned: always
  type: dict
"""

from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.arguments import ENGINE_ARGUMENTS
from ansible.module_utils.trading_ops.core.result import build_result, finish
from ansible.module_utils.trading_ops.host.engine import docker_engine
from ansible.module_utils.trading_ops.host.machine import observe_machine

ARGUMENT_SPEC = {**ENGINE_ARGUMENTS}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    machine = observe_machine(lambda: docker_engine(module.params["docker_url"]).engine_id())
    outcome, summary = "proven", f"machine {machine.machine_id}"
    if not machine.machine_id:
        outcome, summary = (
            "unknown",
            "it has no /etc/machine-id, and its engine tells no ID (fix: systemd-machine-id-setup)",
        )
    finish(module, build_result(outcome, summary, machine=asdict(machine)))


if __name__ == "__main__":
    main()
