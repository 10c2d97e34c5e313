"""A revision in the operator's repository against what the hosts run, and a host's own checkout."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ..core.result import build_result
from ..host.programs import ProgramError, Programs
from .git import GONE, Repository, RepositoryError, Revision, owner_of

SHOWN: Final = 20


def observe(repository: Repository, revision: str, bases: Sequence[str], folders: Sequence[str]) -> dict[str, Any]:
    """Return the module result of a revision against what the hosts run. Never raises."""
    try:
        found = repository.resolve(revision)
        if missing := sorted({base for base in bases if not repository.has(base)}):
            # What was committed on a host would be lost from sight.
            names = ", ".join(name[:10] or "no revision" for name in missing)
            text = f"a host runs {names}, which {repository.path} does not have"
            return _result("refused", text, next_command=f"git -C {repository.path} fetch --all")
        changes = {base: repository.changes(base, found.name) for base in sorted(set(bases))}
        return _result("proven", _describe(found, changes), found, changes, repository.texts(found.name, folders))
    except (RepositoryError, ProgramError) as error:
        text = f"{repository.path} has no revision {revision!r} that could be deployed: {error}"
        return _result("refused", text, next_command=f"git -C {repository.path} log --oneline -5 (your checkout)")


def observe_checkout(root: Path, programs_of: Callable[[str], Programs]) -> dict[str, Any]:
    """Return the module result of a host's checkout: its revision and what was changed there. Never raises.

    programs_of: programs as they run under an account, empty for this process' own.
    """
    try:
        repository = Repository(programs_of(owner_of(root)), root)
        revision, modified = repository.head(), list(repository.modified())
    except (RepositoryError, ProgramError) as error:
        text = f"{root} is no Git checkout that could be read: {error}"
        fix = f"git -C {root} status (on the host)"
        return build_result("unknown", text, next_command=fix, revision="", modified=[])
    changed = f", changed here: {', '.join(modified)}" if modified else ""
    return build_result("proven", f"{root} is at {revision[:10]}{changed}", revision=revision, modified=modified)


def ensure_bundled(repository: Repository, name: str, target: Path, dry_run: bool) -> dict[str, Any]:
    """Return the module result of a bundle of the revision at `target`. Never raises."""
    try:
        if not dry_run:
            target.parent.mkdir(parents=True, exist_ok=True)
            repository.bundle(name, target)
            target.chmod(0o600)
    except (RepositoryError, ProgramError, OSError) as error:
        return build_result("failed", f"{name[:10]} was not packed: {error}")
    text = f"{name[:10]} would be packed" if dry_run else f"{name[:10]} packed, {target.stat().st_size} bytes"
    return build_result("planned" if dry_run else "proven", text)


def _describe(found: Revision, changes: Mapping[str, Mapping[str, str]]) -> str:
    paths = {path for changed in changes.values() for path in changed}
    return f"{found.name[:10]} of {found.committed_at}, {found.subject!r}: {len(paths)} files differ from what runs"


def _lines(changes: Mapping[str, Mapping[str, str]]) -> list[str]:
    paths = {path: name for changed in changes.values() for path, name in changed.items()}
    shown = [f"{'removed' if name == GONE else 'changed'}: {path}" for path, name in sorted(paths.items())]
    return shown[:SHOWN] + ([f"and {len(shown) - SHOWN} more"] if len(shown) > SHOWN else [])


def _result(
    outcome: str,
    summary: str,
    found: Revision | None = None,
    changes: Mapping[str, Mapping[str, str]] | None = None,
    texts: Mapping[str, str] | None = None,
    next_command: str = "",
) -> dict[str, Any]:
    changes = changes or {}
    return build_result(
        outcome,
        summary,
        next_command=next_command,
        revision=found.name if found else "",
        changes={base: dict(changed) for base, changed in changes.items()},
        texts=dict(texts or {}),
        lines=_lines(changes),
    )
