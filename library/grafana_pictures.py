#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: grafana_pictures
short_description: Take Grafana's own pictures of its dashboards, where it has a renderer
description:
  - Asks Grafana whether it has a renderer, then for a picture of each dashboard, all at once, and leaves them in files
    for M(evidence). What Grafana sends instead of a dashboard, a login page or a picture that says it could not draw,
    is not kept.
  - Pictures that cannot be had are named with their reason in one of the files. Never fails on what it sees.
options:
  url:
    description: Grafana, as seen from the host. It must not hold credentials.
    type: str
    default: http://127.0.0.1:3000
  token_path:
    description: File on the host with a service account's token, which is sent as bearer token.
    type: path
  ca_path:
    description: File on the host with the certificates that Grafana's own has to come from. Empty for the system's.
    type: path
  validate_certs:
    description: Whether Grafana's certificate has to be good.
    type: bool
    default: true
  range_seconds:
    description: How far back the pictures reach.
    type: int
    default: 3600
  timeout_seconds:
    description: How long one answer may take. Pictures are asked for together, after one question about the renderer.
    type: float
    default: 15
  scratch_path:
    description: Where the files are left.
    type: path
    default: /var/tmp
attributes:
  check_mode:
    support: full
    description: Asks nothing and writes nothing.
  diff_mode:
    support: none
    description: Changes nothing.
"""

EXAMPLES = r"""
- name: Take Grafana's own pictures
  grafana_pictures:
    token_path: /etc/trading-core/grafana-token
  register: pictures
"""

RETURN = r"""
outcome:
  description:
    - V(proven) where there are all pictures, or none and the reason is known; V(failed) where some could not be had;
      V(planned) in check mode.
  returned: always
  type: str
summary:
  description: How many pictures there are, and why not more.
  returned: always
  type: str
next_command:
  description: Empty; the pictures drawn from Prometheus need no Grafana.
  returned: always
  type: str
files:
  description: The files on the host, by what they show.
  returned: always
  type: dict
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.evidence.grafana import collect

ARGUMENT_SPEC = {
    "url": {"type": "str", "default": "http://127.0.0.1:3000"},
    "token_path": {"type": "path", "no_log": False},
    "ca_path": {"type": "path"},
    "validate_certs": {"type": "bool", "default": True},
    "range_seconds": {"type": "int", "default": 3600},
    "timeout_seconds": {"type": "float", "default": 15},
    "scratch_path": {"type": "path", "default": "/var/tmp"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    result = collect(module.params, time.time, module.check_mode)
    module.exit_json(**result)  # whatever is wrong here, the logs are collected all the same


if __name__ == "__main__":
    main()
