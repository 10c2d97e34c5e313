#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: oncall_access_info
short_description: Try everything that a person on call has to reach
description:
  - Runs on the operator's machine. Judges what M(host_access_info) returned, or why it did not, and tries pages, Git
    repositories and the services behind the channels, all at once. Nobody is told anything, and nothing is changed.
options:
  hosts:
    description: What M(host_access_info) returned, by host; every host of the estate.
    type: dict
    required: true
  ssh_args:
    description: C(ansible_ssh_args) by host, which have to pin its key.
    type: dict
    default: {}
  connections:
    description: C(ansible_connection) by host.
    type: dict
    default: {}
  services:
    description: Pages that have to answer with 200.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What it is called.
        type: str
        required: true
      url:
        description: The page. It must not hold credentials.
        type: str
        required: true
      username:
        description: User for basic authentication.
        type: str
        default: ""
      password:
        description: Password for basic authentication.
        type: str
        default: ""
      token_path:
        description: File on this machine with a bearer token.
        type: str
        default: ""
  git_repositories:
    description: Git repositories that have to be readable.
    type: list
    elements: str
    default: []
  notification_urls:
    description: Channels, as M(notification) takes them.
    type: list
    elements: str
    default: []
  paths:
    description: Directories of this machine that have to be there, to be read and edited.
    type: list
    elements: str
    default: []
  inventories:
    description: The inventories of the run, in which encrypted files are looked for, and that a command to type names.
    type: list
    elements: str
    default: []
extends_documentation_fragment: only_reads
"""

EXAMPLES = r"""
- name: Try every access
  oncall_access_info:
    hosts: {homelab1: "{{ host_access }}"}
    services: [{name: Prometheus, url: "http://homelab1:9090/-/ready"}]
"""

RETURN = r"""
outcome:
  description: V(proven), or V(failed) where something cannot be reached or used.
  returned: always
  type: str
summary:
  description: How many accesses work, and which do not.
  returned: always
  type: str
next_command:
  description: What fixes the first that does not work, empty where all do.
  returned: always
  type: str
access:
  description: C(what), C(outcome) (V(pass) or V(fail)), C(text) and C(fix) of each.
  returned: always
  type: list
  elements: dict
lines:
  description: The same for people, what does not work first.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.clock import uptime
from ansible.module_utils.trading_ops.host.programs import LocalPrograms
from ansible.module_utils.trading_ops.oncall.access import (
    GIT_ENVIRONMENT,
    TIMEOUT_SECONDS,
    apprise_target,
    connect_once,
    observe,
)

ARGUMENT_SPEC = {
    "hosts": {"type": "dict", "required": True},
    "ssh_args": {"type": "dict", "default": {}},
    "connections": {"type": "dict", "default": {}},
    "services": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "url": {"type": "str", "required": True},
            "username": {"type": "str", "default": ""},
            "password": {"type": "str", "default": "", "no_log": True},
            "token_path": {"type": "str", "default": "", "no_log": False},
        },
    },
    "git_repositories": {"type": "list", "elements": "str", "default": []},
    "notification_urls": {"type": "list", "elements": "str", "default": [], "no_log": True},
    "paths": {"type": "list", "elements": "str", "default": []},
    "inventories": {"type": "list", "elements": "str", "default": []},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    run = LocalPrograms(GIT_ENVIRONMENT, uptime, TIMEOUT_SECONDS).run
    module.exit_json(**observe(module.params, run, connect_once, apprise_target))


if __name__ == "__main__":
    main()
