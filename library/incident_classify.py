#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: incident_classify
short_description: Compute severity and category of an incident from facts, or set another with a reason
description:
  - Writes what it finds as entries into the copy of the record in O(incidents_path), each with what it stands on. Run
    it on the controller.
  - What is computed and what a person has set are both kept; the person's holds.
  - What is missing in O(facts) is unknown. Nothing unknown makes an incident less severe.
options:
  facts:
    description:
      - C(checks) as C(metric_checks_info) returns them; C(hosts) by name, each with C(reachable) and C(engine) (its
        trouble, or empty) or as C(kill_switch_info) returns it; C(open_orders) of
        C(open_orders_info), or C(open_orders_by_host), a list; C(config_changes), entries of C(drift_log_info), or
        C(drift_logs), what that returns, a list.
      - C(order_errors), C(loss_percent), C(downtime_seconds), C(data_corruption), C(reason).
      - Without any fact nothing is computed.
    type: dict
    default: {}
  category:
    description: The category that holds, whatever is computed.
    type: str
    default: ""
  severity:
    description: The severity that holds, whatever is computed.
    type: str
    default: ""
  reason:
    description: Why, in words. Required for O(category) and O(severity).
    type: str
    default: ""
  loss_limit_percent:
    description: A larger loss makes a major incident.
    type: float
    default: 2
  downtime_limit_seconds:
    description: More downtime in trading hours makes a major incident.
    type: float
    default: 1800
  trading_hours:
    description: V(always), or windows of a week in UTC like V(mon-fri 08:00-22:00).
    type: list
    elements: str
    default: [always]
extends_documentation_fragment: [incident, operator]
attributes:
  check_mode:
    support: full
    description: Computes and writes nothing.
  diff_mode:
    support: none
    description: The entries are the difference.
"""

EXAMPLES = r"""
- name: Set another category
  incident_classify:
    incidents_path: /home/reno/runbooks/incidents
    incident_id: INC-20261121-013000-bars-look-wrong
    category: E
    reason: the venue's status page tells of an outage
    by: reno
"""

RETURN = r"""
outcome:
  description: V(proven), V(planned) in check mode, V(usage) for a letter or level that is none, V(failed).
  returned: always
  type: str
summary:
  description: What was computed or set, and why.
  returned: always
  type: str
next_command:
  description: Empty.
  returned: always
  type: str
category:
  description: The letter that holds, empty where nothing speaks for any.
  returned: always
  type: str
severity:
  description: The level that holds, V(minor), V(critical) or V(major).
  returned: always
  type: str
record:
  description: The record as it then is.
  returned: always
  type: dict
lines:
  description: What speaks for each category, what against it, and what is not known.
  returned: always
  type: list
  elements: str
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.arguments import OPERATOR_ARGUMENTS
from ansible.module_utils.trading_ops.core.clock import utc_now
from ansible.module_utils.trading_ops.core.result import finish
from ansible.module_utils.trading_ops.incident.classify import Request, ensure_classified
from ansible.module_utils.trading_ops.incident.entry import read_origin
from ansible.module_utils.trading_ops.incident.folder import INCIDENT_ARGUMENTS
from ansible.module_utils.trading_ops.incident.severity import Limits

ARGUMENT_SPEC = {
    **INCIDENT_ARGUMENTS,
    **OPERATOR_ARGUMENTS,
    "facts": {"type": "dict", "default": {}},
    "category": {"type": "str", "default": ""},
    "severity": {"type": "str", "default": ""},
    "reason": {"type": "str", "default": ""},
    "loss_limit_percent": {"type": "float", "default": 2},
    "downtime_limit_seconds": {"type": "float", "default": 1800},
    "trading_hours": {"type": "list", "elements": "str", "default": ["always"]},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    request = Request(
        incidents_path=Path(params["incidents_path"]),
        incident_id=params["incident_id"],
        facts=params["facts"],
        category=params["category"],
        severity=params["severity"],
        reason=params["reason"],
        trading_hours=params["trading_hours"],
        limits=Limits(params["loss_limit_percent"], params["downtime_limit_seconds"]),
        by=params["by"],
        origin=read_origin(),
    )
    result = ensure_classified(request, utc_now(), module.check_mode)
    finish(module, result)


if __name__ == "__main__":
    main()
