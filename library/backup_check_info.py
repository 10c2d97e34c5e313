#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_check_info
short_description: Check a backup repository, and read a part of its data
description:
  - Checks the whole structure, and reads one of O(subsets) parts of the data back. Which one follows the week of the
    year, so that after that many weeks everything was read once.
requirements:
  - restic 0.17 or newer on the host
options:
  user:
    description: Account that runs restic, so that what it writes is the server's; empty for the module's own.
    type: str
    default: ""
  subsets:
    description: In how many weeks all data is read.
    type: int
    default: 4
  timeout_seconds:
    description: Bound for the whole check.
    type: int
    default: 14400
extends_documentation_fragment: backup_repository
attributes:
  check_mode:
    support: full
    description: Changes nothing in any mode but locks of dead runs, which only a real run removes.
"""

EXAMPLES = r"""
- name: Check the repository
  backup_check_info:
    repository: /srv/trading-core-backup/trading-core
    password_path: /etc/trading-core/backup/control-password
    user: trading-core-backup
"""

RETURN = r"""
outcome:
  description: >-
    V(proven); V(failed) where anything is damaged or missing; V(locked).
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
from ansible.module_utils.trading_ops.backup.sets import check_backups
from ansible.module_utils.trading_ops.core.result import finish

ARGUMENT_SPEC = {
    **REPOSITORY_ARGUMENTS,
    "user": {"type": "str", "default": ""},
    "subsets": {"type": "int", "default": 4},
    "timeout_seconds": {"type": "int", "default": 14_400},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    finish(module, check_backups(module.params, module.check_mode))


if __name__ == "__main__":
    main()
