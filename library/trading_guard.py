#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: trading_guard
short_description: Install this project's package and the guard on a host, and prove that the guard runs it
description:
  - Writes the very trading_ops sources that this module was sent with to C(/usr/local/lib/trading-core/trading_ops),
    removes there what is not part of them, and writes O(files). Each file replaces the one before in one step.
  - Files pass O(files[].validate) before the first one is written.
  - The halt latch is brought to both of its places, and its folder made, before the first file is written, so that at
    every moment of an upgrade a halted host has it where each version looks.
  - The service C(trading-core-guard) is enabled, restarted where anything changed or it gave no sign of life, and has
    to give one with the digest of the installed sources within 15 s.
extends_documentation_fragment: host_state
options:
  files:
    description: Files beside the package, the unit of the service among them.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Where it goes.
        type: path
        required: true
      content:
        description: The whole text.
        type: str
        required: true
      mode:
        description: Permissions, octal; the owner is root.
        type: str
        default: "0644"
      validate:
        description: Command of the consumer's checker, C(%s) stands for the file.
        type: list
        elements: str
        default: []
attributes:
  check_mode:
    support: full
    description: Reads, has the files checked, and returns what a real run would write.
  diff_mode:
    support: full
    description: Every file that differs, before and after.
"""

EXAMPLES = r"""
- name: Install and start the guard
  trading_guard:
    state_path: /var/lib/trading-core
    files:
      - path: /etc/systemd/system/trading-core-guard.service
        content: "{{ lookup('ansible.builtin.template', 'trading-core-guard.service.j2') }}"
        validate: [systemd-analyze, verify, "%s"]
"""

RETURN = r"""
outcome:
  description: V(proven), V(planned) in check, or V(failed).
  returned: always
  type: str
summary:
  description: The guard as it then is, and how many files were written.
  returned: always
  type: str
next_command:
  description: What to type next, empty where nothing is left to do.
  returned: always
  type: str
guard:
  description: The guard as it was last seen, C(state) and C(summary).
  returned: always
  type: dict
files:
  description: The files that were, or in check would be, written or removed.
  returned: always
  type: list
  elements: str
"""

from collections.abc import Sequence
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core import package
from ansible.module_utils.trading_ops.core.arguments import STATE_ARGUMENTS
from ansible.module_utils.trading_ops.core.result import finish
from ansible.module_utils.trading_ops.guard import (
    __main__,  # noqa: F401  what it stands on is loaded with it, and so installed
    install,
    installed,
)
from ansible.module_utils.trading_ops.host.files import HostFile

ARGUMENT_SPEC = {
    **STATE_ARGUMENTS,
    "files": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "path": {"type": "path", "required": True},
            "content": {"type": "str", "required": True},
            "mode": {"type": "str", "default": "0644"},
            "validate": {"type": "list", "elements": "str", "default": []},
        },
    },
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)

    def run(argv: Sequence[str]) -> tuple[int, str]:
        code, out, err = module.run_command(list(argv))
        return code, out + err

    host = install.GuardedHost(
        run,
        installed.observe_guard,
        installed.INSTALL_PATH,
        installed.HEARTBEAT_PATH,
        Path(module.params["state_path"]),
    )
    files = [
        HostFile(Path(item["path"]), item["content"], int(item["mode"], 8), tuple(item["validate"]))
        for item in module.params["files"]
    ]
    sources = package.loaded_sources()
    result = install.ensure_guarded(host, sources, files, module.check_mode)
    finish(module, result)


if __name__ == "__main__":
    main()
