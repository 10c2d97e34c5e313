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
  token_path:
    description: File on the host whose content is sent as bearer token.
    type: path
  username:
    description: User for basic authentication.
    type: str
  password:
    description: Password for basic authentication.
    type: str
  validate_certs:
    description: Whether the endpoint's certificate has to be good.
    type: bool
    default: true
  timeout_seconds:
    description: Time for the whole exchange, at most 10.
    type: raw
    default: 3
extends_documentation_fragment: only_reads
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

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.stop.open_orders import MAX_BYTES, observe, parse_timeout
from ansible.module_utils.urls import open_url

ARGUMENT_SPEC = {
    "url": {"type": "str", "default": ""},
    "key": {"type": "str", "default": "orders", "no_log": False},
    "token_path": {"type": "path", "no_log": False},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "validate_certs": {"type": "bool", "default": True},
    "timeout_seconds": {"type": "raw", "default": 3},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    timeout_seconds = parse_timeout(params["timeout_seconds"])

    def ask() -> tuple[int, bytes]:
        headers = {"Accept": "application/json"}
        if params["token_path"]:
            headers["Authorization"] = f"Bearer {Path(params['token_path']).read_text(encoding='utf-8').strip()}"
        # A redirect is not followed: it leads to a login page, and would carry the token there.
        answer = open_url(
            params["url"],
            headers=headers,
            timeout=timeout_seconds,
            validate_certs=params["validate_certs"],
            url_username=params["username"] or None,
            url_password=params["password"] or None,
            force_basic_auth=bool(params["username"]),
            follow_redirects="none",
        )
        return answer.code, answer.read(MAX_BYTES + 1)

    module.exit_json(**observe(params["url"], params["key"], ask, timeout_seconds))


if __name__ == "__main__":
    main()
