#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: feed_info
short_description: Tell which feed container runs, and since when
description:
  - Finds the one container of the feed by its labels on the engine. A feed gate is bound to what this returns.
  - Anything but exactly one container that runs and is healthy is V(refused).
options:
  host:
    description: The host as the inventory names it.
    type: str
    required: true
  project_name:
    description: Compose project of the feed.
    type: str
    required: true
  service:
    description: Compose service of the feed.
    type: str
    default: live_connector
extends_documentation_fragment: engine
attributes:
  check_mode:
    support: full
    description: Changes nothing.
  diff_mode:
    support: none
    description: Changes nothing.
  idempotent:
    support: full
requirements:
  - Docker SDK for Python
seealso:
  - module: feed_gate
author:
  - the AI_TRADING_CORE runbook authors
"""

EXAMPLES = r"""
- name: Look at the feed
  feed_info:
    host: "{{ inventory_hostname }}"
    project_name: ai_trading_core
"""

RETURN = r"""
outcome:
  description: V(proven) (one feed runs), V(refused) (it does not) or V(unknown) (the engine could not be asked).
  returned: always
  type: str
summary:
  description: One sentence with what was seen.
  returned: always
  type: str
  sample: live_connector runs since 2026-11-21T01:00:00.000000001Z (0123456789ab)
next_command:
  description: What to type next, empty where one feed runs.
  returned: always
  type: str
feed:
  description: C(host), C(container_id) and C(started_at) in the engine's own words, empty where there is no such feed.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.arguments import ENGINE_ARGUMENTS
from ansible.module_utils.trading_ops.core.result import finish
from ansible.module_utils.trading_ops.feed.container import observe_feed
from ansible.module_utils.trading_ops.host.engine import docker_engine

ARGUMENT_SPEC = {
    "host": {"type": "str", "required": True},
    "project_name": {"type": "str", "required": True},
    "service": {"type": "str", "default": "live_connector"},
    **ENGINE_ARGUMENTS,
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    result = observe_feed(
        lambda: docker_engine(params["docker_url"]), params["project_name"], params["service"], params["host"]
    )
    finish(module, result)


if __name__ == "__main__":
    main()
