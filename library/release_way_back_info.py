#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_way_back_info
short_description: Say how the way back from a release that failed went
description:
  - Judges what the tasks of the way back registered. Never changes anything, and never fails.
options:
  leases:
    description: Results of M(state_lease), one per host; a skipped one was not begun. Empty where nothing goes back.
    type: list
    elements: dict
    default: []
  releases:
    description: Results of M(release), with one of O(leases) as their item.
    type: list
    elements: dict
    default: []
  gates:
    description: Results of M(wait_for_metrics) afterwards, one per feed host.
    type: list
    elements: dict
    default: []
extends_documentation_fragment: only_reads
"""

EXAMPLES = r"""
- name: See how the way back went
  release_way_back_info:
    leases: "{{ leases.results }}"
    releases: "{{ releases.results }}"
    gates: "{{ gates.results }}"
"""

RETURN = r"""
outcome:
  description: V(proven), or V(failed) where a host is not back or the feed is not well.
  returned: always
  type: str
summary:
  description: Which hosts are not back, and whether the feed is well.
  returned: always
  type: str
next_command:
  description: What to type next, empty where nothing is left to do.
  returned: always
  type: str
not_back:
  description: Hosts that were begun and do not run what they ran before.
  returned: always
  type: list
  elements: str
not_well:
  description: Feed hosts by which the feed is not well.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.release.way_back import describe_way_back

ARGUMENT_SPEC = {
    "leases": {"type": "list", "elements": "dict", "default": []},
    "releases": {"type": "list", "elements": "dict", "default": []},
    "gates": {"type": "list", "elements": "dict", "default": []},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    module.exit_json(**describe_way_back(**module.params))


if __name__ == "__main__":
    main()
