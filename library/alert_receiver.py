#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: alert_receiver
short_description: Run the receiver of alerts on the control host, and prove what it takes and what it refuses
description:
  - Sets up nginx (TLS, size, speed and token of a request) in front of Debian's C(webhook), whose one command writes
    the request to a spool durably before it is answered with 200, and the units that carry requests out and watch that
    alerts arrive.
  - Makes a certificate for O(address) where there is none that holds. Alertmanager trusts this one alone.
  - Proven by what it answers. 401 without the token, 405, 404, 413 and 500 for what is no alert, 200 for one, and that
    one is carried out.
requirements:
  - nginx, webhook and openssl of Debian on the host, the account C(trading-alerts), and jobs (M(job_schedule))
options:
  token:
    description: What Alertmanager shows with each request, 43 or more letters, digits, C(-) and C(_).
    type: str
    required: true
  address:
    description: Name or address of this host, as Alertmanager reaches it.
    type: str
    required: true
  listen:
    description: Where it listens, as in V(9095) or V(192.0.2.1:9095).
    type: str
    default: "9095"
  checks:
    description: The check catalogue. An alert may do what the check of its name says, and nothing else.
    type: list
    elements: dict
    required: true
  scrape_interval_seconds:
    description: How often Prometheus scrapes. An alert that acts has to hold for two of them.
    type: float
    default: 15
  silence_limit_seconds:
    description: So old may the last heartbeat be until the channel is told.
    type: float
    default: 180
  heartbeat_url_path:
    description: File on this host with the address of a dead-man's switch that hears of each heartbeat; empty for none.
    type: str
    default: ""
  alertmanager_url:
    description: Alertmanager as this host reaches it, to see who silences what.
    type: str
    required: true
  alertmanager_username:
    description: User for basic authentication there.
    type: str
    default: ""
  alertmanager_password:
    description: Password for it.
    type: str
    default: ""
  alertmanager_token_path:
    description: File on this host with a bearer token for Alertmanager.
    type: str
    default: ""
  alertmanager_ca_path:
    description: File on this host with the certificates to trust there.
    type: str
    default: ""
  alertmanager_validate_certs:
    description: Whether Alertmanager's certificate has to be good.
    type: bool
    default: true
  checkout_path:
    description: Checkout of this project that requests are carried out from.
    type: path
    required: true
extends_documentation_fragment: host_state
attributes:
  check_mode:
    support: full
    description: Reads, and returns what a real run would write. Nothing is asked of the receiver.
  diff_mode:
    support: full
    description: Every file that differs, before and after, but for those that hold the token.
"""

EXAMPLES = r"""
- name: Run the receiver
  alert_receiver:
    token: "{{ token_from_the_vault }}"
    address: control.lan
    checks: "{{ check_catalogue_checks }}"
    alertmanager_url: http://feed.lan:9093
    checkout_path: /opt/trading-core-runbooks/current
"""

RETURN = r"""
outcome:
  description:
    - V(proven), V(planned) in check; V(refused) (a package or the jobs are missing), V(usage) for a token, address or
      catalogue that is none, V(failed).
  returned: always
  type: str
summary:
  description: Where it answers and what was done, or what is wrong.
  returned: always
  type: str
next_command:
  description: What to type next, empty where nothing is left to do.
  returned: always
  type: str
files:
  description: What was, or in check would be, done.
  returned: always
  type: list
  elements: str
"""

import http.client
import pwd
import ssl
from collections.abc import Mapping, Sequence

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.alerts.receiver import ReceiverHost, install
from ansible.module_utils.trading_ops.alerts.units import ACCOUNT, Layout
from ansible.module_utils.trading_ops.core.arguments import STATE_ARGUMENTS
from ansible.module_utils.trading_ops.core.result import finish

ARGUMENT_SPEC = {
    "token": {"type": "str", "required": True, "no_log": True},
    "address": {"type": "str", "required": True},
    "listen": {"type": "str", "default": "9095"},
    "checks": {"type": "list", "elements": "dict", "required": True},
    "scrape_interval_seconds": {"type": "float", "default": 15},
    "silence_limit_seconds": {"type": "float", "default": 180},
    "heartbeat_url_path": {"type": "str", "default": ""},
    "alertmanager_url": {"type": "str", "required": True},
    "alertmanager_username": {"type": "str", "default": ""},
    "alertmanager_password": {"type": "str", "default": "", "no_log": True},
    "alertmanager_token_path": {"type": "str", "default": "", "no_log": False},
    "alertmanager_ca_path": {"type": "str", "default": ""},
    "alertmanager_validate_certs": {"type": "bool", "default": True},
    "checkout_path": {"type": "path", "required": True},
    **STATE_ARGUMENTS,
}
ANSWER_SECONDS = 15


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)

    def run(argv: Sequence[str]) -> tuple[int, str]:
        code, out, err = module.run_command(list(argv))
        return code, out + err

    def ask(method: str, path: str, headers: Mapping[str, str], body: bytes) -> int | None:
        return request(module.params["address"], module.params["listen"], method, path, headers, body)

    result = install(ReceiverHost(run, account_gid, ask), module.params, module.check_mode)
    finish(module, result)


def account_gid() -> int | None:
    try:
        return pwd.getpwnam(ACCOUNT).pw_gid
    except KeyError:
        return None


def request(address: str, listen: str, method: str, path: str, headers: Mapping[str, str], body: bytes) -> int | None:
    """Return the status of a request, made as Alertmanager makes it: by this address, trusting this certificate."""
    try:
        context = ssl.create_default_context(cafile=f"{Layout('', '').etc_path}/ca.pem")
        port = int(listen.rpartition(":")[2])
        connection = http.client.HTTPSConnection(address, port, timeout=ANSWER_SECONDS, context=context)
        try:
            connection.request(method, path, body, dict(headers))
            return connection.getresponse().status
        finally:
            connection.close()
    except (OSError, ValueError, http.client.HTTPException):
        return None


if __name__ == "__main__":
    main()
