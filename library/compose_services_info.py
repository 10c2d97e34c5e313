#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: compose_services_info
short_description: Show named services of a Compose project as desired, configured and observed
description:
  - Takes the same request as M(compose_services) and only reads.
  - What of the three can be read is returned also where another cannot, then with the outcome V(unknown).
options:
  project_src:
    description: Directory in which Compose runs, the root of the checkout.
    type: path
    required: true
  files:
    description: Compose files, relative to O(project_src). Without one Compose searches there itself.
    type: list
    elements: str
    default: []
  project_name:
    description: The expected name of the project.
    type: str
    required: true
  profiles:
    description: Active profiles.
    type: list
    elements: str
    default: []
  env_files:
    description: Files with variables, relative to O(project_src). They take the place of the project's own C(.env).
    type: list
    elements: str
    default: []
  variables:
    description: Variables for the compose files.
    type: dict
    default: {}
  services:
    description: The services, at least one.
    type: list
    elements: str
    required: true
  state:
    description: The state against which RV(services[].configured) names the action that would be needed.
    type: str
    choices: [started, completed]
    default: started
extends_documentation_fragment: [host_state, engine]
attributes:
  check_mode:
    support: full
    description: Changes nothing in either mode.
  diff_mode:
    support: none
    description: Changes nothing.
requirements:
  - Docker SDK for Python
  - Docker Compose 2.26
seealso:
  - module: compose_services
author:
  - the AI_TRADING_CORE runbook authors
"""

EXAMPLES = r"""
- name: Look at the feed
  compose_services_info:
    project_src: /opt/ai_trading_core
    files: [ops/compose/docker-compose.yml]
    project_name: ai_trading_core
    services: [live_connector, prometheus]
  register: feed
"""

RETURN = r"""
outcome:
  description: V(proven) (everything was seen), V(unknown) (something could not be read) or V(usage).
  returned: always
  type: str
summary:
  description: One sentence with what was seen.
  returned: always
  type: str
  sample: "live_connector: running, desired started; prometheus: absent, desired not recorded, 0 of 1 containers exist"
next_command:
  description: What to type next on the host, empty where everything was seen.
  returned: always
  type: str
services:
  description: One entry per service, in the order of the request.
  returned: always
  type: list
  elements: dict
  contains:
    service:
      description: Its name.
      type: str
    project:
      description: Its project.
      type: str
    desired:
      description: C(state), C(by), C(since) and C(why) as last recorded, none where nothing was.
      type: dict
    configured:
      description:
        - C(config_hash) and C(image) of the compose files, and the C(action) with its C(reason) that O(state) needs.
          None where the configuration could not be read.
      type: dict
    observed:
      description: C(container_ids), C(state), C(health) and C(exit_code), one-off containers included.
      type: dict
trouble:
  description: What could not be read, one sentence each.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.compose.info import observe_services
from ansible.module_utils.trading_ops.compose.request import Tools
from ansible.module_utils.trading_ops.core.arguments import ENGINE_ARGUMENTS, STATE_ARGUMENTS
from ansible.module_utils.trading_ops.core.result import finish
from ansible.module_utils.trading_ops.host.engine import docker_engine

ARGUMENT_SPEC = {
    "project_src": {"type": "path", "required": True},
    "files": {"type": "list", "elements": "str", "default": []},
    "project_name": {"type": "str", "required": True},
    "profiles": {"type": "list", "elements": "str", "default": []},
    "env_files": {"type": "list", "elements": "str", "default": []},
    "variables": {"type": "dict", "default": {}},
    "services": {"type": "list", "elements": "str", "required": True},
    "state": {"type": "str", "choices": ["started", "completed"], "default": "started"},
    **STATE_ARGUMENTS,
    **ENGINE_ARGUMENTS,
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    result = observe_services(params, Tools(connect=lambda: docker_engine(params["docker_url"])))
    finish(module, result)


if __name__ == "__main__":
    main()
