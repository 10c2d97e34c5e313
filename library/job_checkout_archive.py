#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: job_checkout_archive
short_description: Pack this checkout and its inventory for a control host
description:
  - Runs on the operator's machine. Packs every file that is, or would be, in Git, and the inventory, wherever it lies.
    What Git ignores (environment, records, vaults in the checkout) stays here.
options:
  root_path:
    description: The checkout.
    type: path
    required: true
  inventory_path:
    description: The inventory, a folder or a file.
    type: path
    required: true
  archive_path:
    description: Where the archive goes.
    type: path
    required: true
attributes:
  check_mode:
    support: full
    description: Packs, and writes nothing.
  diff_mode:
    support: none
    description: An archive has no text.
"""

EXAMPLES = r"""
- name: Pack the checkout
  job_checkout_archive:
    root_path: "{{ playbook_dir }}/.."
    inventory_path: "{{ inventory_dir }}"
    archive_path: "{{ playbook_dir }}/../.cache/checkout.tar.gz"
  delegate_to: localhost
"""

RETURN = r"""
outcome:
  description: V(proven), V(planned) in check, or V(failed).
  returned: always
  type: str
summary:
  description: How many files there are, or why they could not be packed.
  returned: always
  type: str
next_command:
  description: Empty.
  returned: always
  type: str
digest:
  description: What names this release, 12 hexadecimal digits.
  returned: success
  type: str
inventory_name:
  description: Where the inventory lies in the archive.
  returned: success
  type: str
"""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.result import build_result, finish
from ansible.module_utils.trading_ops.jobs.checkout import CheckoutError, digest_of, inventory_name, list_files, pack

ARGUMENT_SPEC = {
    "root_path": {"type": "path", "required": True},
    "inventory_path": {"type": "path", "required": True},
    "archive_path": {"type": "path", "required": True},
}
GIT_SECONDS = 30


def run(argv: Sequence[str]) -> bytes:
    return subprocess.run(argv, check=True, capture_output=True, timeout=GIT_SECONDS).stdout


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    root, inventory, path = (Path(module.params[name]) for name in ("root_path", "inventory_path", "archive_path"))
    try:
        names = list_files(run, root)
        archive = pack(root, names, inventory)
        if not module.check_mode:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_bytes(archive)
    except (CheckoutError, OSError, subprocess.SubprocessError) as error:
        finish(module, build_result("failed", str(error), digest="", inventory_name=""))
    digest = digest_of(archive)
    outcome, summary = "planned" if module.check_mode else "proven", f"{len(names)} files packed as {digest}"
    finish(module, build_result(outcome, summary, digest=digest, inventory_name=str(inventory_name(root, inventory))))


if __name__ == "__main__":
    main()
