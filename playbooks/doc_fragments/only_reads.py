# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The attributes of a module that changes nothing."""

from __future__ import annotations


class ModuleDocFragment:
    """What `extends_documentation_fragment: only_reads` adds."""

    DOCUMENTATION = r"""
attributes:
  check_mode:
    support: full
    description: Only reads.
  diff_mode:
    support: none
    description: Nothing changes.
"""
