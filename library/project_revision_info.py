#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: project_revision_info
short_description: Tell which revision of AI_TRADING_CORE a host has, and what was changed there
description:
  - Only reads, and runs git as the owner of the checkout.
requirements:
  - git
options:
  root_path:
    description: Checkout of AI_TRADING_CORE.
    type: path
    required: true
extends_documentation_fragment: only_reads
"""

EXAMPLES = r"""
- name: See which revision the host has
  project_revision_info:
    root_path: /opt/ai_trading_core
"""

RETURN = r"""
outcome:
  description: V(proven), or V(unknown) where there is no Git checkout that could be read.
  returned: always
  type: str
summary:
  description: The revision, and the files that were changed on the host.
  returned: always
  type: str
next_command:
  description: What to type next, empty where nothing is left to do.
  returned: always
  type: str
revision:
  description: Full name of the commit, empty where it is not known.
  returned: always
  type: str
modified:
  description: Files of the revision that read differently on the host.
  returned: always
  type: list
  elements: str
"""

import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.result import finish
from ansible.module_utils.trading_ops.host.programs import LocalPrograms
from ansible.module_utils.trading_ops.release.git import GIT_SECONDS, HOST_ENVIRONMENT
from ansible.module_utils.trading_ops.release.source import observe_checkout

ARGUMENT_SPEC = {"root_path": {"type": "path", "required": True}}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)

    def programs_of(owner: str) -> LocalPrograms:
        return LocalPrograms(HOST_ENVIRONMENT, time.monotonic, GIT_SECONDS, owner)

    finish(module, observe_checkout(Path(module.params["root_path"]), programs_of))


if __name__ == "__main__":
    main()
