#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: drift_log_info
short_description: Read the drift log of a host, and list the documentation that is due
description:
  - Tells which settings of what is traded were changed through this project, and for which of them the strategy's
    documentation still reads as it did then.
  - Never changes anything and never fails on what it sees; a damaged log is V(unknown).
options:
  documentation_path:
    description: The strategy's documentation.
    type: path
    required: true
extends_documentation_fragment: [host_state, only_reads]
"""

EXAMPLES = r"""
- name: Read the drift log
  drift_log_info:
    documentation_path: /opt/ai_trading_core/docs/strategies/RefStrat_01.md
"""

RETURN = r"""
outcome:
  description: V(proven), or V(unknown) where the log cannot be read or a line of it cannot be understood.
  returned: always
  type: str
summary:
  description: How many changes are on record, and the documentation that is due.
  returned: always
  type: str
next_command:
  description: What shows the log, empty for V(proven).
  returned: always
  type: str
entries:
  description: >-
    One entry per change, oldest first, with C(time), C(by), C(why), C(key), C(before), C(after) and C(documentation)
    (a digest of how it then read, empty where there was none).
  returned: always
  type: list
  elements: dict
documentation_due:
  description: Keys that changed since the documentation did.
  returned: always
  type: list
  elements: str
lines:
  description: The youngest changes as text.
  returned: always
  type: list
  elements: str
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.config.drift_log import observe
from ansible.module_utils.trading_ops.core.arguments import STATE_ARGUMENTS

ARGUMENT_SPEC = {
    "documentation_path": {"type": "path", "required": True},
    **STATE_ARGUMENTS,
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    module.exit_json(**observe(Path(module.params["state_path"]), Path(module.params["documentation_path"])))


if __name__ == "__main__":
    main()
