"""Bundles of evidence as archives: packed on a host, unpacked and held against their manifest where they arrive."""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path
from typing import Final

from .manifest import (
    MANIFEST,
    BundleError,
    Item,
    build_manifest,
    is_inside,
    next_directory,
    safe_name,
    verify,
    write_manifest,
)

_MOST_FILES: Final = 10_000


def pack(root: Path, archive: Path) -> None:
    """Write the directory's files into a compressed archive. Raises OSError."""
    with tarfile.open(archive, "x:gz", compresslevel=1) as tar:
        for path in sorted(root.rglob("*")):
            if path.is_file() and not path.is_symlink():
                info = tarfile.TarInfo(str(path.relative_to(root)))
                info.size, info.mtime, info.mode = path.stat().st_size, int(path.stat().st_mtime), 0o600
                with open(path, "rb") as file:
                    tar.addfile(info, file)


def unpack(archive: Path, root: Path, most_bytes: int) -> None:
    """Unpack into the new directory `root`: plain files below it and nothing else. Raises BundleError, OSError.

    The archive comes from a host on which something went wrong; it is not believed.
    """
    partial = root.with_name(f".{root.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700, parents=True)
    left, files = most_bytes, 0
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                files += 1
                left -= max(0, member.size)
                if not member.isreg() or not is_inside(member.name) or left < 0 or files > _MOST_FILES:
                    raise BundleError(f"{archive.name} holds what no bundle holds: {member.name!r}.")
                source = tar.extractfile(member)
                target = partial / member.name
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                if source is None:
                    raise BundleError(f"{archive.name} cannot be read at {member.name!r}.")
                with source, open(target, "xb") as file:
                    os.fchmod(file.fileno(), 0o600)
                    shutil.copyfileobj(source, file, 1024 * 1024)
        partial.rename(root)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise BundleError(f"{archive.name} is damaged: {error}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def receive(archive: Path, parent: Path, host: str, most_bytes: int) -> Path:
    """Return the new directory with the bundle of one host. Raises BundleError where it is not as its manifest says."""
    root = next_directory(parent, safe_name(host))
    unpack(archive, root, most_bytes)
    if errors := verify(root):
        raise BundleError(f"The bundle of {host} is not as its manifest says: {'; '.join(errors[:3])}.")
    return root


def import_bundles(archive: Path, parent: Path, most_bytes: int) -> list[str]:
    """Return the names of the bundles that were not in `parent` yet, after they were put there from the archive.

    Raises BundleError, OSError.
    """
    incoming = parent / ".incoming"
    shutil.rmtree(incoming, ignore_errors=True)
    try:
        unpack(archive, incoming, most_bytes)
        new = []
        for source in sorted(path for path in incoming.iterdir() if path.is_dir()):
            if errors := verify(source):
                raise BundleError("; ".join(errors[:3]))
            manifest = (source / MANIFEST).read_bytes()
            there = [path / MANIFEST for path in parent.iterdir() if path.is_dir() and path != incoming]
            if any(path.is_file() and path.read_bytes() == manifest for path in there):
                continue
            target = next_directory(parent, source.name)
            source.rename(target)
            new.append(target.name)
        return new
    finally:
        shutil.rmtree(incoming, ignore_errors=True)


def write_missing(parent: Path, host: str, incident_id: str, now: str, reason: str) -> Path:
    """Return the new directory with a manifest that says why there is no evidence of this host. Raises OSError."""
    root = next_directory(parent, safe_name(host))
    root.mkdir(mode=0o700, parents=True)
    about = {"incident_id": incident_id, "host": host, "started_at": now, "finished_at": now, "redactions": {}}
    write_manifest(root, build_manifest([Item("all evidence", "", "failed", reason)], about))
    return root
