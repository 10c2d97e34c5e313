"""The dead-man's switch outside: it hears of what went well, and alerts by itself about what it misses."""

from __future__ import annotations

import http.client
import sys
import urllib.request
from pathlib import Path

PING_SECONDS = 10


def ping(url_path: str) -> None:
    """Tell the switch whose address stands in the file; nothing without a file. A failure is only said."""
    if not url_path:
        return
    try:
        urllib.request.urlopen(Path(url_path).read_text(encoding="utf-8").strip(), timeout=PING_SECONDS).close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        # Not its text: that can hold the address, which is a secret.
        print(f"job: the dead-man's switch was not reached ({type(error).__name__})", file=sys.stderr)
