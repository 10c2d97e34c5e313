"""Observe what a host runs, and plan what a release changes of it; nothing here changes a host.

The plan is made from the release's own files before they are on the host: Compose reads them from a scratch folder as
if they lay in the checkout.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final

from ..compose.config import ComposeError, Project, Service, read_services
from ..core.bots import PROJECT_LABEL
from ..host.engine import Engine
from ..state import desired as desired_state
from .gate import Refusal
from .git import GONE, Repository, RepositoryError
from .images import Image, Images, PinError, disagreements, find_pinned, format_pin, parse_pin, settle
from .plan import ObservedStack, Seen, StackPlan, parse_seen, plan_stack
from .request import Host, Request, Stack

SCHEMA_FILE: Final = "schema.yml"
"""Beside the first compose file of the trading stack: `schema_supported_max: 3`, the newest schema this code knows."""

CONFIG_FOLDER: Final = "config/"
"""Sizes and limits: what changes there is named, above all where a rollback makes a size larger again."""

_SCHEMA: Final = re.compile(r"^schema_supported_max:\s*([0-9]{1,9})\s*(?:#.*)?$", re.MULTILINE)


@dataclass(frozen=True)
class Files:
    """The checkout as it is, and what the release changes of it: path -> name of the new content.

    `modified` were changed on this host, `already_target` of them into what the release holds. `preserved` stay as
    they are although the release changes them, and `changes` are without them.
    """

    before: str
    modified: tuple[str, ...]
    changes: Mapping[str, str]
    texts: Mapping[str, str]
    already_target: tuple[str, ...]
    preserved: tuple[str, ...]

    @property
    def changed(self) -> tuple[str, ...]:
        """Return the files whose content changes."""
        return tuple(path for path in sorted(self.changes) if path not in self.already_target)

    @property
    def unchanged_local(self) -> tuple[str, ...]:
        """Return the files that were changed on this host and stay as they are."""
        return tuple(sorted({path for path in self.modified if path not in self.already_target} | set(self.preserved)))


@dataclass(frozen=True)
class Planned:
    """What was observed and what follows from it. `images` is the image of each service by the release, empty for one
    that is not on this host; `images_before` those of before.
    """

    files: Files
    observed: tuple[ObservedStack, ...]
    stacks: tuple[tuple[Stack, StackPlan], ...]
    images: Mapping[str, str]
    images_before: Mapping[str, str]
    refusals: tuple[Refusal, ...]
    schema_supported_max: int | None

    @property
    def services(self) -> dict[str, Service]:
        """Return the services by the release that have a container here or are to run, by `project/service`."""
        return {key: service for stack in self.observed for key, service in stack.used(stack.services).items()}

    @property
    def hashes(self) -> dict[str, str]:
        return {key: service.config_hash for key, service in self.services.items()}

    @property
    def hashes_before(self) -> dict[str, str]:
        used = (stack.used(stack.present) for stack in self.observed)
        return {key: service.config_hash for services in used for key, service in services.items()}

    @property
    def config(self) -> tuple[str, ...]:
        """Return the files with sizes and limits that change."""
        return tuple(path for path in self.files.changed if path.startswith(CONFIG_FOLDER))

    @property
    def without_image(self) -> tuple[str, ...]:
        """Return the services whose image is not on this host."""
        return tuple(key for key, pin in self.images.items() if not pin)

    @property
    def to_run_without_image(self) -> list[str]:
        return sorted(_to_run(self.observed) & set(self.without_image))

    @property
    def feed_runs(self) -> bool:
        return any(stack.rules.feed_service in stack.to_run for stack in self.observed)

    def differs(self, key: str) -> bool:
        """Return whether a service is another one by the release."""
        before, after = (self.hashes_before, self.images_before), (self.hashes, self.images)
        return any(old.get(key) != new.get(key) for old, new in zip(before, after, strict=True))

    def changes(self, revision: str) -> bool:
        """Return whether anything on the host becomes different."""
        return self.files.before != revision or any(move.changes for _, plan in self.stacks for move in plan.moves)


def observe_and_plan(request: Request, host: Host, engine: Engine) -> Planned:
    """Return what the host is at and what the release changes. Writes nothing but a scratch folder."""
    images = _Remembered(host.images)
    files = observe_files(request, host.repository)
    refusals = _conflicts(host.repository, files)
    desired, error = desired_state.read_quietly(request.state_path)
    if error:
        refusals.append(Refusal(error.rstrip("."), f"ls -la {request.state_path} (on the host)"))
    stacks = _observe_stacks(request, host, engine, files.texts, desired)
    to_run = _to_run(stacks)
    pinned = {key: pin for stack in stacks for key in stack.used(stack.services) if (pin := request.pins.get(key))}
    # A reference stands for one image: for what runs, or is to run. What is stopped takes that at its next start.
    settled = settle(pinned, to_run)
    pins = {key: pin for stack in stacks for key, pin in _pins(stack, settled, images).items()}
    # By their real paths, as the mounts are: one reached over a link must not look like another.
    root = host.repository.path.resolve()
    changed = {str(root / path) for path in files.changed}
    plans = [plan_stack(stack, changed, _image_ids(images, stack.services, settled)) for stack in stacks]
    refusals += [
        Refusal(f"{stack.name}: {item.sentence}", item.next_command)
        for stack, plan in zip(stacks, plans, strict=True)
        for item in plan.refusals
    ]
    supported = request.schema_supported_max
    if supported is None:
        supported = read_supported_max(request.stacks, files.texts)
    refusals += [item for stack in stacks for item in _moved_references(stack, request)]
    refusals += schema_refusals(request, supported)
    refusals += _disagreements(request, pins, [pin for key, pin in pinned.items() if key in to_run])
    return Planned(
        files,
        stacks,
        tuple(zip(request.stacks, plans, strict=True)),
        pins,
        _images_before(stacks, images),
        tuple(refusals),
        supported,
    )


def observe_files(request: Request, repository: Repository) -> Files:
    """Return the checkout as it is, and what the release changes of it."""
    before, modified = repository.head(), repository.modified()
    changes, texts = _release_files(request, repository, before)
    already_target = tuple(path for path in sorted(changes) if repository.blob(path) == changes[path] != GONE)
    preserved = tuple(path for path in request.keep if path in changes and path not in already_target)
    changes = {path: name for path, name in changes.items() if path not in preserved}
    return Files(before, modified, changes, texts, already_target, preserved)


def _observe_stacks(
    request: Request,
    host: Host,
    engine: Engine,
    texts: Mapping[str, str],
    desired: Mapping[str, Mapping[str, str]],
) -> tuple[ObservedStack, ...]:
    with tempfile.TemporaryDirectory(prefix="trading-core-release-") as scratch:
        _write_texts(Path(scratch), texts)
        return tuple(
            ObservedStack(
                stack.name,
                observe_stack(engine, stack.name),
                read_stack(request, host, stack, Path(scratch), texts),
                read_stack(request, host, stack, None, texts),
                _started(desired, stack),
                request.rules,
            )
            for stack in request.stacks
        )


def _to_run(stacks: Sequence[ObservedStack]) -> set[str]:
    return {f"{stack.name}/{name}" for stack in stacks for name in stack.to_run}


def _pins(stack: ObservedStack, settled: Mapping[str, str], images: Images) -> dict[str, str]:
    """Return the image of each service by the release, empty for one that has to be brought here."""
    return {
        key: settled.get(_plain(service)) or _pin(images, service.image, "")
        for key, service in stack.used(stack.services).items()
    }


def _moved_references(stack: ObservedStack, request: Request) -> list[Refusal]:
    """Return services that would not run the image that is pinned, since something outside of Git names another."""
    return [
        Refusal(f"{key} ran {parse_pin(pin).reference}, and the host's .env files now say {service.image}", "")
        for key, service in stack.used(stack.services).items()
        if (pin := request.pins.get(key)) and parse_pin(pin).reference != _plain(service)
    ]


class _Remembered:
    """Images that are asked for once: observing changes none of them."""

    def __init__(self, images: Images) -> None:
        self._images, self._found = images, dict[str, Image | None]()

    def find(self, reference: str) -> Image | None:
        if reference not in self._found:
            self._found[reference] = self._images.find(reference)
        return self._found[reference]

    def pull(self, reference: str) -> None:
        raise PinError(f"Observing never pulls {reference}.")

    def tag(self, image_id: str, reference: str) -> None:
        raise PinError(f"Observing never tags {reference}.")


def _started(desired: Mapping[str, Mapping[str, str]], stack: Stack) -> set[str]:
    """Return the services of a stack that an operator started and no one stopped since."""
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
        text = "which schema the database has is not known, so nothing tells whether this release can work with it"
        return [Refusal(text, "docker ps -a (on each paper host; start its database)")]
    if supported is None:
        where = f"{SCHEMA_FILE} beside the trading stack's compose file"
        return [Refusal(f"the release does not say which schema it supports ({where})", "")]
    if max(known) > supported:
        text = f"the database has schema {max(known)}, and the release supports at most {supported}"
        return [Refusal(text, "./runbook backup_info (then name the set that is to be restored: -e restore_set=SET-…)")]
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


def _conflicts(repository: Repository, files: Files) -> list[Refusal]:
    """Return what was changed on this host, and would be changed by the release too: no one's work is thrown away."""
    both = sorted(set(files.changed) & set(files.modified))
    paths = sorted(files.changes)
    tracked = repository.tracked(paths)
    untracked = [path for path in paths if path not in tracked and (repository.path / path).exists()]
    diff = f"git -C {repository.path} diff"
    return [
        *(
            Refusal(f"{path} was changed on this host, and the release changes it too", f"{diff} {path} (on the host)")
            for path in both
        ),
        *(
            Refusal(
                f"{path} is on this host without Git, and the release brings one",
                f"ls -la {repository.path / path} (on the host)",
            )
            for path in untracked
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


def _images_before(stacks: Sequence[ObservedStack], images: Images) -> dict[str, str]:
    """Return the image of each service that has one: the one it runs, or that a start would take.

    What does not run has that of what runs from its reference.
    """
    pins: dict[str, str] = {}
    running = set()
    for stack in stacks:
        for key, service in stack.used(stack.present).items():
            running_id = _running_id(stack.seen, service)
            if running_id:
                running.add(key)
            if pin := _pin(images, service.image, running_id):
                pins[key] = pin
    settled = settle(pins, running)
    return {key: pin if key in running else settled[parse_pin(pin).reference] for key, pin in pins.items()}


def _disagreements(request: Request, pins: Mapping[str, str], to_run: Sequence[str]) -> list[Refusal]:
    """Return the references that would have to stand for two images. `to_run`: the pins of what is to run.

    Pins on record are what ran on this host: other hosts ran what they ran.
    """
    if request.pins:
        return [
            Refusal(f"{reference} ran as more than one image, and only one of them can come back under it", "")
            for reference in disagreements(to_run)
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
