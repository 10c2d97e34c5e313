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
  root_path:
    description: Checkout of AI_TRADING_CORE on the host.
    type: path
    required: true
  config_file:
    description: The trading configuration, relative to the checkout.
    type: str
    required: true
  disable:
    description:
      - Venue, strategy or symbol that takes no new position any more, as in V(venue), V(RefStrat_01), V(ETHUSDT).
    type: str
  enable:
    description: Venue, strategy or symbol that may take positions again.
    type: str
  scale_sizing:
    description: Factor below 1 for every number under C(sizing), as in V(0.5). Asked for twice, it scales twice.
    type: str
  orders_per_minute:
    description: How many orders a bot may send in a minute, as its C(load.orders_per_minute).
    type: str
  changes:
    description: Wanted values, or their text, by dotted key, as in V(load.orders_per_minute=30,venue.enabled=false).
    type: dict
  config_commit:
    description: Commit of the checkout; the configuration becomes what it is in there.
    type: str
  undo:
    description: Id of a fix on this host; the configuration becomes what it was before that, to the byte.
    type: str
  reason:
    description: Why, in words.
    type: str
    required: true
  documentation_path:
    description: The strategy's documentation, which is due for as long as it reads as it did when something changed.
    type: path
    required: true
  undo_command:
    description: What undoes the fix; C(<id>) in it stands for the fix's id.
    type: str
    default: ./runbook mitigate -e undo=<id>
  run_id:
    description: The run, unlike any other, C(<yyyymmdd-hhmmss>.<process>). The id of the fix is made of it.
    type: str
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
from ansible.module_utils.trading_ops.config.mitigation import git_reader, mitigate, parse_fix
from ansible.module_utils.trading_ops.config.trading import ConfigError, Request, nothing_done
from ansible.module_utils.trading_ops.core.arguments import OPERATOR_ARGUMENTS, STATE_ARGUMENTS
from ansible.module_utils.trading_ops.core.clock import utc_now
from ansible.module_utils.trading_ops.core.result import finish

ARGUMENT_SPEC = {
    **OPERATOR_ARGUMENTS,
    "root_path": {"type": "path", "required": True},
    "config_file": {"type": "str", "required": True},
    "disable": {"type": "str"},
    "enable": {"type": "str"},
    "scale_sizing": {"type": "str"},
    "orders_per_minute": {"type": "str"},
    "changes": {"type": "dict"},
    "config_commit": {"type": "str"},
    "undo": {"type": "str"},
    "reason": {"type": "str", "required": True},
    "documentation_path": {"type": "path", "required": True},
    "undo_command": {"type": "str", "default": "./runbook mitigate -e undo=<id>"},
    "run_id": {"type": "str", "required": True},
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
