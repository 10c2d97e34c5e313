#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: incident_close
short_description: Close an incident, once its category, cause and actions are known
description:
  - Writes the closing entry into the record, and returns what the draft of the post-mortem is written from. Run it on
    the control host, after what was noted elsewhere was synced.
  - Without category, severity, cause, or actions that each have an owner, it is V(refused) and the incident stays open.
options:
  cause:
    description: Why it happened, in words.
    type: str
    default: ""
  actions:
    description: "What is done so that it does not come back, and by whom, C(owner: what; owner: what)."
    type: str
    default: ""
  updates:
    description: Updates of runbooks and other pages that are due, separated by semicolons.
    type: str
    default: ""
  documentation_due:
    description: Settings whose strategy documentation is due, as C(drift_log_info) lists them.
    type: list
    elements: str
    default: []
  tracker_url:
    description: Address that opens a new issue in a tracker, with C({title}) and C({body}) in it. Empty for none.
    type: str
    default: ""
  trading_hours:
    description: V(always), or windows of a week in UTC like V(mon-fri 08:00-22:00).
    type: list
    elements: str
    default: [always]
extends_documentation_fragment: [incident, operator]
attributes:
  check_mode:
    support: full
    description: Refuses what a real run would refuse, and writes nothing.
  diff_mode:
    support: none
    description: The entry is the difference.
"""

EXAMPLES = r"""
- name: Close the incident
  incident_close:
    incidents_path: /var/lib/trading-core/incidents
    incident_id: INC-20261121-013000-bars-look-wrong
    cause: the venue dropped its stream and the feed did not notice
    actions: "reno: reconnect on silence; anna: alert on gaps"
    by: reno
"""

RETURN = r"""
outcome:
  description: V(proven) (also where it is closed already), V(planned) in check mode, V(refused), V(failed).
  returned: always
  type: str
summary:
  description: That it is closed, or what is missing.
  returned: always
  type: str
next_command:
  description: What to type next, empty where nothing is left to do.
  returned: always
  type: str
post_mortem:
  description: What the draft shows, every text safe in a Markdown table; empty where nothing was closed.
  returned: always
  type: dict
lines:
  description: Updates that are due, and backlog items ready to paste.
  returned: always
  type: list
  elements: str
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.arguments import OPERATOR_ARGUMENTS
from ansible.module_utils.trading_ops.core.clock import utc_now
from ansible.module_utils.trading_ops.core.result import finish
from ansible.module_utils.trading_ops.incident.close import Request, ensure_closed
from ansible.module_utils.trading_ops.incident.entry import read_origin
from ansible.module_utils.trading_ops.incident.folder import INCIDENT_ARGUMENTS

ARGUMENT_SPEC = {
    **INCIDENT_ARGUMENTS,
    **OPERATOR_ARGUMENTS,
    "cause": {"type": "str", "default": ""},
    "actions": {"type": "str", "default": ""},
    "updates": {"type": "str", "default": ""},
    "documentation_due": {"type": "list", "elements": "str", "default": []},
    "tracker_url": {"type": "str", "default": ""},
    "trading_hours": {"type": "list", "elements": "str", "default": ["always"]},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    request = Request(
        incidents_path=Path(params["incidents_path"]),
        incident_id=params["incident_id"],
        cause=params["cause"],
        actions=params["actions"],
        updates=params["updates"],
        documentation_due=params["documentation_due"],
        tracker_url=params["tracker_url"],
        trading_hours=params["trading_hours"],
        by=params["by"],
        origin=read_origin(),
    )
    result = ensure_closed(request, utc_now(), module.check_mode)
    finish(module, result)


if __name__ == "__main__":
    main()
