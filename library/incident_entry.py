#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: incident_entry
short_description: Write one event of an incident down, at once, in the copy of its record
description:
  - Appends a line to C(pending.jsonl) of the incident's folder in O(incidents_path). Run it on the controller; the role
    C(incident_record) brings what is pending home to the control host.
  - Nothing that is written down is ever changed.
options:
  incidents_path:
    description: Directory of the copies.
    type: path
    required: true
  incident_id:
    description: The incident.
    type: str
    required: true
  kind:
    description: What it is.
    type: str
    choices: [step, note, phase, severity, category, notification, evidence, mitigation, closing, detection]
    default: note
  text:
    description: What happened, in words.
    type: str
    default: ""
  outcome:
    description: How it ended, where it is something that was done.
    type: str
    default: ""
  step:
    description: Title of the runbook's step.
    type: str
    default: ""
  procedure:
    description: Name of the playbook.
    type: str
    default: ""
  facts:
    description:
      - More about it. What stands under C(record) becomes part of the incident's record C(incident.yml).
      - An entry of evidence names each manifest in C(manifests), its folder below C(evidence/) and its SHA-256.
    type: dict
    default: {}
  record:
    description: What it says for the incident's record C(incident.yml). An empty value says nothing.
    type: dict
    default: {}
  at:
    description: When it happened, ISO 8601 UTC; now without it.
    type: str
    default: ""
  entry_id:
    description: Unlike any other. An entry that is there already is not written again. Made up where it is not given.
    type: str
    default: ""
  by:
    description: The person, not only the account.
    type: str
    default: not given
attributes:
  check_mode:
    support: full
    description: Refuses what a real run would refuse, and writes nothing.
  diff_mode:
    support: none
    description: The line is the difference.
"""

EXAMPLES = r"""
- name: Note who was told
  incident_entry:
    incidents_path: /home/reno/runbooks/incidents
    incident_id: INC-20261121-013000-bars-look-wrong
    kind: notification
    text: The internal channel was told
    outcome: proven
    by: reno
  delegate_to: localhost
"""

RETURN = r"""
outcome:
  description: V(proven), V(planned) in check mode, V(failed).
  returned: always
  type: str
summary:
  description: The entry in words, or why it could not be written.
  returned: always
  type: str
next_command:
  description: Empty.
  returned: always
  type: str
entry_id:
  description: The id of the entry.
  returned: always
  type: str
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.clock import utc_now
from ansible.module_utils.trading_ops.incident.entry import build_entry, note, read_origin

ARGUMENT_SPEC = {
    "incidents_path": {"type": "path", "required": True},
    "incident_id": {"type": "str", "required": True},
    "kind": {
        "type": "str",
        "choices": [
            "step",
            "note",
            "phase",
            "severity",
            "category",
            "notification",
            "evidence",
            "mitigation",
            "closing",
            "detection",
        ],
        "default": "note",
    },
    "text": {"type": "str", "default": ""},
    "outcome": {"type": "str", "default": ""},
    "step": {"type": "str", "default": ""},
    "procedure": {"type": "str", "default": ""},
    "facts": {"type": "dict", "default": {}},
    "record": {"type": "dict", "default": {}},
    "at": {"type": "str", "default": ""},
    "entry_id": {"type": "str", "default": ""},
    "by": {"type": "str", "default": "not given"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    entry = build_entry(params, utc_now(), read_origin())
    result = note(Path(params["incidents_path"]), params["incident_id"], entry, module.check_mode)
    if result["outcome"] == "failed":
        module.fail_json(msg=result["summary"], **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
