# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A temporary fix: `FIX_ARGUMENTS` in trading_ops/config/mitigation.py."""

from __future__ import annotations


class ModuleDocFragment:
    """What `extends_documentation_fragment: mitigation` adds."""

    DOCUMENTATION = r"""
options:
  root_path:
    description: Checkout of AI_TRADING_CORE on the host.
    type: path
    required: true
  config_file:
    description: The trading configuration, relative to the checkout.
    type: str
    required: true
  disable:
    description:
      - Venue, strategy or symbol that takes no new position any more, as in V(venue), V(RefStrat_01), V(ETHUSDT).
    type: str
  enable:
    description: Venue, strategy or symbol that may take positions again.
    type: str
  scale_sizing:
    description: Factor below 1 for every number under C(sizing), as in V(0.5). Asked for twice, it scales twice.
    type: str
  orders_per_minute:
    description: How many orders a bot may send in a minute, as its C(load.orders_per_minute).
    type: str
  changes:
    description: Wanted values, or their text, by dotted key, as in V(load.orders_per_minute=30,venue.enabled=false).
    type: dict
  config_commit:
    description: Commit of the checkout; the configuration becomes what it is in there.
    type: str
  undo:
    description: Id of a fix on this host; the configuration becomes what it was before that, to the byte.
    type: str
  reason:
    description: Why, in words.
    type: str
    required: true
  run_id:
    description: The run, unlike any other, C(<yyyymmdd-hhmmss>.<process>). The id of the fix is made of it.
    type: str
    required: true
"""
