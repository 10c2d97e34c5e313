"""A revision and its images on a host, before anything that runs is touched."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..host.programs import ProgramError
from .git import Repository, RepositoryError
from .images import Images, PinError, ensure_pinned, ensure_present, parse_pin


def ensure_fetched(
    repository: Repository,
    images: Images,
    revision: str,
    bundle_path: Path | None,
    references: Sequence[str],
    pins: Sequence[str],
    dry_run: bool,
) -> dict[str, Any]:
    """Return the module result of revision and images being on the host. Never raises."""
    done: list[str] = []
    found: list[str] = []
    try:
        if not repository.has(revision):
            if bundle_path is None:
                raise RepositoryError(
                    f"{repository.path} has no revision {revision[:10]}, so it cannot be brought back"
                )
            done.append(f"take over revision {revision[:10]}")
            if not dry_run:
                _readable_for_owner(bundle_path, repository.path)
                repository.fetch(bundle_path, revision)
        for pin in sorted(set(pins)):
            done += filter(None, [ensure_pinned(images, pin, may_pull=True, dry_run=dry_run)])
            found.append(pin)
        pinned = {parse_pin(pin).reference for pin in pins}
        for reference in sorted(set(references)):
            if reference.partition("@")[0] not in pinned:
                pin, act = ensure_present(images, reference, dry_run)
                done += filter(None, [act])
                found += filter(None, [pin])
    except (RepositoryError, ProgramError, PinError, OSError) as error:
        return _result("failed", f"{str(error).rstrip('.')}. Nothing that runs was changed", bool(done), found)
    words = "; ".join(done) or "revision and images are here"
    return _result(
        "planned" if dry_run else "proven", f"would {words}" if dry_run and done else words, bool(done), found
    )


def select_pins(pins: Mapping[str, str], pinned: Sequence[str] | None) -> list[str]:
    """Return the images of the keys that count (None: all of them), where there are any."""
    return [str(pin) for key, pin in pins.items() if pin and (pinned is None or key in pinned)]


def _readable_for_owner(bundle_path: Path, root: Path) -> None:
    """Give the bundle to anyone who git runs as."""
    owner = root.stat()
    os.chown(bundle_path, owner.st_uid, owner.st_gid)


def _result(outcome: str, summary: str, changed: bool, images: Sequence[str]) -> dict[str, Any]:
    return {
        "changed": changed,
        "outcome": outcome,
        "summary": summary,
        "next_command": "",
        "images": list(images),
    }
