#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_record
short_description: Put a release on record
description:
  - Appends a line to C(releases.jsonl) in O(state_path) of the control host. Where it does not say yet what ran before,
    a line for that goes first. Where nothing had to change, nothing is written.
options:
  result:
    description: How it went.
    type: str
    choices: [deployed, rolled_back, failed]
    required: true
  hosts:
    description: The result of M(release) by host; of a failed run the planned ones.
    type: dict
    required: true
  gates:
    description: Results of M(wait_for_metrics) afterwards; empty where the feed is not meant to run.
    type: list
    elements: dict
    default: []
  schema_versions:
    description: Schema of each database, as RV(schema_info#module:version).
    type: list
    elements: raw
    default: []
  run_id:
    description: The run.
    type: str
    default: ""
  by:
    description: The person, not only the account.
    type: str
    default: not given
  reason:
    description: Why, in words.
    type: str
    default: not given
extends_documentation_fragment: host_state
attributes:
  check_mode:
    support: full
    description: Says what would be recorded, and writes nothing.
  diff_mode:
    support: none
    description: The summary says it all.
"""

EXAMPLES = r"""
- name: Put it on record
  release_record:
    result: deployed
    hosts: "{{ results }}"
    by: reno
    reason: faster bars
"""

RETURN = r"""
outcome:
  description: V(proven), or V(planned) in check mode. Otherwise V(failed).
  returned: always
  type: str
summary:
  description: The ids of what is on record.
  returned: always
  type: str
next_command:
  description: What to type next, empty where nothing is left to do.
  returned: always
  type: str
releases:
  description: The lines that were added, as in RV(releases_info#module:releases).
  returned: always
  type: list
  elements: dict
"""

from datetime import UTC, datetime
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.arguments import STATE_ARGUMENTS
from ansible.module_utils.trading_ops.core.result import finish
from ansible.module_utils.trading_ops.release.log import build_ran, ensure_recorded

ARGUMENT_SPEC = {
    "result": {"type": "str", "choices": ["deployed", "rolled_back", "failed"], "required": True},
    "hosts": {"type": "dict", "required": True},
    "gates": {"type": "list", "elements": "dict", "default": []},
    "schema_versions": {"type": "list", "elements": "raw", "default": []},
    "run_id": {"type": "str", "default": ""},
    "by": {"type": "str", "default": "not given"},
    "reason": {"type": "str", "default": "not given"},
    **STATE_ARGUMENTS,
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    result = ensure_recorded(Path(params["state_path"]), build_ran(params), datetime.now(UTC), module.check_mode)
    finish(module, result)


if __name__ == "__main__":
    main()
