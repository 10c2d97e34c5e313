"""Bundles on their way: from a host into the local copy of an incident, from there to the control host."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.result import build_result
from .archive import import_bundles, pack, receive, write_missing
from .manifest import MANIFEST, BundleError


@dataclass(frozen=True)
class Request:
    """What is to be done, in the words of the module `evidence_archive`."""

    state: str
    path: Path
    archive: Path
    host: str
    hosts: tuple[str, ...]
    incident_id: str
    reason: str
    most_bytes: int


def transport(request: Request, now: str, check_mode: bool) -> dict[str, Any]:
    """Return the module result."""
    if check_mode:
        return _result("planned", f"evidence would be {request.state}", [])
    try:
        if request.state != "packed":
            request.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = _ACTS[request.state](request, now)
        manifests = _digests(request.path)
    except (BundleError, OSError) as error:
        return _result("failed", f"evidence could not be {request.state}: {error}", [])
    verbs = {"received": "received", "missing": "without a bundle", "packed": "packed", "home": "synced"}
    return _result("proven", f"evidence {verbs[request.state]}: {', '.join(new) or 'nothing new'}", new, manifests)


def _digests(path: Path) -> dict[str, str]:
    """Return the SHA-256 of each bundle's manifest, by the name of its directory."""
    return {
        manifest.parent.name: hashlib.sha256(manifest.read_bytes()).hexdigest()
        for manifest in sorted(path.glob(f"*/{MANIFEST}"))
    }


def _receive(request: Request, _: str) -> list[str]:
    root = receive(request.archive, request.path, request.host, request.most_bytes)
    request.archive.unlink()
    return [root.name]


def _note_missing(request: Request, now: str) -> list[str]:
    roots = [
        write_missing(request.path, host, request.incident_id, now, f"{host}: {request.reason}")
        for host in request.hosts
    ]
    return [root.name for root in roots]


def _pack(request: Request, _: str) -> list[str]:
    request.archive.unlink(missing_ok=True)
    pack(request.path, request.archive)
    return sorted(path.name for path in request.path.iterdir() if path.is_dir())


def _add_to_primary(request: Request, _: str) -> list[str]:
    new = import_bundles(request.archive, request.path, request.most_bytes)
    request.archive.unlink()
    return new


_ACTS = {"received": _receive, "missing": _note_missing, "packed": _pack, "home": _add_to_primary}


def _result(outcome: str, summary: str, new: list[str], manifests: dict[str, str] | None = None) -> dict[str, Any]:
    return build_result(outcome, summary, changed=bool(new), new=new, manifests=manifests or {})
