#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: backup
short_description: Take a backup set of trading database, MLflow database and artifacts
description:
  - Each database is dumped in one exported snapshot, in which rows and checksums of all its tables are taken too.
    The bots go on writing.
  - What is staged lies in O(scratch_path), readable for root only, and is removed again in every case, also what an
    earlier run left that was killed.
  - The set is one snapshot of restic. It counts only when the repository itself shows every file, and gives the
    manifest back.
requirements:
  - restic 0.17 or newer on the host, the Docker SDK, the docker client
options:
  project_name:
    description: Compose project of the database and MLflow.
    type: str
    required: true
  trading_database:
    description: Name of the trading database.
    type: str
    default: trading
  mlflow_database:
    description: Name of MLflow's database.
    type: str
    default: mlflow
  scratch_path:
    description: Directory for what is staged, this module's alone.
    type: path
    default: /var/lib/trading-core-backup
  reserve_bytes:
    description: What stays free on the disk of O(scratch_path), whatever happens.
    type: int
    default: 1000000000
  host:
    description: The host's name in the repository.
    type: str
    required: true
  timeout_seconds:
    description: Bound for the whole backup.
    type: int
    default: 3600
extends_documentation_fragment: [backup_repository, backup_source, engine]
attributes:
  check_mode:
    support: full
    description: Opens the repository, looks at sizes and space, and stages nothing.
"""

EXAMPLES = r"""
- name: Take a backup set and prove it
  backup:
    repository: rest:http://control1.lan:8000/trading-core
    password_path: /etc/trading-core/backup/repository-password
    credentials_path: /etc/trading-core/backup/credentials.env
    project_name: trading-paper
    host: homelab1
"""

RETURN = r"""
outcome:
  description: >-
    V(proven), or V(planned) in check mode. Otherwise V(refused) (no space, no repository, a database is missing),
    V(locked) (another backup, or restic's lock), V(unknown) (the engine), V(failed).
  returned: always
  type: str
summary:
  description: The set in words, or why there is none.
  returned: always
  type: str
next_command:
  description: What to type next, empty where nothing is left to do.
  returned: always
  type: str
set:
  description: C(id), C(snapshot_id), C(bytes), C(rows), C(snapshot_at) by database. Empty and 0 where there is none.
  returned: always
  type: dict
phases:
  description: Seconds by phase, of those that were reached.
  returned: always
  type: dict
record:
  description: How it ended, as M(job_record) takes it.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.backup.postgres import SOURCE_ARGUMENTS
from ansible.module_utils.trading_ops.backup.restic import REPOSITORY_ARGUMENTS
from ansible.module_utils.trading_ops.backup.take import back_up_this_host
from ansible.module_utils.trading_ops.core.arguments import ENGINE_ARGUMENTS
from ansible.module_utils.trading_ops.core.outcome import EXIT_CODES
from ansible.module_utils.trading_ops.core.result import finish

ARGUMENT_SPEC = {
    **REPOSITORY_ARGUMENTS,
    **SOURCE_ARGUMENTS,
    "project_name": {"type": "str", "required": True},
    "trading_database": {"type": "str", "default": "trading"},
    "mlflow_database": {"type": "str", "default": "mlflow"},
    "scratch_path": {"type": "path", "default": "/var/lib/trading-core-backup"},
    "reserve_bytes": {"type": "int", "default": 1_000_000_000},
    "host": {"type": "str", "required": True},
    "timeout_seconds": {"type": "int", "default": 3600},
    **ENGINE_ARGUMENTS,
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    # One that took no set has to go on record as well; only where another is at work there was none.
    finish(module, back_up_this_host(module.params, module.check_mode), good=EXIT_CODES.keys() - {"locked"})


if __name__ == "__main__":
    main()
