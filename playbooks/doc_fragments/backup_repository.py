# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the backup sets are: `REPOSITORY_ARGUMENTS` in trading_ops/backup/restic.py."""

from __future__ import annotations


class ModuleDocFragment:
    """What `extends_documentation_fragment: backup_repository` adds."""

    DOCUMENTATION = r"""
options:
  repository:
    description: The repository's address as this host reaches it, as restic takes it, without a password.
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
"""
