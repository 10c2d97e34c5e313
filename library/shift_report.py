#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: shift_report
short_description: Judge what was seen of the estate, and write the report that a shift begins with
description:
  - Runs on the controller. Judges what M(host_status_info), M(metric_checks_info), M(alertmanager_info),
    M(incident_info) and M(shift_info) returned, and writes C(report.html), C(report.md) and C(report.json) into a
    folder of their own below O(reports_path).
  - What gave no result is unknown. A module that was to run on a host that did not answer has none.
options:
  hosts:
    description: What M(host_status_info) returned, by host; every host of the estate.
    type: dict
    required: true
  feed_hosts:
    description: Hosts on which the feed is expected.
    type: list
    elements: str
    required: true
  feed_project_name:
    description: Compose project of the feed.
    type: str
    default: ai_trading_core
  checks:
    description: What M(metric_checks_info) returned, by feed host.
    type: dict
    required: true
  alerts:
    description: What M(alertmanager_info) returned, by feed host.
    type: dict
    required: true
  curves:
    description: RV(metric_checks_info#module:curves) of the first feed host.
    type: dict
    default: {}
  orders:
    description:
      - What M(open_orders_info) returned, by trading host. Orders that are open while no bot runs are not good; an
        address that was asked and did not say is unknown.
    type: dict
    default: {}
  incidents:
    description: What M(incident_info) returned on the control host.
    type: dict
    default: {}
  shift:
    description: What M(shift_info) returned on the control host.
    type: dict
    default: {}
  alert_path:
    description: What was seen of the way from an alert to a stop. Without it that way is not judged.
    type: dict
  since:
    description:
      - From when on a restart has to be explained, ISO 8601 UTC. Empty for what M(shift_info) has on record, or
        twelve hours ago where that is nothing. One that lies in the future, by more than O(clock_offset_seconds), is
        wrong usage.
    type: str
    default: ""
  memory_limit_percent:
    description: The memory in use has to stay below.
    type: float
    default: 90
  disk_free_limit_percent:
    description: What has to be free of a file system, and of its inodes.
    type: float
    default: 10
  clock_offset_seconds:
    description: How far a host's clock may be behind this machine's.
    type: float
    default: 2
  by:
    description: The person.
    type: str
    default: not given
  estate:
    description: Name of the estate.
    type: str
    default: ""
  reports_path:
    description: Folder of all such reports.
    type: path
    required: true
extends_documentation_fragment: bots
attributes:
  check_mode:
    support: full
    description: Judges, and says where the report would be.
  diff_mode:
    support: none
    description: A report is new.
"""

EXAMPLES = r"""
- name: Write the report
  shift_report:
    hosts: {homelab1: "{{ host_status }}"}
    feed_hosts: [homelab1]
    checks: {homelab1: "{{ checks }}"}
    alerts: {homelab1: "{{ alerts }}"}
    reports_path: "{{ playbook_dir }}/../reports/shifts"
"""

RETURN = r"""
outcome:
  description:
    - V(proven) where every point is good, V(failed) where one is bad, V(unknown) where of one nobody knows.
    - V(usage) where O(since) is no moment of the past; then nothing is written.
  returned: always
  type: str
summary:
  description: How many points are good, which are not, and where the report is.
  returned: always
  type: str
next_command:
  description: What helps against the first point that is not good, empty where all are.
  returned: always
  type: str
lines:
  description: What is not good, one line each.
  returned: always
  type: list
  elements: str
report_path:
  description: The page, empty where none was written.
  returned: always
  type: str
record:
  description: The report as plain values, as in C(report.json).
  returned: always
  type: dict
"""

from datetime import UTC, datetime

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.arguments import BOT_ARGUMENTS
from ansible.module_utils.trading_ops.oncall.plots import draw_curves
from ansible.module_utils.trading_ops.oncall.report import write_report

ARGUMENT_SPEC = {
    "hosts": {"type": "dict", "required": True},
    "feed_hosts": {"type": "list", "elements": "str", "required": True},
    "feed_project_name": {"type": "str", "default": "ai_trading_core"},
    "checks": {"type": "dict", "required": True},
    "alerts": {"type": "dict", "required": True},
    "curves": {"type": "dict", "default": {}},
    "orders": {"type": "dict", "default": {}},
    "incidents": {"type": "dict", "default": {}},
    "shift": {"type": "dict", "default": {}},
    "alert_path": {"type": "dict"},
    "since": {"type": "str", "default": ""},
    "memory_limit_percent": {"type": "float", "default": 90},
    "disk_free_limit_percent": {"type": "float", "default": 10},
    "clock_offset_seconds": {"type": "float", "default": 2},
    "by": {"type": "str", "default": "not given"},
    "estate": {"type": "str", "default": ""},
    "reports_path": {"type": "path", "required": True},
    **BOT_ARGUMENTS,
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    # A report that is not green is a report: the play goes on to keep it on record, and the verdict judges its outcome.
    module.exit_json(**write_report(module.params, datetime.now(UTC), draw_curves, module.check_mode))


if __name__ == "__main__":
    main()
