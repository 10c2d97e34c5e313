#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: notification
short_description: Tell people, on every channel at once
description:
  - Sends one message through Apprise, and says of each channel whether its service took it. Runs on the controller.
  - A channel that does not answer holds up neither the others nor the run beyond O(timeout_seconds).
  - Never fails; RV(outcome) says what is known, so that what comes after it in a run gets its turn.
  - URLs are never shown, a channel is named by its label or number and its service.
requirements:
  - apprise
options:
  urls:
    description: Channels as Apprise URLs, or as C(label=URL).
    type: list
    elements: str
    required: true
  title:
    description: Title, on services that have one.
    type: str
    required: true
  text:
    description: The message; C(<reason>) in it stands for O(reason).
    type: str
    required: true
  reason:
    description: Why, in words.
    type: str
    default: not given
  incident_id:
    description: Incident the message is about.
    type: str
    default: ""
  incidents_path:
    description: Directory of the copies of incident records, for the head of the incident's timeline.
    type: path
  notes:
    description: Further lines.
    type: list
    elements: str
    default: []
  timeout_seconds:
    description: Time for all of it, at most 60.
    type: float
    default: 10
attributes:
  check_mode:
    support: full
    description: Says who would be told, and tells nobody.
  diff_mode:
    support: none
    description: Changes nothing that could be shown as a difference.
"""

EXAMPLES = r"""
- name: Inform the internal channel
  notification:
    urls: ["ops={{ vault_chat_url }}"]
    title: Incident
    text: "Incident på AI_TRADING_CORE – bot/feed stoppet midlertidigt, årsag: <reason>."
    reason: gaps in the bars
    incident_id: INC-20261121-013000-gaps-in-the-bars
"""

RETURN = r"""
outcome:
  description: V(proven) where every channel took the message, V(planned) in check mode, else V(failed).
  returned: always
  type: str
summary:
  description: How many channels took it, and for each that did not, why.
  returned: always
  type: str
next_command:
  description: What to do next, empty where everybody was told.
  returned: always
  type: str
timeline_head:
  description: Hash of the last line of the incident's timeline that went along, empty where there is none.
  returned: always
  type: str
channels:
  description: >-
    One entry per channel, in the order of O(urls), with C(channel), C(outcome) (V(delivered), V(failed) or V(unknown),
    where it gave no answer in time), C(reason) and C(seconds).
  returned: always
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.incident.notification import (
    MAX_TIMEOUT_SECONDS,
    apprise_send,
    build_body,
    notify,
    parse_channels,
    plan,
    read_head,
    report,
)

ARGUMENT_SPEC = {
    "urls": {"type": "list", "elements": "str", "required": True, "no_log": True},
    "title": {"type": "str", "required": True},
    "text": {"type": "str", "required": True},
    "reason": {"type": "str", "default": "not given"},
    "incident_id": {"type": "str", "default": ""},
    "incidents_path": {"type": "path"},
    "notes": {"type": "list", "elements": "str", "default": []},
    "timeout_seconds": {"type": "float", "default": 10},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    channels = parse_channels(params["urls"])
    if module.check_mode:
        module.exit_json(**plan(channels), timeline_head="")
    timeout_seconds = min(params["timeout_seconds"], MAX_TIMEOUT_SECONDS)
    head = read_head(params["incidents_path"], params["incident_id"])
    body = build_body(params["text"], params["reason"], params["incident_id"], head, params["notes"])
    deliveries = notify(channels, params["title"], body, apprise_send(timeout_seconds), timeout_seconds)
    module.exit_json(**report(deliveries), timeline_head=head)


if __name__ == "__main__":
    main()
