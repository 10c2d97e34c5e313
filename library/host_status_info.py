#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: host_status_info
short_description: Read how a host and the containers on it are
description:
  - Reads containers with their restarts and image digests, errors in their logs, file systems, memory, load,
    certificates, and this project's own files on the host. Judges nothing, changes nothing, and never fails on what it
    sees.
options:
  since:
    description:
      - From when on audit log and drift log are returned, and errors in logs are new, ISO 8601 UTC. Empty for the last
        day.
    type: str
    default: ""
  certificate_paths:
    description: Certificates on the host, with wildcards.
    type: list
    elements: str
    default: []
  documentation_path:
    description: The strategy's documentation on the host; empty where the host has none.
    type: str
    default: ""
  docker_root_path:
    description: Where the engine keeps its data.
    type: path
    default: /var/lib/docker
  controller_epoch:
    description: The controller's clock when the task was sent.
    type: float
extends_documentation_fragment: [host_state, engine, bots, only_reads]
"""

EXAMPLES = r"""
- name: Look at the host
  host_status_info:
    certificate_paths: [/etc/trading-core/**/*.crt]
  register: host_status
"""

RETURN = r"""
outcome:
  description: V(proven), or V(unknown) where something could not be read.
  returned: always
  type: str
summary:
  description: How many containers run, and what could not be read.
  returned: always
  type: str
next_command:
  description: Empty.
  returned: always
  type: str
trouble:
  description: What could not be read, one sentence each.
  returned: always
  type: list
  elements: str
containers:
  description:
    - C(id), C(name), C(service), C(project), C(state), C(health), C(exit_code), C(started_at), C(restarts), C(is_tty),
      C(image), C(image_id) and C(digests) of each container.
  returned: always
  type: list
  elements: dict
unexpected:
  description: Running containers that look like a bot and that no rule matches, each with C(name) and C(why).
  returned: always
  type: list
  elements: dict
exempted:
  description: Containers of a trading framework that the estate says are no bots.
  returned: always
  type: list
  elements: str
others:
  description: C(count) and C(names) of the other running containers that the estate does not name.
  returned: always
  type: dict
doubts:
  description: What of it keeps a look from being proven, in words.
  returned: always
  type: list
  elements: str
errors:
  description:
    - C(recent) and C(before_per_hour) errors in the log of each container of a Compose project, by C(name) and
      C(service), or the C(trouble) with it.
  returned: always
  type: list
  elements: dict
errors_since:
  description: From when on an error is a recent one, an hour ago or O(since), ISO 8601 UTC.
  returned: always
  type: str
desired:
  description: The desired state, by project and service.
  returned: always
  type: dict
latch:
  description: The halt latch, none where it is released.
  returned: always
  type: dict
gate:
  description: C(passed_at), C(expires_at) and C(by) of the feed gate, none where it is closed.
  returned: always
  type: dict
machine:
  description: C(load), C(processors), C(memory_bytes), C(memory_available_bytes) and C(uptime_seconds).
  returned: always
  type: dict
filesystems:
  description:
    - C(mount), C(type), C(size_bytes), C(free_bytes), C(inodes), C(inodes_free), C(holds_engine) of each file system.
  returned: always
  type: list
  elements: dict
certificates:
  description: C(path) and C(expires_at) of each certificate, or the C(trouble) with it.
  returned: always
  type: list
  elements: dict
audit:
  description: Entries of the audit log since O(since).
  returned: always
  type: list
  elements: dict
drift:
  description: Entries of the drift log since O(since).
  returned: always
  type: list
  elements: dict
documentation_due:
  description: Which documentation is due for what, empty for none.
  returned: always
  type: str
since:
  description: From when on these were read.
  returned: always
  type: str
host_epoch:
  description: The host's clock, seconds since 1970.
  returned: always
  type: float
controller_epoch:
  description: As handed in.
  returned: always
  type: float
"""

from datetime import UTC, datetime

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.arguments import BOT_ARGUMENTS, ENGINE_ARGUMENTS, STATE_ARGUMENTS
from ansible.module_utils.trading_ops.core.clock import uptime
from ansible.module_utils.trading_ops.host.engine import docker_engine
from ansible.module_utils.trading_ops.host.programs import LocalPrograms
from ansible.module_utils.trading_ops.oncall.host_status import Host, observe

ARGUMENT_SPEC = {
    "since": {"type": "str", "default": ""},
    "certificate_paths": {"type": "list", "elements": "str", "default": []},
    "documentation_path": {"type": "str", "default": ""},
    "docker_root_path": {"type": "path", "default": "/var/lib/docker"},
    "controller_epoch": {"type": "float"},
    **BOT_ARGUMENTS,
    **STATE_ARGUMENTS,
    **ENGINE_ARGUMENTS,
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    programs = LocalPrograms({}, uptime, timeout_seconds=5)
    connect = (lambda: docker_engine(params["docker_url"])) if params["docker_url"] else None
    host = Host(connect, programs.run, lambda: datetime.now(UTC))
    module.exit_json(**observe(params, host))


if __name__ == "__main__":
    main()
