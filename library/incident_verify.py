#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: incident_verify
short_description: Prove that an incident's record and evidence are what they were, or name what is not
description:
  - Holds the timeline against its own chain, C(incident.yml) against the timeline, each manifest of evidence against
    the entry that vouches for it, and each file against its manifest.
  - A file that was changed, added, removed or renamed is named, a line of the timeline by its number.
  - Only reads.
requirements:
  - PyYAML on the host (Debian's python3-yaml)
options:
  head:
    description:
      - The hash of a line, as a notification of the incident has it, whole or its beginning.
      - Without it a timeline that was rewritten from some line to its end cannot be told from the first one.
    type: str
    default: ""
  is_copy:
    description: Whether it is a copy, which need not be there and need not hold the evidence.
    type: bool
    default: false
extends_documentation_fragment: [incident, only_reads]
"""

EXAMPLES = r"""
- name: Verify the record
  incident_verify:
    incidents_path: /var/lib/trading-core/incidents
    incident_id: INC-20261121-013000-bars-look-wrong
"""

RETURN = r"""
outcome:
  description: V(proven), V(failed) where something is not what it was, V(unknown) where it could not be looked at.
  returned: always
  type: str
summary:
  description: What is proven, or the first of what is not as it was.
  returned: always
  type: str
next_command:
  description: Empty.
  returned: always
  type: str
defects:
  description: Everything that is not as it was, in words, each with its file or line.
  returned: always
  type: list
  elements: str
head:
  description: SHA-256 of the timeline's last line.
  returned: always
  type: str
lines:
  description: The first 200 of RV(defects).
  returned: always
  type: list
  elements: str
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.result import finish
from ansible.module_utils.trading_ops.incident.folder import INCIDENT_ARGUMENTS
from ansible.module_utils.trading_ops.incident.verify import observe

ARGUMENT_SPEC = {
    **INCIDENT_ARGUMENTS,
    "head": {"type": "str", "default": ""},
    "is_copy": {"type": "bool", "default": False},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    result = observe(Path(params["incidents_path"]), params["incident_id"], params["head"], params["is_copy"])
    finish(module, result)


if __name__ == "__main__":
    main()
