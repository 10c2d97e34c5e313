"""Containers as no engine of ours describes them, for property tests: one or more fields are odd."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, Final

import docker.errors
from hypothesis import strategies as st
from trading_ops.host.engine import DockerEngine

from tests.unit.fakes import FakeContainer, FakeEngine, bot

MISSING: Final = object()

LISTED: Final = ("Names", "Labels", "Image", "State", "ImageID", "Status")
DESCRIBED: Final = (
    *("Name", "Path", "Args", "Image", "Mounts", "NetworkSettings", "RestartCount", "LogPath", "HostConfig"),
    *("State", "State.StartedAt", "State.FinishedAt", "State.ExitCode", "State.Health", "State.Status", "State.Pid"),
    *("Config", "Config.Labels", "Config.Env", "Config.Image", "Config.Tty", "Config.StopTimeout"),
    *("HostConfig.RestartPolicy", "HostConfig.RestartPolicy.Name", "HostConfig.LogConfig", "NetworkSettings.Networks"),
)
VALUES: Final = (
    *(MISSING, None, "", "x", 0, -1, False, True, 0.0, [], [None], ["x"], [{}], {}, {"x": None}, {"x": [1]}),
    *("2026-11-21T02:30:00.123456789+01:00", "2026-11-21 01:30:00 +0000 UTC", "0001-01-01T00:00:00+01:00", "99999"),
)


def odd_fields(names: tuple[str, ...]) -> st.SearchStrategy[dict[str, Any]]:
    """Return what makes up to three fields odd: values by the fields' names."""
    return st.dictionaries(st.sampled_from(names), st.sampled_from(VALUES), max_size=3)


def with_fields(holder: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the object with these fields changed; one that lies in a part which is no object any more is left."""
    changed = copy.deepcopy(dict(holder))
    for name, value in fields.items():
        *parts, last = name.split(".")
        inner: Any = changed
        for part in parts:
            inner = inner.get(part) if isinstance(inner, dict) else None
        if isinstance(inner, dict):
            inner[last] = copy.deepcopy(value)
            if value is MISSING or inner[last] is MISSING:
                del inner[last]
    return changed


class OddClient:
    """The SDK's low-level client over a FakeEngine. `listed` and `described` are the odd fields by container id.

    `lies`: of these containers the engine's word differs from what is so.
    """

    def __init__(self, engine: FakeEngine, listed: Mapping[str, Any], described: Mapping[str, Any]) -> None:
        self.engine, self.listed, self.described = engine, listed, described

    def containers(self, **_options: Any) -> list[dict[str, Any]]:
        return [with_fields(item, self.listed.get(item["Id"], {})) for item in self.engine.containers()]

    def inspect_container(self, container_id: str) -> dict[str, Any]:
        seen = self.engine.inspect(container_id)
        if seen is None:
            raise docker.errors.NotFound("no such container")
        seen |= {"Mounts": [], "NetworkSettings": {"Networks": {}}}
        return with_fields(seen, self.described.get(container_id, {}))

    def update_container(self, container_id: str, restart_policy: Mapping[str, str]) -> None:
        self._do(lambda: self.engine.set_restart_policy(container_id, restart_policy["Name"]))

    def stop(self, container_id: str, timeout: int) -> None:
        self._do(lambda: self.engine.stop(container_id, timeout))

    def kill(self, container_id: str, signal: str) -> None:
        self._do(lambda: self.engine.kill(container_id, signal))

    def wait(self, container_id: str, timeout: int) -> dict[str, Any]:
        return {"StatusCode": self.engine.wait(container_id, timeout)}

    def logs(self, container_id: str, **_options: Any) -> list[bytes]:
        return [b"2026-11-21T02:30:00.5+01:00 ERROR odd\n"]

    def inspect_image(self, image_id: str) -> dict[str, Any]:
        return {"Id": "sha256:1", "RepoDigests": []}

    @staticmethod
    def _do(act: Callable[[], None]) -> None:
        act()


@st.composite
def odd_estates(draw: st.DrawFn) -> tuple[DockerEngine, FakeEngine, dict[str, bool]]:
    """Return an engine, what is really there, and by name whether a container of it is described soundly.

    There is always a sound bot, and a container that is no bot and may be odd too.
    """
    things = [bot("sound"), bot("odd"), bot("also odd", "live", status=draw(st.sampled_from(["exited", "running"])))]
    things.append(FakeContainer("db", {"com.docker.compose.service": "timescaledb"}, image="timescaledb:1"))
    listed = {one.id: draw(odd_fields(LISTED)) for one in things[1:]}
    described = {one.id: draw(odd_fields(DESCRIBED)) for one in things[1:]}
    truth = FakeEngine(*things)
    sound = {one.name: not listed.get(one.id) and not described.get(one.id) for one in things}
    return DockerEngine(OddClient(truth, listed, described)), truth, sound
