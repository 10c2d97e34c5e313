#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: metric_checks_info
short_description: Evaluate checks of the catalogue against Prometheus, now
description:
  - Asks Prometheus everything that the checks need, at most eight queries at once, and says of each check whether it
    passes, fails, or is not known.
  - Missing, surplus, stale, damaged and not finite samples are V(unknown), never a pass.
  - Never changes anything, and never fails on what it sees. It fails with RV(outcome) V(invalid) on a bad catalogue.
options:
  checks:
    description: The checks, as in C(check_catalogue_checks) of the role P(check_catalogue). At least one.
    type: list
    elements: dict
    required: true
  select:
    description:
      - Labels. Expected series and samples that carry one of them with another value are not looked at, and a check
        without an expected series then is left out. Where none carries all of them the outcome is V(invalid).
    type: dict
    default: {}
  prometheus_url:
    description: Prometheus, as seen from the host. It must not hold credentials.
    type: str
    default: http://127.0.0.1:9090
  query_timeout_seconds:
    description: Time for one query. All of them together get twice that.
    type: float
    default: 5
  scrape_interval_seconds:
    description: How often Prometheus looks at its targets. A sample may be two intervals old.
    type: float
    default: 15
  clock_offset_seconds:
    description: How far the clocks of host, Prometheus and controller may be apart.
    type: float
    default: 2
  controller_epoch:
    description:
      - The controller's clock when the task was sent. Where this host's is further behind, nothing is believed.
      - One that is ahead cannot be told from a slow connection here. Hold RV(host_epoch) against the controller's
        clock afterwards.
    type: float
  curves:
    description: Ids of the checks whose values of the last day are wanted too, as RV(curves).
    type: list
    elements: str
    default: []
  catalogue_text:
    description: Text of the catalogue's file, for the line of what is wrong with it.
    type: str
extends_documentation_fragment: [only_reads, http_access]
"""

EXAMPLES = r"""
- name: Evaluate the checks of the feed
  metric_checks_info:
    checks: "{{ check_catalogue_checks | selectattr('group', 'equalto', 'feed') }}"
    controller_epoch: "{{ now(utc=true).timestamp() }}"
"""

RETURN = r"""
outcome:
  description:
    - V(proven) where every check passes, V(failed) where one does not, V(unknown) where of one nobody knows.
    - V(invalid) where the catalogue is bad, or nothing of it is left to look at.
  returned: always
  type: str
summary:
  description: One sentence; for what does not pass the check, its value with unit and the reason.
  returned: always
  type: str
next_command:
  description: What to look at or type next, empty where nothing is left to do.
  returned: always
  type: str
checks:
  description:
    - One entry per check, in the order of the request, with C(id), C(title), C(section), C(group), C(severity),
      C(action), C(outcome) (V(pass), V(fail) or V(unknown)), C(value), C(unit), C(condition), C(threshold),
      C(age_seconds), C(reason) and C(series).
    - C(value) is that of the worst series; none where there is no finite one.
  returned: always
  type: list
  elements: dict
lines:
  description: The same as a table for people.
  returned: always
  type: list
  elements: str
curves:
  description:
    - C(begin) and C(end) (ISO 8601 UTC), and in C(checks) what each check is, its C(series) with their C(points), or
      the C(reason) why there are none. Empty where O(curves) is.
  returned: always
  type: dict
prometheus_url:
  description: What was asked, without credentials.
  returned: always
  type: str
host_epoch:
  description: The host's clock at the end, seconds since 1970.
  returned: always
  type: float
controller_epoch:
  description: As handed in.
  returned: always
  type: float
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.checks.ranges import collect_curves
from ansible.module_utils.trading_ops.checks.results import build_tools, observe_once
from ansible.module_utils.trading_ops.core.clock import uptime
from ansible.module_utils.trading_ops.host.http import ACCESS_ARGUMENTS

ARGUMENT_SPEC = {
    **ACCESS_ARGUMENTS,
    "checks": {"type": "list", "elements": "dict", "required": True},
    "select": {"type": "dict", "default": {}},
    "prometheus_url": {"type": "str", "default": "http://127.0.0.1:9090"},
    "query_timeout_seconds": {"type": "float", "default": 5},
    "scrape_interval_seconds": {"type": "float", "default": 15},
    "clock_offset_seconds": {"type": "float", "default": 2},
    "controller_epoch": {"type": "float"},
    "curves": {"type": "list", "elements": "str", "default": []},
    "catalogue_text": {"type": "str"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    result = observe_once(module.params, build_tools(module.params))
    if result["outcome"] == "invalid":
        module.fail_json(msg=result["summary"], **result)
    curves = collect_curves(module.params, time.time, uptime) if module.params["curves"] else {}
    module.exit_json(**result, curves=curves)


if __name__ == "__main__":
    main()
