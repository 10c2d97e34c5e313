"""The Docker Engine as this project may use it: observe, stop, neutralise. Never create, start, pull or delete."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar

from ..core.containers import ODD, odd_fields, sound_description, sound_summary

_T = TypeVar("_T")

FIRST_ANSWER_SECONDS: Final = 3
"""A healthy engine answers with its version in milliseconds; a hung one must not cost a stop more than this."""

ANSWER_SECONDS: Final = 20
"""Bound for any later answer. A stop may take 14 s beyond its grace period (moby daemon/stop.go), which is added."""


SILENT_AT_MOST: Final = 2
"""So many containers of one engine may give no description, each at the cost of a whole answer."""


class EngineError(Exception):
    """The engine did not do, or did not answer, what was asked. The text is a sentence."""


class ContainerGone(EngineError):
    """The engine says that it has no such container."""


class Engine(Protocol):
    """What a stop, a wait and an observation need from a Docker Engine. Every method may raise EngineError."""

    def containers(self, labels: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Return the summaries (`GET /containers/json?all=1`) of all containers that carry all `labels`.

        Each is sound, as `core.containers.sound_summary` says; one odd field hides no other container.
        """

    def inspect(self, container_id: str) -> dict[str, Any] | None:
        """Return the full and sound description of a container, None where the engine has no such container."""

    def set_restart_policy(self, container_id: str, name: str) -> None:
        """Set the restart policy (`no`, `always`, …); it takes effect at once and persists."""

    def stop(self, container_id: str, timeout_seconds: int) -> None:
        """Send the stop signal, SIGKILL after `timeout_seconds`; return when the engine answered."""

    def kill(self, container_id: str, signal: str = "SIGKILL") -> None:
        """Send a signal to the container's first process."""

    def wait(self, container_id: str, timeout_seconds: int) -> int:
        """Return the exit code once the container is not running."""

    def logs(self, container_id: str, tail_lines: int) -> str:
        """Return the newest `tail_lines` lines of stdout and stderr; undecodable bytes are replaced."""

    def image_id(self, reference: str) -> str | None:
        """Return the id that an image reference has on this host, None where there is no such image."""


class DockerEngine:
    """Engine over the low-level client of the Docker SDK."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._silent: set[str] = set()

    @property
    def api_version(self) -> str:
        """Return the version of the engine's API that client and engine agreed on."""
        return str(self._client.api_version)

    def containers(self, labels: Sequence[str] = ()) -> list[dict[str, Any]]:
        filters = {"label": list(labels)} if labels else None
        found = self._ask("list its containers", lambda: self._client.containers(all=True, filters=filters))
        if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
            raise EngineError("The engine's list of containers is not a list of objects.")
        return [self._completed(sound_summary(item)) for item in found]

    def _completed(self, summary: dict[str, Any]) -> dict[str, Any]:
        """Return the summary with the labels, and the reference, that the container was made with.

        Once that reference names a newer image, the list shows the bare id (moby daemon/list.go), and a stray bot could
        no longer be known by its image. A container that does not answer for itself hides no other; it is asked once.
        """
        odd = odd_fields(summary)
        if not summary.get("Image", "").startswith("sha256:") and not {"Labels", "Image"} & set(odd):
            return summary
        if summary["Id"] in self._silent:
            return summary | {ODD: [*odd, "Image"]}
        try:
            seen = self.inspect(summary["Id"])
        except EngineError:
            self._silent.add(summary["Id"])
            return summary | {ODD: [*odd, "Image"]}
        config = (seen or {}).get("Config") or {}
        labels = config.get("Labels", {}) if "Labels" in odd else summary.get("Labels", {})
        return summary | {"Labels": labels, "Image": config.get("Image") or summary.get("Image", "")}

    def inspect(self, container_id: str) -> dict[str, Any] | None:
        try:
            seen = self._ask("inspect", lambda: self._client.inspect_container(container_id))
        except ContainerGone:
            return None
        if not isinstance(seen, dict):
            raise EngineError(f"The engine's description of {container_id[:12]} is not an object.")
        return sound_description(seen, container_id)

    def set_restart_policy(self, container_id: str, name: str) -> None:
        self._ask(
            "update the restart policy",
            lambda: self._client.update_container(container_id, restart_policy={"Name": name}),
        )

    def stop(self, container_id: str, timeout_seconds: int) -> None:
        # The SDK adds the grace period to the client's own time-out; a negative one would wait forever.
        self._ask("stop", lambda: self._client.stop(container_id, timeout=max(0, timeout_seconds)))

    def kill(self, container_id: str, signal: str = "SIGKILL") -> None:
        self._ask("kill", lambda: self._client.kill(container_id, signal=signal))

    def wait(self, container_id: str, timeout_seconds: int) -> int:
        answer = self._ask("wait", lambda: self._client.wait(container_id, timeout=timeout_seconds))
        code = answer.get("StatusCode") if isinstance(answer, dict) else None
        if not isinstance(code, int):
            raise EngineError(f"The engine's answer to wait holds no exit code: {answer!r}.")
        return code

    def logs(self, container_id: str, tail_lines: int) -> str:
        raw = self._ask("read logs", lambda: self._client.logs(container_id, tail=tail_lines))
        return bytes(raw).decode("utf-8", "replace")

    def log_records(self, container_id: str, tail_lines: int, since: float | None) -> Iterator[bytes]:
        """Yield the newest records with their timestamps; a terminal's come in pieces of any size.

        It can end early without an error (moby I#53631), and wait forever where the engine hangs in mid answer.
        """
        # The SDK of Debian 12 (5.0.3) takes whole seconds alone; earlier by less than one.
        whole = None if since is None else int(since)
        yield from self._each(
            "read logs",
            lambda: self._client.logs(
                container_id, stream=True, follow=False, timestamps=True, tail=tail_lines, since=whole
            ),
        )

    def events(self, since: float, until: float) -> Iterator[dict[str, Any]]:
        """Yield what the engine remembers of between two moments, seconds since 1970."""
        yield from self._each(
            "tell its events", lambda: self._client.events(since=int(since), until=int(until), decode=True)
        )

    def version(self) -> dict[str, Any]:
        """Return the engine's description of its own version."""
        return dict(self._ask("tell its version", self._client.version))

    def engine_id(self) -> str:
        """Return the ID that the engine gave itself; it stands for a machine's where that has none."""
        seen = self._ask("tell its ID", self._client.info)
        return str(seen.get("ID") or "") if isinstance(seen, dict) else ""

    def image_id(self, reference: str) -> str | None:
        try:
            seen = self._ask("inspect an image", lambda: self._client.inspect_image(reference))
        except ContainerGone:
            return None
        return str(seen["Id"])

    def image_digests(self, image_id: str) -> tuple[str, ...]:
        """Return the references `name@sha256:…` by which a registry knows the image; none where it was built here."""
        try:
            seen = self._ask("inspect an image", lambda: self._client.inspect_image(image_id))
        except ContainerGone:
            return ()
        return tuple(map(str, seen.get("RepoDigests") or ()))

    def _each(self, what: str, call: Callable[[], Iterable[_T]]) -> Iterator[_T]:
        """Yield what an answer holds, one at a time; what breaks on the way is an EngineError as well."""
        answer = iter(self._ask(what, call))
        end: Any = object()
        while (item := self._ask(what, lambda: next(answer, end))) is not end:
            yield item

    @staticmethod
    def _ask(what: str, call: Callable[[], _T]) -> _T:
        import docker.errors
        import requests.exceptions
        import urllib3.exceptions

        try:
            return call()
        except docker.errors.NotFound as error:
            raise ContainerGone(f"The engine could not {what}: {error.explanation or error}.") from error
        except (
            docker.errors.DockerException,
            requests.exceptions.RequestException,
            urllib3.exceptions.HTTPError,  # raised bare when the engine goes away in mid answer
            ValueError,  # cut or foreign JSON
            OSError,
        ) as error:
            raise EngineError(f"The engine could not {what}: {error}.") from error


def docker_engine(docker_url: str, answer_seconds: int = ANSWER_SECONDS) -> DockerEngine:
    """Return the engine at `docker_url` (e.g. unix:///var/run/docker.sock) after it answered once.

    Raises EngineError where the Docker SDK is missing or the engine does not tell its version within 3 s.
    """
    try:
        import docker
    except ImportError as error:
        raise EngineError(
            "Python's Docker SDK is missing on this host; install it with: apt-get install python3-docker"
        ) from error
    # version="auto" asks the engine for its API version: engines refuse what is too old or too new for them.
    client = DockerEngine._ask(
        "answer", lambda: docker.APIClient(base_url=docker_url, version="auto", timeout=FIRST_ANSWER_SECONDS)
    )
    client.timeout = answer_seconds
    return DockerEngine(client)


class Describes(Protocol):
    """What describes single containers. May raise EngineError."""

    def inspect(self, container_id: str) -> dict[str, Any] | None: ...


def describe_all(engine: Describes, listed: Iterable[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return the descriptions of the listed containers that are still there, and by id why one could not be described.

    Raises EngineError where so many are silent that it is the engine.
    """
    described, silent = [], dict[str, str]()
    for item in listed:
        try:
            seen = engine.inspect(str(item["Id"]))
        except EngineError as error:
            silent[str(item["Id"])] = str(error)
            if len(silent) > SILENT_AT_MOST:
                raise
            continue
        described += [seen] if seen else []
    return described, silent


def follow_starts(docker_url: str, on_start: Callable[[], None]) -> None:
    """Call `on_start` for each event after which a bot may run or may come back; return when the engine goes away.

    Raises EngineError where the engine cannot be asked. A hung engine keeps this waiting forever.
    """
    engine = docker_engine(docker_url)
    filters = {"type": "container", "event": ["create", "start", "unpause", "update"]}

    def follow() -> None:
        events = engine._client.events(filters=filters)
        on_start()  # what happened before the first event
        for _event in events:
            on_start()

    DockerEngine._ask("tell its events", follow)
