"""Reads what a host starts by itself: units, Quadlets, crontabs and the scripts they call. Bounded; changes nothing."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from ..core.durable import bounded
from ..core.starters import HostFiles, called_scripts

READ_SECONDS: Final = 2
"""For all of them; what was not read by then is left out. A few hundred small files take a tenth of it."""

MOST_FILES: Final = 2000
MOST_BYTES: Final = 65_536
"""Of one file: a unit or a crontab is smaller, and a larger script is none that a person wrote for this."""

UNIT_FOLDERS: Final = (
    *("etc/systemd/system", "run/systemd/system", "run/systemd/transient"),
    *("usr/local/lib/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"),
    *("etc/containers/systemd", "run/containers/systemd", "usr/share/containers/systemd"),
)
"""In systemd's order: of two units of one name the first counts."""

USER_FOLDERS: Final = (
    *("root/.config/systemd/user", "root/.config/containers/systemd"),
    *("home/*/.config/systemd/user", "home/*/.config/containers/systemd", "etc/systemd/user"),
)
"""Read last: a home that does not answer hides none of the others."""

CRON_PATTERNS: Final = (
    *("etc/crontab", "etc/anacrontab", "etc/cron.d/*", "var/spool/cron/*", "var/spool/cron/crontabs/*"),
    *("etc/cron.hourly/*", "etc/cron.daily/*", "etc/cron.weekly/*", "etc/cron.monthly/*"),
)
LIVE_PATTERNS: Final = (
    *("sys/fs/cgroup/system.slice/*.service", "sys/fs/cgroup/systemd/system.slice/*.service"),
    "sys/fs/cgroup/user.slice/user-*.slice/user@*.service/*/*.service",
)
"""A unit that runs has a control group of its name."""

_UNIT: Final = re.compile(r".+\.(?:service|timer|path|container|kube|pod)")
_LEFT_BY_AN_EDITOR: Final = re.compile(r"\..*|.*(?:~|\.(?:bak|old|orig|disabled|swp|rpm\w+|dpkg-\w+))")
"""Names in a folder of cron that cron passes over."""


def read_starter_files(root: Path = Path("/")) -> HostFiles:
    """Return what was read within READ_SECONDS. Never raises: what cannot be read is left out."""
    texts: dict[str, str] = {}
    live: set[str] = set()
    try:
        bounded(lambda: _read(root, texts, live), READ_SECONDS)
    except (OSError, TimeoutError):
        pass
    return HostFiles(texts.copy(), frozenset(live.copy()))


def _read(root: Path, texts: dict[str, str], live: set[str]) -> None:
    for pattern in LIVE_PATTERNS:
        live |= {path.name for path in root.glob(pattern)}
    for paths in (_units(root, UNIT_FOLDERS, live), _cron(root), _units(root, USER_FOLDERS, live)):
        for path in paths:
            _add(root, path, texts)
        for called in sorted(called_scripts(texts)):
            _add(root, root / called.lstrip("/"), texts)


def _units(root: Path, patterns: Sequence[str], live: set[str]) -> Iterator[Path]:
    for folder in (folder for pattern in patterns for folder in sorted(root.glob(pattern))):
        for path in _entries(folder):
            if path.name.endswith((".wants", ".requires")):
                live |= {link.name for link in _entries(path)}
            elif path.name.endswith(".d"):
                yield from (item for item in _entries(path) if item.suffix == ".conf")
            elif _UNIT.fullmatch(path.name):
                yield path
            elif "containers" in folder.parts and path.is_dir():  # of one user, or of one application
                yield from (item for item in sorted(path.rglob("*")) if _UNIT.fullmatch(item.name))


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:  # another user's, or gone meanwhile
        return []


def _cron(root: Path) -> Iterator[Path]:
    for pattern in CRON_PATTERNS:
        for path in sorted(root.glob(pattern)):
            is_script = path.parent.name in {"cron.hourly", "cron.daily", "cron.weekly", "cron.monthly"}
            if not _LEFT_BY_AN_EDITOR.fullmatch(path.name) and (not is_script or _mode(path) & 0o111):
                yield path


def _add(root: Path, path: Path, texts: dict[str, str]) -> None:
    """Keep the text of a small file; a unit that is masked (a link to /dev/null) is an empty one."""
    name = f"/{path.relative_to(root)}"
    if name in texts or len(texts) >= MOST_FILES:
        return
    mode = _mode(path)
    if stat.S_ISCHR(mode):
        texts[name] = ""
    elif stat.S_ISREG(mode):
        try:
            with open(path, "rb") as file:
                content = file.read(MOST_BYTES + 1)
        except OSError:
            return
        if len(content) <= MOST_BYTES and b"\0" not in content:
            texts[name] = content.decode("utf-8", "replace")


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError:
        return 0
