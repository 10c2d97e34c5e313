# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which containers are bots: `BOT_ARGUMENTS` in trading_ops/core/arguments.py."""

from __future__ import annotations


class ModuleDocFragment:
    """What `extends_documentation_fragment: bots` adds."""

    DOCUMENTATION = r"""
options:
  bot_services:
    description: Compose service names of bots, with wildcards.
    type: raw
    default: [bot]
  bot_projects:
    description: Compose project names of bots, with wildcards.
    type: raw
    default: ["trading-*"]
  bot_images:
    description: Image references, with wildcards, that make a container without labels a bot.
    type: raw
    default: []
"""
