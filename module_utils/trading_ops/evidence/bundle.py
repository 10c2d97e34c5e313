"""A bundle of evidence: files, redacted before they were written, and a manifest that says what each is worth."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from ..core.durable import write_durably
from ..core.redaction import Piece, Redactor
from ..core.strict_json import parse_json

MANIFEST: Final = "manifest.json"
STATUSES: Final = frozenset({"complete", "incomplete", "missing", "skipped", "failed"})
KEPT: Final = frozenset({"complete", "incomplete"})
"""Of these there is a file in the bundle."""


"""Of the directories on a host in which evidence lies until it is fetched."""

TOO_LONG: Final = "it is longer than"
"""How the reason begins where an item was cut at its end."""

_RESERVE: Final = ".reserve"
_RESERVE_BYTES: Final = 512 * 1024
"""Written first and removed for the manifest: a disk that fills up shall not keep the bundle from saying so."""
_NAME_LENGTH: Final = 96
_MOST_FILES: Final = 10_000


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


class Bundle:
    """A directory that fills up with items, within bytes and time. `deadline` is a time of `clock`."""

    def __init__(
        self, root: Path, most_bytes: int, redactor: Redactor, clock: Callable[[], float], deadline: float
    ) -> None:
        self.root = root
        self.items: list[Item] = []
        self._left = most_bytes
        self._redactor = redactor
        self._clock = clock
        self._deadline = deadline
        self._names: set[str] = set()

    @property
    def left_bytes(self) -> int:
        return self._left

    @property
    def left_seconds(self) -> float:
        return self._deadline - self._clock()

    def open(self) -> None:
        """Make the directory and keep room for the manifest. Raises OSError."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.root / _RESERVE).write_bytes(bytes(_RESERVE_BYTES))

    def note(self, name: str, status: str, reason: str) -> None:
        """Record that of this item there is no file, and why."""
        self.items.append(Item(name, "", status, self._say(reason)))

    def add_text(self, name: str, path: str, text: str) -> Item:
        return self.add(name, path, [(b"", text.encode("utf-8", "replace"))])

    def add_tree(self, name: str, path: str, value: Any) -> Item:
        text = json.dumps(self._redactor.tree(value), indent=2, sort_keys=True, ensure_ascii=False)
        return self.add_text(name, path, text + "\n")

    def add(self, name: str, path: str, pieces: Iterable[Piece], most_bytes: int = 0, flaw: str = "") -> Item:
        """Write an item, redacted, and return it. Never raises: what goes wrong is its status and reason.

        flaw: why it is incomplete also where all of it can be written.
        """
        item = self._write(name, self._unique(path), pieces, min(most_bytes or self._left, self._left))
        if flaw and item.status == "complete":
            item = replace(item, status="incomplete", reason=self._say(flaw))
        self.items.append(item)
        self._left -= item.bytes
        return item

    def remove(self, item: Item) -> None:
        """Take an item out again, to be written anew."""
        self.items.remove(item)
        self._left += item.bytes
        if item.path:
            self._names.discard(item.path.lower())
            (self.root / item.path).unlink(missing_ok=True)

    def close(self, about: Mapping[str, Any]) -> dict[str, Any]:
        """Write the manifest and return it. Raises OSError."""
        (self.root / _RESERVE).unlink(missing_ok=True)
        manifest = build_manifest(self.items, {**about, "redactions": dict(sorted(self._redactor.counts.items()))})
        write_manifest(self.root, manifest)
        return manifest

    def _write(self, name: str, path: str, pieces: Iterable[Piece], most_bytes: int) -> Item:
        target = self.root / path
        troubles: list[str] = []
        size = 0
        try:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(target, "xb") as file:
                for text in self._redactor.stream(self._until_trouble(pieces, troubles)):
                    part = text[: most_bytes - size]
                    file.write(part)
                    size += len(part)
                    if len(part) < len(text):
                        troubles.append(f"{TOO_LONG} the {most_bytes} bytes that were left for it")
                        break
        except OSError as error:
            troubles.append(f"it could not be written: {error.strerror or error}")
        except Exception as error:  # the redaction: what follows is not known to be clean, what was written is
            troubles.append(f"it could not be redacted any further: {type(error).__name__}")
        return self._as_it_is(name, path, "; ".join(troubles))

    def _as_it_is(self, name: str, path: str, trouble: str) -> Item:
        """Return the item as its file now is; an empty one with a trouble is none."""
        target = self.root / path
        size = target.stat().st_size if target.is_file() else 0
        if trouble and not size:
            target.unlink(missing_ok=True)
            return Item(name, "", "failed", self._say(trouble))
        return Item(name, path, "incomplete" if trouble else "complete", self._say(trouble), size, _digest(target))

    def _until_trouble(self, pieces: Iterable[Piece], troubles: list[str]) -> Iterator[Piece]:
        """Yield the pieces until their source breaks or the time is over: what came before is kept."""
        try:
            for piece in pieces:
                yield piece
                if self.left_seconds <= 0:
                    troubles.append("the time for evidence was over")
                    return
        except Exception as error:  # an engine, a disk or a parser: each is one thing here, the end of what can be read
            troubles.append(str(error) or type(error).__name__)

    def _unique(self, path: str) -> str:
        """Return a path that is safe and that no other item has, on a file system without capital letters either."""
        wanted = "/".join(safe_name(part) for part in path.split("/"))
        stem, dot, ending = wanted.rpartition(".")
        number, found = 1, wanted
        while found.lower() in self._names or found == MANIFEST:
            number += 1
            found = f"{stem}~{number}{dot}{ending}"
        self._names.add(found.lower())
        return found

    def _say(self, reason: str) -> str:
        return "".join(char for char in self._redactor.text(reason)[:500] if char.isprintable())


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
        if item.status not in STATUSES or bool(item.path) != (item.status in KEPT) or not _is_inside(item.path):
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
    added = {path: _digest(there[path]) for path in there if path not in listed}
    found = []
    for path in missing:
        names = [name for name, digest in added.items() if digest == listed[path]["sha256"]]
        found.append(f"{root.name}/{path} was renamed to {names[0]}" if names else f"{root.name}/{path} is missing")
        added = {name: digest for name, digest in added.items() if name not in names[:1]}
    found += [f"{root.name}/{path} was added" for path in added]
    for path, item in listed.items():
        if path in there and _digest(there[path]) != item["sha256"]:
            found.append(f"{root.name}/{path} was changed")
    return found


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
                if not member.isreg() or not _is_inside(member.name) or left < 0 or files > _MOST_FILES:
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
    if troubles := verify(root):
        raise BundleError(f"The bundle of {host} is not as its manifest says: {'; '.join(troubles[:3])}.")
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
            if troubles := verify(source):
                raise BundleError("; ".join(troubles[:3]))
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


def add_files(root: Path, files: Mapping[str, Path]) -> dict[str, Any]:
    """Return the manifest with files that were put into the bundle afterwards, name -> path. Raises BundleError."""
    manifest = read_manifest(root)
    known = {item["path"] for item in manifest["items"]}
    for name, path in files.items():
        relative = str(path.relative_to(root))
        if relative not in known:
            item = Item(name, relative, "complete", "", path.stat().st_size, _digest(path))
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


def _is_inside(path: str) -> bool:
    return not path.startswith("/") and not {"..", "."} & set(path.split("/")) and "\0" not in path


def _digest(path: Path) -> str:
    if path.is_symlink():
        return ""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
