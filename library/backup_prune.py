#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_prune
short_description: Forget backup sets that are older than they are kept, and free their space
description:
  - Runs where the repository is. Hosts that take backups can only add.
  - Age is counted from the newest set of a host, so nothing is forgotten where backups have stopped.
  - A repository with a set from the future is left alone.
requirements:
  - restic 0.17 or newer on the host
options:
  user:
    description: Account that runs restic, so that what it writes is the server's; empty for the module's own.
    type: str
    default: ""
  keep_within:
    description: How long sets are kept, as in V(90d) or V(1y6m).
    type: str
    required: true
  timeout_seconds:
    description: Bound for the whole run.
    type: int
    default: 14400
extends_documentation_fragment: backup_repository
attributes:
  check_mode:
    support: full
    description: Says what would be forgotten.
"""

EXAMPLES = r"""
- name: Keep three months
  backup_prune:
    repository: /srv/trading-core-backup/trading-core
    password_path: /etc/trading-core/backup/control-password
    user: trading-core-backup
    keep_within: 90d
"""

RETURN = r"""
outcome:
  description: >-
    V(proven), or V(planned) in check mode; V(usage), V(refused) (a set from the future), V(locked), V(failed).
  returned: always
  type: str
summary:
  description: What was found, in words.
  returned: always
  type: str
next_command:
  description: What to type next, empty where nothing is left to do.
  returned: always
  type: str
sets:
  description: The sets, oldest first, with C(id), C(snapshot_id), C(at), C(host) and C(bytes).
  returned: always
  type: list
  elements: dict
newest_age_seconds:
  description: Age of the newest set, none where that was not asked.
  returned: always
  type: float
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.backup.restic import REPOSITORY_ARGUMENTS
from ansible.module_utils.trading_ops.backup.sets import prune_backups
from ansible.module_utils.trading_ops.core.result import finish

ARGUMENT_SPEC = {
    **REPOSITORY_ARGUMENTS,
    "user": {"type": "str", "default": ""},
    "keep_within": {"type": "str", "required": True},
    "timeout_seconds": {"type": "int", "default": 14_400},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    finish(module, prune_backups(module.params, module.check_mode))


if __name__ == "__main__":
    main()
