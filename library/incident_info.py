#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: incident_info
short_description: List the incidents on record
description:
  - Reads the incidents in O(incidents_path), the primary ones on the control host or local copies in a checkout.
  - Never changes anything and never fails on what it sees; a record that is damaged or cannot be read is V(unknown).
options:
  incidents_path:
    description: Directory of the incidents.
    type: path
    required: true
  incident_id:
    description: Only this one; V(unknown) where it is not there.
    type: str
    default: ""
extends_documentation_fragment: only_reads
"""

EXAMPLES = r"""
- name: List the incidents
  incident_info:
    incidents_path: /var/lib/trading-core/incidents
"""

RETURN = r"""
outcome:
  description: V(proven), or V(unknown).
  returned: always
  type: str
summary:
  description: How many are open, what the control host has not got yet, and what is damaged.
  returned: always
  type: str
next_command:
  description: What to type next, empty where nothing is left to do.
  returned: always
  type: str
incidents:
  description:
    - One entry per incident, oldest first, with C(id), C(state) (V(open) or V(closed)), C(phase), C(opened_at),
      C(reason), C(severity), C(category), C(head), C(damaged) and C(record).
    - C(manifests) has the SHA-256 of each manifest that the timeline vouches for, by its folder below C(evidence/);
      empty where no evidence was collected.
    - C(mitigations) has C(at), C(by) and C(text) of each mitigation.
    - C(pending) are entries that the control host has not got yet.
  returned: always
  type: list
  elements: dict
open:
  description: Ids of those that are open.
  returned: always
  type: list
  elements: str
pending:
  description: Pending entries by incident, only of those that have any.
  returned: always
  type: dict
post_mortems:
  description: The text of each C(post_mortem.md) by incident, empty where there is none.
  returned: always
  type: dict
lines:
  description: The open incidents as text, or where none is open the youngest ones.
  returned: always
  type: list
  elements: str
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.incident.info import observe

ARGUMENT_SPEC = {
    "incidents_path": {"type": "path", "required": True},
    "incident_id": {"type": "str", "default": ""},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    module.exit_json(**observe(Path(module.params["incidents_path"]), module.params["incident_id"]))


if __name__ == "__main__":
    main()
