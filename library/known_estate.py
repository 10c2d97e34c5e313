#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: known_estate
short_description: Record on a host which trading hosts there are
description:
  - A stop compares this record with its inventory, so that a host which silently left the inventory is noticed.
  - Refused where a recorded host would be dropped, or be another machine, that O(forget_hosts) does not name.
options:
  trading_hosts:
    description: The inventory's trading hosts.
    type: list
    elements: str
    required: true
  machines:
    description: Machine id by trading host, as far as known; one that is not given stays on record as it was.
    type: dict
    default: {}
  forget_hosts:
    description: Hosts that are dropped on purpose, or that are another machine on purpose.
    type: list
    elements: str
    default: []
  by:
    description: The person, not only the account.
    type: str
    default: not given
extends_documentation_fragment: host_state
attributes:
  check_mode:
    support: full
    description: Refuses what a real run would refuse, and writes nothing.
  diff_mode:
    support: full
    description: The hosts, before and after.
"""

EXAMPLES = r"""
- name: Record the trading hosts
  known_estate:
    trading_hosts: "{{ groups['trading_hosts'] }}"
    by: reno
"""

RETURN = r"""
outcome:
  description: V(proven), V(planned) in check, V(refused) or V(failed).
  returned: always
  type: str
summary:
  description: The recorded hosts, or why not.
  returned: always
  type: str
next_command:
  description: What to type next, empty where nothing is left to do.
  returned: always
  type: str
known_machines:
  description: Machine id by trading host, as it then is on record.
  returned: always
  type: dict
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.arguments import STATE_ARGUMENTS
from ansible.module_utils.trading_ops.core.clock import utc_now
from ansible.module_utils.trading_ops.core.machine import parse_recorded
from ansible.module_utils.trading_ops.core.result import finish
from ansible.module_utils.trading_ops.state.known_estate import KnownEstate, ensure_recorded

ARGUMENT_SPEC = {
    "trading_hosts": {"type": "list", "elements": "str", "required": True},
    "machines": {"type": "dict", "default": {}},
    "forget_hosts": {"type": "list", "elements": "str", "default": []},
    "by": {"type": "str", "default": "not given"},
    **STATE_ARGUMENTS,
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    result = ensure_recorded(
        Path(params["state_path"]),
        KnownEstate(tuple(params["trading_hosts"]), parse_recorded(params["machines"])),
        params["forget_hosts"],
        params["by"],
        utc_now(),
        module.check_mode,
    )
    finish(module, result)


if __name__ == "__main__":
    main()
