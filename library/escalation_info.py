#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: escalation_info
short_description: See whom to tell next of an incident
description:
  - Holds the contacts in their order against the incident's timeline, as the copy in the checkout has it.
  - Never changes anything.
options:
  contacts:
    description: Names, in the order in which they are told.
    type: list
    elements: str
    required: true
  contact:
    description: The one to tell, also where they were told already.
    type: str
    default: ""
extends_documentation_fragment: [incident, only_reads]
"""

EXAMPLES = r"""
- name: See who is next
  escalation_info:
    incidents_path: /home/reno/runbooks/incidents
    incident_id: INC-20261121-013000-bars-look-wrong
    contacts: [Anna, Bo]
"""

RETURN = r"""
outcome:
  description: V(proven), V(refused) where everybody was told already, V(usage) or V(failed).
  returned: always
  type: str
summary:
  description: Who is next, and who was told when.
  returned: always
  type: str
next_command:
  description: What to type next, empty where nothing is left to do.
  returned: always
  type: str
contact:
  description: The name, empty for nobody.
  returned: always
  type: str
index:
  description: Its place in O(contacts), from 0.
  returned: always
  type: int
told:
  description: One entry per time that somebody was told, with C(contact), C(at) and C(outcome).
  returned: always
  type: list
  elements: dict
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.result import finish
from ansible.module_utils.trading_ops.incident.escalation import observe
from ansible.module_utils.trading_ops.incident.folder import INCIDENT_ARGUMENTS

ARGUMENT_SPEC = {
    **INCIDENT_ARGUMENTS,
    "contacts": {"type": "list", "elements": "str", "required": True},
    "contact": {"type": "str", "default": ""},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    path = Path(params["incidents_path"])
    result = observe(path, params["incident_id"], params["contacts"], params["contact"])
    finish(module, result)


if __name__ == "__main__":
    main()
