"""Names of incidents."""

from __future__ import annotations

import re
import string
from typing import Final

_RUN_ID: Final = re.compile(r"\d{8}-\d{6}")
_INCIDENT_ID: Final = re.compile(r"INC-\d{8}-\d{6}-[a-z0-9-]+")
_SLUG_LENGTH: Final = 32
_PLAIN: Final = str.maketrans("øæåØÆÅ" + string.ascii_uppercase, "oaaoaa" + string.ascii_lowercase)


def build_incident_id(run_id: str, reason: str, now: str) -> str:
    """Return `INC-<UTC yyyymmdd-hhmmss>-<slug of the reason>`.

    `run_id` is the start of the run (`yyyymmdd-hhmmss`), the same on every host: one run makes one incident; the
    entry script hands over the whole id. Where it is missing or malformed the host's own time `now` (ISO UTC) serves.
    """
    if _INCIDENT_ID.fullmatch(run_id):
        return run_id
    stamp = run_id if _RUN_ID.fullmatch(run_id) else re.sub(r"[-:]", "", now)[:15].replace("T", "-")
    return f"INC-{stamp}-{slug(reason)}"


def slug(text: str) -> str:
    """Return `text` as lower-case ASCII words joined by dashes, at most 32 characters; `stop` for none.

    Danish ø, æ, å become o, a, a; every other character that is no ASCII letter or digit separates words. It is made
    of what a shell can do as well, because `breakglass/trading-halt` builds the same id.
    """
    words = re.findall(r"[a-z0-9]+", text.translate(_PLAIN))
    return "-".join(words)[:_SLUG_LENGTH].strip("-") or "stop"
