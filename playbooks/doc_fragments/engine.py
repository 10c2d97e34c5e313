# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The engine of a host: `ENGINE_ARGUMENTS` in trading_ops/core/arguments.py."""

from __future__ import annotations


class ModuleDocFragment:
    """What `extends_documentation_fragment: engine` adds."""

    DOCUMENTATION = r"""
options:
  docker_url:
    description: The engine.
    type: str
    default: unix:///var/run/docker.sock
"""
