#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: source_bundle
short_description: Pack a revision of AI_TRADING_CORE for the hosts
description:
  - Runs on the operator's machine, and writes the revision with its history into one file. No host needs a way to a
    repository, or a credential for one.
requirements:
  - git
options:
  path:
    description: The operator's checkout of AI_TRADING_CORE. It is left as it is.
    type: path
    required: true
  revision:
    description: Full name of the commit.
    type: str
    required: true
  bundle_path:
    description: Where the file goes.
    type: path
    required: true
attributes:
  check_mode:
    support: full
    description: Writes nothing.
  diff_mode:
    support: none
    description: A bundle has no text.
"""

EXAMPLES = r"""
- name: Pack the revision
  source_bundle:
    path: ~/ai_trading_core
    revision: 8c3e0a4a4a1b3c9f6b0f1d2e3c4b5a6978877665
    bundle_path: /tmp/release.bundle
"""

RETURN = r"""
outcome:
  description: V(proven), or V(planned) in check mode. Otherwise V(failed).
  returned: always
  type: str
summary:
  description: The revision and the size of the file.
  returned: always
  type: str
next_command:
  description: Empty.
  returned: always
  type: str
"""

import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.result import finish
from ansible.module_utils.trading_ops.host.programs import LocalPrograms
from ansible.module_utils.trading_ops.release.git import GIT_SECONDS, Repository
from ansible.module_utils.trading_ops.release.source import ensure_bundled

ARGUMENT_SPEC = {
    "path": {"type": "path", "required": True},
    "revision": {"type": "str", "required": True},
    "bundle_path": {"type": "path", "required": True},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    repository = Repository(LocalPrograms({}, time.monotonic, GIT_SECONDS), Path(params["path"]))
    result = ensure_bundled(repository, params["revision"], Path(params["bundle_path"]), module.check_mode)
    finish(module, result)


if __name__ == "__main__":
    main()
