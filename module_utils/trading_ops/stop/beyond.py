"""Looks at what runs on a host beside its bots, by the engine or without it. Only reads."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from ..core.bots import BotRules
from ..core.durable import bounded
from ..core.unexpected import Beyond, find_beyond, wanted_ids
from ..host.cgroups import CgroupError, Cgroups
from ..host.engine import Engine, EngineError

LOOK_SECONDS: Final = 8
"""For the whole look, which comes after the stop: a busy host describes hundred containers in less than one."""


class Describes(Protocol):
    """What lists and describes containers: an engine, or the files of one."""

    def containers(self) -> list[dict[str, Any]]: ...

    def inspect(self, container_id: str) -> dict[str, Any] | None: ...


def look_beyond(connect: Callable[[], Engine], cgroups: Cgroups, rules: BotRules) -> tuple[Beyond, str]:
    """Return what runs beside the bots, and why that is not known (empty: it is). Never raises."""
    try:
        return bounded(lambda: describe_beyond(connect(), rules), LOOK_SECONDS), ""
    except (EngineError, TimeoutError) as error:
        reason = str(error)
    except Exception as error:  # whatever an odd answer leads to: the stop has been, and its proof stands
        return Beyond(), f"What else runs here is not known: the engine's answer was not understood: {error!r}"
    try:
        return bounded(lambda: describe_beyond(cgroups, rules), LOOK_SECONDS), ""
    except Exception as error:
        return Beyond(), f"What else runs here is not known: {reason} {error}"


def describe_beyond(
    source: Describes,
    rules: BotRules,
    cache: dict[str, Mapping[str, Any]] | None = None,
    within_seconds: float = LOOK_SECONDS,
) -> Beyond:
    """Return what runs beside the bots. Raises EngineError or CgroupError where the containers cannot be listed.

    With a `cache`, descriptions by id, a container is described once: command, image, labels and environment of one
    never change. What is not described when the time is over is named as such.
    """
    end = time.monotonic() + within_seconds
    listed = source.containers()
    known = {} if cache is None else cache
    gone = set()
    for container_id in wanted_ids(listed, rules):
        if container_id in known or time.monotonic() > end:
            continue
        try:
            seen = source.inspect(container_id)
        except (EngineError, CgroupError):
            continue  # it is named as one that nobody could look at
        if seen is None:
            gone.add(container_id)
        else:
            known[container_id] = seen
    if gone:  # only where a second list agrees
        gone -= {str(item["Id"]) for item in source.containers()}
    present = [item for item in listed if str(item["Id"]) not in gone]
    for container_id in known.keys() - {str(item["Id"]) for item in present}:
        del known[container_id]
    return find_beyond(present, known, rules)
