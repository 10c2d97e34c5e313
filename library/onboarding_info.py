#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: onboarding_info
short_description: What a host has that the stop and the checks could not rely on
description:
  - Looks at labels, modes, restart policies, Compose projects, container names and the feed's metrics, and names each
    one that does not match, with the line that mends it. Reads only.
options:
  trades:
    description: Whether bots may run on this host.
    type: bool
    required: true
  bot_services:
    description: Compose service names of bots, with wildcards.
    type: list
    elements: str
    default: [bot]
  bot_projects:
    description: Compose project names of bots, with wildcards.
    type: list
    elements: str
    default: ["trading-*"]
  bot_images:
    description: Image references, with wildcards, that make a container without labels a bot.
    type: list
    elements: str
    default: []
  base_services:
    description: Services that know the mode and are no bots.
    type: list
    elements: str
    default: []
  project_prefix:
    description: A bot's Compose project is this and its mode.
    type: str
    default: trading-
  state_path:
    description: Directory of the halt latch.
    type: path
    default: /var/lib/trading-core
  feed_project:
    description: Compose project of the feed stack, empty where it does not run on this host.
    type: str
    default: ""
  feed_containers:
    description: Services of the feed stack whose containers have the service's name.
    type: list
    elements: str
    default: []
  metrics_url:
    description: Metrics of the feed.
    type: str
    default: ""
  metrics:
    description: Metrics that the feed must export.
    type: list
    elements: str
    default: []
  timeout_seconds:
    description: Bound for the metrics page.
    type: int
    default: 5
  docker_url:
    description: The engine.
    type: str
    default: unix:///var/run/docker.sock
attributes:
  check_mode:
    support: full
    description: It never changes anything.
  diff_mode:
    support: none
notes:
  - The module fails where something does not match; the estate is then not ready to be trusted.
"""

EXAMPLES = r"""
- name: Look for what the stop could not rely on
  onboarding_info:
    trades: true
"""

RETURN = r"""
outcome:
  description: V(proven) where nothing is amiss, V(failed) for a mismatch, V(unknown) without the engine.
  returned: always
  type: str
summary:
  description: Every finding in one sentence each.
  returned: always
  type: str
next_command:
  description: What to type next, empty where nothing is left to do.
  returned: always
  type: str
findings:
  description: One entry per finding with C(level) (V(mismatch) or V(note)), C(subject), C(seen), C(expected), C(mend).
  returned: always
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.bots import BotRules
from ansible.module_utils.trading_ops.durable import bounded
from ansible.module_utils.trading_ops.engine import docker_engine
from ansible.module_utils.trading_ops.onboarding import Expectations, MetricsError, report
from ansible.module_utils.urls import open_url

ARGUMENT_SPEC = {
    "trades": {"type": "bool", "required": True},
    "bot_services": {"type": "list", "elements": "str", "default": ["bot"]},
    "bot_projects": {"type": "list", "elements": "str", "default": ["trading-*"]},
    "bot_images": {"type": "list", "elements": "str", "default": []},
    "base_services": {"type": "list", "elements": "str", "default": []},
    "project_prefix": {"type": "str", "default": "trading-"},
    "state_path": {"type": "path", "default": "/var/lib/trading-core"},
    "feed_project": {"type": "str", "default": ""},
    "feed_containers": {"type": "list", "elements": "str", "default": []},
    "metrics_url": {"type": "str", "default": ""},
    "metrics": {"type": "list", "elements": "str", "default": []},
    "timeout_seconds": {"type": "int", "default": 5},
    "docker_url": {"type": "str", "default": "unix:///var/run/docker.sock"},
}

MAX_BYTES = 16 << 20


def fetch_metrics(url: str, timeout_seconds: int) -> str:
    def read() -> str:
        return open_url(url, timeout=timeout_seconds).read(MAX_BYTES).decode("utf-8", "replace")

    try:
        return bounded(read, timeout_seconds)
    except (OSError, ValueError) as error:
        raise MetricsError(f"no answer ({error})") from error


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    rules = BotRules(*(tuple(params[key]) for key in ("bot_services", "bot_projects", "bot_images")))
    wanted = Expectations(
        rules=rules,
        project_prefix=params["project_prefix"],
        base_services=tuple(params["base_services"]),
        state_path=params["state_path"],
        feed_project=params["feed_project"],
        feed_containers=tuple(params["feed_containers"]),
        metrics_url=params["metrics_url"],
        metrics=tuple(params["metrics"]),
    )
    result = report(
        lambda: docker_engine(params["docker_url"]),
        lambda: fetch_metrics(params["metrics_url"], params["timeout_seconds"]),
        wanted,
        params["trades"],
    )
    if result["outcome"] == "proven":
        module.exit_json(**result)
    module.fail_json(msg=result["summary"], **result)


if __name__ == "__main__":
    main()
