# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which incident: `INCIDENT_ARGUMENTS` in trading_ops/incident/folder.py."""

from __future__ import annotations


class ModuleDocFragment:
    """What `extends_documentation_fragment: incident` adds."""

    DOCUMENTATION = r"""
options:
  incidents_path:
    description: Directory of the incidents, the primary ones on the control host or the local copies in a checkout.
    type: path
    required: true
  incident_id:
    description: The incident.
    type: str
    required: true
"""
