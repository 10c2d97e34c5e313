#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: alert_path_info
short_description: Tell whether an alert would arrive at the control host and be carried out
options:
  wait_seconds:
    description: So long to wait for a heartbeat that comes from now on. 0 takes one that is young enough.
    type: float
    default: 0
extends_documentation_fragment: host_state
attributes:
  check_mode:
    support: full
    description: Only reads. With O(wait_seconds) it waits for nothing, and what is not there yet is no failure then.
  diff_mode:
    support: none
    description: Nothing is changed.
"""

EXAMPLES = r"""
- name: See that a heartbeat arrives
  alert_path_info:
    wait_seconds: 150
"""

RETURN = r"""
outcome:
  description:
    - V(proven), or V(unknown) where no alert may arrive or be carried out.
    - V(planned) in check mode where O(wait_seconds) is given.
  returned: always
  type: str
summary:
  description: When the last heartbeat came, or what is wrong.
  returned: always
  type: str
next_command:
  description: What to type next, empty where nothing is left to do.
  returned: always
  type: str
heartbeat_at:
  description: When the last heartbeat came, ISO 8601 UTC; empty for never.
  returned: always
  type: str
is_set_up:
  description: Whether C(./runbook alert_receiver_setup) was ever run here.
  returned: always
  type: bool
waiting:
  description: How many requests wait in the spool.
  returned: always
  type: int
"""

from collections.abc import Sequence
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.alerts.path import ControlHost, observe
from ansible.module_utils.trading_ops.core.arguments import STATE_ARGUMENTS
from ansible.module_utils.trading_ops.core.result import finish

ARGUMENT_SPEC = {
    "wait_seconds": {"type": "float", "default": 0},
    **STATE_ARGUMENTS,
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)

    def run(argv: Sequence[str]) -> tuple[int, str]:
        code, out, err = module.run_command(list(argv))
        return code, out + err

    host = ControlHost(run, Path(module.params["state_path"]))
    result = observe(host, module.params["wait_seconds"], module.check_mode)
    finish(module, result)


if __name__ == "__main__":
    main()
