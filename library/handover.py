#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: handover
short_description: Put together what the next person on call has to know
description:
  - Runs on the controller. Takes what M(host_status_info), M(metric_checks_info), M(alertmanager_info),
    M(alert_history_info), M(incident_info) and M(shift_info) returned, and writes C(handover.md), C(handover.html) and
    C(handover.json) into a folder of their own below O(reports_path).
  - It is complete where everything that is open has somebody on it and a next step.
options:
  hosts:
    description: What M(host_status_info) returned, by host; every host of the estate.
    type: dict
    required: true
  checks:
    description: What M(metric_checks_info) returned, by feed host.
    type: dict
    required: true
  alerts:
    description: What M(alertmanager_info) returned, by feed host.
    type: dict
    required: true
  history:
    description: What M(alert_history_info) returned, by feed host.
    type: dict
    required: true
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
  since:
    description: When the shift began, ISO 8601 UTC. Empty for what is on record, or twelve hours ago.
    type: str
    default: ""
  by:
    description: The person who hands over.
    type: str
    default: not given
  estate:
    description: Name of the estate.
    type: str
    default: ""
  reports_path:
    description: Folder of all handovers.
    type: path
    required: true
extends_documentation_fragment: bots
attributes:
  check_mode:
    support: full
    description: Puts it together, and says where it would be.
  diff_mode:
    support: none
    description: A handover is new.
"""

EXAMPLES = r"""
- name: Hand over
  handover:
    hosts: {homelab1: "{{ host_status }}"}
    checks: {homelab1: "{{ checks }}"}
    alerts: {homelab1: "{{ alerts }}"}
    history: {homelab1: "{{ history }}"}
    by: anna
    reports_path: "{{ playbook_dir }}/../reports/handovers"
"""

RETURN = r"""
outcome:
  description:
    - V(proven) where it is complete, V(failed) where something open has nobody on it or no next step, V(unknown) where
      something could not be seen, V(usage) for a O(since) that is none.
  returned: always
  type: str
summary:
  description: What is missing first, then how much there is, and where the handover is.
  returned: always
  type: str
next_command:
  description: What makes it complete, empty where it is.
  returned: always
  type: str
lines:
  description: All of it, one line each.
  returned: always
  type: list
  elements: str
report_path:
  description: The folder, empty where nothing was written.
  returned: always
  type: str
record:
  description: C(id), C(since), C(outcome), C(summary), C(generated_at), C(by) and C(estate).
  returned: always
  type: dict
"""

from datetime import UTC, datetime

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.arguments import BOT_ARGUMENTS
from ansible.module_utils.trading_ops.oncall.handover import write_handover

ARGUMENT_SPEC = {
    "hosts": {"type": "dict", "required": True},
    "checks": {"type": "dict", "required": True},
    "alerts": {"type": "dict", "required": True},
    "history": {"type": "dict", "required": True},
    "orders": {"type": "dict", "default": {}},
    "incidents": {"type": "dict", "default": {}},
    "shift": {"type": "dict", "default": {}},
    "since": {"type": "str", "default": ""},
    "by": {"type": "str", "default": "not given"},
    "estate": {"type": "str", "default": ""},
    "reports_path": {"type": "path", "required": True},
    **BOT_ARGUMENTS,
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    # One that is not complete is kept on record too, and the verdict judges its outcome.
    module.exit_json(**write_handover(module.params, datetime.now(UTC), module.check_mode))


if __name__ == "__main__":
    main()
