#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_fetch
short_description: Have a revision and its images on a host, without changing what runs
description:
  - Takes the revision out of the bundle that M(source_bundle) made, into the repository of the checkout. What is
    checked out stays.
  - Images that the host lacks are pulled. A pinned one that its reference no longer stands for gets its reference back.
requirements:
  - git and docker on the host
options:
  root_path:
    description: Checkout of AI_TRADING_CORE.
    type: path
    required: true
  revision:
    description: Full name of the commit.
    type: str
    required: true
  bundle_path:
    description: The bundle on this host. Without it the revision has to be there already.
    type: path
  references:
    description: Image references, as RV(release#module:references).
    type: list
    elements: str
    default: []
  pins:
    description: Images by C(project/service), as RV(release#module:images). They go before O(references).
    type: dict
    default: {}
  pinned:
    description: Keys of O(pins) that count; all without it. One that has no image there is left to O(references).
    type: list
    elements: str
  timeout_seconds:
    description: Time for all of it.
    type: int
    default: 900
extends_documentation_fragment: engine
attributes:
  check_mode:
    support: full
    description: Says what would be fetched; the bundle need not be there.
  diff_mode:
    support: none
    description: Nothing that runs is different.
"""

EXAMPLES = r"""
- name: Have the revision and its images here
  release_fetch:
    root_path: /opt/ai_trading_core
    revision: 8c3e0a4a4a1b3c9f6b0f1d2e3c4b5a6978877665
    bundle_path: /var/lib/trading-core/release.bundle
    references: [registry.lan/bot:1.4]
"""

RETURN = r"""
outcome:
  description: V(proven), or V(planned) in check mode. Otherwise V(failed).
  returned: always
  type: str
summary:
  description: What was fetched, or is gone.
  returned: always
  type: str
next_command:
  description: What to type next, empty where nothing is left to do.
  returned: always
  type: str
images:
  description: The pin C(reference@sha256:…) of each reference that is here.
  returned: always
  type: list
  elements: str
"""

import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.arguments import ENGINE_ARGUMENTS
from ansible.module_utils.trading_ops.core.result import build_result, finish
from ansible.module_utils.trading_ops.host.programs import LocalPrograms, ProgramError
from ansible.module_utils.trading_ops.release.fetch import Wanted, ensure_fetched, select_pins
from ansible.module_utils.trading_ops.release.git import HOST_ENVIRONMENT, Repository, owner_of
from ansible.module_utils.trading_ops.release.images import DockerImages

ARGUMENT_SPEC = {
    "root_path": {"type": "path", "required": True},
    "revision": {"type": "str", "required": True},
    "bundle_path": {"type": "path"},
    "references": {"type": "list", "elements": "str", "default": []},
    "pins": {"type": "dict", "default": {}},
    "pinned": {"type": "list", "elements": "str"},
    "timeout_seconds": {"type": "int", "default": 900},
    **ENGINE_ARGUMENTS,
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params, root, seconds = module.params, Path(module.params["root_path"]), module.params["timeout_seconds"]
    try:
        owner = owner_of(root)
    except ProgramError as error:
        finish(module, build_result("failed", str(error)))
    repository = Repository(LocalPrograms(HOST_ENVIRONMENT, time.monotonic, seconds, owner), root)
    images = DockerImages(LocalPrograms({}, time.monotonic, seconds), params["docker_url"])
    bundle_path = Path(params["bundle_path"]) if params["bundle_path"] else None
    pins = select_pins(params["pins"], params["pinned"])
    wanted = Wanted(params["revision"], bundle_path, params["references"], pins)
    finish(module, ensure_fetched(repository, images, wanted, module.check_mode))


if __name__ == "__main__":
    main()
