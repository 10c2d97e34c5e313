"""Addresses as they may be shown."""

from __future__ import annotations

from urllib.parse import urlsplit


def show_url(url: str) -> str:
    """Return an address without what may be secret: user, password, query and fragment."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "(not an address)"
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{port}{parts.path}" if host else ""
