#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: evidence_plots
short_description: Draw the pictures of an incident from the ranges that were kept
description:
  - Draws feed latency, data quality, PnL, drawdown and tracking error from C(metrics.json) of a bundle, into C(plots)
    of the same bundle, and adds them to its manifest. Runs on the controller.
  - A picture for which there is no data says so.
options:
  path:
    description: The bundle.
    type: path
    required: true
attributes:
  check_mode:
    support: full
    description: Draws nothing.
  diff_mode:
    support: none
    description: The pictures are new.
requirements:
  - matplotlib
"""

EXAMPLES = r"""
- name: Draw the pictures
  evidence_plots:
    path: incidents/INC-20261121-013000-bars-look-wrong/evidence/homelab1
  delegate_to: localhost
"""

RETURN = r"""
outcome:
  description: V(proven), V(planned) in check mode, or V(failed).
  returned: always
  type: str
summary:
  description: How many pictures there are, which are without data, or why there are none.
  returned: always
  type: str
next_command:
  description: Empty; the ranges are there to draw from again.
  returned: always
  type: str
pictures:
  description: The files.
  returned: always
  type: list
  elements: str
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.result import finish
from ansible.module_utils.trading_ops.evidence.plots import draw_all

ARGUMENT_SPEC = {"path": {"type": "path", "required": True}}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    result = draw_all(Path(module.params["path"]), module.check_mode)
    finish(module, result)


if __name__ == "__main__":
    main()
