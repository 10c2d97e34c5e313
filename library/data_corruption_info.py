#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: data_corruption_info
short_description: Decide whether the feed has to stop for its data
description:
  - Yes where somebody says that the data is wrong or a check of its quality fails, and every trading host has proven
    that its bots are down.
  - Only decides, from what other modules have said. Never changes anything and never fails.
options:
  is_said:
    description: Whether somebody says that the data is wrong.
    type: bool
    default: false
  metrics:
    description: Results of M(metric_checks_info), one of each feed host, empty where there is none.
    type: list
    elements: dict
    default: []
  stops:
    description: Results of M(kill_switch) by trading host, empty where there is none.
    type: dict
    default: {}
  scope:
    description: Which bots they stopped. Of anything but V(all) others may run.
    type: str
    default: all
attributes:
  check_mode:
    support: full
    description: Only decides.
  diff_mode:
    support: none
    description: Only decides.
"""

EXAMPLES = r"""
- name: Decide whether the feed has to stop
  data_corruption_info:
    is_said: true
    stops: {homelab1: {outcome: proven}, homelab2: {outcome: proven}}
"""

RETURN = r"""
outcome:
  description: >-
    V(proven) where it is decided, V(refused) where the feed would have to stop and a bot may still run, V(unknown)
    where nobody knows how good the data is.
  returned: always
  type: str
summary:
  description: Why.
  returned: always
  type: str
next_command:
  description: What to type next, empty where it is decided.
  returned: always
  type: str
must_stop:
  description: Whether the feed has to stop.
  returned: always
  type: bool
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.feed.data_corruption import decide

ARGUMENT_SPEC = {
    "is_said": {"type": "bool", "default": False},
    "metrics": {"type": "list", "elements": "dict", "default": []},
    "stops": {"type": "dict", "default": {}},
    "scope": {"type": "str", "default": "all"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    module.exit_json(**decide(params["is_said"], params["metrics"], params["stops"], params["scope"]))


if __name__ == "__main__":
    main()
