# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The folder of state on a host: `STATE_ARGUMENTS` in trading_ops/core/arguments.py."""

from __future__ import annotations


class ModuleDocFragment:
    """What `extends_documentation_fragment: host_state` adds."""

    DOCUMENTATION = r"""
options:
  state_path:
    description: Directory of what this project keeps on the host (halt latch, desired state, records, audit log).
    type: path
    default: /var/lib/trading-core
"""
