#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: kill_switch_info
short_description: Read the halt latch, the bots and the desired state of a host
description:
  - Shows whether trading is halted, by whom and why, which bots run in which mode, and what was last asked for.
  - Never changes anything and never fails on what it sees. RV(outcome) is V(unknown) where the engine does not answer.
extends_documentation_fragment: [host_state, engine, bots, only_reads]
"""

EXAMPLES = r"""
- name: Look at the bots
  kill_switch_info:
  register: trading
"""

RETURN = r"""
outcome:
  description: V(proven) where everything could be seen, else V(unknown).
  returned: always
  type: str
summary:
  description: One sentence, halted or not and what runs.
  returned: always
  type: str
latch:
  description: The latch (RV(latch.engaged), scope, incident_ids, since, by, reason, damaged).
  returned: always
  type: dict
guard:
  description: Whether a guard of this version watches the host (C(state), C(summary)).
  returned: always
  type: dict
lease:
  description: Who starts something right now (C(held), C(holder), C(purpose), C(since), C(expires)).
  returned: always
  type: dict
bots:
  description: One entry per bot container with name, project, mode, state and whether it is running.
  returned: always
  type: list
  elements: dict
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
lines:
  description: One line per bot for people, then the doubts.
  returned: always
  type: list
  elements: str
desired:
  description: What was last asked for, by service.
  returned: always
  type: dict
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.arguments import BOT_ARGUMENTS, ENGINE_ARGUMENTS, STATE_ARGUMENTS
from ansible.module_utils.trading_ops.core.clock import utc_now
from ansible.module_utils.trading_ops.guard.this_host import this_host
from ansible.module_utils.trading_ops.stop.kill_switch import observe, parse_stop_request

ARGUMENT_SPEC = {
    **BOT_ARGUMENTS,
    **STATE_ARGUMENTS,
    **ENGINE_ARGUMENTS,
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params, now = module.params, utc_now()
    request, warnings = parse_stop_request(params, now)
    for warning in warnings:
        module.warn(warning)
    host = this_host(params["docker_url"], Path(params["state_path"]))
    module.exit_json(**observe(host, request.rules, now))


if __name__ == "__main__":
    main()
