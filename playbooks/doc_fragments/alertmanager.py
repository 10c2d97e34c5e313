# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where Alertmanager is: `ALERTMANAGER_ARGUMENTS` in trading_ops/alerts/alertmanager.py."""

from __future__ import annotations


class ModuleDocFragment:
    """What `extends_documentation_fragment: alertmanager` adds."""

    DOCUMENTATION = r"""
options:
  alertmanager_url:
    description: Alertmanager, as seen from the host. It must not hold credentials.
    type: str
    default: http://127.0.0.1:9093
  timeout_seconds:
    description: Time for one answer.
    type: float
    default: 5
"""
