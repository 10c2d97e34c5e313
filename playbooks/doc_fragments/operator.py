# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who asks for it: `OPERATOR_ARGUMENTS` in trading_ops/core/arguments.py."""

from __future__ import annotations


class ModuleDocFragment:
    """What `extends_documentation_fragment: operator` adds."""

    DOCUMENTATION = r"""
options:
  by:
    description: The person, not only the account.
    type: str
    default: not given
"""
