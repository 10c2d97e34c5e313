#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: job_record
short_description: Keep how a backup or a restore test ended, and publish it as metrics
description:
  - Runs on the control host. Writes the record to C(records/<kind>) in O(state_path), and makes
    C(trading_core_<kind>.prom) in O(metrics_path) from all records of the kind.
  - The metrics name the last good run, so that no run, a failed one and one that died all let it grow old, which
    raises the alert. The same record twice is kept once.
options:
  kind:
    description: What ran.
    type: str
    choices: [backup, restore_test]
    required: true
  record:
    description:
      - How it ended. C(outcome), C(started_at) and C(finished_at) (ISO 8601 UTC) have to be there; only V(proven) is
        good. C(set), C(bytes), C(rpo_seconds) and C(rto_seconds) are used, everything else is kept.
    type: dict
    required: true
  metrics_path:
    description: Directory that node exporter's textfile collector reads.
    type: path
    default: /var/lib/prometheus/node-exporter
extends_documentation_fragment: host_state
attributes:
  check_mode:
    support: full
    description: Reads the records there are, and writes nothing.
  diff_mode:
    support: none
    description: Records are added, never changed.
"""

EXAMPLES = r"""
- name: Keep how the backup ended
  job_record:
    kind: backup
    record:
      outcome: proven
      set: SET-20261121-021500
      started_at: "2026-11-21T02:15:00.000Z"
      finished_at: "2026-11-21T02:19:30.000Z"
      bytes: 1234567
"""

RETURN = r"""
outcome:
  description: V(proven), V(planned) in check, or V(failed) where record or metrics could not be written.
  returned: always
  type: str
summary:
  description: How many runs are on record, and where the metrics are.
  returned: always
  type: str
next_command:
  description: What to type next, empty where nothing is left to do.
  returned: always
  type: str
records:
  description: All records of the kind, oldest first.
  returned: always
  type: list
  elements: dict
"""

from datetime import UTC, datetime
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.arguments import STATE_ARGUMENTS
from ansible.module_utils.trading_ops.core.result import finish
from ansible.module_utils.trading_ops.jobs.records import keep_record

ARGUMENT_SPEC = {
    "kind": {"type": "str", "choices": ["backup", "restore_test"], "required": True},
    "record": {"type": "dict", "required": True},
    "metrics_path": {"type": "path", "default": "/var/lib/prometheus/node-exporter"},
    **STATE_ARGUMENTS,
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    result = keep_record(
        params["kind"],
        params["record"],
        Path(params["state_path"]),
        Path(params["metrics_path"]),
        datetime.now(UTC),
        module.check_mode,
    )
    finish(module, result)


if __name__ == "__main__":
    main()
