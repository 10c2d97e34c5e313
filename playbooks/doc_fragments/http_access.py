# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of a module that asks a server over HTTP: `ACCESS_ARGUMENTS` in trading_ops/host/http.py."""

from __future__ import annotations


class ModuleDocFragment:
    """What `extends_documentation_fragment: http_access` adds."""

    DOCUMENTATION = r"""
options:
  username:
    description: User for basic authentication.
    type: str
  password:
    description: Password for basic authentication.
    type: str
  token_path:
    description: File on the host whose content is sent as bearer token.
    type: path
  ca_path:
    description: File on the host with certificates to hold the server's against. Empty for the system's.
    type: path
  validate_certs:
    description: Whether the server's certificate has to be good.
    type: bool
    default: true
"""
