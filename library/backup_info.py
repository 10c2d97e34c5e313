#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_info
short_description: List the backup sets of a repository, and how old the newest is
description:
  - Changes nothing. A set is a snapshot with this project's tag and a set's id.
requirements:
  - restic 0.17 or newer on the host
options:
  user:
    description: Account that runs restic, so that what it writes is the server's; empty for the module's own.
    type: str
    default: ""
  age_limit_seconds:
    description: How old the newest set may be. With 0 a repository that opens is enough, also one without a set.
    type: int
    default: 93600
extends_documentation_fragment: backup_repository
attributes:
  check_mode:
    support: full
    description: Changes nothing in any mode.
"""

EXAMPLES = r"""
- name: List the sets
  backup_info:
    repository: rest:http://control1.lan:8000/trading-core
    password_path: /etc/trading-core/backup/repository-password
    credentials_path: /etc/trading-core/backup/credentials.env
"""

RETURN = r"""
outcome:
  description: >-
    V(proven); V(failed) where there is no set, the newest is too old or the repository does not answer; V(locked).
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
from ansible.module_utils.trading_ops.backup.sets import list_backups
from ansible.module_utils.trading_ops.core.result import finish

ARGUMENT_SPEC = {
    **REPOSITORY_ARGUMENTS,
    "user": {"type": "str", "default": ""},
    "age_limit_seconds": {"type": "int", "default": 93_600},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    finish(module, list_backups(module.params, module.check_mode))


if __name__ == "__main__":
    main()
