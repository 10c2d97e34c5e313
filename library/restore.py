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
  repository:
    description: The repository's address as this host reaches it, without a password.
    type: str
    required: true
  password_path:
    description: File with the repository's password, mode 0400.
    type: path
    required: true
  credentials_path:
    description: File with C(NAME=value) lines for the way to the repository, mode 0400. Empty for none.
    type: str
    default: ""
  project_name:
    description: Compose project of the database, which runs, and of MLflow, which is made and does not run.
    type: str
    required: true
  database_service:
    description: Compose service of the database.
    type: str
    default: timescaledb
  mlflow_service:
    description: Compose service of MLflow.
    type: str
    default: mlflow
  superuser:
    description: The database's superuser, who needs no password on the socket in the container.
    type: str
    default: postgres
  trading_database:
    description: Database that the trading database is restored into; made where it is missing.
    type: str
    default: trading
  mlflow_database:
    description: Database that MLflow's is restored into; made where it is missing.
    type: str
    default: mlflow
  artifacts_path:
    description: Where MLflow's artifacts are in its container.
    type: str
    default: /mlartifacts
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
extends_documentation_fragment: engine
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
from ansible.module_utils.trading_ops.core.arguments import ENGINE_ARGUMENTS
from ansible.module_utils.trading_ops.core.result import finish
from ansible.module_utils.trading_ops.restore.real import restore_this_host

ARGUMENT_SPEC = {
    "set": {"type": "str", "required": True},
    "confirm_restore": {"type": "str", "required": True},
    "repository": {"type": "str", "required": True},
    "password_path": {"type": "path", "required": True, "no_log": False},
    "credentials_path": {"type": "str", "default": ""},
    "project_name": {"type": "str", "required": True},
    "database_service": {"type": "str", "default": "timescaledb"},
    "mlflow_service": {"type": "str", "default": "mlflow"},
    "superuser": {"type": "str", "default": "postgres"},
    "trading_database": {"type": "str", "default": "trading"},
    "mlflow_database": {"type": "str", "default": "mlflow"},
    "artifacts_path": {"type": "str", "default": "/mlartifacts"},
    "scratch_path": {"type": "path", "default": "/var/lib/trading-core-backup"},
    "reserve_bytes": {"type": "int", "default": 1_000_000_000},
    "timeout_seconds": {"type": "int", "default": 14_400},
    **ENGINE_ARGUMENTS,
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    result = restore_this_host(module.params, module.check_mode)
    finish(module, result)


if __name__ == "__main__":
    main()
