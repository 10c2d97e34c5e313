"""Images pinned: `reference@sha256:…`, and the same image again where the reference has moved on since.

The digest is the one a registry knows the image by, where the host knows of one, else the image's own id: an image that
was built or loaded here, as in the lab, has no other. Both name one content forever.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from ..host.programs import ProgramError, Programs, said

PULL_SECONDS: Final = 900

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


class PinError(Exception):
    """An image is not there, or not the one that was pinned. The text is a sentence."""


@dataclass(frozen=True)
class Image:
    """An image that the host has: its id, and `repository@digest` of each registry it came from."""

    id: str
    digests: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pin:
    """One image forever. `reference` is what the compose file says, without a digest."""

    reference: str
    digest: str


class Images(Protocol):
    """What pinning needs of a host's images. Every method may raise ProgramError."""

    def find(self, reference: str) -> Image | None:
        """Return the image a reference or id stands for, None where the host has none."""

    def pull(self, reference: str) -> None:
        """Bring an image here."""

    def tag(self, image_id: str, reference: str) -> None:
        """Let a reference stand for an image."""


def format_pin(reference: str, image: Image) -> str:
    """Return `reference@sha256:…` of an image that the reference stands for."""
    plain, _, digest = reference.partition("@")
    of_registry = [seen.partition("@")[2] for seen in image.digests if seen.partition("@")[0] == repository_of(plain)]
    return f"{plain}@{digest or (sorted(of_registry) or [image.id])[0]}"


def parse_pin(text: str) -> Pin:
    """Return what `reference@sha256:…` says. Raises PinError."""
    reference, _, digest = text.rpartition("@")
    if not reference or not _DIGEST.fullmatch(digest):
        raise PinError(f"{text!r} does not pin an image: reference@sha256:…")
    return Pin(reference, digest)


def repository_of(reference: str) -> str:
    """Return a reference without tag and digest; a port of the registry is no tag."""
    plain = reference.partition("@")[0]
    folder, slash, name = plain.rpartition("/")
    return f"{folder}{slash}{name.partition(':')[0]}"


def disagreements(pins: Iterable[str]) -> list[str]:
    """Return the references that are pinned to more than one image: hosts that would run different things."""
    found: dict[str, set[str]] = {}
    for text in pins:
        pin = parse_pin(text)
        found.setdefault(pin.reference, set()).add(pin.digest)
    return sorted(reference for reference, digests in found.items() if len(digests) > 1)


def settle(pins: Mapping[str, str], first: Collection[str]) -> dict[str, str]:
    """Return one pin for each reference: that of what is named `first`, else of the first by name."""
    settled: dict[str, str] = {}
    for key in sorted(pins, key=lambda key: (key not in first, key)):
        settled.setdefault(parse_pin(pins[key]).reference, pins[key])
    return settled


def ensure_pinned(images: Images, text: str, may_pull: bool, dry_run: bool) -> str:
    """Return what was (dry run: would be) done so that the reference stands for the pinned image; empty for nothing.

    Raises PinError where the image is gone, and ProgramError.
    """
    pin = parse_pin(text)
    if _is(images.find(pin.reference), pin):
        return ""
    by_digest = f"{repository_of(pin.reference)}@{pin.digest}"
    found = find_pinned(images, pin)
    if not found and not may_pull:
        raise PinError(f"The image {text} is not on this host.")
    if not found and dry_run:
        return f"pull {by_digest}"
    if not found:
        try:
            images.pull(by_digest)
        except ProgramError as error:
            raise PinError(f"The image {text} is gone from this host, and no registry gave it: {error}") from error
        found = images.find(by_digest)
    if not _is(found, pin):
        raise PinError(f"{by_digest} is another image than the one that was pinned.")
    assert found is not None
    if not dry_run:
        images.tag(found.id, pin.reference)
        if not _is(images.find(pin.reference), pin):
            raise PinError(f"{pin.reference} does not stand for {pin.digest} after it was tagged so.")
    return f"let {pin.reference} stand for {pin.digest[:19]} again"


def find_pinned(images: Images, pin: Pin) -> Image | None:
    """Return the pinned image, whatever its reference stands for by now; None where the host has it no more."""
    return images.find(f"{repository_of(pin.reference)}@{pin.digest}") or images.find(pin.digest)


def ensure_present(images: Images, reference: str, dry_run: bool) -> tuple[str, str]:
    """Return the pin of the image that a reference stands for (empty: not known in a dry run) and what was done."""
    found = images.find(reference)
    if found:
        return format_pin(reference, found), ""
    if dry_run:
        return "", f"pull {reference}"
    images.pull(reference)
    found = images.find(reference)
    if not found:
        raise PinError(f"{reference} is not on this host after it was pulled.")
    return format_pin(reference, found), f"pull {reference}"


def _is(image: Image | None, pin: Pin) -> bool:
    """Return whether an image is the pinned one."""
    return image is not None and pin.digest in {image.id, *(seen.partition("@")[2] for seen in image.digests)}


class DockerImages:
    """Images over the docker command, which has the host's credentials for its registries."""

    def __init__(self, programs: Programs, docker_url: str) -> None:
        self._programs, self._docker = programs, ["docker", "--host", docker_url]

    def find(self, reference: str) -> Image | None:
        ended = self._programs.run([*self._docker, "image", "inspect", "--", reference])
        if ended.code != 0 and "no such image" in ended.stderr.lower():
            return None
        if ended.code != 0:
            raise ProgramError(f"docker image inspect ended with {ended.code}: {said(ended)}")
        return parse_image(ended.stdout)

    def pull(self, reference: str) -> None:
        self._do("pull", "--quiet", "--", reference)

    def tag(self, image_id: str, reference: str) -> None:
        self._do("tag", image_id, reference)

    def _do(self, *arguments: str) -> None:
        ended = self._programs.run([*self._docker, *arguments])
        if ended.code != 0:
            raise ProgramError(f"docker {arguments[0]} ended with {ended.code}: {said(ended)}")


def parse_image(text: str) -> Image:
    """Return the image that `docker image inspect` printed. Raises ProgramError."""
    try:
        (seen,) = json.loads(text)
        return Image(str(seen["Id"]), tuple(map(str, seen.get("RepoDigests") or ())))
    except (ValueError, KeyError, TypeError) as error:
        raise ProgramError(f"docker printed no description of one image: {error!r}.") from error
