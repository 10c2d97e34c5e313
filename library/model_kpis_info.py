#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: model_kpis_info
short_description: Hold the out-of-sample KPIs of the model that would trade against limits
description:
  - Asks MLflow once which version of a registered model carries an alias, and reads the KPIs from that version's tags.
  - A tag that is missing, or is no finite number, a registry that does not answer, a login page, a redirect or an alias
    that nobody carries is V(unknown) with the reason. Redirects are not followed.
  - Never changes anything and never fails on what it sees or does not see.
options:
  mlflow_url:
    description: The registry, seen from the host. It must not hold credentials.
    type: str
    required: true
  model:
    description: Name of the registered model.
    type: str
    required: true
  alias:
    description: Alias of the version that trades.
    type: str
    default: champion
  limits:
    description:
      - By tag, a condition (one of C(<), C(<=), C(>), C(>=)) and a number, as in V({"oos_sharpe_ratio":">= 1"}).
      - The last word of a tag is its unit.
    type: dict
    required: true
  timeout_seconds:
    description: Time for the whole exchange.
    type: float
    default: 5.0
extends_documentation_fragment: [only_reads, http_access]
"""

EXAMPLES = r"""
- name: Look at the out-of-sample KPIs
  model_kpis_info:
    mlflow_url: http://homelab1.lan:5000
    model: RefStrat_01
    limits:
      oos_sharpe_ratio: ">= 1"
      oos_max_drawdown_ratio: "<= 0.05"
"""

RETURN = r"""
outcome:
  description:
    - V(proven) where every KPI is there and meets its limit, V(failed) where one does not, V(unknown) where one is not
      known.
    - V(invalid) where there are no limits, or one cannot be understood.
  returned: always
  type: str
summary:
  description: One sentence with version, values and limits, or why they are not known.
  returned: always
  type: str
next_command:
  description: What shows the version and its tags, to be typed on the host; empty for V(proven).
  returned: always
  type: str
model:
  description: As asked.
  returned: always
  type: str
alias:
  description: As asked.
  returned: always
  type: str
version:
  description: The version that carries the alias; empty where that is not known.
  returned: always
  type: str
kpis:
  description: >-
    One entry per limit, in their order, with C(tag), C(value) (none where it is not known), C(unit), C(condition),
    C(limit), C(outcome) (V(pass), V(fail) or V(unknown)) and C(reason).
  returned: always
  type: list
  elements: dict
lines:
  description: The same as text, a line per KPI.
  returned: always
  type: list
  elements: str
url:
  description: What was asked, without credentials and query.
  returned: always
  type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.checks.model_kpis import Alias, observe
from ansible.module_utils.trading_ops.host.http import ACCESS_ARGUMENTS, http_ask, parse_endpoint

ARGUMENT_SPEC = {
    **ACCESS_ARGUMENTS,
    "mlflow_url": {"type": "str", "required": True},
    "model": {"type": "str", "required": True},
    "alias": {"type": "str", "default": "champion"},
    "limits": {"type": "dict", "required": True},
    "timeout_seconds": {"type": "float", "default": 5.0},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    asked = Alias(params["mlflow_url"], params["model"], params["alias"])
    ask = http_ask(parse_endpoint(params, "mlflow_url", "timeout_seconds"))
    module.exit_json(**observe(asked, params["limits"], ask))


if __name__ == "__main__":
    main()
