#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: shift_entry
short_description: Keep on record what happened from shift to shift
description:
  - Runs on the control host. Appends to the record of shifts, durably, and reads it back.
  - Who took an alert, or a handover, has done so once; the same again changes nothing.
options:
  kind:
    description: What happened.
    type: str
    choices: [shift_started, alert_taken, handover, handover_accepted]
    required: true
  by:
    description: The person.
    type: str
    required: true
  facts:
    description:
      - What belongs to the kind, for one entry each. C(outcome); C(fingerprint), C(alertname), C(starts_at) and
        C(next); C(id), C(since) and C(outcome); or C(id).
      - V(handover_accepted) without any means the handover that waits, and is refused where none does.
    type: list
    elements: dict
    default: []
  common:
    description: What belongs to each of them.
    type: dict
    default: {}
  report:
    description: The points of a report, which the next one is compared with.
    type: dict
    default: {}
extends_documentation_fragment: host_state
attributes:
  check_mode:
    support: full
    description: Says what would be kept on record.
  diff_mode:
    support: none
    description: An entry is one sentence, the summary.
"""

EXAMPLES = r"""
- name: Say who is on it
  shift_entry:
    kind: alert_taken
    by: anna
    facts:
      - {fingerprint: d059425acb157b72, alertname: Psi, starts_at: "2026-11-21T18:50:23.251Z"}
    common: {next: trains it anew}
"""

RETURN = r"""
outcome:
  description: V(proven), V(planned) in check mode, V(usage) or V(failed).
  returned: always
  type: str
summary:
  description: What is on record now.
  returned: always
  type: str
next_command:
  description: What to look at, empty where all is done.
  returned: always
  type: str
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.arguments import STATE_ARGUMENTS
from ansible.module_utils.trading_ops.core.clock import utc_now
from ansible.module_utils.trading_ops.core.result import finish
from ansible.module_utils.trading_ops.oncall.log import keep

ARGUMENT_SPEC = {
    "kind": {
        "type": "str",
        "choices": ["shift_started", "alert_taken", "handover", "handover_accepted"],
        "required": True,
    },
    "by": {"type": "str", "required": True},
    "facts": {"type": "list", "elements": "dict", "default": []},
    "common": {"type": "dict", "default": {}},
    "report": {"type": "dict", "default": {}},
    **STATE_ARGUMENTS,
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    result = keep(Path(module.params["state_path"]), module.params, utc_now(), module.check_mode)
    finish(module, result)


if __name__ == "__main__":
    main()
