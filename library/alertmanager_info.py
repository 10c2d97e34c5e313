#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: alertmanager_info
short_description: Read which alerts fire and what is silenced
description:
  - Asks Alertmanager for every alert that fires, the silenced ones included, for silences, and for its version.
  - Never changes anything. It fails only where an alert is asked for that does not fire.
options:
  alert:
    description:
      - Name of an alert, or at least six characters of its fingerprint. Those that fire are RV(matching).
      - Empty for none.
    type: str
    default: ""
extends_documentation_fragment: [alertmanager, only_reads, http_access]
"""

EXAMPLES = r"""
- name: See what fires
  alertmanager_info:
  register: alerts
"""

RETURN = r"""
outcome:
  description: V(proven), V(unknown) where there is no answer to be believed, V(refused) where O(alert) does not fire.
  returned: always
  type: str
summary:
  description: How many alerts fire, how many of them critical, and how many silences there are.
  returned: always
  type: str
next_command:
  description: What to type next, empty where all was seen.
  returned: always
  type: str
version:
  description: Alertmanager's.
  returned: always
  type: str
alerts:
  description:
    - C(fingerprint), C(labels), C(annotations), C(starts_at) (ISO 8601 UTC), C(state), C(silenced_by) (ids) and
      C(receivers) of each alert.
  returned: always
  type: list
  elements: dict
matching:
  description: Those of them that O(alert) names, each with its C(alertname).
  returned: always
  type: list
  elements: dict
silences:
  description:
    - C(id), C(matchers), C(created_by), C(comment), C(starts_at), C(ends_at) and C(state) of each silence that is or
      will be active, the first to end first.
  returned: always
  type: list
  elements: dict
lines:
  description: The same for people.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.alerts.alertmanager import ALERTMANAGER_ARGUMENTS, connect
from ansible.module_utils.trading_ops.alerts.info import observe
from ansible.module_utils.trading_ops.host.http import parse_endpoint

ARGUMENT_SPEC = {
    **ALERTMANAGER_ARGUMENTS,
    "alert": {"type": "str", "default": ""},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    endpoint = parse_endpoint(module.params, "alertmanager_url", "timeout_seconds")
    result = observe(connect(endpoint), module.params["alert"])
    if result["outcome"] == "refused":
        module.fail_json(msg=result["summary"], **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
