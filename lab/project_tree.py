"""The reference project root as the hosts get it: the tree in lab/ai_trading_core, the runbooks, the .env files."""

from __future__ import annotations

import hashlib
import io
import tarfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROJECT_ROOT_PATH = "opt/ai_trading_core"
STATE_PATH = "var/lib/trading-core"
_TEST_IMAGES = "ops/compose/restore_test/images.env"

# Of no worth outside this machine's private network.
_PASSWORDS = {
    "POSTGRES_PASSWORD": "lab-superuser",
    "TRADING_DB_PASSWORD": "lab-trading",
    "MLFLOW_DB_PASSWORD": "lab-mlflow",
}


@dataclass(frozen=True)
class Entry:
    """A file, or with content None a folder, and whose it is on the host."""

    path: str
    mode: int
    content: bytes | None
    owner: str = "ops"
    group: str = "ops"


def build_entries(environment: Mapping[str, str], images: Mapping[str, str]) -> tuple[Entry, ...]:
    """Return everything a host gets. An empty environment means: this host runs no stack, so no .env files.

    images: the image variables alone; a restore test needs them on hosts without secrets.
    """
    files = tracked_files()
    folders = {str(parent) for name in files for parent in Path(PROJECT_ROOT_PATH, name).parents}
    entries = [Entry(name, 0o755, None) for name in sorted(folders) if name.startswith(PROJECT_ROOT_PATH)]
    # `logs` is left out on purpose: a fresh clone has none.
    entries += [
        Entry(f"{PROJECT_ROOT_PATH}/{name}", 0o755 if path.stat().st_mode & 0o100 else 0o644, path.read_bytes())
        for name, path in files.items()
    ]
    entries.append(Entry(f"{PROJECT_ROOT_PATH}/{_TEST_IMAGES}", 0o644, render_environment(images).encode()))
    if environment:
        text = render_environment(environment).encode()
        for stack in ("ops/compose", "ops/compose/trading"):
            entries.append(Entry(f"{PROJECT_ROOT_PATH}/{stack}/.env", 0o640, text, group="docker"))
    return (*entries, Entry(STATE_PATH, 0o755, None, owner="root", group="docker"))


def tracked_files() -> dict[str, Path]:
    """Return what is in Git, by its name in the project root."""
    return {**_files(ROOT / "lab/ai_trading_core", ""), **_files(ROOT / "runbooks", "runbooks/")}


def build_environment(
    images: Mapping[str, str], paper_address: str, venue_address: str, control_address: str, people_url: str
) -> dict[str, str]:
    """Return the variables of both compose files: `images` are their image variables. TRADING_MODE never is one.

    people_url: where alerts are sent for people to read.
    """
    trading, mlflow = _PASSWORDS["TRADING_DB_PASSWORD"], _PASSWORDS["MLFLOW_DB_PASSWORD"]
    return {
        **images,
        "FEED_URL": f"http://{paper_address}:8000",
        "VENUE_URL": f"http://{venue_address}:8900",
        "DATABASE_URL": f"postgresql://trading:{trading}@{paper_address}:5432/trading",
        "MLFLOW_TRACKING_URI": f"http://{paper_address}:5000",
        "MLFLOW_DATABASE_URL": f"postgresql+psycopg://mlflow:{mlflow}@timescaledb:5432/mlflow",
        "ALERT_WEBHOOK_URL": people_url,
        "ALERT_CONTROL_URL": f"https://{control_address}:9095/alerts",
        **_PASSWORDS,
    }


def render_environment(environment: Mapping[str, str]) -> str:
    """Return a .env file, as Compose reads it."""
    lines = [f"{name}={value}\n" for name, value in environment.items()]
    return "".join(["# Written by the lab; .env.example in ops/compose/trading explains each.\n", *lines])


def entries_digest(entries: Sequence[Entry]) -> str:
    """Return a digest of what the host gets, apart from when."""
    return hashlib.sha256(repr(entries).encode()).hexdigest()[:12]


def build_tar(entries: Sequence[Entry]) -> bytes:
    """Return the entries as a tar for the host's root; owners go by name, so the host's ids apply."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for entry in entries:
            member = tarfile.TarInfo(entry.path)
            member.mode, member.mtime = entry.mode, int(time.time())
            member.uname, member.gname = entry.owner, entry.group
            if entry.content is None:
                member.type = tarfile.DIRTYPE
            else:
                member.size = len(entry.content)
            tar.addfile(member, io.BytesIO(entry.content or b""))
    return buffer.getvalue()


def _files(folder: Path, prefix: str) -> dict[str, Path]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {f"{prefix}{path.relative_to(folder)}": path for path in found}
