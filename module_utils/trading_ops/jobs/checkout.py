"""The project on a control host: packed where the operator is, unpacked beside the one before, then changed over.

A job that runs goes on in the folder it was started from.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from ..core.durable import fsync_directory
from ..core.result import build_result

CURRENT: Final = "current"
RELEASES: Final = "releases"
_KEPT_RELEASES: Final = 2
_MARK: Final = ".release"
"""The last thing that is written into a release: without it the release is half unpacked."""

Run = Callable[[Sequence[str]], bytes]
"""Runs a command; returns its output, raises OSError or subprocess.SubprocessError where it fails."""


class CheckoutError(Exception):
    """The checkout cannot be packed or unpacked. The text is a sentence."""


def list_files(run: Run, root: Path) -> list[str]:
    """Return the names of what is, or would be, in Git, below the root: no environment, no records, no secrets."""
    listed = run(["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
    names = [name for name in listed.decode().split("\0") if name and os.path.lexists(root / name)]
    if not names:
        raise CheckoutError(f"{root} is no Git checkout with files in it.")
    return sorted(names)


def pack(root: Path, names: Iterable[str], inventory: Path) -> bytes:
    """Return the files and the inventory as a tar archive, the same bytes for the same contents.

    An inventory that lies outside of the checkout goes under `inventories/`, by its own name.
    """
    members = {name: root / name for name in names}
    if not inventory.resolve().is_relative_to(root.resolve()):
        found = [inventory] if inventory.is_file() else sorted(inventory.rglob("*"))
        members |= {str(inventory_name(root, inventory) / path.relative_to(inventory)): path for path in found}
    elif not any(Path(name).is_relative_to(inventory_name(root, inventory)) for name in members):
        raise CheckoutError(
            f"{inventory} is ignored by Git, so it would not be on the control host. Move it elsewhere."
        )
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in sorted(members):
            member = tar.gettarinfo(members[name], arcname=name)
            if member is None or not (member.isreg() or member.issym()):
                continue
            member.uid = member.gid = member.mtime = 0
            member.uname = member.gname = "root"
            member.mode = 0o755 if member.mode & 0o100 else 0o644
            if member.isreg():
                with open(members[name], "rb") as file:
                    tar.addfile(member, file)
            else:
                tar.addfile(member)
    return gzip.compress(buffer.getvalue(), mtime=0)


def inventory_name(root: Path, inventory: Path) -> Path:
    """Return where the inventory lies in the packed checkout, relative to its root."""
    whole = inventory.resolve()
    return (
        whole.relative_to(root.resolve()) if whole.is_relative_to(root.resolve()) else Path("inventories", whole.name)
    )


def digest_of(archive: bytes) -> str:
    """Return what names a release."""
    return hashlib.sha256(archive).hexdigest()[:12]


def ensure_release(
    archive_path: Path, digest: str, path: Path, prepare: Callable[[Path], None], dry_run: bool
) -> dict[str, Any]:
    """Return the module result of the archive unpacked below `path` and being the current release.

    digest: what the archive has to be. In a dry run there need not be one.
    prepare: makes the release ready, before the first job can start from it; raises CheckoutError.
    """
    release, current = path / RELEASES / digest, path / CURRENT
    is_there, before = (release / _MARK).is_file(), current.resolve().name if current.is_symlink() else "none"
    changed = not is_there or before != digest
    if dry_run:
        text = f"would change over from {before} to {digest}" if changed else f"{digest} is the current release"
        return _result("planned", text, changed, release)
    try:
        if not is_there:
            archive = archive_path.read_bytes()
            if digest_of(archive) != digest:
                raise OSError(f"{archive_path} is {digest_of(archive)}")
            _unpack(archive, release)
        prepare(release)
        if changed:
            _change_over(current, release)
        _prune(path / RELEASES, digest)
    except (OSError, tarfile.TarError, CheckoutError) as error:
        return _result("failed", f"{release} could not be made the current release: {error}", changed, release)
    if current.resolve() != release.resolve() or not (release / _MARK).is_file():
        return _result("failed", f"{current} does not lead to {release}.", changed, release)
    return _result("proven", f"{digest} is the current release, before it was {before}", changed, release)


def _unpack(archive: bytes, release: Path) -> None:
    release.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".new-", dir=release.parent))
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            # The folder stays its owner's alone: an inventory tells much about an estate.
            tar.extractall(scratch, filter="tar")
        (scratch / _MARK).write_text(f"{release.name}\n", encoding="utf-8")
        if release.exists():
            shutil.rmtree(release)  # half unpacked, by somebody's hand
        scratch.rename(release)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    fsync_directory(release.parent)


def _change_over(current: Path, release: Path) -> None:
    new = current.with_name(f".{CURRENT}.{os.getpid()}")
    new.unlink(missing_ok=True)
    new.symlink_to(release)
    new.replace(current)
    os.utime(release)
    fsync_directory(current.parent)


def _prune(releases: Path, current: str) -> None:
    """Remove all releases but the current one and those last in use before it."""
    others = [path for path in releases.iterdir() if path.name != current]
    others.sort(key=lambda path: path.lstat().st_mtime, reverse=True)
    for path in others[_KEPT_RELEASES - 1 :]:
        shutil.rmtree(path)


def _result(outcome: str, summary: str, changed: bool, release: Path) -> dict[str, Any]:
    return build_result(outcome, summary, changed=changed, release_path=str(release))
