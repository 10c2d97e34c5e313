"""The manifest of a bundle of evidence: what is in it, what each item is worth, and what was changed since."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from ..core.durable import write_durably
from ..core.strict_json import parse_json

MANIFEST: Final = "manifest.json"
STATUSES: Final = frozenset({"complete", "incomplete", "missing", "skipped", "failed"})
KEPT: Final = frozenset({"complete", "incomplete"})
"""Of these there is a file in the bundle."""

_NAME_LENGTH: Final = 96


class BundleError(Exception):
    """A bundle is not what it should be, or could not be made. The text is a sentence."""


@dataclass(frozen=True)
class Item:
    """One piece of evidence. `path` is relative to the bundle, empty where there is no file; `reason` says why not."""

    name: str
    path: str
    status: str
    reason: str = ""
    bytes: int = 0
    sha256: str = ""


def safe_name(text: str) -> str:
    """Return text as a file name: no separators, no leading dot, not too long, and different for different texts."""
    plain = re.sub(r"[^A-Za-z0-9_.~-]", "_", text).lstrip(".-") or "_"
    if plain == text and len(plain) <= _NAME_LENGTH:
        return plain
    stem, dot, ending = plain.rpartition(".") if re.search(r"\.[a-z]{2,5}$", plain) else (plain, "", "")
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:8]
    return f"{stem[: _NAME_LENGTH - 16]}~{digest}{dot}{ending}"


def build_manifest(items: Iterable[Item], about: Mapping[str, Any]) -> dict[str, Any]:
    """Return the manifest: what is said about the bundle, and its items in the order in which they came."""
    return {"format": 1, **about, "items": [asdict(item) for item in items]}


def write_manifest(root: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest of the bundle at `root`, readable for its owner only. Raises OSError."""
    write_durably(root / MANIFEST, json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
    (root / MANIFEST).chmod(0o600)


def read_manifest(root: Path) -> dict[str, Any]:
    """Return the manifest of a bundle. Raises BundleError where there is none, or it is none."""
    try:
        manifest = parse_json((root / MANIFEST).read_text(encoding="utf-8"))
        items = [Item(**item) for item in manifest["items"]]
    except OSError as error:
        raise BundleError(f"{root.name} has no manifest: {error.strerror}.") from error
    except (ValueError, TypeError, KeyError) as error:
        raise BundleError(f"The manifest of {root.name} cannot be understood.") from error
    for item in items:
        if item.status not in STATUSES or bool(item.path) != (item.status in KEPT) or not is_inside(item.path):
            raise BundleError(f"The manifest of {root.name} has an entry that is none: {item.name!r}.")
    return dict(manifest)


def verify(root: Path) -> list[str]:
    """Return in words what is not as the manifest says: changed, missing, added or renamed. Empty: all is well."""
    try:
        manifest = read_manifest(root)
    except BundleError as error:
        return [str(error)]
    listed = {item["path"]: item for item in manifest["items"] if item["path"]}
    there = {str(path.relative_to(root)): path for path in sorted(root.rglob("*")) if not path.is_dir()}
    there.pop(MANIFEST, None)
    missing = [path for path in listed if path not in there]
    added = {path: digest_of(there[path]) for path in there if path not in listed}
    found = []
    for path in missing:
        names = [name for name, digest in added.items() if digest == listed[path]["sha256"]]
        found.append(f"{root.name}/{path} was renamed to {names[0]}" if names else f"{root.name}/{path} is missing")
        added = {name: digest for name, digest in added.items() if name not in names[:1]}
    found += [f"{root.name}/{path} was added" for path in added]
    for path, item in listed.items():
        if path in there and digest_of(there[path]) != item["sha256"]:
            found.append(f"{root.name}/{path} was changed")
    return found


def add_files(root: Path, files: Mapping[str, Path]) -> dict[str, Any]:
    """Return the manifest with files that were put into the bundle afterwards, name -> path. Raises BundleError."""
    manifest = read_manifest(root)
    known = {item["path"] for item in manifest["items"]}
    for name, path in files.items():
        relative = str(path.relative_to(root))
        if relative not in known:
            item = Item(name, relative, "complete", "", path.stat().st_size, digest_of(path))
            manifest["items"].append(asdict(item))
    write_manifest(root, manifest)
    return manifest


def list_bundles(parent: Path, host: str) -> list[Path]:
    """Return the bundles of a host, the oldest first."""
    name = safe_name(host)
    found = [path for path in parent.glob(f"{name}*") if re.fullmatch(re.escape(name) + r"(~\d+)?", path.name)]
    return sorted(found, key=lambda path: int(path.name.removeprefix(name)[1:] or 1))


def next_directory(parent: Path, name: str) -> Path:
    """Return where a bundle of this name goes: evidence of an earlier collection is never replaced."""
    number, found = 1, parent / name
    while found.exists():
        number += 1
        found = parent / f"{name}~{number}"
    return found


def is_inside(path: str) -> bool:
    """Return whether a path leads to a place below the bundle."""
    return not path.startswith("/") and not {"..", "."} & set(path.split("/")) and "\0" not in path


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, empty for a link."""
    if path.is_symlink():
        return ""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
