#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: alert_history_info
short_description: Read which alerts fired since a moment
description:
  - Asks Prometheus, which keeps when each alert fired, also of those that are over. Never changes anything, and never
    fails on what it sees.
options:
  since:
    description: From when on, ISO 8601 UTC; at most two weeks ago. Empty for twelve hours ago.
    type: str
    default: ""
  prometheus_url:
    description: Prometheus, as seen from the host. It must not hold credentials.
    type: str
    default: http://127.0.0.1:9090
  query_timeout_seconds:
    description: Time for the answer.
    type: float
    default: 10
extends_documentation_fragment: [only_reads, http_access]
"""

EXAMPLES = r"""
- name: See what fired
  alert_history_info:
    since: "2026-11-21T06:00:00.000Z"
  register: history
"""

RETURN = r"""
outcome:
  description: V(proven), or V(unknown) where there is no answer to be believed.
  returned: always
  type: str
summary:
  description: How many alerts fired, and how many of them still do.
  returned: always
  type: str
next_command:
  description: What to look at, empty where all was seen.
  returned: always
  type: str
alerts:
  description:
    - C(alertname), C(severity), C(about) (its labels), C(from), C(until) (ISO 8601 UTC) and C(fires) of each alert.
  returned: always
  type: list
  elements: dict
lines:
  description: The same for people.
  returned: always
  type: list
  elements: str
"""

from datetime import UTC, datetime

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.alerts.history import observe
from ansible.module_utils.trading_ops.host.http import ACCESS_ARGUMENTS

ARGUMENT_SPEC = {
    **ACCESS_ARGUMENTS,
    "since": {"type": "str", "default": ""},
    "prometheus_url": {"type": "str", "default": "http://127.0.0.1:9090"},
    "query_timeout_seconds": {"type": "float", "default": 10},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    module.exit_json(**observe(module.params, lambda: datetime.now(UTC)))


if __name__ == "__main__":
    main()
