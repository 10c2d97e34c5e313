#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: restore
short_description: Restore a named backup set into empty databases and an empty artifact folder
description:
  - Never over anything. A database that has tables or a session, an artifact folder with a file, or an MLflow that runs
    is refused. Nothing is dropped, also where the restore fails half-way.
  - Every table's rows and checksum and every artifact's SHA-256 are compared with the set's manifest.
requirements:
  - restic 0.17 or newer on the host, the Docker SDK, the docker client
options:
  set:
    description: The set's id.
    type: str
    required: true
  confirm_restore:
    description: The same id once more.
    type: str
    required: true
  project_name:
    description: Compose project of the database, which runs, and of MLflow, which is made and does not run.
    type: str
    required: true
  trading_database:
    description: Database that the trading database is restored into; made where it is missing.
    type: str
    default: trading
  mlflow_database:
    description: Database that MLflow's is restored into; made where it is missing.
    type: str
    default: mlflow
  scratch_path:
    description: Directory in which the set is staged.
    type: path
    default: /var/lib/trading-core-backup
  reserve_bytes:
    description: What stays free on that disk.
    type: int
    default: 1000000000
  timeout_seconds:
    description: Bound for the whole restore.
    type: int
    default: 14400
extends_documentation_fragment: [backup_repository, backup_source, engine]
attributes:
  check_mode:
    support: full
    description: Refuses what a real run would refuse, and restores nothing.
"""

EXAMPLES = r"""
- name: Restore a set
  restore:
    set: SET-20261121-023000
    confirm_restore: SET-20261121-023000
    repository: rest:http://control1.lan:8000/trading-core
    password_path: /etc/trading-core/backup/repository-password
    credentials_path: /etc/trading-core/backup/credentials.env
    project_name: trading-paper
"""

RETURN = r"""
outcome:
  description: >-
    V(proven), or V(planned) in check mode. Otherwise V(usage) (not confirmed), V(refused) (something is not empty, or
    the server lacks the TimescaleDB), V(locked), V(unknown) (the engine), V(failed).
  returned: always
  type: str
summary:
  description: What was restored and compared, or why nothing was.
  returned: always
  type: str
next_command:
  description: What to type next, empty where nothing is left to do.
  returned: always
  type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.backup.postgres import SOURCE_ARGUMENTS
from ansible.module_utils.trading_ops.backup.restic import REPOSITORY_ARGUMENTS
from ansible.module_utils.trading_ops.core.arguments import ENGINE_ARGUMENTS
from ansible.module_utils.trading_ops.core.result import finish
from ansible.module_utils.trading_ops.restore.real import restore_this_host

ARGUMENT_SPEC = {
    "set": {"type": "str", "required": True},
    "confirm_restore": {"type": "str", "required": True},
    **REPOSITORY_ARGUMENTS,
    **SOURCE_ARGUMENTS,
    "project_name": {"type": "str", "required": True},
    "trading_database": {"type": "str", "default": "trading"},
    "mlflow_database": {"type": "str", "default": "mlflow"},
    "scratch_path": {"type": "path", "default": "/var/lib/trading-core-backup"},
    "reserve_bytes": {"type": "int", "default": 1_000_000_000},
    "timeout_seconds": {"type": "int", "default": 14_400},
    **ENGINE_ARGUMENTS,
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    finish(module, restore_this_host(module.params, module.check_mode))


if __name__ == "__main__":
    main()
