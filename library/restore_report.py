#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: restore_report
short_description: Write the report of a restore test, and the index of all of them
description:
  - Runs on the controller. Writes C(report.md), C(report.html) with the history drawn into it, and C(report.json) into
    a folder of their own below O(reports_path), and the index anew.
options:
  result:
    description: What the restore test returned.
    type: dict
    required: true
  records:
    description: The tests on record, as M(job_record) returns them; the index and the history show these.
    type: list
    elements: dict
    default: []
  reports_path:
    description: Folder of all reports.
    type: path
    required: true
attributes:
  check_mode:
    support: full
    description: Says where the report would be.
  diff_mode:
    support: none
    description: A report is new.
"""

EXAMPLES = r"""
- name: Write the report
  restore_report:
    result: "{{ restore_test_result }}"
    records: "{{ restore_record_result.records }}"
    reports_path: "{{ playbook_dir }}/../reports/restore_tests"
"""

RETURN = r"""
outcome:
  description: V(proven), V(planned) in check, or V(failed).
  returned: always
  type: str
summary:
  description: Where the report is, and the digest that signs it off.
  returned: always
  type: str
next_command:
  description: Empty.
  returned: always
  type: str
report_path:
  description: The report's folder.
  returned: always
  type: str
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.result import finish
from ansible.module_utils.trading_ops.restore.plots import draw_history
from ansible.module_utils.trading_ops.restore.report import write_report

ARGUMENT_SPEC = {
    "result": {"type": "dict", "required": True},
    "records": {"type": "list", "elements": "dict", "default": []},
    "reports_path": {"type": "path", "required": True},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    path = Path(params["reports_path"])
    finish(module, write_report(params["result"], params["records"], path, draw_history, module.check_mode))


if __name__ == "__main__":
    main()
