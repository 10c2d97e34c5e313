#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: evidence_info
short_description: Look whether there is evidence of an incident
description:
  - There is, where each of the hosts has a bundle that holds a log and is as its manifest says.
  - Never changes anything, and does not fail; the caller judges RV(outcome).
options:
  path:
    description: The incident's directory of evidence.
    type: path
    required: true
  hosts:
    description: The hosts.
    type: list
    elements: str
    required: true
extends_documentation_fragment: only_reads
"""

EXAMPLES = r"""
- name: Look for evidence of the feed
  evidence_info:
    path: /var/lib/trading-core/incidents/INC-20261121-013000-bars-look-wrong/evidence
    hosts: [homelab1]
"""

RETURN = r"""
outcome:
  description: V(proven) or V(refused).
  returned: always
  type: str
summary:
  description: Where it is, or what is missing of which host.
  returned: always
  type: str
next_command:
  description: Empty; it is the caller's to say.
  returned: always
  type: str
bundles:
  description: What was found, with C(path), C(is_evidence), C(trouble) and C(finished_at).
  returned: always
  type: list
  elements: dict
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.evidence.info import observe

ARGUMENT_SPEC = {
    "path": {"type": "path", "required": True},
    "hosts": {"type": "list", "elements": "str", "required": True},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    module.exit_json(**observe(Path(module.params["path"]), module.params["hosts"]))


if __name__ == "__main__":
    main()
