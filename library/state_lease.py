#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: state_lease
short_description: Take or free the lease of a host, so that one run at a time changes it
description:
  - V(present) takes the lease, C(lease.json) in O(state_path), and fails as V(locked) while another run has it.
  - A lease that is over is taken over, and the audit log says from whom. One that cannot be understood counts as
    held for an hour after it was written.
  - V(absent) gives back what this run holds. It never fails, since a lease that stays behind ends by itself.
  - A stop never asks for the lease.
options:
  state:
    description: Whether this run has the lease.
    type: str
    choices: [present, absent]
    required: true
  run_id:
    description: The run, unlike any other. The same run may take the lease again, which prolongs it.
    type: str
    required: true
  by:
    description: The person, not only the account.
    type: str
    default: not given
  purpose:
    description: What the lease is for, in words.
    type: str
    default: not given
  duration_seconds:
    description: When the lease ends by itself, at most 3600. It has to be longer than the work can take.
    type: int
    default: 600
  wait_timeout_seconds:
    description: How long to wait for another run's lease. C(0) is refused at once. Check mode never waits.
    type: int
    default: 0
extends_documentation_fragment: host_state
attributes:
  check_mode:
    support: full
    description: Reads the lease, takes nothing, and fails as V(locked) where a real run would.
  diff_mode:
    support: none
    description: A lease is gone when the run ends.
"""

EXAMPLES = r"""
- name: Take the lease
  state_lease:
    state: present
    run_id: 20261121-031957.4711
    by: reno
    purpose: start the paper bot
    wait_timeout_seconds: 60

- name: Free the lease
  state_lease:
    state: absent
    run_id: 20261121-031957.4711
    by: reno
"""

RETURN = r"""
outcome:
  description: V(proven), or V(planned) in check mode. Otherwise V(locked), V(failed) (disk), V(usage).
  returned: always
  type: str
summary:
  description: One sentence; for V(locked) who holds it, for what, since when, until when, and how to end it by hand.
  returned: always
  type: str
next_command:
  description: Empty; the same command again is what comes next.
  returned: always
  type: str
lease:
  description: The lease as it then is (C(holder), C(purpose), C(since), C(expires)), empty for none.
  returned: always
  type: dict
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.arguments import STATE_ARGUMENTS
from ansible.module_utils.trading_ops.core.result import finish
from ansible.module_utils.trading_ops.state.lease import Clock, build_wanted, ensure_freed, ensure_held

ARGUMENT_SPEC = {
    "state": {"type": "str", "choices": ["present", "absent"], "required": True},
    "run_id": {"type": "str", "required": True},
    "by": {"type": "str", "default": "not given"},
    "purpose": {"type": "str", "default": "not given"},
    "duration_seconds": {"type": "int", "default": 600},
    "wait_timeout_seconds": {"type": "int", "default": 0},
    **STATE_ARGUMENTS,
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params, state_path = module.params, Path(module.params["state_path"])
    wanted = build_wanted(params["by"], params["run_id"], params["purpose"], params["duration_seconds"])
    if params["state"] == "present":
        wait = 0 if module.check_mode else params["wait_timeout_seconds"]
        result = ensure_held(state_path, wanted, wait, Clock(), module.check_mode)
    else:
        result = ensure_freed(state_path, wanted, Clock().now, module.check_mode)
    finish(module, result)


if __name__ == "__main__":
    main()
