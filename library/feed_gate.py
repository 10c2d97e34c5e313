#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: feed_gate
short_description: Open or close the feed gate of a trading host
description:
  - V(open) writes C(feed_gate.json) into O(state_path), fsynced and read back. It counts for O(feeds) alone and for
    O(ttl_seconds), by this host's own clock. M(compose_services) asks it right before it starts a bot.
  - V(closed) removes it. It measures nothing; who opens the gate has measured.
options:
  state:
    description: What the gate shall be.
    type: str
    choices: [open, closed]
    required: true
  feeds:
    description: RV(feed_info#module:feed) of every feed host. Required for V(open); without a feed it is refused.
    type: list
    elements: dict
    default: []
  checks:
    description: The checks that were passed; C(id), C(value) and C(unit) of each are kept.
    type: list
    elements: dict
    default: []
  ttl_seconds:
    description: How long the pass counts, at most 3600.
    type: int
    default: 900
  by:
    description: The person.
    type: str
    default: not given
extends_documentation_fragment: host_state
attributes:
  check_mode:
    support: full
    description: Says what it would do.
  diff_mode:
    support: none
    description: The file holds times and numbers that are new each time.
  idempotent:
    support: partial
    description: V(closed) is; V(open) is a new pass each time.
seealso:
  - module: feed_info
  - module: compose_services
author:
  - the AI_TRADING_CORE runbook authors
"""

EXAMPLES = r"""
- name: Close the gate
  feed_gate:
    state: closed

- name: Open it for the feed that was verified
  feed_gate:
    state: open
    feeds:
      - host: homelab1
        container_id: 0123456789abcdef
        started_at: "2026-11-21T01:00:00.000000001Z"
    ttl_seconds: 900
    by: reno
"""

RETURN = r"""
outcome:
  description:
    - V(proven), or in check mode V(planned). Otherwise the module fails with V(refused) (no feed, or too long a time)
      or V(failed) (the file could not be written or removed).
  returned: always
  type: str
summary:
  description: One sentence with the gate as it then is.
  returned: always
  type: str
next_command:
  description: What to type next, empty where it is as asked.
  returned: always
  type: str
"""

from datetime import UTC, datetime
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.arguments import STATE_ARGUMENTS
from ansible.module_utils.trading_ops.core.result import finish
from ansible.module_utils.trading_ops.feed.gate import GATE_FILE, ensure_closed, ensure_open

ARGUMENT_SPEC = {
    "state": {"type": "str", "choices": ["open", "closed"], "required": True},
    "feeds": {"type": "list", "elements": "dict", "default": []},
    "checks": {"type": "list", "elements": "dict", "default": []},
    "ttl_seconds": {"type": "int", "default": 900},
    "by": {"type": "str", "default": "not given"},
    **STATE_ARGUMENTS,
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params, path = module.params, Path(module.params["state_path"]) / GATE_FILE
    if params["state"] == "closed":
        result = ensure_closed(path, module.check_mode)
    else:
        result = ensure_open(path, params, datetime.now(UTC), module.check_mode)
    finish(module, result)


if __name__ == "__main__":
    main()
