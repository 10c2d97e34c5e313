#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: incident_copy
short_description: Keep the local copy of an incident's record in a checkout like the primary one
description:
  - Writes the primary files into the copy and takes from C(pending.jsonl) what the primary has now. Run it on the
    controller.
  - A copy whose timeline is no beginning of the primary's is left as it is and named: one of the two was rewritten.
  - C(post_mortem.md) is never overwritten, it is for people to edit.
options:
  timeline:
    description: The text of the primary C(timeline.jsonl).
    type: str
    required: true
  incident:
    description: The text of the primary C(incident.yml).
    type: str
    required: true
  post_mortem:
    description: The text of the primary C(post_mortem.md), empty where there is none.
    type: str
    default: ""
extends_documentation_fragment: incident
attributes:
  check_mode:
    support: full
    description: Writes nothing.
  diff_mode:
    support: none
    description: The primary files are the difference.
"""

EXAMPLES = r"""
- name: Refresh the copy
  incident_copy:
    incidents_path: /home/reno/runbooks/incidents
    incident_id: INC-20261121-013000-bars-look-wrong
    timeline: "{{ primary.timeline }}"
    incident: "{{ primary.incident }}"
  delegate_to: localhost
"""

RETURN = r"""
outcome:
  description: V(proven), V(planned) in check mode, V(failed).
  returned: always
  type: str
summary:
  description: Where the copy is, and how many entries are still to be synced; or why it was left as it is.
  returned: always
  type: str
next_command:
  description: What to type next, empty where nothing is left to do.
  returned: always
  type: str
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.result import finish
from ansible.module_utils.trading_ops.incident.folder import INCIDENT_ARGUMENTS
from ansible.module_utils.trading_ops.incident.record import ensure_local_copy

ARGUMENT_SPEC = {
    **INCIDENT_ARGUMENTS,
    "timeline": {"type": "str", "required": True},
    "incident": {"type": "str", "required": True},
    "post_mortem": {"type": "str", "default": ""},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    path = Path(params["incidents_path"])
    result = ensure_local_copy(path, params["incident_id"], params, module.check_mode)
    finish(module, result)


if __name__ == "__main__":
    main()
