#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: job_checkout
short_description: Have a packed checkout of this project on a control host, as the current release
description:
  - Unpacks the archive into a folder of its own under C(releases), has it make its environment, and lets the link
    C(current) lead to it, in one step. A job that runs goes on in the folder it was started from.
  - The release before is kept, older ones are removed.
options:
  path:
    description: Directory that gets C(releases) and C(current).
    type: path
    required: true
  archive_path:
    description: The archive on this host, made by M(job_checkout_archive).
    type: path
    required: true
  digest:
    description: What the archive has to be.
    type: str
    required: true
  environment:
    description: Environment variables for making the release's environment.
    type: dict
    default: {}
attributes:
  check_mode:
    support: full
    description: Says what would be changed over; the archive need not be there.
  diff_mode:
    support: none
    description: A release has too many files.
"""

EXAMPLES = r"""
- name: Change over to the packed checkout
  job_checkout:
    path: /opt/trading-core-runbooks
    archive_path: /var/lib/trading-core/checkout.tar.gz
    digest: 0123456789ab
"""

RETURN = r"""
outcome:
  description: V(proven), V(planned) in check, or V(failed).
  returned: always
  type: str
summary:
  description: Which release is current, and which was before.
  returned: always
  type: str
next_command:
  description: Empty.
  returned: always
  type: str
release_path:
  description: Folder of the release.
  returned: always
  type: str
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.result import finish
from ansible.module_utils.trading_ops.jobs.checkout import CheckoutError, ensure_release

ARGUMENT_SPEC = {
    "path": {"type": "path", "required": True},
    "archive_path": {"type": "path", "required": True},
    "digest": {"type": "str", "required": True},
    "environment": {"type": "dict", "default": {}},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params

    def prepare(release: Path) -> None:
        environment = {key: str(value) for key, value in params["environment"].items()}
        code, out, err = module.run_command([str(release / "runbook"), "job", "--help"], environ_update=environment)
        if code != 0:
            raise CheckoutError(f"its environment could not be made ({code}): {' '.join((out + err).split())}")

    archive_path, path = Path(params["archive_path"]), Path(params["path"])
    result = ensure_release(archive_path, params["digest"], path, prepare, module.check_mode)
    finish(module, result)


if __name__ == "__main__":
    main()
