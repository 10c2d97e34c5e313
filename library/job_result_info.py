#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: job_result_info
short_description: Tell how the last run of a job ended, also where it died without a word
options:
  job:
    description: The job's name.
    type: str
    required: true
extends_documentation_fragment: [host_state, only_reads]
"""

EXAMPLES = r"""
- name: Look at the last backup
  job_result_info:
    job: backup
"""

RETURN = r"""
outcome:
  description: V(proven) where the run ended and left a result, V(unknown) where it did not, or there was none.
  returned: always
  type: str
summary:
  description: One sentence, with the exit code and the verdict of the run.
  returned: always
  type: str
next_command:
  description: Empty.
  returned: always
  type: str
result:
  description: The record as it is, empty where there is none.
  returned: always
  type: dict
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.arguments import STATE_ARGUMENTS
from ansible.module_utils.trading_ops.jobs.results import RESULT_FILE, describe_result, job_path

ARGUMENT_SPEC = {
    "job": {"type": "str", "required": True},
    **STATE_ARGUMENTS,
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    path = job_path(module.params["state_path"], Path(module.params["job"]).name) / RESULT_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        text = None
    module.exit_json(**describe_result(module.params["job"], text))


if __name__ == "__main__":
    main()
