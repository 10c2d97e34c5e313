"""One run of a job at a time. The lock ends with its process; who holds it stands in the file."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


class Locked(Exception):
    """Another run has the lock; `holder` is what it wrote of itself, empty where it has not come to that."""

    def __init__(self, holder: dict[str, str]) -> None:
        super().__init__(str(holder))
        self.holder = holder


@contextmanager
def held(path: Path, holder: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Hold the lock at `path`; yield what a run that died in the middle left in it, empty where none did.

    Raises Locked at once while another process has it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Locked(_read(descriptor)) from None
        left = _read(descriptor)
        _write(descriptor, json.dumps(dict(holder)))
        try:
            yield left
        finally:
            _write(descriptor, "")
    finally:
        os.close(descriptor)


def _read(descriptor: int) -> dict[str, str]:
    try:
        found = json.loads(os.pread(descriptor, 1 << 16, 0))
    except ValueError:
        return {}
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def _write(descriptor: int, text: str) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)
    os.fsync(descriptor)
