"""Python packages for hosts of the lab that run jobs: they have no way to PyPI, so this machine fetches them by hash.

What they get is uv, and a cache of uv's with every locked package. `./runbook` there makes its environment as anywhere,
from the same lock with the same hashes, only that pip and uv are told to look nowhere else (inventories/lab).
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from lab.images import BuildFailed, cache_folder, uv_path
from lab.machines import run

ROOT = Path(__file__).resolve().parents[1]
HOST_FOLDER = "/var/cache/trading-core-lab"
# Of Debian 13, which the hosts are made of. uv there takes the newest wheel that the C library carries, so this has to.
_PYTHON_VERSION = "3.13"
_SYSTEM = f"{platform.machine()}-manylinux_2_40"
_LIMIT_SECONDS = 600
_MARK = ".key"

Say = Callable[[str], None]


def key() -> str:
    """Return what names the packages: the locked ones, for this machine's processor."""
    digest = hashlib.sha256(f"{_SYSTEM} {_PYTHON_VERSION}".encode())
    for name in ("bootstrap.txt", "uv.lock"):
        digest.update(b"\0" + (ROOT / name).read_bytes())
    return digest.hexdigest()[:12]


def ensure_on(host: str, say: Say) -> None:
    """Give the host the packages, unless it has these."""
    into_host = ["docker", "exec", "--interactive", host]
    if run([*into_host, "sh", "-c", f"cat {HOST_FOLDER}/{_MARK} 2>/dev/null || true"]).strip() == key():
        return
    archive = ensure_fetched(say)
    run([*into_host, "sh", "-c", f"rm -rf {HOST_FOLDER} && mkdir -p {HOST_FOLDER}"])
    with open(archive, "rb") as file:
        argv = [*into_host, "tar", "--extract", f"--directory={HOST_FOLDER}"]
        ended = subprocess.run(argv, stdin=file, capture_output=True, timeout=_LIMIT_SECONDS, check=False)
    if ended.returncode != 0:
        raise BuildFailed(f"{host} did not take the packages: {ended.stderr.decode(errors='replace').strip()}")
    run([*into_host, "sh", "-c", f"cat >{HOST_FOLDER}/{_MARK}"], stdin=key().encode())
    say(f"{host}: Python packages for its jobs written")


def ensure_fetched(say: Say) -> Path:
    """Return an archive with uv's wheel (`wheels`) and the locked packages (`uv`), fetched once per lock."""
    target = cache_folder() / f"python-packages-{key()}.tar"
    if target.is_file():
        return target
    say("packages for jobs: fetching by hash")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="python-packages-", dir=target.parent) as scratch:
        fetched, environment = (
            Path(scratch, "fetched"),
            {**os.environ, "UV_CACHE_DIR": str(Path(scratch, "fetched/uv"))},
        )
        requirements = Path(scratch, "requirements.txt")
        _run([uv_path(), "export", "--quiet", "--locked", "--no-dev", "--output-file", str(requirements)], environment)
        _run(
            [
                *(uv_path(), "pip", "install", "--quiet", "--require-hashes", "--no-deps", "--only-binary", ":all:"),
                *("--python-version", _PYTHON_VERSION, "--python-platform", _SYSTEM),
                *("--target", str(Path(scratch, "thrown-away")), "--requirements", str(requirements)),
            ],
            environment,
        )
        _run(
            [
                # uv itself is what pip has to bring there; the one beside it brings it here.
                *(str(Path(uv_path()).with_name("pip")), "download", "--quiet", "--disable-pip-version-check"),
                *("--no-deps", "--require-hashes", "--only-binary", ":all:", "--dest", str(fetched / "wheels")),
                *("--requirement", str(ROOT / "bootstrap.txt")),
            ],
            environment,
        )
        # Not compressed: it never leaves this machine, and packing it smaller would take longer than everything else.
        made = shutil.make_archive(str(Path(scratch, "packages")), "tar", fetched)
        Path(made).rename(target)
    return target


def _run(argv: list[str], environment: dict[str, str]) -> None:
    ended = subprocess.run(
        argv, cwd=ROOT, env=environment, capture_output=True, timeout=_LIMIT_SECONDS, check=False, text=True
    )
    if ended.returncode != 0:
        last_lines = "\n".join(ended.stderr.strip().splitlines()[-5:])
        raise BuildFailed(f"packages for jobs: `{' '.join(argv)}` ended with {ended.returncode}: {last_lines}")
