"""The lab's container images: built here once, from Debian and PyPI packages.

Every image carries a tag computed from what it is made of, so an unchanged source is never built
again and a changed one cannot be mistaken for it. `python lab/images.py build` builds them,
`python lab/images.py tags` prints the variables that the compose files take.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

Progress = Callable[[str], None]

SOURCES = Path(__file__).resolve().parent / "images"
BASE_REFERENCE = "trading-core-lab/base:trixie"
LAB_LABEL = "trading-core.lab=1"
BUILD_LIMIT_SECONDS = 900
PULL_LIMIT_SECONDS = 120
_REGISTRY = ("registry-1.docker.io", 443)
_REGISTRY_ANSWER_SECONDS = 3
_PYTHON_VERSION = "3.13"  # of Debian 13, which the app image is made of
_TAIL_LINES = 15


@dataclass(frozen=True)
class ImageSource:
    """One image: its name, the folder with its Dockerfile, and whether Python packages go into it.

    `alias_of` names an image of the same folder that this one only is another name for.
    """

    name: str
    folder: Path
    has_site_packages: bool = False
    alias_of: str = ""


IMAGES: Mapping[str, ImageSource] = {
    "app": ImageSource("app", SOURCES / "app", has_site_packages=True),
    # A name that only bots are started from, so that a stop can find a stray by its image and spare the feed.
    "bot": ImageSource("bot", SOURCES / "app", alias_of="app"),
    "prometheus": ImageSource("prometheus", SOURCES / "prometheus"),
    "alertmanager": ImageSource("alertmanager", SOURCES / "alertmanager"),
    "timescaledb": ImageSource("timescaledb", SOURCES / "timescaledb"),
}


class BuildFailed(Exception):
    """What was run, how it ended, and its last lines."""


def compose_variables(references: Mapping[str, str]) -> dict[str, str]:
    """The image variables of the compose files, as `.env` takes them: LAB_IMAGE_APP=… and so on."""
    return {f"LAB_IMAGE_{name.upper()}": reference for name, reference in references.items()}


def image_references() -> dict[str, str]:
    """Name to reference of every image, as the present sources make them; nothing is built."""
    return {name: image_reference(source) for name, source in IMAGES.items()}


def image_reference(source: ImageSource) -> str:
    """The image's full reference. The tag covers every file that goes in, the machine and the base."""
    digest = hashlib.sha256(f"{platform.machine()} {BASE_REFERENCE}".encode())
    for path in (*_files(source.folder), *_files(SOURCES / "common")):
        digest.update(f"\0{path.name}\0{path.stat().st_mode & 0o111}\0".encode())
        digest.update(path.read_bytes())
    return f"trading-core-lab/{source.name}:{digest.hexdigest()[:12]}"


def build_images(progress: Progress, names: Sequence[str] = tuple(IMAGES)) -> dict[str, str]:
    """Name to reference of the images, each of which exists afterwards. BuildFailed says what broke."""
    references = {name: image_reference(IMAGES[name]) for name in names}
    missing = [IMAGES[name] for name in names if image_id(references[name]) is None]
    if not missing:
        return references
    aliases = [source for source in missing if source.alias_of]
    missing = [source for source in missing if not source.alias_of]
    # Two at a time: a build waits for downloads and for the disk about half of the time.
    with ThreadPoolExecutor(max_workers=2) as pool:
        fetches = [pool.submit(ensure_site_packages, s, progress) for s in missing if s.has_site_packages]
        ensure_base(progress)
        for fetch in fetches:
            fetch.result()
        for build in [pool.submit(build_image, source, references[source.name], progress) for source in missing]:
            build.result()
    for source in aliases:
        argv = ["docker", "tag", references[source.alias_of], references[source.name]]
        _run(argv, f"image {source.name}", progress, {})
    return references


def build_image(source: ImageSource, reference: str, progress: Progress) -> None:
    """Build one image from its folder, the common files and, where it takes them, the Python packages."""
    with _alone(source.name):
        if image_id(reference) is None:
            _build_image(source, reference, progress)


def _build_image(source: ImageSource, reference: str, progress: Progress) -> None:
    started = time.monotonic()
    progress(f"image {source.name}: building")
    with tempfile.TemporaryDirectory(prefix="trading-core-image-") as scratch:
        context = Path(scratch, "context")
        shutil.copytree(source.folder, context, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(SOURCES / "common", context, dirs_exist_ok=True)
        if source.has_site_packages:
            fetched = ensure_site_packages(source, progress)
            shutil.copytree(fetched, context / "site-packages", symlinks=True, copy_function=_link)
        argv = ["docker", "build", "--tag", reference, "--label", LAB_LABEL, str(context)]
        # The legacy builder: it is what a Debian 12 engine has, and it keeps layers between builds.
        _run(argv, f"image {source.name}", progress, {"DOCKER_BUILDKIT": "0"})
    progress(f"image {source.name}: built in {time.monotonic() - started:.0f} s as {reference}")


def ensure_base(progress: Progress) -> str:
    """The id of the Debian base image: there already, pulled where a registry answers, or bootstrapped."""
    with _alone("base"):
        present = image_id(BASE_REFERENCE)
        if present is not None:
            return present
        if not (_registry_answers() and _pull_base(progress)):
            _bootstrap_base(progress)
    made = image_id(BASE_REFERENCE)
    if made is None:
        raise BuildFailed(f"{BASE_REFERENCE} does not exist after it was made without an error")
    return made


def ensure_site_packages(source: ImageSource, progress: Progress) -> Path:
    """A folder with the locked packages for the image's Python, fetched by hash once per lock file."""
    requirements, title, machine = source.folder / "requirements.txt", f"image {source.name}", platform.machine()
    key = hashlib.sha256(f"{machine} {_PYTHON_VERSION}\0".encode() + requirements.read_bytes()).hexdigest()[:12]
    target = cache_folder() / f"site-packages-{key}"
    if target.is_dir():
        return target
    progress(f"{title}: fetching Python packages by hash")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="site-packages-", dir=target.parent) as scratch:
        fetched = Path(scratch, "fetched")
        argv = [uv_path(), "pip", "install", "--target", str(fetched), "--require-hashes", "--no-deps"]
        argv += ["--only-binary", ":all:", "--python-version", _PYTHON_VERSION]
        argv += ["--python-platform", f"{machine}-manylinux_2_28", "--requirements", str(requirements)]
        _run(argv, title, progress, {})
        _strip(fetched)
        # A rename, so that a fetch that was killed half-way never looks like a finished one.
        fetched.rename(target)
    return target


def image_id(reference: str) -> str | None:
    """The id of an image the engine has, None where it has none. BuildFailed where it cannot say."""
    argv = ["docker", "image", "inspect", "--format", "{{.Id}}", reference]
    try:
        answer = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildFailed(f"docker did not answer: {error}") from error
    if answer.returncode == 0:
        return answer.stdout.strip()
    if "No such image" in answer.stderr:
        return None
    raise BuildFailed(f"{' '.join(argv)} ended with {answer.returncode}: {answer.stderr.strip()}")


def cache_folder() -> Path:
    """Where fetched packages are kept between builds."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "trading-core-lab"


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Make an image in one process at a time: the lab and the tests beside it want the same ones at once."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    with (cache_folder() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _files(folder: Path) -> Iterator[Path]:
    yield from sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _link(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def _strip(site_packages: Path) -> None:
    """Take out what runs nowhere in the lab: the packages' own tests, type stubs and console scripts."""
    for tests in [path for path in site_packages.rglob("tests") if path.is_dir()]:
        shutil.rmtree(tests)
    for stub in site_packages.rglob("*.pyi"):
        stub.unlink()
    shutil.rmtree(site_packages / "bin", ignore_errors=True)


def uv_path() -> str:
    """Return uv: beside this Python, where UV says, or on PATH."""
    beside = Path(sys.executable).with_name("uv")
    found = os.environ.get("UV") or (str(beside) if beside.exists() else shutil.which("uv"))
    if found is None:
        raise BuildFailed("uv was not found beside this Python or on PATH; `pip install uv` brings it")
    return found


def _registry_answers() -> bool:
    try:
        with socket.create_connection(_REGISTRY, timeout=_REGISTRY_ANSWER_SECONDS):
            return True
    except OSError:
        return False


def _pull_base(progress: Progress) -> bool:
    """Whether debian:trixie-slim came within its time limit; where not, the bootstrap takes over."""
    official = "debian:trixie-slim"
    progress(f"image base: pulling {official}")
    try:
        for argv, limit_seconds in (
            (["docker", "pull", "--quiet", official], PULL_LIMIT_SECONDS),
            (["docker", "tag", official, BASE_REFERENCE], 60),
        ):
            subprocess.run(argv, capture_output=True, timeout=limit_seconds, check=True)
    except (OSError, subprocess.SubprocessError):
        progress("image base: the registry did not deliver, using Debian packages")
        return False
    return True


def _bootstrap_base(progress: Progress) -> None:
    if shutil.which("mmdebstrap") is None:
        raise BuildFailed("no registry answers and mmdebstrap is missing; `apt-get install mmdebstrap` brings it")
    progress("image base: bootstrapping Debian 13")
    with tempfile.TemporaryDirectory(prefix="trading-core-base-") as scratch:
        tar = str(Path(scratch, "base.tar"))
        # Documentation and translations are left out here, and so in every image made from this one.
        unwanted = ("doc", "man", "info", "locale", "lintian")
        excluded = [f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in unwanted]
        argv = ["mmdebstrap", "--variant=minbase", *excluded, "trixie", tar]
        _run(argv, "image base", progress, {})
        change = f"LABEL {LAB_LABEL}"
        _run(["docker", "import", "--change", change, tar, BASE_REFERENCE], "image base", progress, {})


def _run(argv: Sequence[str], title: str, progress: Progress, environment: Mapping[str, str]) -> None:
    """Run a command to its end, passing its steps on. BuildFailed carries the command and its last lines."""
    tail: deque[str] = deque(maxlen=_TAIL_LINES)
    deadline = time.monotonic() + BUILD_LIMIT_SECONDS
    command = " ".join(argv)
    try:
        process = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **environment}
        )
    except OSError as error:
        raise BuildFailed(f"{title}: `{command}` could not be started: {error}") from error
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip():
                tail.append(line.rstrip())
            if line.startswith("Step "):
                progress(f"{title}: {line.strip()}")
            if time.monotonic() > deadline:
                process.kill()
                tail.append(f"stopped after {BUILD_LIMIT_SECONDS} s")
    if process.returncode != 0:
        raise BuildFailed(f"{title}: `{command}` ended with {process.returncode}\n" + "\n".join(tail))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("action", choices=["build", "tags"])
    action = parser.parse_args().action
    try:
        references = build_images(lambda line: print(line, flush=True)) if action == "build" else image_references()
    except BuildFailed as error:
        print(error, file=sys.stderr)
        return 1
    for variable, reference in compose_variables(references).items():
        print(f"{variable}={reference}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
