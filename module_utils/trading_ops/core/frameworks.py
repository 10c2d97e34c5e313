"""Which programs trade: an image of one of these is taken for a bot, also where no rule of the estate knows it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

FRAMEWORKS: Final = ("freqtrade", "hummingbot", "jesse", "nautilus", "octobot", "passivbot")
"""Words of image names: hummingbot-api, nautilus_trader and ft_userdata-freqtrade hold one as well. The same words
stand in breakglass/trading-halt; a test compares them."""

IMAGE_LABELS: Final = ("org.opencontainers.image.title", "org.opencontainers.image.source")
"""Labels of an image, which its containers inherit whatever tag or id they were made from."""


_DIGEST: Final = re.compile(r"@[a-z0-9]+:[0-9a-f]+$")
_LAUNCHER: Final = re.compile(r"tini|dumb-init|sh|ash|bash|dash|env|exec|uv|poetry|run|python[0-9.]*")
"""Words before the program that a container runs."""


def framework_of(reference: str) -> str:
    """Return the framework whose word the last part of an image's name holds, without registry, tag and digest.

    The address of a source, of a repository or a folder in it, is read alike. Empty for none: an owner's name alone is
    none, because hummingbot/gateway places no orders by itself, and people are called jesse.
    """
    text = _DIGEST.sub("", reference.lower())
    for folder in ("/-/", "/tree/") if "://" in text else ():
        text = text.partition(folder)[0]
    name = text.rstrip("/").rpartition("/")[2]
    name = name.rpartition(":")[2] if "@" in name else name.partition(":")[0]  # git@host:name.git has no tag
    words = set(re.split(r"[^a-z0-9]+", name))
    return next((word for word in FRAMEWORKS if word in words), "")


def framework_of_command(words: Iterable[str]) -> str:
    """Return the framework whose program a command line starts, as `tini -- freqtrade trade` does. Empty for none."""
    begins = True
    for word in " ".join(words).split():
        name = word.rpartition("/")[2].rstrip(";")
        if begins and not (word.startswith("-") or "=" in word or _LAUNCHER.fullmatch(name)):
            if found := framework_of(name):
                return found
            begins = False
        begins = begins or word in {"&&", "||", "|", ";"} or word.endswith(";") or name == "exec"
    return ""
