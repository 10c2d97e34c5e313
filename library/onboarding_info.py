#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: onboarding_info
short_description: See where an estate does not match what the stop and the checks rely on
description:
  - Looks at labels, modes, restart policies, stop timeouts, names and metrics, and names each mismatch with what was
    seen, what is expected and the line that fixes it. Notes are told, and are no reason to fail.
  - Notes also what could start a bot again after a stop (containers with a way to the engine, units, Quadlets, cron
    lines), with the command that holds it off.
  - Fails with RV(outcome) V(failed) on a mismatch, V(unknown) where the engine does not answer. Changes nothing.
options:
  project_prefix:
    description: Compose project of a bot, before its mode.
    type: str
    default: trading-
  is_feed_host:
    description: Whether feed and observability stack are to be looked at.
    type: bool
    default: false
  is_trading_host:
    description: Whether bots are expected here.
    type: bool
    default: true
  feed_project_name:
    description: Compose project of the feed stack.
    type: str
    default: ai_trading_core
  feed_metrics_url:
    description: Where the feed's metrics are, seen from the host.
    type: str
    default: http://127.0.0.1:8000/metrics
extends_documentation_fragment: [host_state, engine, bots, only_reads]
"""

EXAMPLES = r"""
- name: Report what does not match
  onboarding_info:
    is_feed_host: true
"""

RETURN = r"""
outcome:
  description: V(proven), V(failed) with a mismatch, V(unknown) without an answer of the engine.
  returned: always
  type: str
summary:
  description: Every mismatch and note in words.
  returned: always
  type: str
next_command:
  description: What to type next, empty where nothing is left to do.
  returned: always
  type: str
findings:
  description: One entry per finding with C(level), C(about), C(seen), C(expected) and C(fix).
  returned: always
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.arguments import BOT_ARGUMENTS, ENGINE_ARGUMENTS, STATE_ARGUMENTS
from ansible.module_utils.trading_ops.core.result import finish
from ansible.module_utils.trading_ops.guard.installed import observe_guard
from ansible.module_utils.trading_ops.host.engine import Engine, docker_engine
from ansible.module_utils.trading_ops.host.http import MAX_BYTES, Endpoint, HttpError, http_ask
from ansible.module_utils.trading_ops.host.starter_files import read_starter_files
from ansible.module_utils.trading_ops.oncall.onboarding import Estate, observe_onboarding
from ansible.module_utils.trading_ops.stop.kill_switch import parse_bot_rules

HTTP_SECONDS = 5

ARGUMENT_SPEC = {
    "project_prefix": {"type": "str", "default": "trading-"},
    "is_feed_host": {"type": "bool", "default": False},
    "is_trading_host": {"type": "bool", "default": True},
    "feed_project_name": {"type": "str", "default": "ai_trading_core"},
    "feed_metrics_url": {"type": "str", "default": "http://127.0.0.1:8000/metrics"},
    **BOT_ARGUMENTS,
    **STATE_ARGUMENTS,
    **ENGINE_ARGUMENTS,
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    rules, warnings = parse_bot_rules(params)
    for warning in warnings:
        module.warn(warning)
    estate = Estate(
        rules=rules,
        project_prefix=params["project_prefix"],
        state_path=params["state_path"],
        is_feed_host=params["is_feed_host"],
        is_trading_host=params["is_trading_host"],
        feed_project=params["feed_project_name"],
    )

    ask = http_ask(Endpoint(url=params["feed_metrics_url"], query_timeout_seconds=HTTP_SECONDS))

    def fetch() -> str:
        status, page = ask("GET", "")
        if status != 200 or len(page) > MAX_BYTES:
            raise HttpError(f"HTTP status {status}, {len(page)} bytes")
        return page.decode("utf-8", "replace")

    def connect() -> Engine:
        return docker_engine(params["docker_url"])

    result = observe_onboarding(connect, fetch, estate, observe_guard(), read_starter_files())
    finish(module, result)


if __name__ == "__main__":
    main()
