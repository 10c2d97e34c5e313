#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: evidence
short_description: Collect what a host can tell about an incident, without its secrets
description:
  - Takes logs of named services and of every bot, descriptions of all containers by an allow-list, compose files,
    events of the engine, files of state and configuration, and facts of the host.
  - Known values and declared patterns are taken out before anything is written; values of environments are never kept.
    Where it is not known which values are secret, no text is kept.
  - Leaves one archive, which the account that logged in can read, and copies of the logs below O(root_path).
  - What cannot be had is an entry with its reason. Without the engine the containers' own files are read.
  - Changes no container, and takes no longer, and no more room, than it is told.
options:
  incident_id:
    description: The incident, C(INC-…), or C(incident_test_<yyyymmdd-hhmmss>) for a rehearsal.
    type: str
    required: true
  host:
    description: The host's name in the inventory.
    type: str
    required: true
  services:
    description: How many of the newest lines are taken, by container name or Compose service.
    type: dict
    default: {live_connector: 500, prometheus: 200}
  bot_tail_lines:
    description: The same for each bot.
    type: int
    default: 500
  since:
    description: Only lines from this moment on, ISO 8601 in UTC, as in V(2026-11-21T01:30:00Z). Empty for all.
    type: str
    default: ""
  bot_services:
    description: Compose service names of bots, with wildcards.
    type: list
    elements: str
    default: [bot]
  bot_projects:
    description: Compose project names of bots, with wildcards.
    type: list
    elements: str
    default: ["trading-*", trading]
  bot_images:
    description: References of bot images, with wildcards.
    type: list
    elements: str
    default: []
  compose_files:
    description: Compose files by project, relative to O(root_path).
    type: dict
    default: {}
  secret_paths:
    description: Env files and files that hold one secret, with wildcards. What they hold is looked for in every text.
    type: list
    elements: str
    default: []
  secrets:
    description: More values that are looked for.
    type: list
    elements: str
    default: []
  patterns:
    description: More patterns, regular expressions by name.
    type: dict
    default: {}
  adopted:
    description: Files that earlier tasks have left for the bundle, by name. They are moved.
    type: dict
    default: {}
  most_bytes:
    description: How large the bundle may become.
    type: int
    default: 524288000
  timeout_seconds:
    description: How long collecting may take.
    type: int
    default: 120
  root_path:
    description: Checkout of AI_TRADING_CORE on the host.
    type: path
    default: /opt/ai_trading_core
  scratch_path:
    description: Where the archive is left.
    type: path
    default: /var/tmp
  remove:
    description: An archive that this module left, to be removed; then nothing is collected.
    type: path
extends_documentation_fragment: [host_state, engine]
attributes:
  check_mode:
    support: full
    description: Says whose logs would be taken, and writes nothing.
  diff_mode:
    support: none
    description: Changes nothing.
requirements:
  - Docker SDK for Python
"""

EXAMPLES = r"""
- name: Collect evidence
  evidence:
    incident_id: INC-20261121-013000-bars-look-wrong
    host: "{{ inventory_hostname }}"
    compose_files:
      ai_trading_core: [ops/compose/docker-compose.yml]
    secret_paths: [/opt/ai_trading_core/ops/compose/.env]
  register: collected
"""

RETURN = r"""
outcome:
  description:
    - V(proven) where the bundle is there with every log that has a container, as far as it can be read.
    - V(failed) where a log could not be had, or nothing could be kept; V(planned) in check mode; V(usage).
  returned: always
  type: str
summary:
  description: One sentence with the number of items and of masked secrets, and what is not complete.
  returned: always
  type: str
next_command:
  description: What to do next, empty where nothing is left to do.
  returned: always
  type: str
manifest:
  description: The bundle's manifest; C(items) have C(name), C(path), C(status), C(reason), C(bytes) and C(sha256).
  returned: always
  type: dict
archive:
  description: The archive on the host, empty where there is none.
  returned: always
  type: str
host_logs:
  description: Where each log was left below O(root_path), with C(name), C(path) and C(reason).
  returned: always
  type: list
  elements: dict
seconds:
  description: How long it took.
  returned: always
  type: float
"""

from datetime import UTC, datetime
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.compose.config import run_command
from ansible.module_utils.trading_ops.core.arguments import ENGINE_ARGUMENTS, STATE_ARGUMENTS
from ansible.module_utils.trading_ops.core.bots import BotRules
from ansible.module_utils.trading_ops.core.clock import uptime
from ansible.module_utils.trading_ops.evidence.collect import collect, remove_scratch
from ansible.module_utils.trading_ops.evidence.request import Request, Tools
from ansible.module_utils.trading_ops.host.cgroups import find_docker_roots
from ansible.module_utils.trading_ops.host.engine import docker_engine

ARGUMENT_SPEC = {
    "incident_id": {"type": "str", "required": True},
    "host": {"type": "str", "required": True},
    "services": {"type": "dict", "default": {"live_connector": 500, "prometheus": 200}},
    "bot_tail_lines": {"type": "int", "default": 500},
    "since": {"type": "str", "default": ""},
    "bot_services": {"type": "list", "elements": "str", "default": ["bot"]},
    "bot_projects": {"type": "list", "elements": "str", "default": ["trading-*", "trading"]},
    "bot_images": {"type": "list", "elements": "str", "default": []},
    "compose_files": {"type": "dict", "default": {}},
    "secret_paths": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "secrets": {"type": "list", "elements": "str", "default": [], "no_log": True},
    "patterns": {"type": "dict", "default": {}},
    "adopted": {"type": "dict", "default": {}},
    "most_bytes": {"type": "int", "default": 500 * 1024 * 1024},
    "timeout_seconds": {"type": "int", "default": 120},
    "root_path": {"type": "path", "default": "/opt/ai_trading_core"},
    **STATE_ARGUMENTS,
    "scratch_path": {"type": "path", "default": "/var/tmp"},
    **ENGINE_ARGUMENTS,
    "remove": {"type": "path"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    if params["remove"]:
        remove_scratch(Path(params["remove"]))
        module.exit_json(changed=False)
    request = Request(
        incident_id=params["incident_id"],
        host=params["host"],
        services={name: int(lines) for name, lines in params["services"].items()},
        bot_tail_lines=params["bot_tail_lines"],
        bot_rules=BotRules(
            services=tuple(params["bot_services"]),
            projects=tuple(params["bot_projects"]),
            images=tuple(params["bot_images"]),
        ),
        since=params["since"],
        root_path=Path(params["root_path"]),
        state_path=Path(params["state_path"]),
        scratch_path=Path(params["scratch_path"]),
        compose_files=params["compose_files"],
        secret_paths=tuple(params["secret_paths"]),
        secrets=tuple(params["secrets"]),
        patterns=params["patterns"],
        adopted={name: Path(path) for name, path in params["adopted"].items()},
        most_bytes=params["most_bytes"],
        timeout_seconds=params["timeout_seconds"],
    )
    tools = Tools(
        connect=lambda: docker_engine(params["docker_url"]),
        run=run_command,
        now=lambda: datetime.now(UTC),
        clock=uptime,
        docker_roots=find_docker_roots(),
    )
    result = collect(request, tools, module.check_mode)
    if result["outcome"] in {"proven", "planned"} or result["archive"]:
        module.exit_json(**result)  # an archive that holds too little is fetched all the same
    module.fail_json(msg=result["summary"], **result)


if __name__ == "__main__":
    main()
