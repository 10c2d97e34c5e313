#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: alertmanager_silence
short_description: Silence alerts for a while, or end a silence
description:
  - A silence has an end, of at most a day, belongs to an incident, and is read back after it was made.
  - One that covers no alert that fires now is made all the same, and the summary says so, with the nearest name where
    the alert's is not known.
  - With the same labels, incident and reason it is the same silence, and stays as it is where it lasts about as long or
    longer; else a longer one takes its place.
options:
  state:
    description: Whether the silence is to be there.
    type: str
    choices: [present, absent]
    default: present
  matchers:
    description: Labels with their values; an alert that has all of them is silenced. Needed for O(state=present).
    type: dict
    default: {}
  minutes:
    description: How long it lasts, at most 1440. Needed for O(state=present).
    type: int
  incident_id:
    description: The incident that it belongs to. Needed for O(state=present).
    type: str
    default: ""
  reason:
    description: Why. Needed for O(state=present).
    type: str
    default: ""
  by:
    description: The person. Needed for O(state=present).
    type: str
    default: ""
  check_ids:
    description: Ids of the estate's checks. Their alerts are known names also while they do not fire.
    type: list
    elements: str
    default: []
  silence_id:
    description:
      - Which silence ends, by its id or at least six characters of its beginning. Needed for O(state=absent).
      - Refused where several begin so, or none that Alertmanager knows. A whole id that it does not know is that of a
        silence that is over, since it forgets those after some days.
    type: str
    default: ""
extends_documentation_fragment: [alertmanager, http_access]
attributes:
  check_mode:
    support: full
    description: Reads, and says what would be done.
  diff_mode:
    support: none
    description: A silence is one sentence, the summary.
"""

EXAMPLES = r"""
- name: Silence the drift alert while the model is trained anew
  alertmanager_silence:
    matchers: {alertname: psi, host: homelab1}
    minutes: 60
    incident_id: INC-20261121-013000-psi
    reason: training runs
    by: anna
"""

RETURN = r"""
outcome:
  description: V(proven), V(planned) in check mode, V(usage), V(refused) or V(failed).
  returned: always
  type: str
summary:
  description: What is silenced, until when, by whom and why; its id; how many alerts that fire now it covers.
  returned: always
  type: str
next_command:
  description: What to type next, empty where all is done.
  returned: always
  type: str
silence:
  description: The silence as M(alertmanager_info) returns it, empty where there is none.
  returned: always
  type: dict
"""

from datetime import UTC, datetime

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.alerts.alertmanager import ALERTMANAGER_ARGUMENTS, connect
from ansible.module_utils.trading_ops.alerts.info import ensure_expired, ensure_silenced
from ansible.module_utils.trading_ops.core.result import finish
from ansible.module_utils.trading_ops.host.http import parse_endpoint

ARGUMENT_SPEC = {
    **ALERTMANAGER_ARGUMENTS,
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "matchers": {"type": "dict", "default": {}},
    "minutes": {"type": "int"},
    "incident_id": {"type": "str", "default": ""},
    "reason": {"type": "str", "default": ""},
    "by": {"type": "str", "default": ""},
    "check_ids": {"type": "list", "elements": "str", "default": []},
    "silence_id": {"type": "str", "default": ""},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    alertmanager = connect(parse_endpoint(params, "alertmanager_url", "timeout_seconds"))
    if params["state"] == "absent":
        result = ensure_expired(alertmanager, params["silence_id"], module.check_mode)
    else:
        result = ensure_silenced(alertmanager, params, lambda: datetime.now(UTC), module.check_mode)
    finish(module, result)


if __name__ == "__main__":
    main()
