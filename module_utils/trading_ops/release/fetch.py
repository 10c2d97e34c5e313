"""A revision and its images on a host, before anything that runs is touched."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.result import build_result
from ..host.programs import ProgramError
from .git import Repository, RepositoryError
from .images import Images, PinError, ensure_pinned, ensure_present, parse_pin


@dataclass(frozen=True)
class Wanted:
    """What a host is to have: a revision, out of a bundle where it is not there, and images; pins before references."""

    revision: str
    bundle_path: Path | None
    references: Sequence[str]
    pins: Sequence[str]


def ensure_fetched(repository: Repository, images: Images, wanted: Wanted, dry_run: bool) -> dict[str, Any]:
    """Return the module result of revision and images being on the host. Never raises."""
    done: list[str] = []
    found: list[str] = []
    try:
        done += _fetch_revision(repository, wanted, dry_run)
        for pin in sorted(set(wanted.pins)):
            done += filter(None, [ensure_pinned(images, pin, may_pull=True, dry_run=dry_run)])
            found.append(pin)
        pinned = {parse_pin(pin).reference for pin in wanted.pins}
        for reference in sorted(set(wanted.references)):
            if reference.partition("@")[0] not in pinned:
                pin, act = ensure_present(images, reference, dry_run)
                done += filter(None, [act])
                found += filter(None, [pin])
    except (RepositoryError, ProgramError, PinError, OSError) as error:
        return _result("failed", f"{str(error).rstrip('.')}. Nothing that runs was changed", bool(done), found)
    text = "; ".join(done) or "revision and images are here"
    if dry_run:
        return _result("planned", f"would {text}" if done else text, bool(done), found)
    return _result("proven", text, bool(done), found)


def select_pins(pins: Mapping[str, str], pinned: Sequence[str] | None) -> list[str]:
    """Return the images of the keys that count (None: all of them), where there are any."""
    return [str(pin) for key, pin in pins.items() if pin and (pinned is None or key in pinned)]


def _fetch_revision(repository: Repository, wanted: Wanted, dry_run: bool) -> list[str]:
    """Return what was done so that the revision is there. Raises RepositoryError, ProgramError, OSError."""
    short = wanted.revision[:10]
    if repository.has(wanted.revision):
        return []
    if wanted.bundle_path is None:
        raise RepositoryError(f"{repository.path} has no revision {short}, so it cannot be brought back")
    if not dry_run:
        _give_to_owner(wanted.bundle_path, repository.path)
        repository.fetch(wanted.bundle_path, wanted.revision)
    return [f"take over revision {short}"]


def _give_to_owner(bundle_path: Path, root: Path) -> None:
    """Give the bundle to the account that git runs as."""
    owner = root.stat()
    os.chown(bundle_path, owner.st_uid, owner.st_gid)


def _result(outcome: str, summary: str, changed: bool, images: Sequence[str]) -> dict[str, Any]:
    return build_result(outcome, summary, changed=changed, images=list(images))
