#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: shift_info
short_description: Read what is on record of shifts
description:
  - Runs on the control host. Reads begins of shifts, alerts taken, handovers, the points of the last report, and the
    releases. Never changes anything, and never fails on what it sees.
extends_documentation_fragment: [host_state, only_reads]
"""

EXAMPLES = r"""
- name: See who was on call
  shift_info:
  register: shift
"""

RETURN = r"""
outcome:
  description: V(proven), or V(unknown) where something could not be read or understood.
  returned: always
  type: str
summary:
  description: When the last shift began, and by whom.
  returned: always
  type: str
next_command:
  description: Empty.
  returned: always
  type: str
trouble:
  description: What could not be read or understood, one sentence each.
  returned: always
  type: list
  elements: str
entries:
  description: All entries, oldest first, each with C(at), C(kind), C(by) and what belongs to the kind.
  returned: always
  type: list
  elements: dict
takes:
  description: Those of them that say who is on an alert.
  returned: always
  type: list
  elements: dict
shift_began:
  description:
    - When the last handover was accepted, else the last begin of a shift that is at least six hours old, else the
      first; empty where there is none.
  returned: always
  type: str
explained_until:
  description:
    - Until when restarts need no explanation any more, the begin of the shift before this one, or what somebody gave as
      C(since) at a begin; empty where nothing says so.
  returned: always
  type: str
waiting_handover:
  description: The last handover where nobody has accepted it, else empty.
  returned: always
  type: dict
last_report:
  description: The last report's C(generated_at) and C(findings), empty where there is none.
  returned: always
  type: dict
releases:
  description: The releases, oldest first.
  returned: always
  type: list
  elements: dict
pause:
  description: Why deploys are paused, empty where they are not.
  returned: always
  type: str
"""

from datetime import UTC, datetime
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.arguments import STATE_ARGUMENTS
from ansible.module_utils.trading_ops.oncall.log import observe

ARGUMENT_SPEC = {**STATE_ARGUMENTS}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    module.exit_json(**observe(Path(module.params["state_path"]), datetime.now(UTC)))


if __name__ == "__main__":
    main()
