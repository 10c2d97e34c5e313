"""AI_TRADING_CORE as a Git repository in the lab's folder: the operator's checkout, from which deploys are made."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from lab.machines import run

FOLDER = "ai_trading_core"
BRANCH = "main"
HOST_REF = "refs/lab/main"
"""What the lab brought, on a host. What is checked out there may be something that was deployed since."""

_GIT = ("git", "-c", "user.name=lab", "-c", "user.email=lab@localhost", "-c", "commit.gpgSign=false")
_BUNDLE = "lab.bundle"

HOST_COMMAND = f"""
set -e
cat >/run/{_BUNDLE}
chown ops /run/{_BUNDLE}
cd "$1"
runuser -u ops -- git init --quiet --initial-branch={BRANCH}
runuser -u ops -- git fetch --quiet --no-tags /run/{_BUNDLE} +{BRANCH}:{HOST_REF}
runuser -u ops -- git reset --quiet --mixed {HOST_REF}
rm /run/{_BUNDLE}
"""
"""Makes the project root on a host a checkout of the bundle on its standard input; no file of it changes."""


def ensure_repository(home: Path, files: Mapping[str, Path]) -> tuple[str, bytes]:
    """Return the name of the commit that holds exactly these files, and a bundle of it for the hosts."""
    root = home / FOLDER
    git = [*_GIT, "-C", str(root)]
    root.mkdir(parents=True, exist_ok=True)
    run([*git, "init", "--quiet", f"--initial-branch={BRANCH}"])
    for old in root.iterdir():
        if old.name != ".git":
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    for name, path in files.items():
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    run([*git, "add", "--all"])
    if run([*git, "status", "--porcelain"]):
        run([*git, "commit", "--quiet", "--message", "The reference AI_TRADING_CORE of the lab"])
    bundle = root / ".git" / _BUNDLE
    run([*git, "bundle", "create", "--quiet", str(bundle), BRANCH])
    return run([*git, "rev-parse", BRANCH]).strip(), bundle.read_bytes()


def remove_repository(home: Path) -> None:
    """Remove the repository, where there is one."""
    shutil.rmtree(home / FOLDER, ignore_errors=True)
