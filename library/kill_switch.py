#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: kill_switch
short_description: Halt a trading host and prove it, or release the halt
description:
  - V(engaged) writes the halt latch, then stops every bot container of the host and proves that none runs.
  - Bots are found by their labels on the engine, in any state and without a compose file, strays by their image.
    Each gets the restart policy C(no), then SIGTERM, then SIGKILL at the end of the grace period, all at the same time.
  - Where the engine is dead or hung the same happens through the kernel's control groups, and is proven there.
  - V(released) lifts the latch for one of its incident ids. It starts nothing.
  - What looks like a bot and no rule matches is named, and stopped too where O(stop_unexpected) says so; the outcome is
    then V(unknown) at best. So it is where the rules match nothing and other containers run.
  - Nothing here can create, start, pull or delete a container.
  - A kill is never refused for its input. Values that make no sense fall back to the default and are warned about,
    which is why the tunables have the type C(raw).
options:
  state:
    description: Whether trading on this host is halted.
    type: str
    choices: [engaged, released]
    required: true
  incident_id:
    description:
      - Id the latch is held by. For V(engaged) one is made from O(run_id) and O(reason) where none is given.
      - V(released) demands one of the ids that the latch holds.
    type: raw
  run_id:
    description: Start of the run, UTC C(yyyymmdd-hhmmss), so that all hosts of one run name one incident.
    type: raw
  reason:
    description: Why trading stops, in words.
    type: raw
  by:
    description: The person, not only the account.
    type: raw
  scope:
    description: V(live) stops all bots but the paper bots; everything unclear counts as live.
    type: raw
    default: all
  grace_period_seconds:
    description: Time between SIGTERM and SIGKILL, at most 20.
    type: raw
    default: 10
extends_documentation_fragment: [host_state, engine, bots]
attributes:
  check_mode:
    support: full
    description: Reads latch and containers, and returns what a real run would do.
  diff_mode:
    support: full
    description: Containers and latch, before and after.
notes:
  - The module fails where the stop is not proven; RV(outcome) then says how.
"""

EXAMPLES = r"""
- name: Stop every bot
  kill_switch:
    state: engaged
    reason: bars look wrong
    by: reno

- name: Lift the halt latch
  kill_switch:
    state: released
    incident_id: INC-20261121-013000-bars-look-wrong
"""

RETURN = r"""
outcome:
  description: V(proven) or the most serious of V(running), V(unknown), V(unlatched), V(refused); V(planned) in check.
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
latch:
  description: The latch as it then is (RV(latch.engaged), scope, incident_ids, since, by, reason).
  returned: always
  type: dict
halted_before:
  description: The latch in one sentence where it was engaged before by another reason or person, else empty.
  returned: when engaged
  type: str
bots:
  description:
    - One entry per bot container with C(name), C(mode), C(how) it stopped, C(seconds), C(exit_code), C(orders)
      (V(cancelled), V(none) or V(UNVERIFIED)) and the C(restart_policy) it was found with.
  returned: when engaged
  type: list
  elements: dict
unexpected:
  description: Running containers that look like a bot and that no rule matches, each with C(name) and C(why).
  returned: when engaged
  type: list
  elements: dict
exempted:
  description: Containers of a trading framework that the estate says are no bots.
  returned: when engaged
  type: list
  elements: str
others:
  description: C(count) and C(names) of the other running containers that the estate does not name.
  returned: when engaged
  type: dict
doubts:
  description: What of it keeps the result from being proven, in words.
  returned: when engaged
  type: list
  elements: str
starters:
  description:
    - What could start a bot again that the guard has stopped twice since the halt, most probable first, each with
      C(what), C(why) and the command C(hold_off). Nothing is looked at before that.
  returned: when engaged
  type: list
  elements: dict
started_again:
  description: The same in one sentence, with how often the guard has stopped which bot; empty where it has not.
  returned: when engaged
  type: str
guard:
  description: Whether a guard of this version watches the host (C(state), C(summary)).
  returned: when engaged
  type: dict
known_hosts:
  description: The trading hosts as last recorded on this host; the verdict names those that an inventory lost.
  returned: when engaged
  type: list
  elements: str
machine:
  description: Which machine answered (C(machine_id), C(boot_id)); the verdict holds two names apart by it.
  returned: always
  type: dict
known_machines:
  description: Machine id of each trading host by name, as host_setup recorded it on this host.
  returned: always
  type: dict
engine_trouble:
  description: Why the engine was of no use, empty where it was.
  returned: when engaged
  type: str
last_stopped_at:
  description: Newest time of death the engine reported, UTC.
  returned: when engaged
  type: str
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.arguments import BOT_ARGUMENTS, ENGINE_ARGUMENTS, STATE_ARGUMENTS
from ansible.module_utils.trading_ops.core.clock import utc_now
from ansible.module_utils.trading_ops.core.result import finish
from ansible.module_utils.trading_ops.guard.this_host import this_host
from ansible.module_utils.trading_ops.stop.kill_switch import (
    ensure_halted,
    ensure_lifted,
    identity,
    parse_stop_request,
)

ARGUMENT_SPEC = {
    "state": {"type": "str", "choices": ["engaged", "released"], "required": True},
    "incident_id": {"type": "raw"},
    "run_id": {"type": "raw"},
    "reason": {"type": "raw"},
    "by": {"type": "raw"},
    "scope": {"type": "raw", "default": "all"},
    "grace_period_seconds": {"type": "raw", "default": 10},
    **BOT_ARGUMENTS,
    **STATE_ARGUMENTS,
    **ENGINE_ARGUMENTS,
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params, now = module.params, utc_now()
    request, warnings = parse_stop_request(params, now)
    state_path = Path(params["state_path"])
    host = this_host(params["docker_url"], state_path)
    if params["state"] == "engaged":
        result = ensure_halted(host, request, now, module.check_mode)
    else:
        result = ensure_lifted(
            state_path, request.incident_id if request.id_is_given else "", request.by, now, module.check_mode
        )
        said, _ = identity(host)
        result |= {key: said[key] for key in ("machine", "known_machines")}
    result["warnings"] = warnings + result.get("warnings", [])
    finish(module, result)


if __name__ == "__main__":
    main()
