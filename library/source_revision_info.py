#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: source_revision_info
short_description: Look at a revision in the operator's repository of AI_TRADING_CORE
description:
  - Says what a branch, tag or commit stands for, what differs from what hosts run, and reads its compose files. Runs on
    the operator's machine, and writes nothing.
requirements:
  - git
options:
  path:
    description: The operator's checkout of AI_TRADING_CORE. What is not committed there is not part of any revision.
    type: path
    required: true
  revision:
    description: Branch, tag or commit.
    type: str
    required: true
  bases:
    description: Full names of the commits that hosts are at.
    type: list
    elements: str
    required: true
  folders:
    description: Folders whose YAML and env files are read, those of the compose files.
    type: list
    elements: str
    required: true
extends_documentation_fragment: only_reads
"""

EXAMPLES = r"""
- name: Look at the revision
  source_revision_info:
    path: ~/ai_trading_core
    revision: main
    bases: [8c3e0a4a4a1b3c9f6b0f1d2e3c4b5a6978877665]
    folders: [ops/compose]
"""

RETURN = r"""
outcome:
  description: V(proven), or V(refused) where there is no such revision, or a host runs one that is not in here.
  returned: always
  type: str
summary:
  description: The revision, and how much differs; or what is missing.
  returned: always
  type: str
next_command:
  description: What to type next, empty where nothing is left to do.
  returned: always
  type: str
revision:
  description: Full name of the commit.
  returned: always
  type: str
changes:
  description: By base, path and the name that its content gets (zeros where it is removed).
  returned: always
  type: dict
texts:
  description: Text of each file that was read, by path.
  returned: always
  type: dict
lines:
  description: Changed paths, for people.
  returned: always
  type: list
  elements: str
"""

import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.result import finish
from ansible.module_utils.trading_ops.host.programs import LocalPrograms
from ansible.module_utils.trading_ops.release.git import GIT_SECONDS, Repository
from ansible.module_utils.trading_ops.release.source import observe

ARGUMENT_SPEC = {
    "path": {"type": "path", "required": True},
    "revision": {"type": "str", "required": True},
    "bases": {"type": "list", "elements": "str", "required": True},
    "folders": {"type": "list", "elements": "str", "required": True},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    repository = Repository(LocalPrograms({}, time.monotonic, GIT_SECONDS), Path(params["path"]))
    finish(module, observe(repository, params["revision"], params["bases"], params["folders"]))


if __name__ == "__main__":
    main()
