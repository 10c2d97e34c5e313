#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: trading_config_info
short_description: See whether config/trading.yml could be changed
description:
  - Plans what M(trading_config) would do, and fails where that would be refused. Asked on every host first, one host's
    refusal keeps the others from a change that would be theirs alone.
  - Never changes anything.
requirements:
  - PyYAML on the host (Debian's python3-yaml)
extends_documentation_fragment: [trading_config, host_state, only_reads]
"""

EXAMPLES = r"""
- name: See whether the position could be doubled
  trading_config_info:
    path: /opt/ai_trading_core/config/trading.yml
    changes: sizing.position_ratio=0.2
    reason: a calmer market
"""

RETURN = r"""
outcome:
  description: V(proven) where it could be changed, otherwise V(usage), V(refused) or V(failed).
  returned: always
  type: str
summary:
  description: The changes it would be, or why not.
  returned: always
  type: str
next_command:
  description: What to type next, empty where nothing is left to do.
  returned: always
  type: str
changes:
  description: One entry per value that differs, with C(key), C(before) and C(after).
  returned: always
  type: list
  elements: dict
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.config.trading import CHANGE_ARGUMENTS, Request, preview
from ansible.module_utils.trading_ops.core.arguments import STATE_ARGUMENTS
from ansible.module_utils.trading_ops.core.result import finish

ARGUMENT_SPEC = {
    **CHANGE_ARGUMENTS,
    **STATE_ARGUMENTS,
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    path, state_path = Path(params["path"]), Path(params["state_path"])
    result = preview(Request(path, params["changes"], state_path, Path(), "", params["reason"]))
    del result["warnings"], result["diff"]
    finish(module, result)


if __name__ == "__main__":
    main()
