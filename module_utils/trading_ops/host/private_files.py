"""Files with a secret that only their reader may read: the one judgement of owner and mode."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Collection
from pathlib import Path


class ExposedError(ValueError):
    """A file with a secret is missing, or is not its reader's alone. The text is what was found.

    is_missing: there is nothing at the path, or nothing that can be looked at.
    """

    def __init__(self, text: str, is_missing: bool = False) -> None:
        super().__init__(text)
        self.is_missing = is_missing


def demand_private(path: Path, owners: Collection[int]) -> None:
    """Raise ExposedError unless the file holds something and belongs, for nobody else to read, to one of `owners`.

    A service's account reads a file of its own: one of root's, mode 0400, it could not. Root reads both.
    """
    try:
        seen = path.stat()
    except OSError as error:
        raise ExposedError(f"{path} cannot be read: {error.strerror}", is_missing=True) from error
    found = ""
    if not stat.S_ISREG(seen.st_mode):
        found = "is no regular file"
    elif seen.st_uid not in owners:
        found = f"belongs to {account_name(seen.st_uid)}, not to {' or '.join(map(account_name, owners))}"
    elif stat.S_IMODE(seen.st_mode) & 0o077:
        found = (
            f"has mode {stat.S_IMODE(seen.st_mode):04o}: others than its owner, {account_name(seen.st_uid)}, can use it"
        )
    elif not seen.st_size:
        found = "is empty"
    if found:
        raise ExposedError(f"{path}, a file with a secret, {found}")


def account_id(name: str) -> int:
    """Return the id of an account, this process' own for an empty name. ValueError where the host has none so named."""
    try:
        return pwd.getpwnam(name).pw_uid if name else os.geteuid()
    except KeyError as error:
        raise ValueError(f"this host has no account {name}") from error


def account_name(uid: int) -> str:
    """Return the name of an account, or its number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
