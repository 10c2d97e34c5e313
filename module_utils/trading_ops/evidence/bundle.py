"""A bundle of evidence: files, redacted before they were written, and a manifest that says what each is worth."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from ..core.redaction import Piece, Redactor
from .manifest import MANIFEST, Item, build_manifest, digest_of, safe_name, write_manifest

TOO_LONG: Final = "it is longer than"
"""How the reason begins where an item was cut at its end."""

_RESERVE: Final = ".reserve"
_RESERVE_BYTES: Final = 512 * 1024
"""Written first and removed for the manifest: a disk that fills up shall not keep the bundle from saying so."""


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
        problems: list[str] = []
        size = 0
        try:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(target, "xb") as file:
                for text in self._redactor.stream(self._until_problem(pieces, problems)):
                    part = text[: most_bytes - size]
                    file.write(part)
                    size += len(part)
                    if len(part) < len(text):
                        problems.append(f"{TOO_LONG} the {most_bytes} bytes that were left for it")
                        break
        except OSError as error:
            problems.append(f"it could not be written: {error.strerror or error}")
        except Exception as error:  # the redaction: what follows is not known to be clean, what was written is
            problems.append(f"it could not be redacted any further: {type(error).__name__}")
        return self._as_it_is(name, path, "; ".join(problems))

    def _as_it_is(self, name: str, path: str, problem: str) -> Item:
        """Return the item as its file now is; an empty one with a problem is none."""
        target = self.root / path
        size = target.stat().st_size if target.is_file() else 0
        if problem and not size:
            target.unlink(missing_ok=True)
            return Item(name, "", "failed", self._say(problem))
        return Item(name, path, "incomplete" if problem else "complete", self._say(problem), size, digest_of(target))

    def _until_problem(self, pieces: Iterable[Piece], problems: list[str]) -> Iterator[Piece]:
        """Yield the pieces until their source breaks or the time is over: what came before is kept."""
        try:
            for piece in pieces:
                yield piece
                if self.left_seconds <= 0:
                    problems.append("the time for evidence was over")
                    return
        except Exception as error:  # an engine, a disk or a parser: each is one thing here, the end of what can be read
            problems.append(str(error) or type(error).__name__)

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
