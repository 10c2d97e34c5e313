#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: bot_stop
short_description: Stop the bots of a host without halting it
description:
  - Stops bot containers and proves it, exactly as M(kill_switch) does, but leaves the halt latch alone, so that they
    may be started again. For a planned stop; in an incident use M(kill_switch).
  - It can only stop. Bots are started by M(compose_services) through the gate.
options:
  state:
    description: The only state this module can bring about.
    type: str
    choices: [stopped]
    default: stopped
  mode:
    description: Which bots. A bot without a mode label counts as live.
    type: str
    choices: [all, paper, live]
    required: true
  reason:
    description: Why, in words.
    type: raw
  by:
    description: The person, not only the account.
    type: raw
  grace_period_seconds:
    description: Time between SIGTERM and SIGKILL, at most 20.
    type: raw
    default: 10
extends_documentation_fragment: [host_state, engine, bots]
attributes:
  check_mode:
    support: full
    description: Reads the containers and returns what a real run would do.
  diff_mode:
    support: full
    description: Containers before and after.
"""

EXAMPLES = r"""
- name: Stop the paper bots
  bot_stop:
    mode: paper
    reason: new strategy version
    by: reno
"""

RETURN = r"""
outcome:
  description: V(proven), V(running) or V(unknown); V(planned) in check mode.
  returned: always
  type: str
summary:
  description: One sentence with what was measured.
  returned: always
  type: str
next_command:
  description: What to type next, empty where nothing is left to do.
  returned: always
  type: str
machine:
  description: Which machine answered (C(machine_id), C(boot_id)); the verdict holds two names apart by it.
  returned: always
  type: dict
known_machines:
  description: Machine id of each trading host by name, as host_setup recorded it on this host.
  returned: always
  type: dict
unexpected:
  description: Running containers that look like a bot and that no rule matches, each with C(name) and C(why).
  returned: always
  type: list
  elements: dict
exempted:
  description: Containers of a trading framework that the estate says are no bots.
  returned: always
  type: list
  elements: str
others:
  description: C(count) and C(names) of the other running containers that the estate does not name.
  returned: always
  type: dict
doubts:
  description: What of it keeps the result from being proven, in words.
  returned: always
  type: list
  elements: str
starters:
  description:
    - What could start a bot again that the guard has stopped twice since the halt, most probable first, each with
      C(what), C(why) and the command C(hold_off). Nothing is looked at before that.
  returned: always
  type: list
  elements: dict
started_again:
  description: The same in one sentence, with how often the guard has stopped which bot; empty where it has not.
  returned: always
  type: str
bots:
  description: One entry per bot container, as M(kill_switch) returns them.
  returned: always
  type: list
  elements: dict
mode:
  description: The bots that were meant.
  returned: always
  type: str
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.arguments import BOT_ARGUMENTS, ENGINE_ARGUMENTS, STATE_ARGUMENTS
from ansible.module_utils.trading_ops.core.clock import utc_now
from ansible.module_utils.trading_ops.core.result import finish
from ansible.module_utils.trading_ops.guard.this_host import this_host
from ansible.module_utils.trading_ops.stop.kill_switch import ensure_stopped, parse_stop_request

ARGUMENT_SPEC = {
    "state": {"type": "str", "choices": ["stopped"], "default": "stopped"},
    "mode": {"type": "str", "choices": ["all", "paper", "live"], "required": True},
    "reason": {"type": "raw"},
    "by": {"type": "raw"},
    "grace_period_seconds": {"type": "raw", "default": 10},
    **BOT_ARGUMENTS,
    **STATE_ARGUMENTS,
    **ENGINE_ARGUMENTS,
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params, now = module.params, utc_now()
    request, warnings = parse_stop_request(params, now)
    result = ensure_stopped(
        this_host(params["docker_url"], Path(params["state_path"])),
        request,
        params["mode"],
        now,
        module.check_mode,
    )
    result["mode"] = params["mode"]
    result["warnings"] = warnings + result.get("warnings", [])
    finish(module, result)


if __name__ == "__main__":
    main()
