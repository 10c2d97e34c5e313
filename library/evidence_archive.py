#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: evidence_archive
short_description: Receive, send and sync bundles of evidence
description:
  - An archive is unpacked into a directory of its own, as plain files only, and held against its manifest.
  - A bundle that is there is never replaced. A second one of the same host gets a number.
options:
  state:
    description:
      - V(received) unpacks the O(archive) of one O(host) into O(path), and removes it.
      - V(missing) writes into O(path) why there is none of these O(hosts).
      - V(packed) writes all bundles of O(path) into the O(archive).
      - V(home) adds to O(path) the bundles of such an archive that are not there yet, and removes it.
    type: str
    choices: [received, missing, packed, home]
    required: true
  path:
    description: The incident's directory of evidence.
    type: path
    required: true
  archive:
    description: The archive.
    type: path
  host:
    description: Whose archive it is.
    type: str
    default: ""
  hosts:
    description: Hosts of which there should be evidence, and is none.
    type: list
    elements: str
    default: []
  incident_id:
    description: The incident, for O(state=missing).
    type: str
    default: ""
  reason:
    description: Why there is none, for O(state=missing).
    type: str
    default: it gave no answer, or what it gave did not arrive
  most_bytes:
    description: How much is unpacked at most.
    type: int
    default: 1073741824
attributes:
  check_mode:
    support: full
    description: Writes nothing.
  diff_mode:
    support: none
    description: Says which directories are new.
"""

EXAMPLES = r"""
- name: Unpack what the host collected
  evidence_archive:
    state: received
    archive: /tmp/evidence.tar.gz
    host: homelab1
    path: incidents/INC-20261121-013000-bars-look-wrong/evidence
"""

RETURN = r"""
outcome:
  description: V(proven), V(planned) in check mode, or V(failed).
  returned: always
  type: str
summary:
  description: What is there now, or why not.
  returned: always
  type: str
next_command:
  description: Empty; the bundle is asked for again.
  returned: always
  type: str
new:
  description: The directories below O(path) that were added, or packed.
  returned: always
  type: list
  elements: str
manifests:
  description: The SHA-256 of each bundle's manifest, by its directory.
  returned: always
  type: dict
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.clock import utc_now
from ansible.module_utils.trading_ops.core.result import finish
from ansible.module_utils.trading_ops.evidence.transport import Request, transport

ARGUMENT_SPEC = {
    "state": {"type": "str", "choices": ["received", "missing", "packed", "home"], "required": True},
    "path": {"type": "path", "required": True},
    "archive": {"type": "path"},
    "host": {"type": "str", "default": ""},
    "hosts": {"type": "list", "elements": "str", "default": []},
    "incident_id": {"type": "str", "default": ""},
    "reason": {"type": "str", "default": "it gave no answer, or what it gave did not arrive"},
    "most_bytes": {"type": "int", "default": 1024 * 1024 * 1024},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENT_SPEC,
        supports_check_mode=True,
        required_if=[
            ("state", "received", ("archive", "host")),
            ("state", "packed", ("archive",)),
            ("state", "home", ("archive",)),
        ],
    )
    params = module.params
    request = Request(
        state=params["state"],
        path=Path(params["path"]),
        archive=Path(params["archive"] or "/nonexistent"),
        host=params["host"],
        hosts=tuple(params["hosts"]),
        incident_id=params["incident_id"],
        reason=params["reason"],
        most_bytes=params["most_bytes"],
    )
    result = transport(request, utc_now(), module.check_mode)
    finish(module, result)


if __name__ == "__main__":
    main()
