#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: deploy_pause
short_description: Pause deploys, or lift the pause
description:
  - The pause is C(deploy_pause.json) in O(state_path) of the control host. While it is there, or cannot be
    understood, nothing new is deployed.
  - Set again it keeps the first one's time, person and reason; another reason is a line of the audit log.
  - Lifting it starts nothing.
options:
  state:
    description: Whether deploys are paused.
    type: str
    choices: [present, absent]
    required: true
  reason:
    description: Why, in words.
    type: str
    required: true
  source:
    description: V(person), or C(alert:) and the alert's name.
    type: str
    default: person
  by:
    description: The person, not only the account.
    type: str
    default: not given
  tracker_url:
    description: A tracker's address that opens a new issue, with C({title}) and C({body}) in it. Empty for none.
    type: str
    default: ""
extends_documentation_fragment: host_state
attributes:
  check_mode:
    support: full
    description: Says what would be changed, and writes nothing.
  diff_mode:
    support: none
    description: The summary says it all.
"""

EXAMPLES = r"""
- name: Pause deploys
  deploy_pause:
    state: present
    reason: tracking error 0.004 where at most 0.001 is allowed
    source: alert:tracking_error
    by: alertmanager

- name: Lift the pause
  deploy_pause:
    state: absent
    reason: the fill engine charged the fee twice, fixed in 1f2e3d4
    by: reno
"""

RETURN = r"""
outcome:
  description: V(proven), or V(planned) in check mode. Otherwise V(usage) (no reason), V(failed) (disk).
  returned: always
  type: str
summary:
  description: Since when, by whom and why deploys are paused; or that they are not.
  returned: always
  type: str
next_command:
  description: What to type next, empty where nothing is left to do.
  returned: always
  type: str
pause:
  description: The pause that holds, or was lifted (C(since), C(by), C(reason), C(source), C(sentence)), empty for none.
  returned: always
  type: dict
lines:
  description: For V(present) the backlog item for a new analysis, ready to paste.
  returned: always
  type: list
  elements: str
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.arguments import STATE_ARGUMENTS
from ansible.module_utils.trading_ops.core.clock import utc_now
from ansible.module_utils.trading_ops.core.result import finish
from ansible.module_utils.trading_ops.release.pause import Pause, ensure_paused, ensure_resumed

ARGUMENT_SPEC = {
    "state": {"type": "str", "choices": ["present", "absent"], "required": True},
    "reason": {"type": "str", "required": True},
    "source": {"type": "str", "default": "person"},
    "by": {"type": "str", "default": "not given"},
    "tracker_url": {"type": "str", "default": ""},
    **STATE_ARGUMENTS,
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params, state_path = module.params, Path(module.params["state_path"])
    if params["state"] == "present":
        wanted = Pause(utc_now(), params["by"] or "not given", params["reason"], params["source"])
        result = ensure_paused(state_path, wanted, params["tracker_url"], module.check_mode)
    else:
        result = ensure_resumed(state_path, params["reason"], params["by"], utc_now(), module.check_mode)
    finish(module, result)


if __name__ == "__main__":
    main()
