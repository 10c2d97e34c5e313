#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: deploy_gate_info
short_description: Say whether anything may be deployed
description:
  - Judges what other modules saw. A host that owes a word and gave none counts as a refusal.
  - Never changes anything, and never fails; the caller demands V(proven).
options:
  demands:
    description:
      - V(incidents) none open, V(latch) no host halted, V(pause) deploys not paused, V(parity) the checks that pause
        deploys pass for every bot that runs, V(backup) a good backup that is young enough.
      - V(named) where an incident is open, O(incident_id) is one that is.
    type: list
    elements: str
    required: true
  hosts:
    description: Hosts with stacks.
    type: list
    elements: str
    required: true
  database_hosts:
    description: Hosts with a database.
    type: list
    elements: str
    default: []
  bots:
    description: Result of M(kill_switch_info) by host.
    type: dict
    required: true
  metrics:
    description: Result of M(metric_checks_info) by feed host, of the checks whose action is C(pause_deploys).
    type: dict
    default: {}
  backups:
    description: Result of M(backup_info) by host with a database.
    type: dict
    default: {}
  schemas:
    description: Result of M(schema_info) by host with a database.
    type: dict
    default: {}
  releases:
    description: Result of M(releases_info).
    type: dict
    default: {}
  incidents:
    description: Result of M(incident_info).
    type: dict
    default: {}
  is_schema_kept:
    description: Whether databases were asked for their schema.
    type: bool
    default: true
  restore_set:
    description: A backup set that is to be restored; it has to be there.
    type: str
    default: ""
  incident_id:
    description: The incident that it is for.
    type: str
    default: ""
  tracker_url:
    description: A tracker's address that opens a new issue, with C({title}) and C({body}) in it. Empty for none.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: Only judges.
  diff_mode:
    support: none
    description: Only judges.
"""

EXAMPLES = r"""
- name: See whether anything may be deployed
  deploy_gate_info:
    demands: [incidents, latch, pause, parity, backup]
    hosts: [homelab1]
    bots: {homelab1: "{{ bots }}"}
    releases: "{{ releases }}"
    incidents: "{{ incidents }}"
"""

RETURN = r"""
outcome:
  description: V(proven), or V(refused).
  returned: always
  type: str
summary:
  description: Everything that forbids it, or that nothing does.
  returned: always
  type: str
next_command:
  description: What to type next, empty where nothing is left to do.
  returned: always
  type: str
running_bots:
  description: Bots that run, as C(host/name).
  returned: always
  type: list
  elements: str
schema_versions:
  description: Schema of each database, none for one that is not known; empty where none is kept.
  returned: always
  type: list
  elements: raw
pause_reason:
  description: Where parity is off, why deploys have to be paused.
  returned: always
  type: str
lines:
  description: Where an alert has paused deploys, the backlog item for a new analysis.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.outcome import EXIT_CODES
from ansible.module_utils.trading_ops.core.result import finish
from ansible.module_utils.trading_ops.release.gate import Facts, judge

ARGUMENT_SPEC = {
    "demands": {"type": "list", "elements": "str", "required": True},
    "hosts": {"type": "list", "elements": "str", "required": True},
    "database_hosts": {"type": "list", "elements": "str", "default": []},
    "bots": {"type": "dict", "required": True},
    "metrics": {"type": "dict", "default": {}},
    "backups": {"type": "dict", "default": {}},
    "schemas": {"type": "dict", "default": {}},
    "releases": {"type": "dict", "default": {}},
    "incidents": {"type": "dict", "default": {}},
    "is_schema_kept": {"type": "bool", "default": True},
    "restore_set": {"type": "str", "default": ""},
    "incident_id": {"type": "str", "default": ""},
    "tracker_url": {"type": "str", "default": ""},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    lists = {name: tuple(module.params[name]) for name in ("demands", "hosts", "database_hosts")}
    finish(module, judge(Facts(**(module.params | lists))), good=EXIT_CODES)


if __name__ == "__main__":
    main()
