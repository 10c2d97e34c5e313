#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: mitigation
short_description: Make one temporary fix in config/trading.yml, or undo one
description:
  - Makes exactly one fix, as M(trading_config) makes a change. What the file held before is kept under an id first, and
    O(undo) of that id puts it back to the byte, as long as nobody has changed the file since.
  - Each changed value is a line of the drift log C(drift_log.jsonl) in O(state_path), written first.
  - While the halt latch is engaged nothing gets larger and nothing is enabled, by an undo or a commit neither.
requirements:
  - PyYAML on the host (Debian's python3-yaml)
  - git on the host, for O(config_commit)
options:
  documentation_path:
    description: The strategy's documentation, which is due for as long as it reads as it did when something changed.
    type: path
    required: true
  undo_command:
    description: What undoes the fix; C(<id>) in it stands for the fix's id.
    type: str
    default: ./runbook mitigate -e undo=<id>
extends_documentation_fragment: [mitigation, operator, host_state]
attributes:
  check_mode:
    support: full
    description: Refuses what a real run would refuse, and writes nothing.
  diff_mode:
    support: full
    description: The changed values, before and after.
"""

EXAMPLES = r"""
- name: Halve every size
  mitigation:
    root_path: /opt/ai_trading_core
    config_file: config/trading.yml
    scale_sizing: 0.5
    reason: spreads are wide
    by: reno
    run_id: 20261121-013000.4242
    documentation_path: /opt/ai_trading_core/docs/strategies/RefStrat_01.md
"""

RETURN = r"""
outcome:
  description: >-
    V(proven), or V(planned) in check mode. Otherwise V(usage) (not exactly one fix, no such setting or commit, beyond a
    limit), V(refused) (halted, or changed again since the fix that is to be undone), V(failed).
  returned: always
  type: str
summary:
  description: The changes, or why not.
  returned: always
  type: str
next_command:
  description: What to type next, empty where nothing is left to do.
  returned: always
  type: str
changes:
  description:
    - One entry per value that differs, with C(key), C(before) and C(after), none for a value that one side has not.
  returned: always
  type: list
  elements: dict
is_known:
  description: Whether this host has done the fix that O(undo) names; true without it.
  returned: success
  type: bool
undo:
  description: What undoes it, empty where nothing was changed.
  returned: success
  type: str
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.config.mitigation import FIX_ARGUMENTS, git_reader, mitigate, parse_fix
from ansible.module_utils.trading_ops.config.trading import ConfigError, Request, nothing_done
from ansible.module_utils.trading_ops.core.arguments import OPERATOR_ARGUMENTS, STATE_ARGUMENTS
from ansible.module_utils.trading_ops.core.clock import utc_now
from ansible.module_utils.trading_ops.core.result import finish

ARGUMENT_SPEC = {
    **FIX_ARGUMENTS,
    **OPERATOR_ARGUMENTS,
    "documentation_path": {"type": "path", "required": True},
    "undo_command": {"type": "str", "default": "./runbook mitigate -e undo=<id>"},
    **STATE_ARGUMENTS,
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    root = Path(params["root_path"])
    request = Request(
        path=root / params["config_file"],
        changes={},
        state_path=Path(params["state_path"]),
        documentation_path=Path(params["documentation_path"]),
        by=params["by"],
        why=params["reason"],
    )
    reader = git_reader(root, params["config_file"])
    try:
        fix = parse_fix(params, params["run_id"])
        result = mitigate(fix, request, reader, params["undo_command"], utc_now, module.check_mode)
    except ConfigError as error:
        result = nothing_done(error)
    finish(module, result)


if __name__ == "__main__":
    main()
