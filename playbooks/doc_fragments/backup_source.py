# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The containers that a backup is taken of: `SOURCE_ARGUMENTS` in trading_ops/backup/postgres.py."""

from __future__ import annotations


class ModuleDocFragment:
    """What `extends_documentation_fragment: backup_source` adds."""

    DOCUMENTATION = r"""
options:
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
  artifacts_path:
    description: Where MLflow's artifacts are in its container.
    type: str
    default: /mlartifacts
"""
