#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: releases_info
short_description: List what was released when, by whom, with which images, and whether deploys are paused
description:
  - Reads C(releases.jsonl) and C(deploy_pause.json) in O(state_path) of the control host. Only reads.
options:
  release_id:
    description: A release that is wanted; refused where it is not on record, or never ran.
    type: str
    default: ""
extends_documentation_fragment: [host_state, only_reads]
"""

EXAMPLES = r"""
- name: List the releases
  releases_info:
"""

RETURN = r"""
outcome:
  description: >-
    V(proven). Otherwise V(unknown) where a line of the log is damaged, or V(refused) where it cannot be read or
    O(release_id) is none.
  returned: always
  type: str
summary:
  description: How many releases there are, which one runs, and whether deploys are paused.
  returned: always
  type: str
next_command:
  description: What to type next, empty where nothing is left to do.
  returned: always
  type: str
releases:
  description:
    - One entry per release, oldest first, with C(id), C(at), C(by), C(run_id), C(reason), C(revision), C(images),
      C(config_sha256), C(schema_version), C(schema_supported_max), C(hosts), C(result), C(gate) and C(previous).
    - C(result) is V(deployed), V(rolled_back), V(failed), or V(found) for what ran before anything was deployed.
  returned: always
  type: list
  elements: dict
release:
  description: The one of O(release_id), empty without.
  returned: always
  type: dict
current:
  description: Id of the release that ran last, by the log.
  returned: always
  type: str
pause:
  description: RV(deploy_pause#module:pause); empty where deploys are not paused.
  returned: always
  type: dict
lines:
  description: The youngest releases as text, V(*) before the one that runs.
  returned: always
  type: list
  elements: str
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.arguments import STATE_ARGUMENTS
from ansible.module_utils.trading_ops.core.outcome import GOOD
from ansible.module_utils.trading_ops.core.result import finish
from ansible.module_utils.trading_ops.release.log import observe

ARGUMENT_SPEC = {
    "release_id": {"type": "str", "default": ""},
    **STATE_ARGUMENTS,
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    result = observe(Path(module.params["state_path"]), module.params["release_id"])
    finish(module, result, good=GOOD | {"unknown"})


if __name__ == "__main__":
    main()
