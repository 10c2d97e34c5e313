"""A Git repository, asked through git itself: which revision it is at, what differs, and how another one comes into it.

Hooks of the repository are never run, and reading never writes: not even the index that `git status` likes to refresh.
"""

from __future__ import annotations

import os
import pwd
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..host.programs import Ended, ProgramError, Programs, checked

GIT_SECONDS: Final = 120

HOST_ENVIRONMENT: Final[Mapping[str, str]] = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "HOME": "/",
}
"""On a host git runs as the owner of the checkout, who may not read the home of root."""

GONE: Final = "0" * 40
RELEASE_REFS: Final = "refs/trading-core/releases"
"""Keeps every revision that was released here: Git removes after weeks what no reference holds."""

_GIT: Final = (
    "git",
    "--no-optional-locks",
    *(
        "-c",
        "core.hooksPath=/dev/null",
        "-c",
        "core.fsmonitor=false",
        "-c",
        "gc.auto=0",
        "-c",
        "maintenance.auto=false",
    ),
)

_BUNDLED: Final = "refs/heads/release"
_REVISION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/~^{}@-]{0,199}")
_FULL: Final = re.compile(r"[0-9a-f]{40}")
_TEXT_BYTES: Final = 262_144
_TEXT_SUFFIXES: Final = (".yml", ".yaml", ".env")


class RepositoryError(Exception):
    """The repository does not do what is asked. The text is a sentence."""


@dataclass(frozen=True)
class Revision:
    """A commit: its full name, the first line of its message, and its time."""

    name: str
    subject: str
    committed_at: str


class Repository:
    """The repository at `path`, over programs that run as an account that may write it."""

    def __init__(self, programs: Programs, path: Path) -> None:
        self._programs, self.path = programs, path

    def head(self) -> str:
        """Return the full name of the revision that is checked out."""
        return self._ask("rev-parse", "--verify", "HEAD^{commit}").strip()

    def resolve(self, revision: str) -> Revision:
        """Return what a branch, tag or name of a commit stands for. Raises RepositoryError."""
        if not _REVISION.fullmatch(revision):
            raise RepositoryError(f"{revision!r} is no revision.")
        asked = ["log", "-1", "--format=%H%x00%s%x00%cI", "--no-show-signature", "--end-of-options", revision, "--"]
        name, subject, committed_at = self._ask(*asked).strip().split("\0")
        return Revision(name, subject, committed_at)

    def has(self, name: str) -> bool:
        """Return whether the commit of this full name is there."""
        if not _FULL.fullmatch(name):
            return False
        return self._run("cat-file", "-e", f"{name}^{{commit}}").code == 0

    def modified(self) -> tuple[str, ...]:
        """Return the files of the revision that read differently on disk, or are gone from it."""
        listed = self._ask("status", "--porcelain=v1", "-z", "--untracked-files=no", "--no-renames")
        return tuple(sorted(entry[3:] for entry in listed.split("\0") if entry))

    def tracked(self, paths: Sequence[str]) -> frozenset[str]:
        """Return those of the paths that belong to the revision that is checked out."""
        if not paths:
            return frozenset()
        return frozenset(filter(None, self._ask("ls-files", "-z", "--", *paths).split("\0")))

    def blob(self, path: str) -> str:
        """Return the name that the file's present content has, GONE where there is no file."""
        if not (self.path / path).is_file():
            return GONE
        return self._ask("hash-object", "--", path).strip()

    def changes(self, base: str, name: str) -> dict[str, str]:
        """Return what differs between two revisions: path -> name of its content in the second, GONE for removed."""
        raw = self._ask("diff", "--raw", "-z", "--no-abbrev", "--no-renames", "--no-ext-diff", base, name, "--")
        fields = raw.split("\0")
        return {path: meta.split()[3] for meta, path in zip(fields[::2], fields[1::2], strict=False) if meta}

    def texts(self, name: str, folders: Sequence[str]) -> dict[str, str]:
        """Return the text of all YAML and env files below the folders of a revision, by path."""
        found = {}
        for entry in filter(None, self._ask("ls-tree", "-r", "-l", "-z", name, "--", *folders).split("\0")):
            meta, _, path = entry.partition("\t")
            kind, size = meta.split()[1], meta.split()[3]
            if kind == "blob" and path.endswith(_TEXT_SUFFIXES) and int(size) <= _TEXT_BYTES:
                found[path] = self._ask("cat-file", "blob", f"{name}:{path}")
        return found

    def bundle(self, name: str, target: Path) -> None:
        """Write the revision with its history into one file, for a host that reaches no other repository."""
        objects = (self.path / self._ask("rev-parse", "--git-path", "objects").strip()).resolve()
        # A repository of its own, since only a reference can be bundled and this one is left as it is.
        with tempfile.TemporaryDirectory(prefix="trading-core-bundle-") as scratch:
            self._tool("init", "--quiet", "--bare", scratch)
            Path(scratch, "objects", "info", "alternates").write_text(f"{objects}\n", encoding="utf-8")
            self._tool("--git-dir", scratch, "update-ref", _BUNDLED, name)
            self._tool("--git-dir", scratch, "bundle", "create", "--quiet", str(target), _BUNDLED)

    def fetch(self, bundle: Path, name: str) -> None:
        """Take a revision out of a bundle; nothing that is checked out changes. Raises RepositoryError."""
        self._ask("fetch", "--quiet", "--no-tags", str(bundle), f"+{_BUNDLED}:{RELEASE_REFS}/{name}")
        if not self.has(name) or self._ask("rev-parse", f"{RELEASE_REFS}/{name}").strip() != name:
            raise RepositoryError(f"The bundle does not hold {name}.")

    def switch(self, name: str, already_target: Sequence[str], preserved: Sequence[str] = ()) -> None:
        """Check a revision out. Files that were changed here stay as they are; where both changed git refuses.

        `already_target` were changed here into what the revision holds: they count as taken over. `preserved` stay as
        they are though the revision changes them, and count as changed here.
        """
        if already_target:
            self._ask("add", "--", *already_target)
        self._ask("update-ref", f"{RELEASE_REFS}/{name}", name)
        if preserved:
            # What the index has from the revision already is not written: a bot may read the file at any moment.
            self._ask("reset", "--quiet", name, "--", *preserved)
        self._ask("-c", "advice.detachedHead=false", "checkout", "--quiet", "--detach", name, "--")

    def _ask(self, *arguments: str) -> str:
        ended = self._run(*arguments)
        if ended.code != 0:
            text = " ".join((ended.stderr or ended.stdout).split())
            raise RepositoryError(f"git {arguments[0]} in {self.path} ended with {ended.code}: {text[:300]}.")
        return ended.stdout

    def _run(self, *arguments: str) -> Ended:
        # From there: the account it runs as may not read the folder that this process was started in.
        return self._programs.run([*_GIT, "-C", str(self.path), *arguments], cwd=self.path)

    def _tool(self, *arguments: str) -> None:
        checked(f"git {arguments[0]}", self._programs.run([*_GIT, *arguments]))


def owner_of(path: Path) -> str:
    """Return the account that owns the checkout, empty where it is this process' own or has no name."""
    try:
        owner = path.stat().st_uid
        return "" if owner == os.geteuid() else pwd.getpwuid(owner).pw_name
    except (OSError, KeyError) as error:
        raise ProgramError(f"The owner of {path} is not known: {error}.") from error
