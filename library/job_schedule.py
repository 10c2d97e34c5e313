#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: job_schedule
short_description: Install the jobs of a control host as systemd units and timers, and prove that they work
description:
  - Writes C(/etc/trading-core/jobs.json) and the units, after systemd has verified all of them together, and removes
    units of jobs that are no longer defined.
  - Then O(probe) is run as systemd will run every job. Where it does not end with 0, no timer is enabled.
  - Proven is it once every timer waits for its hour, also after the next boot.
options:
  jobs:
    description:
      - The jobs by name. C(arguments) of C(./runbook) and C(timeout_seconds) have to be there; C(calendar) in systemd's
        words (without it nothing starts the job by itself), C(random_delay_seconds) (0), C(memory_max_mebibytes)
        (1024), C(notice_on_failure) (true) and C(ping_on_success) (false) may be.
    type: dict
    required: true
  probe:
    description: The job that shows whether jobs work on this host.
    type: str
    required: true
  checkout_path:
    description: Checkout of this project that the jobs run from.
    type: path
    required: true
  environment:
    description: Environment variables of every job, also of one by hand. No secrets, everybody can read units.
    type: dict
    default: {}
  by:
    description: Who jobs say has started them, where systemd does.
    type: str
    default: schedule
  variables_path:
    description: File on this host with variables for every run, secrets among them; C(-e @file) of every command.
    type: path
  ping_url_path:
    description: File on this host with the address to ask for after each success of a job with C(ping_on_success).
    type: path
extends_documentation_fragment: host_state
attributes:
  check_mode:
    support: full
    description: Reads, has systemd verify the units, and returns what a real run would write. The probe does not run.
  diff_mode:
    support: full
    description: Every file that differs, before and after.
"""

EXAMPLES = r"""
- name: Install jobs and timers
  job_schedule:
    jobs:
      access: {arguments: [status], timeout_seconds: 300}
      backup: {arguments: [backup], calendar: "*-*-* 02:15:00", timeout_seconds: 7200}
    probe: access
    checkout_path: /opt/trading-core-runbooks/current
"""

RETURN = r"""
outcome:
  description: V(proven), V(planned) in check, V(failed), or V(usage) for definitions that are none.
  returned: always
  type: str
summary:
  description: When each timer starts its job next and what the probe said, or what went wrong.
  returned: always
  type: str
next_command:
  description: What to type next, empty where nothing is left to do.
  returned: always
  type: str
files:
  description: The files that were, or in check would be, written or removed.
  returned: always
  type: list
  elements: str
"""

from collections.abc import Sequence
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.arguments import STATE_ARGUMENTS
from ansible.module_utils.trading_ops.core.result import finish
from ansible.module_utils.trading_ops.jobs.job import JOBS_PATH
from ansible.module_utils.trading_ops.jobs.schedule import ControlHost, install

ARGUMENT_SPEC = {
    "jobs": {"type": "dict", "required": True},
    "probe": {"type": "str", "required": True},
    "checkout_path": {"type": "path", "required": True},
    "environment": {"type": "dict", "default": {}},
    "by": {"type": "str", "default": "schedule"},
    "variables_path": {"type": "path"},
    "ping_url_path": {"type": "path"},
    **STATE_ARGUMENTS,
}
UNITS_PATH = Path("/etc/systemd/system")


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)

    def run(argv: Sequence[str]) -> tuple[int, str]:
        code, out, err = module.run_command(list(argv))
        return code, out + err

    result = install(ControlHost(run, UNITS_PATH, Path(JOBS_PATH)), module.params, module.check_mode)
    finish(module, result)


if __name__ == "__main__":
    main()
