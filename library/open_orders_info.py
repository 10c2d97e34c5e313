#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: open_orders_info
short_description: Ask the venue which orders are open
description:
  - Asks an HTTP endpoint once, and reads its answer strictly, a JSON object with a list of orders. Whatever else it
    says, or nothing, is V(UNVERIFIED) with the reason.
  - Never changes anything and never fails on what it sees or does not see.
  - The endpoint has to list all open orders of all bots in one answer. Redirects are not followed.
options:
  url:
    description: The endpoint. Empty means that the estate has none. It must not hold credentials.
    type: str
    default: ""
  key:
    description: Name under which the answer holds the list.
    type: str
    default: orders
  timeout_seconds:
    description: Time for the whole exchange, at most 10.
    type: raw
    default: 3
extends_documentation_fragment: [only_reads, http_access]
"""

EXAMPLES = r"""
- name: Ask for open orders
  open_orders_info:
    url: http://exchange.lan:8900/orders/open
"""

RETURN = r"""
outcome:
  description: V(proven) where the venue said how many, else V(unknown).
  returned: always
  type: str
orders:
  description: V(none), V(open) or V(UNVERIFIED).
  returned: always
  type: str
count:
  description: How many orders are open; none where that is not known.
  returned: always
  type: int
summary:
  description: One sentence with the number, or why it is not known.
  returned: always
  type: str
next_command:
  description: Empty; what comes next is done at the venue.
  returned: always
  type: str
url:
  description: What was asked, without credentials and query.
  returned: always
  type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.host.http import ACCESS_ARGUMENTS
from ansible.module_utils.trading_ops.stop.open_orders import build_ask, observe, parse_timeout

ARGUMENT_SPEC = {
    **ACCESS_ARGUMENTS,
    "url": {"type": "str", "default": ""},
    "key": {"type": "str", "default": "orders", "no_log": False},
    "timeout_seconds": {"type": "raw", "default": 3},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    timeout_seconds = parse_timeout(params["timeout_seconds"])
    module.exit_json(**observe(params["url"], params["key"], build_ask(params, timeout_seconds), timeout_seconds))


if __name__ == "__main__":
    main()
