#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: incident_record
short_description: Sync an incident's record to the control host
description:
  - Appends the entries that the timeline in O(incidents_path) has not yet, and writes C(incident.yml), which is what
    the entries add up to. Makes the incident's folder, which only its owner may look into.
  - An entry that begins a later phase of the life cycle gets an entry of its own before it that says so.
  - A damaged line is named and keeps nothing from being recorded.
requirements:
  - PyYAML on the host (Debian's python3-yaml)
options:
  entries:
    description: Entries as C(incident_info) reads them from a copy.
    type: list
    elements: dict
    default: []
  facts:
    description: Becomes part of the record, with an entry that says so; objects are joined, other values replaced.
    type: dict
    default: {}
  post_mortem:
    description: Text of C(post_mortem.md) for where there is none. One that is there is never overwritten.
    type: str
    default: ""
extends_documentation_fragment: [incident, operator]
attributes:
  check_mode:
    support: full
    description: Only reads what is there.
  diff_mode:
    support: none
    description: The added lines are the difference.
"""

EXAMPLES = r"""
- name: Sync what was noted in the checkout
  incident_record:
    incidents_path: /var/lib/trading-core/incidents
    incident_id: INC-20261121-013000-bars-look-wrong
    entries: "{{ seen.incidents[0].pending }}"
"""

RETURN = r"""
outcome:
  description: V(proven), V(planned) in check mode, V(failed).
  returned: always
  type: str
summary:
  description: How many entries there are and how many are new, the head of the chain, and what is damaged.
  returned: always
  type: str
next_command:
  description: What to type next, empty where nothing is left to do.
  returned: always
  type: str
added:
  description: How many lines were appended.
  returned: success
  type: int
head:
  description: SHA-256 of the timeline's last line. Anyone who keeps it notices a rewritten timeline.
  returned: success
  type: str
record:
  description: The content of C(incident.yml).
  returned: success
  type: dict
entries:
  description: The timeline, oldest first.
  returned: success
  type: list
  elements: dict
timeline:
  description: The text of C(timeline.jsonl).
  returned: success
  type: str
incident:
  description: The text of C(incident.yml).
  returned: success
  type: str
post_mortem:
  description: The text of C(post_mortem.md), empty where there is none.
  returned: success
  type: str
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.arguments import OPERATOR_ARGUMENTS
from ansible.module_utils.trading_ops.core.clock import utc_now
from ansible.module_utils.trading_ops.core.result import finish
from ansible.module_utils.trading_ops.incident.entry import read_origin
from ansible.module_utils.trading_ops.incident.folder import INCIDENT_ARGUMENTS
from ansible.module_utils.trading_ops.incident.record import SyncRequest, ensure_synced

ARGUMENT_SPEC = {
    **INCIDENT_ARGUMENTS,
    **OPERATOR_ARGUMENTS,
    "entries": {"type": "list", "elements": "dict", "default": []},
    "facts": {"type": "dict", "default": {}},
    "post_mortem": {"type": "str", "default": ""},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    request = SyncRequest(
        incidents_path=Path(params["incidents_path"]),
        incident_id=params["incident_id"],
        entries=params["entries"],
        facts=params["facts"],
        post_mortem=params["post_mortem"],
        by=params["by"],
        origin=read_origin(),
    )
    result = ensure_synced(request, utc_now(), module.check_mode)
    finish(module, result)


if __name__ == "__main__":
    main()
