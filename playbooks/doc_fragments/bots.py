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
    default: ["trading-*", trading]
  bot_images:
    description: Image references, with wildcards, that make a container without labels a bot.
    type: raw
    default: []
  other_services:
    description:
      - What is no bot, without wildcards. A Compose service, or a container's name where it has none, is not counted
        among the other containers. C(PROJECT/SERVICE/IMAGE) is no bot although its image is of a trading framework.
    type: raw
    default:
      - live_connector
      - prometheus
      - grafana
      - alertmanager
      - am_init
      - timescaledb
      - mlflow
      - gui
      - exchange
      - node_exporter
      - node-exporter
  stop_unexpected:
    description: Whether a stop ends what looks like a bot and no rule matches. It is named in any case.
    type: raw
    default: false
"""
