"""See what a host runs, and plan what a release changes of it; nothing here changes a host.

The plan is made from the release's own files before they are on the host: Compose reads them from a scratch folder as
if they lay in the checkout.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final

from ..compose.config import ComposeError, Project, Service, read_services
from ..core.bots import PROJECT_LABEL
from ..host.engine import Engine
from ..state import desired as desired_state
from .git import GONE, Repository, RepositoryError
from .images import Image, Images, PinError, disagreements, find_pinned, format_pin, parse_pin, settle
from .plan import Refusal, Rules, Seen, StackPlan, parse_seen, plan_stack, select_up
from .request import Host, Request, Stack

SCHEMA_FILE: Final = "schema.yml"
"""Beside the first compose file of the trading stack: `schema_supported_max: 3`, the newest schema this code knows."""

CONFIG_FOLDER: Final = "config/"
"""Sizes and limits: what changes there is named, above all where a rollback makes a size larger again."""

_SCHEMA: Final = re.compile(r"^schema_supported_max:\s*([0-9]{1,9})\s*(?:#.*)?$", re.MULTILINE)


@dataclass(frozen=True)
class Planned:
    """What was seen and what follows from it. `same` are files that were changed here into what the release holds,
    `keep` those it changes and that stay as they are, `kept` all that stay as they were changed here. `missing` are
    services without an image here, `needed` the references of those of them that are `up`: to run.
    """

    before: str
    kept: tuple[str, ...]
    same: tuple[str, ...]
    keep: tuple[str, ...]
    config: tuple[str, ...]
    hashes: Mapping[str, str]
    hashes_before: Mapping[str, str]
    images: Mapping[str, str]
    images_before: Mapping[str, str]
    references: tuple[str, ...]
    missing: tuple[str, ...]
    needed: tuple[str, ...]
    up: tuple[str, ...]
    stacks: tuple[tuple[Stack, StackPlan], ...]
    refusals: tuple[Refusal, ...]
    schema_supported_max: int | None
    feed_runs: bool

    def differs(self, key: str) -> bool:
        """Return whether a service is another one by the release."""
        before, after = (self.hashes_before, self.images_before), (self.hashes, self.images)
        return any(old.get(key) != new.get(key) for old, new in zip(before, after, strict=True))

    def changes(self, revision: str) -> bool:
        """Return whether anything on the host becomes different."""
        return self.before != revision or any(move.changes for _, plan in self.stacks for move in plan.moves)


def observe_and_plan(request: Request, host: Host, engine: Engine) -> Planned:
    """Return what the host is at and what the release changes. Writes nothing but a scratch folder."""
    repository, images = host.repository, _Remembered(host.images)
    before, modified = repository.head(), repository.modified()
    changes, texts = _release_files(request, repository, before)
    same = tuple(path for path in sorted(changes) if repository.blob(path) == changes[path] != GONE)
    # By their real paths, as the mounts below: one reached over a link must not look like another.
    root = repository.path.resolve()
    keep = tuple(path for path in request.keep if path in changes and path not in same)
    changes = {path: name for path, name in changes.items() if path not in keep}
    changed = {str(root / path) for path in changes if path not in same}
    refusals = _conflicts(repository, changes, modified, same)
    desired, trouble = desired_state.read_quietly(request.state_path)
    if trouble:
        refusals.append(Refusal(trouble.rstrip("."), f"ls -la {request.state_path} (on the host)"))
    with tempfile.TemporaryDirectory(prefix="trading-core-release-") as scratch:
        _write_texts(Path(scratch), texts)
        looks = [
            _Look(
                stack,
                observe_stack(engine, stack.name),
                read_stack(request, host, stack, Path(scratch), texts),
                read_stack(request, host, stack, None, texts),
                _started(desired, stack),
                request.rules,
            )
            for stack in request.stacks
        ]
    up = {f"{look.stack.name}/{name}" for look in looks for name in look.up}
    pinned = {key: pin for look in looks for key, pin in look.pinned(request).items()}
    # A reference stands for one image: for what runs, or is to run. What is stopped takes that at its next start.
    settled = settle(pinned, up)
    plans = [
        plan_stack(
            look.services,
            look.present,
            look.seen,
            look.started,
            changed,
            _image_ids(images, look.services, settled),
            request.rules,
        )
        for look in looks
    ]
    supported = request.schema_supported_max
    if supported is None:
        supported = read_supported_max(request.stacks, texts)
    pins = {key: pin for look in looks for key, pin in look.pins(settled, images).items()}
    refusals += [
        Refusal(f"{look.stack.name}: {item.sentence}", item.next_command)
        for look, plan in zip(looks, plans, strict=True)
        for item in plan.refusals
    ]
    refusals += [item for look in looks for item in look.moved_references(request)]
    refusals += schema_refusals(request, supported)
    refusals += _disagreements(request, pins, {key: pin for key, pin in pinned.items() if key in up})
    return Planned(
        before=before,
        kept=tuple(sorted({path for path in modified if path not in same} | set(keep))),
        same=tuple(path for path in same if path in modified),
        keep=keep,
        config=tuple(path for path in sorted(changes) if path not in same and path.startswith(CONFIG_FOLDER)),
        hashes={key: one for look in looks for key, one in look.hashes(look.services).items()},
        hashes_before={key: one for look in looks for key, one in look.hashes(look.present).items()},
        images=pins,
        images_before=_images_before(looks, images),
        references=tuple(sorted({item.image for look in looks for item in look.there(look.services).values()})),
        missing=tuple(key for key, pin in pins.items() if not pin),
        needed=tuple(
            sorted(
                {
                    service.image
                    for look in looks
                    for key, service in look.there(look.services).items()
                    if key in up and not pins[key]
                }
            )
        ),
        up=tuple(sorted(up)),
        stacks=tuple((look.stack, plan) for look, plan in zip(looks, plans, strict=True)),
        refusals=tuple(refusals),
        schema_supported_max=supported,
        feed_runs=any(request.rules.feed_service in look.up for look in looks),
    )


@dataclass(frozen=True)
class _Look:
    """One stack: its containers, its services by the release and by the checkout as it is, and what was started."""

    stack: Stack
    seen: Sequence[Seen]
    services: Mapping[str, Service]
    present: Mapping[str, Service]
    started: Collection[str]
    rules: Rules

    @property
    def up(self) -> tuple[str, ...]:
        """Return the services that are to run."""
        return select_up(self.services, self.seen, self.started, self.rules)

    def there(self, services: Mapping[str, Service]) -> dict[str, Service]:
        """Return those of the services that the host has to do with, by `project/service`."""
        names = {item.container.service for item in self.seen if not item.container.one_off} | set(self.up)
        return {f"{self.stack.name}/{name}": services[name] for name in sorted(names) if name in services}

    def hashes(self, services: Mapping[str, Service]) -> dict[str, str]:
        return {key: service.config_hash for key, service in self.there(services).items()}

    def pinned(self, request: Request) -> dict[str, str]:
        """Return the image of each service that the release pins."""
        return {key: pin for key in self.there(self.services) if (pin := request.pins.get(key))}

    def pins(self, settled: Mapping[str, str], images: Images) -> dict[str, str]:
        """Return the image of each service by the release, empty for one that has to be brought here."""
        return {
            key: settled.get(_plain(service)) or _pin(images, service.image, "")
            for key, service in self.there(self.services).items()
        }

    def pins_before(self, images: Images) -> dict[str, str]:
        """Return the image that each service runs, or that a start would take."""
        return {
            key: _pin(images, service.image, _running_id(self.seen, service))
            for key, service in self.there(self.present).items()
        }

    def moved_references(self, request: Request) -> list[Refusal]:
        """Return services that would not run the image that is pinned, since something outside of Git names another."""
        return [
            Refusal(
                f"{key} ran {parse_pin(pin).reference}, and the host's .env files now say {service.image}",
                "",
            )
            for key, service in self.there(self.services).items()
            if (pin := request.pins.get(key)) and parse_pin(pin).reference != _plain(service)
        ]


class _Remembered:
    """Images that are asked for once: looking changes none of them."""

    def __init__(self, images: Images) -> None:
        self._images, self._found = images, dict[str, Image | None]()

    def find(self, reference: str) -> Image | None:
        if reference not in self._found:
            self._found[reference] = self._images.find(reference)
        return self._found[reference]

    def pull(self, reference: str) -> None:
        raise PinError(f"Looking never pulls {reference}.")

    def tag(self, image_id: str, reference: str) -> None:
        raise PinError(f"Looking never tags {reference}.")


def _started(desired: Mapping[str, Mapping[str, str]], stack: Stack) -> set[str]:
    """Return the services of a stack that somebody started and nobody stopped since."""
    wanted = {key.rpartition("/") for key, entry in desired.items() if entry.get("state") == "started"}
    return {service for project, _, service in wanted if project == stack.name}


def observe_stack(engine: Engine, project: str) -> list[Seen]:
    """Return the containers of a project with what they have mounted."""
    listed = engine.containers([f"{PROJECT_LABEL}={project}"])
    described = [engine.inspect(summary["Id"]) for summary in listed]
    found = [parse_seen(item) for item in described if item is not None]
    return [replace(item, binds=tuple(str(Path(path).resolve()) for path in item.binds)) for item in found]


def schema_refusals(request: Request, supported: int | None) -> list[Refusal]:
    """Return why the database forbids the release; nothing where it does not, or a backup is named that replaces it."""
    if not request.schema_versions or request.schema_waived:
        return []
    known = [version for version in request.schema_versions if version is not None]
    if len(known) < len(request.schema_versions):
        words = "which schema the database has is not known, so nothing tells whether this release can work with it"
        return [Refusal(words, "docker ps -a (on each paper host; start its database)")]
    if supported is None:
        where = f"{SCHEMA_FILE} beside the trading stack's compose file"
        return [Refusal(f"the release does not say which schema it supports ({where})", "")]
    if max(known) > supported:
        words = f"the database has schema {max(known)}, and the release supports at most {supported}"
        return [
            Refusal(words, "./runbook backup_info (then name the set that is to be restored: -e restore_set=SET-…)")
        ]
    return []


def read_supported_max(stacks: Sequence[Stack], texts: Mapping[str, str]) -> int | None:
    """Return the newest schema that the release's code knows, None where it does not say."""
    for stack in stacks:
        for file in stack.files:
            text = texts.get(str(PurePosixPath(file).with_name(SCHEMA_FILE)), "")
            if found := _SCHEMA.search(text):
                return int(found[1])
    return None


def _release_files(
    request: Request, repository: Repository, before: str
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    if request.texts is not None and request.changes is not None:
        return request.changes, request.texts
    if not repository.has(request.revision):
        raise RepositoryError(
            f"{repository.path} has no revision {request.revision[:10]}, so it cannot be brought back."
        )
    folders = sorted({str(PurePosixPath(file).parent) for stack in request.stacks for file in stack.files})
    return repository.changes(before, request.revision), repository.texts(request.revision, folders)


def _conflicts(
    repository: Repository, changes: Mapping[str, str], modified: Sequence[str], same: Sequence[str]
) -> list[Refusal]:
    """Return what was changed on this host, and would be changed by the release too: nobody's work is thrown away."""
    both = sorted(set(changes) & set(modified) - set(same))
    tracked = repository.tracked(sorted(changes))
    strange = [path for path in sorted(changes) if path not in tracked and (repository.path / path).exists()]
    look = f"git -C {repository.path} diff"
    return [
        *(
            Refusal(f"{path} was changed on this host, and the release changes it too", f"{look} {path} (on the host)")
            for path in both
        ),
        *(
            Refusal(
                f"{path} is on this host without Git, and the release brings one",
                f"ls -la {repository.path / path} (on the host)",
            )
            for path in strange
        ),
    ]


def read_stack(
    request: Request, host: Host, stack: Stack, scratch: Path | None, texts: Mapping[str, str]
) -> dict[str, Service]:
    """Return the services of a stack, from the release's files in `scratch` or as they are in the checkout."""
    root = host.repository.path
    project = Project(root, stack.files, stack.name, stack.profiles, (), stack.variables, request.docker_url)
    if scratch is None:
        return read_services(project, host.tools.run)
    if absent := [file for file in stack.files if file not in texts]:
        raise ComposeError(f"The release has no {', '.join(absent)}.", "refused")
    directory = str(root / PurePosixPath(stack.files[0]).parent)
    files = tuple(str(scratch / file) for file in stack.files)
    return read_services(replace(project, files=files, directory=directory), host.tools.run)


def _write_texts(scratch: Path, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        path = scratch / name
        if not path.resolve().is_relative_to(scratch.resolve()):
            raise RepositoryError(f"{name!r} is no path in a checkout.")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _images_before(looks: Sequence[_Look], images: Images) -> dict[str, str]:
    """Return the image of each service that has one; what does not run has that of what runs from its reference."""
    pins = {key: pin for look in looks for key, pin in look.pins_before(images).items() if pin}
    running = {
        key for look in looks for key, service in look.there(look.present).items() if _running_id(look.seen, service)
    }
    settled = settle(pins, running)
    return {key: pin if key in running else settled[parse_pin(pin).reference] for key, pin in pins.items()}


def _disagreements(request: Request, pins: Mapping[str, str], up: Mapping[str, str]) -> list[Refusal]:
    """Return the references that would have to stand for two images. `up`: what is pinned of what is to run.

    Pins on record are what ran on this host: other hosts ran what they ran.
    """
    if request.pins:
        return [
            Refusal(f"{reference} ran as more than one image, and only one of them can come back under it", "")
            for reference in disagreements(up.values())
        ]
    return [
        Refusal(f"{reference} is another image on another host: load the same one everywhere, or name it by digest", "")
        for reference in disagreements([pin for pin in (*pins.values(), *request.pins_elsewhere) if pin])
    ]


def _plain(service: Service) -> str:
    """Return the reference of a service's image without a digest, as pins have it."""
    return service.image.partition("@")[0]


def _image_ids(
    images: Images, services: Mapping[str, Service], settled: Mapping[str, str]
) -> Callable[[str], str | None]:
    """Return what tells the id that a reference will have: that of its pin, where it has one."""
    pinned = {service.image: parse_pin(pin) for service in services.values() if (pin := settled.get(_plain(service)))}

    def image_id(reference: str) -> str | None:
        pin = pinned.get(reference)
        found = find_pinned(images, pin) if pin else images.find(reference)
        return found.id if found else None

    return image_id


def _running_id(seen: Sequence[Seen], service: Service) -> str:
    """Return the image a service runs, where it was made from the reference that is configured; else empty."""
    mine = [item for item in seen if item.container.service == service.name and item.runs]
    return next((item.container.image_id for item in mine if item.reference == service.image), "")


def _pin(images: Images, reference: str, running_id: str) -> str:
    """Return the pin of the image that runs, else of the one a start would take; empty where there is none."""
    found = images.find(running_id or reference) or (Image(running_id) if running_id else None)
    return format_pin(reference, found) if found else ""
