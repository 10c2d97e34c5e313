#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: alert_delivery
short_description: Let Alertmanager reach the alert receiver, and prove that it knows it
description:
  - Puts the receiver's token and certificate on Alertmanager's host, root's alone, has the one-shot that writes
    Alertmanager's configuration run again, and Alertmanager read it.
  - Proven once Alertmanager itself says that it has the receiver C(trading-core-control).
options:
  token:
    description: What Alertmanager shows the receiver.
    type: str
    required: true
  certificate:
    description: The receiver's certificate, PEM. Empty where there is none yet, which only check mode takes.
    type: str
    required: true
  path:
    description: Directory on this host for both.
    type: path
    default: /etc/trading-core/alert-receiver
  init_container:
    description: The container that writes Alertmanager's configuration. It need not be there yet.
    type: str
    default: am_init
  alertmanager_url:
    description: Alertmanager, seen from this host.
    type: str
    default: http://127.0.0.1:9093
attributes:
  check_mode:
    support: full
    description: Looks, and returns whether a real run would change something.
  diff_mode:
    support: none
    description: A secret has no diff.
"""

EXAMPLES = r"""
- name: Tell Alertmanager of the receiver
  alert_delivery:
    token: "{{ token_from_the_vault }}"
    certificate: "{{ lookup('ansible.builtin.file', 'ca.pem') }}"
"""

RETURN = r"""
outcome:
  description:
    - V(proven), V(planned) in check, V(unknown) where Alertmanager does not answer, V(refused) without a certificate,
      V(failed).
  returned: always
  type: str
summary:
  description: What Alertmanager has, or what is wrong.
  returned: always
  type: str
next_command:
  description: What to type next, empty where nothing is left to do.
  returned: always
  type: str
"""

from collections.abc import Sequence

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.alerts.alertmanager import Alertmanager
from ansible.module_utils.trading_ops.alerts.delivery import SenderHost, ensure_delivery
from ansible.module_utils.trading_ops.core.result import finish
from ansible.module_utils.trading_ops.host.http import Endpoint, http_send

ARGUMENT_SPEC = {
    "token": {"type": "str", "required": True, "no_log": True},
    "certificate": {"type": "str", "required": True},
    "path": {"type": "path", "default": "/etc/trading-core/alert-receiver"},
    "init_container": {"type": "str", "default": "am_init"},
    "alertmanager_url": {"type": "str", "default": "http://127.0.0.1:9093"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)

    def run(argv: Sequence[str]) -> tuple[int, str]:
        code, out, err = module.run_command(list(argv))
        return code, out + err

    endpoint = Endpoint(url=module.params["alertmanager_url"])
    send = http_send(endpoint)
    host = SenderHost(run, Alertmanager(send, endpoint.shown), lambda: send("POST", "/-/reload", b"")[0])
    result = ensure_delivery(host, module.params, module.check_mode)
    finish(module, result)


if __name__ == "__main__":
    main()
