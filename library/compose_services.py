#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: compose_services
short_description: Start, stop or complete named services of a Compose project and prove it
description:
  - V(started) and V(completed) compare Compose's own configuration hashes and the image ids with the containers that
    are there. Where nothing differs, Compose is not called to change anything. Else C(docker compose up -d) runs for
    the named services, and the module waits until every container is proven to be as configured.
  - What the named services depend on is started with them, as Compose does.
  - V(stopped) finds the containers by their project and service labels on the engine. It needs no compose file,
    includes one-off containers, and can only stop.
  - The desired state is written to C(desired.json) in O(state_path), so that deliberately stopped is a fact.
  - Compose sees nothing of the environment the module runs in but C(PATH), C(HOME) and C(DOCKER_CONFIG). What the
    compose files need comes from O(variables), O(env_files) or the project's own C(.env).
options:
  project_src:
    description: Directory in which Compose runs, the root of the checkout. Required unless O(state=stopped).
    type: path
  files:
    description:
      - Compose files, relative to O(project_src). Without one Compose searches there itself.
    type: list
    elements: str
    default: []
  project_name:
    description: The expected name of the project. Where the compose files make another one, nothing is touched.
    type: str
    required: true
  profiles:
    description: Active profiles. A service outside them counts as unknown.
    type: list
    elements: str
    default: []
  env_files:
    description: Files with variables, relative to O(project_src). They take the place of the project's own C(.env).
    type: list
    elements: str
    default: []
  variables:
    description:
      - Variables for the compose files, such as C(TRADING_MODE). One that they use and nothing sets is an error.
    type: dict
    default: {}
  services:
    description: The services, at least one. They are stopped in this order.
    type: list
    elements: str
    required: true
  state:
    description:
      - V(started) is running, in the present configuration and image, healthy where there is a healthcheck.
      - V(completed) is exited with code 0 in the present configuration and image. Done once is done.
      - V(stopped) is no process left. A service that was never created is stopped.
    type: str
    choices: [started, stopped, completed]
    default: started
  timeout_seconds:
    description: Time for the whole start, pull and health included.
    type: int
    default: 180
  grace_period_seconds:
    description: Time between SIGTERM and SIGKILL. Containers that are recreated keep the one of their compose file.
    type: int
    default: 10
  restart_policy:
    description:
      - Restart policy that the containers of the named services must have. Set where it differs, since Compose does not
        put one back. Without it policies are left alone. Not used by O(state=stopped).
    type: str
    choices: ["no", always, unless-stopped, on-failure]
  stop_on_failure:
    description: Stop the named services again where their start could not be proven, so that failed means not running.
    type: bool
    default: false
  halt_latch_path:
    description:
      - The halt latch, by either of its places (C(latch/halt.json) and C(halt.json) in the state directory); both are
        asked. While it is engaged for O(gate_mode), starting is refused. It is read once more after the start,
        and what was started is stopped again if it got engaged meanwhile. Not used by O(state=stopped).
    type: path
  gate_mode:
    description: Mode of what is started. Anything but V(paper) counts as live.
    type: str
    default: live
  feed_gate_path:
    description:
      - The feed gate of this host. Starting is refused unless it is a pass that still counts, for exactly O(feeds). Not
        used by O(state=stopped).
    type: path
  feeds:
    description: RV(feed_info#module:feed) of every feed host, as it is just now.
    type: list
    elements: dict
    default: []
  mode_services:
    description:
      - Services that have to say O(gate_mode), in the label C(trading-core.mode), in C(TRADING_MODE) of their
        environment and at the end of the project's name. One that differs, or says nothing, counts as live, and
        starting is refused.
    type: list
    elements: str
    default: []
  by:
    description: The person, not only the account.
    type: str
    default: not given
  why:
    description: Why, in words.
    type: str
    default: not given
extends_documentation_fragment: [host_state, engine]
attributes:
  check_mode:
    support: full
    description: Plans from hashes, image ids and states and never asks Compose for a dry run.
  diff_mode:
    support: full
    description: The services that change, as they are and as they will be.
  idempotent:
    support: full
notes:
  - One-shots that a service depends on run again whenever Compose starts that service.
  - A service that shares the network, IPC or PID namespace or the volumes of another service is not supported.
requirements:
  - Docker SDK for Python
  - Docker Compose 2.26, for V(started) and V(completed)
seealso:
  - module: compose_services_info
  - module: kill_switch
author:
  - the AI_TRADING_CORE runbook authors
"""

EXAMPLES = r"""
- name: Start the feed
  compose_services:
    project_src: /opt/ai_trading_core
    files: [ops/compose/docker-compose.yml]
    project_name: ai_trading_core
    services: [live_connector, prometheus]
    by: reno
    why: start of shift

- name: Start the paper bot, unless trading is halted
  compose_services:
    project_src: /opt/ai_trading_core
    files: [ops/compose/trading/docker-compose.yml]
    project_name: trading-paper
    profiles: [paper]
    variables:
      TRADING_MODE: paper
    services: [bot]
    restart_policy: "no"
    halt_latch_path: /var/lib/trading-core/latch/halt.json
    gate_mode: paper
    feed_gate_path: /var/lib/trading-core/feed_gate.json
    feeds: ["{{ feed.feed }}"]
    mode_services: [bot]

- name: Render Alertmanager's configuration once
  compose_services:
    project_src: /opt/ai_trading_core
    files: [ops/compose/docker-compose.yml]
    project_name: ai_trading_core
    profiles: [alerting]
    services: [am_init]
    state: completed

- name: Stop the feed, with or without a compose file
  compose_services:
    project_name: ai_trading_core
    services: [live_connector]
    state: stopped
    grace_period_seconds: 5
"""

RETURN = r"""
outcome:
  description:
    - V(proven), or in check mode V(planned). Otherwise the module fails with V(failed), V(refused) (halt latch, feed
      gate, another project or mode), V(running) (did not stop), V(unknown) (the engine could not be asked) or V(usage).
  returned: always
  type: str
summary:
  description: One sentence with what was seen and measured.
  returned: always
  type: str
  sample: bot running; timescaledb running and healthy after 6.2 s
next_command:
  description: What to type next on the host or, where it begins with C(./runbook), on the operator's machine.
  returned: always
  type: str
services:
  description: One entry per service, those of the request in its order, then those they depend on.
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
    action:
      description: V(create), V(recreate), V(start), V(unpause), V(stop) or V(none), done or in check mode to be done.
      type: str
    reason:
      description: Why, empty for V(none).
      type: str
    container_ids:
      description: Its containers as last seen.
      type: list
      elements: str
    state:
      description: The engine's words for them, V(absent) without any, V(unknown) where it could not be seen.
      type: str
    health:
      description: The engine's words, empty without a healthcheck.
      type: str
    exit_code:
      description: Exit code, none while a process is left.
      type: int
    seconds:
      description: Time from the start of the work on it until this was seen.
      type: float
logs:
  description: Per service that failed its last log lines, at most 20 and 8 KiB.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.compose.request import Tools
from ansible.module_utils.trading_ops.compose.services import ensure_services
from ansible.module_utils.trading_ops.core.arguments import ENGINE_ARGUMENTS, STATE_ARGUMENTS
from ansible.module_utils.trading_ops.core.result import finish
from ansible.module_utils.trading_ops.host.engine import docker_engine

ARGUMENT_SPEC = {
    "project_src": {"type": "path"},
    "files": {"type": "list", "elements": "str", "default": []},
    "project_name": {"type": "str", "required": True},
    "profiles": {"type": "list", "elements": "str", "default": []},
    "env_files": {"type": "list", "elements": "str", "default": []},
    "variables": {"type": "dict", "default": {}},
    "services": {"type": "list", "elements": "str", "required": True},
    "state": {"type": "str", "choices": ["started", "stopped", "completed"], "default": "started"},
    "timeout_seconds": {"type": "int", "default": 180},
    "grace_period_seconds": {"type": "int", "default": 10},
    "restart_policy": {"type": "str", "choices": ["no", "always", "unless-stopped", "on-failure"]},
    "stop_on_failure": {"type": "bool", "default": False},
    "halt_latch_path": {"type": "path"},
    "gate_mode": {"type": "str", "default": "live"},
    "feed_gate_path": {"type": "path"},
    "feeds": {"type": "list", "elements": "dict", "default": []},
    "mode_services": {"type": "list", "elements": "str", "default": []},
    **STATE_ARGUMENTS,
    "by": {"type": "str", "default": "not given"},
    "why": {"type": "str", "default": "not given"},
    **ENGINE_ARGUMENTS,
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    tools = Tools(connect=lambda: docker_engine(params["docker_url"]))
    result = ensure_services(params, tools, module.check_mode)
    finish(module, result)


if __name__ == "__main__":
    main()
