"""Options that many modules have, as AnsibleModule takes them; each is documented in playbooks/doc_fragments."""

from __future__ import annotations

from typing import Any, Final

from .bots import OTHER_SERVICES

STATE_ARGUMENTS: Final[dict[str, dict[str, Any]]] = {
    "state_path": {"type": "path", "default": "/var/lib/trading-core"},
}

ENGINE_ARGUMENTS: Final[dict[str, dict[str, Any]]] = {
    "docker_url": {"type": "str", "default": "unix:///var/run/docker.sock"},
}

OPERATOR_ARGUMENTS: Final[dict[str, dict[str, Any]]] = {
    "by": {"type": "str", "default": "not given"},
}

BOT_ARGUMENTS: Final[dict[str, dict[str, Any]]] = {
    "bot_services": {"type": "raw", "default": ["bot"]},
    "bot_projects": {"type": "raw", "default": ["trading-*", "trading"]},
    "bot_images": {"type": "raw", "default": []},
    "other_services": {"type": "raw", "default": list(OTHER_SERVICES)},
    "stop_unexpected": {"type": "raw", "default": False},
}
"""Raw, and read leniently: a stop is never refused for its input."""
