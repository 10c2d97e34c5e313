#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: schema_info
short_description: Tell which schema a database has
description:
  - Asks the database in its container for one whole number. Only reads, and never fails on what it sees.
requirements:
  - Docker SDK for Python
options:
  query:
    description: SQL that gives the version as one whole number.
    type: str
    required: true
  project_name:
    description: Compose project of the database.
    type: str
    default: trading-paper
  service:
    description: Its service.
    type: str
    default: timescaledb
  superuser:
    description: The superuser, who needs no password on the socket in the container.
    type: str
    default: postgres
  database:
    description: The database.
    type: str
    default: trading
extends_documentation_fragment: [engine, only_reads]
"""

EXAMPLES = r"""
- name: Look at the schema
  schema_info:
    query: SELECT max(version) FROM schema_version
"""

RETURN = r"""
outcome:
  description: V(proven), or V(unknown) where the database does not run, or gives anything but one whole number.
  returned: always
  type: str
summary:
  description: The version, or why it is not known.
  returned: always
  type: str
next_command:
  description: What to type next, empty where nothing is left to do.
  returned: always
  type: str
version:
  description: The version, none where it is not known.
  returned: always
  type: int
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.backup.schema import observe
from ansible.module_utils.trading_ops.core.arguments import ENGINE_ARGUMENTS
from ansible.module_utils.trading_ops.core.outcome import EXIT_CODES
from ansible.module_utils.trading_ops.core.result import finish
from ansible.module_utils.trading_ops.host.engine import docker_engine
from ansible.module_utils.trading_ops.host.programs import LocalPrograms

ARGUMENT_SPEC = {
    "query": {"type": "str", "required": True},
    "project_name": {"type": "str", "default": "trading-paper"},
    "service": {"type": "str", "default": "timescaledb"},
    "superuser": {"type": "str", "default": "postgres"},
    "database": {"type": "str", "default": "trading"},
    **ENGINE_ARGUMENTS,
}
ASK_SECONDS = 20


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    docker_url = module.params["docker_url"]
    programs = LocalPrograms({"DOCKER_HOST": docker_url}, time.monotonic, ASK_SECONDS)
    finish(module, observe(module.params, lambda: docker_engine(docker_url), programs), good=EXIT_CODES)


if __name__ == "__main__":
    main()
