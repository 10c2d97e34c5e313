#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: monitoring_files
short_description: Install alert rules and dashboards, and prove that Prometheus has the rules
description:
  - Makes one rules file and Grafana's provisioning from O(checks), writes what differs, and has the running Prometheus
    reload. Each file replaces the one before in one step.
  - Proven is it once Prometheus says that exactly these rules of ours are loaded and evaluate without error. Where it
    does not take them, what was there before is put back and loaded again.
  - Rules in groups whose name does not begin with C(trading_core_) are somebody else's and left alone.
  - Grafana looks for new files by itself, every 10 s. What it shows is not looked at.
options:
  checks:
    description: The check catalogue.
    type: list
    elements: dict
    required: true
  rules_path:
    description: The rules file, in a directory that Prometheus reads rules from.
    type: path
    required: true
  grafana_path:
    description: Directory that gets C(provisioning) and C(dashboards).
    type: path
    required: true
  grafana_prometheus_url:
    description: Prometheus as Grafana's container sees it.
    type: str
    default: http://prometheus:9090
  scrape_interval_seconds:
    description: How often Prometheus scrapes; rules are evaluated as often, and a sample may be two of them old.
    type: float
    default: 15
  prometheus_url:
    description: Prometheus, seen from this host. It must not hold credentials.
    type: str
    default: http://127.0.0.1:9090
  query_timeout_seconds:
    description: How long one request may take.
    type: float
    default: 5
  timeout_seconds:
    description: How long Prometheus may take until every rule was evaluated once.
    type: float
    default: 60
extends_documentation_fragment: http_access
attributes:
  check_mode:
    support: full
    description: Reads, and returns what a real run would write.
  diff_mode:
    support: full
    description: Every file that differs, before and after.
"""

EXAMPLES = r"""
- name: Install rules and dashboards
  monitoring_files:
    checks: "{{ check_catalogue_checks }}"
    rules_path: /opt/ai_trading_core/ops/compose/prometheus/rules/trading_core.yml
    grafana_path: /opt/ai_trading_core/ops/compose/grafana
"""

RETURN = r"""
outcome:
  description:
    - V(proven), V(planned) in check, V(failed), V(unknown) where Prometheus did not answer and nothing was written, or
      V(invalid) where the catalogue is bad.
  returned: always
  type: str
summary:
  description: What Prometheus has loaded and how many files were written, or what it refused.
  returned: always
  type: str
next_command:
  description: What to type next, empty where nothing is left to do.
  returned: always
  type: str
files:
  description: The files that were, or in check would be, written.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.checks.monitoring import install
from ansible.module_utils.trading_ops.core.result import finish
from ansible.module_utils.trading_ops.host.http import ACCESS_ARGUMENTS

ARGUMENT_SPEC = {
    **ACCESS_ARGUMENTS,
    "checks": {"type": "list", "elements": "dict", "required": True},
    "rules_path": {"type": "path", "required": True},
    "grafana_path": {"type": "path", "required": True},
    "grafana_prometheus_url": {"type": "str", "default": "http://prometheus:9090"},
    "scrape_interval_seconds": {"type": "float", "default": 15},
    "prometheus_url": {"type": "str", "default": "http://127.0.0.1:9090"},
    "query_timeout_seconds": {"type": "float", "default": 5},
    "timeout_seconds": {"type": "float", "default": 60},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    result = install(module.params, module.check_mode)
    finish(module, result)


if __name__ == "__main__":
    main()
