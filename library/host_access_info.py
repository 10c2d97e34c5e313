#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: host_access_info
short_description: Try what a person on call needs on a host
description:
  - Runs on the host, so SSH works where it gives a result. Tries the engine, Compose, and whether directories can be
    read and edited. Never changes anything, and never fails on what it sees.
options:
  paths:
    description: Directories that have to be there, to be read and edited.
    type: list
    elements: str
    default: []
extends_documentation_fragment: [engine, only_reads]
"""

EXAMPLES = r"""
- name: Try the host
  host_access_info:
    paths: [/opt/ai_trading_core/config, /opt/ai_trading_core/runbooks]
  register: host_access
"""

RETURN = r"""
outcome:
  description: V(proven), or V(failed) where something cannot be used.
  returned: always
  type: str
summary:
  description: How much of it can be used, and what not.
  returned: always
  type: str
next_command:
  description: What fixes the first that cannot be used, empty where all can.
  returned: always
  type: str
access:
  description: C(what), C(outcome) (V(pass) or V(fail)), C(text) and C(fix) of each.
  returned: always
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.arguments import ENGINE_ARGUMENTS
from ansible.module_utils.trading_ops.core.clock import uptime
from ansible.module_utils.trading_ops.host.engine import docker_engine
from ansible.module_utils.trading_ops.host.programs import LocalPrograms
from ansible.module_utils.trading_ops.oncall.access import TIMEOUT_SECONDS, can_edit, host_result, try_host

ARGUMENT_SPEC = {
    "paths": {"type": "list", "elements": "str", "default": []},
    **ENGINE_ARGUMENTS,
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    url, run = module.params["docker_url"], LocalPrograms({}, uptime, TIMEOUT_SECONDS).run
    connect = (lambda: docker_engine(url)) if url else None
    module.exit_json(**host_result(try_host(connect, run, module.params["paths"], can_edit)))


if __name__ == "__main__":
    main()
