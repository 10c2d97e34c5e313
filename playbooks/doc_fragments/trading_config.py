# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A change of the trading configuration: `CHANGE_ARGUMENTS` in trading_ops/config/trading.py."""

from __future__ import annotations


class ModuleDocFragment:
    """What `extends_documentation_fragment: trading_config` adds."""

    DOCUMENTATION = r"""
options:
  path:
    description: The file.
    type: path
    required: true
  changes:
    description:
      - Wanted values, or their text, by dotted key, as in V(sizing.position_ratio=0.12,venue.enabled=false).
      - A key has to be there, and its value keeps its type.
    type: dict
    required: true
  reason:
    description: Why, in words.
    type: str
    required: true
"""
