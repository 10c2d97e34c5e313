#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: metric_ranges
short_description: Take the ranges behind every check from Prometheus
description:
  - Asks for each check's query over a range, at most eight at once, and leaves the answers in one file for M(evidence).
  - What cannot be had is an entry with its reason. Never fails on what it sees or does not see.
options:
  checks:
    description: The checks, as in C(check_catalogue_checks) of the role P(check_catalogue). At least one.
    type: list
    elements: dict
    required: true
  range_seconds:
    description: How far back the ranges reach.
    type: int
    default: 3600
  until:
    description: Where they end, ISO 8601 in UTC. Empty for now.
    type: str
    default: ""
  timeout_seconds:
    description: How long all of it may take.
    type: int
    default: 30
  scratch_path:
    description: Where the file is left.
    type: path
    default: /var/tmp
  prometheus_url:
    description: Prometheus, as seen from the host. It must not hold credentials.
    type: str
    default: http://127.0.0.1:9090
  query_timeout_seconds:
    description: Time for one query.
    type: float
    default: 10
  scrape_interval_seconds:
    description: How often Prometheus looks at its targets. A step is no shorter, and longer where points get too many.
    type: float
    default: 15
extends_documentation_fragment: http_access
attributes:
  check_mode:
    support: full
    description: Asks nothing and writes nothing.
  diff_mode:
    support: none
    description: Changes nothing.
"""

EXAMPLES = r"""
- name: Take the ranges behind every check
  metric_ranges:
    checks: "{{ check_catalogue_checks }}"
  register: ranges
"""

RETURN = r"""
outcome:
  description: V(proven), V(failed) where one could not be had or the catalogue is bad, V(planned) in check mode.
  returned: always
  type: str
summary:
  description: How many ranges there are, and what went wrong with the others.
  returned: always
  type: str
next_command:
  description: What to look at, empty where nothing is left to do.
  returned: always
  type: str
path:
  description: The file on the host, empty where there is none.
  returned: always
  type: str
complete:
  description: Of how many checks there is a range.
  returned: always
  type: int
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.checks.ranges import collect
from ansible.module_utils.trading_ops.core.clock import uptime
from ansible.module_utils.trading_ops.host.http import ACCESS_ARGUMENTS

ARGUMENT_SPEC = {
    **ACCESS_ARGUMENTS,
    "checks": {"type": "list", "elements": "dict", "required": True},
    "range_seconds": {"type": "int", "default": 3600},
    "until": {"type": "str", "default": ""},
    "timeout_seconds": {"type": "int", "default": 30},
    "scratch_path": {"type": "path", "default": "/var/tmp"},
    "prometheus_url": {"type": "str", "default": "http://127.0.0.1:9090"},
    "query_timeout_seconds": {"type": "float", "default": 10},
    "scrape_interval_seconds": {"type": "float", "default": 15},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    result = collect(module.params, time.time, uptime, module.check_mode)
    module.exit_json(**result)  # whatever is wrong here, the logs are collected all the same


if __name__ == "__main__":
    main()
