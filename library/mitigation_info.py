#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: mitigation_info
short_description: See whether a temporary fix could be made
description:
  - Plans what M(mitigation) would do, and fails where that would be refused. Asked on every host first, one host's
    refusal keeps the others from a change that would be theirs alone.
  - Never changes anything.
requirements:
  - PyYAML on the host (Debian's python3-yaml)
  - git on the host, for O(config_commit)
extends_documentation_fragment: [mitigation, host_state, only_reads]
"""

EXAMPLES = r"""
- name: See whether the venue could be disabled
  mitigation_info:
    root_path: /opt/ai_trading_core
    config_file: config/trading.yml
    disable: venue
    reason: it rejects every order
    run_id: 20261121-013000.4242
"""

RETURN = r"""
outcome:
  description: >-
    V(proven) where it could be made, otherwise V(usage), V(refused) or V(failed).
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
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.config.mitigation import FIX_ARGUMENTS, git_reader, observe, parse_fix
from ansible.module_utils.trading_ops.config.trading import ConfigError, Request, nothing_done
from ansible.module_utils.trading_ops.core.arguments import STATE_ARGUMENTS
from ansible.module_utils.trading_ops.core.result import finish

ARGUMENT_SPEC = {
    **FIX_ARGUMENTS,
    **STATE_ARGUMENTS,
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    root = Path(params["root_path"])
    request = Request(root / params["config_file"], {}, Path(params["state_path"]), Path(), "", params["reason"])
    try:
        result = observe(parse_fix(params, params["run_id"]), request, git_reader(root, params["config_file"]))
    except ConfigError as error:
        result = nothing_done(error)
    del result["warnings"], result["diff"]
    finish(module, result)


if __name__ == "__main__":
    main()
