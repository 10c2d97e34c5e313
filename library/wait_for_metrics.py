#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: wait_for_metrics
short_description: Wait until checks of the catalogue pass at every step of a stable window
description:
  - Evaluates the checks as M(metric_checks_info) does, again and again, until all of them have passed at every step of
    a window of O(stable_seconds), or O(timeout_seconds) are over.
  - Fails with RV(outcome) V(refused) where they did not. Never changes anything.
options:
  checks:
    description: The checks, as in C(check_catalogue_checks) of the role P(check_catalogue). At least one.
    type: list
    elements: dict
    required: true
  gates:
    description: Only the checks of at least one of these gates; without any, all of O(checks).
    type: list
    elements: str
    default: []
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
  catalogue_text:
    description: Text of the catalogue's file, for the line of what is wrong with it.
    type: str
  stable_seconds:
    description: Every check has to pass at every step for so long. One that does not starts the window again.
    type: float
    default: 60
  interval_seconds:
    description: Time between two steps.
    type: float
    default: 5
  timeout_seconds:
    description: Time for all of it.
    type: float
    default: 300
  fail_fast:
    description: Whether the first step at which a check does not pass ends the waiting. For watching, not for waiting.
    type: bool
    default: false
  settle_seconds:
    description: With O(fail_fast), how long a check may not pass at the beginning, until all of them have passed once.
    type: float
    default: 0
  closed_outcome:
    description:
      - RV(outcome) where the window stays shut, V(refused) before something is done, V(failed) where it is the proof
        of what was done.
    type: str
    choices: [refused, failed]
    default: refused
extends_documentation_fragment: http_access
attributes:
  check_mode:
    support: full
    description: Looks once and does not wait.
  diff_mode:
    support: none
    description: Only reads.
"""

EXAMPLES = r"""
- name: Wait for a stable feed
  wait_for_metrics:
    checks: "{{ check_catalogue_checks | selectattr('gates', 'contains', 'feed') }}"
    controller_epoch: "{{ now(utc=true).timestamp() }}"
    stable_seconds: 60
    timeout_seconds: 300

- name: Watch the feed for three minutes
  wait_for_metrics:
    checks: "{{ check_catalogue_checks | selectattr('gates', 'contains', 'watch') }}"
    stable_seconds: 180
    timeout_seconds: 240
    fail_fast: true
"""

RETURN = r"""
outcome:
  description:
    - V(proven), or O(closed_outcome) where a check kept the window shut.
    - V(invalid) where the catalogue is bad or nothing of it is left to look at, V(usage) where the times make no sense.
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
closed_by:
  description: The entries of RV(checks) as they were when one last did not pass; empty where the window is stable.
  returned: always
  type: list
  elements: dict
waited_seconds:
  description: How long it took.
  returned: always
  type: float
steps:
  description: How often all checks were evaluated.
  returned: always
  type: int
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.checks.results import build_tools, wait
from ansible.module_utils.trading_ops.core.result import finish
from ansible.module_utils.trading_ops.host.http import ACCESS_ARGUMENTS

ARGUMENT_SPEC = {
    **ACCESS_ARGUMENTS,
    "checks": {"type": "list", "elements": "dict", "required": True},
    "gates": {"type": "list", "elements": "str", "default": []},
    "select": {"type": "dict", "default": {}},
    "prometheus_url": {"type": "str", "default": "http://127.0.0.1:9090"},
    "query_timeout_seconds": {"type": "float", "default": 5},
    "scrape_interval_seconds": {"type": "float", "default": 15},
    "clock_offset_seconds": {"type": "float", "default": 2},
    "controller_epoch": {"type": "float"},
    "catalogue_text": {"type": "str"},
    "stable_seconds": {"type": "float", "default": 60},
    "interval_seconds": {"type": "float", "default": 5},
    "timeout_seconds": {"type": "float", "default": 300},
    "fail_fast": {"type": "bool", "default": False},
    "settle_seconds": {"type": "float", "default": 0},
    "closed_outcome": {"type": "str", "choices": ["refused", "failed"], "default": "refused"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    # A dry run has changed nothing that one could wait for: it looks once.
    times = {"stable_seconds": 0.0, "timeout_seconds": 0.0} if module.check_mode else {}
    result = wait(module.params | times, build_tools(module.params))
    if result["outcome"] == "refused":
        result["outcome"] = module.params["closed_outcome"]
    finish(module, result)


if __name__ == "__main__":
    main()
