"""Which programs trade: an image of one of these is taken for a bot, also where no rule of the estate knows it."""

from __future__ import annotations

import re
from typing import Final

FRAMEWORKS: Final = ("freqtrade", "hummingbot", "jesse", "nautilus", "octobot", "passivbot")
"""Words of image names: hummingbot-api, nautilus_trader and ft_userdata-freqtrade hold one as well. The same words
stand in breakglass/trading-halt; a test compares them."""

IMAGE_LABELS: Final = ("org.opencontainers.image.title", "org.opencontainers.image.source")
"""Labels of an image, which its containers inherit whatever tag or id they were made from."""


def framework_of(reference: str) -> str:
    """Return the framework whose word the last part of an image's name holds, without registry, tag and digest.

    The address of a source is read alike. Empty for none.
    """
    name = reference.partition("@")[0].rpartition("/")[2].partition(":")[0].lower()
    words = set(re.split(r"[^a-z0-9]+", name))
    return next((word for word in FRAMEWORKS if word in words), "")
