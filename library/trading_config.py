#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: trading_config
short_description: Change what is traded, and how large, in config/trading.yml
description:
  - Replaces single values; comments, order and everything else of the file stay, its owner and mode too. What comes out
    is read again, before and after it is written.
  - Each change is a line of the drift log C(drift_log.jsonl) in O(state_path), written first, and of the audit log.
  - A size above the file's own C(risk_limits) is refused. While the halt latch is engaged values of C(sizing) and
    C(risk_limits) get smaller only, C(enabled) becomes false only, and parameters of C(strategies) can change.
requirements:
  - PyYAML on the host (Debian's python3-yaml)
options:
  path:
    description: The file.
    type: path
    required: true
  changes:
    description:
      - Wanted values, or their text, by dotted key, as in V(sizing.position_ratio=0.12,venue.enabled=false).
      - A key has to be there, and its value keeps its type.
    type: dict
    required: true
  reason:
    description: Why, in words.
    type: str
    required: true
  documentation_path:
    description: The strategy's documentation, which is due for as long as it reads as it did when something changed.
    type: path
    required: true
extends_documentation_fragment: [operator, host_state]
attributes:
  check_mode:
    support: full
    description: Refuses what a real run would refuse, and writes nothing.
  diff_mode:
    support: full
    description: The changed values, before and after.
"""

EXAMPLES = r"""
- name: Halve the position
  trading_config:
    path: /opt/ai_trading_core/config/trading.yml
    changes:
      sizing.position_ratio: 0.05
    reason: spreads are wide
    by: reno
    documentation_path: /opt/ai_trading_core/docs/strategies/RefStrat_01.md
"""

RETURN = r"""
outcome:
  description: >-
    V(proven), or V(planned) in check mode. Otherwise V(usage) (no such setting, another type, beyond a limit, no
    reason), V(refused) (halted), V(failed).
  returned: always
  type: str
summary:
  description: The changes, and the documentation that is due; or why nothing was changed.
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
from ansible.module_utils.trading_ops.config.trading import Request, ensure_changed
from ansible.module_utils.trading_ops.core.arguments import OPERATOR_ARGUMENTS, STATE_ARGUMENTS
from ansible.module_utils.trading_ops.core.clock import utc_now
from ansible.module_utils.trading_ops.core.result import finish

ARGUMENT_SPEC = {
    **OPERATOR_ARGUMENTS,
    "path": {"type": "path", "required": True},
    "changes": {"type": "dict", "required": True},
    "reason": {"type": "str", "required": True},
    "documentation_path": {"type": "path", "required": True},
    **STATE_ARGUMENTS,
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    request = Request(
        path=Path(params["path"]),
        changes=params["changes"],
        state_path=Path(params["state_path"]),
        documentation_path=Path(params["documentation_path"]),
        by=params["by"],
        why=params["reason"],
    )
    result = ensure_changed(request, utc_now, module.check_mode)
    finish(module, result)


if __name__ == "__main__":
    main()
