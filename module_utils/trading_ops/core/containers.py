"""What an engine says of a container, in the shapes that everything here reads. Pure.

One odd field is a matter of one container: it is emptied and its name kept under ODD, so that no reader ends at it. An
emptied field proves nothing: a container is never better for it. Where an engine may leave a field out, nothing is odd.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

ODD: Final = "odd"
"""The key, none of an engine's, under which a container carries the names of the fields that were not understood."""

_UNKNOWN_POLICY: Final = {"Name": "unknown"}
_TIME: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d+)?(?:Z| ?([+-]\d\d):?(\d\d)(?: [A-Z]{1,5})?)", re.ASCII
)


def sound_summary(listed: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry of the engine's list (`GET /containers/json`): Id, Names, Labels, Image and State as promised.

    A container without an id goes by its name, which engines take as well.
    """
    found, odd = dict(listed), list[str]()
    if "Names" in found:
        names = found["Names"] if isinstance(found["Names"], list) else [found["Names"]]
        found["Names"] = [name for name in names if isinstance(name, str) and name.strip("/")]
    _set_labels(found, "", odd)
    for name in ("Id", "Image", "State"):
        _set_text(found, name, "", odd)
    if not found.get("Id"):
        found["Id"] = (found.get("Names") or [""])[0].lstrip("/")
        odd.append("Id")
    return _marked(found, odd)


def sound_description(seen: Mapping[str, Any], container_id: str) -> dict[str, Any]:
    """Return a full description (`GET /containers/ID/json`, or the engine's file of it) with every part as promised.

    A part that is missing stays so; State and Config that are no objects are left out. A policy that is not understood
    is called `unknown`. Times are in UTC, empty where they are none.
    """
    found, odd = dict(seen), list[str]()
    for name in ("Id", "Name", "Image", "Path", "LogPath"):
        _set_text(found, name, "", odd)
    found["Id"] = found.get("Id") or container_id
    found["Name"] = found.get("Name") or f"/{container_id[:12]}"
    _set_integer(found, "RestartCount", "", odd)
    _set_list(found, "Args", "", odd)
    if "Mounts" in found:
        mounts = found["Mounts"] if isinstance(found["Mounts"], list) else []
        found["Mounts"] = [mount for mount in mounts if isinstance(mount, Mapping)]
        if found["Mounts"] != (seen["Mounts"] or []):
            odd.append("Mounts")
    if (state := _part(found, "State", "", odd)) is not None:
        for name in ("StartedAt", "FinishedAt"):
            _set_time(state, name, odd)
        _set_text(state, "Status", "State.", odd)
        _set_integer(state, "ExitCode", "State.", odd)
        _part(state, "Health", "State.", odd)
    if (config := _part(found, "Config", "", odd)) is not None:
        _set_labels(config, "Config.", odd)
        _set_list(config, "Env", "Config.", odd)
        _set_text(config, "Image", "Config.", odd)
    if (networks := _part(found, "NetworkSettings", "", odd)) is not None:
        each = _part(networks, "Networks", "NetworkSettings.", odd) or {}
        for name in each:
            _part(each, name, "NetworkSettings.Networks.", odd)
    _set_host_config(found, odd)
    return _marked(found, odd)


def odd_fields(seen: Mapping[str, Any]) -> list[str]:
    """Return the names of the fields of a sound summary or description that were not understood."""
    return list(seen.get(ODD, []))


def odd_words(seen: Mapping[str, Any]) -> str:
    """Return in words which fields were not understood, empty for none."""
    odd = odd_fields(seen)
    return f"what the engine says of its {', '.join(odd)} is not understood" if odd else ""


def utc_text(text: str) -> str:
    """Return an engine's time in UTC (`…Z`), from whatever zone it is given in. ValueError for anything else.

    Podman and some engines write the host's zone; a time of the year 1 means never, in every zone.
    """
    match = _TIME.fullmatch(text)
    if not match:
        raise ValueError(f"not a time: {text!r}")
    day, clock, fraction, hours, minutes = match.groups()
    moment = datetime.fromisoformat(f"{day}T{clock}{hours or '+00'}:{minutes or '00'}")
    if moment.year > 1:
        moment = moment.astimezone(UTC)
    return f"{moment.replace(tzinfo=None).isoformat()}{fraction or ''}Z"


def _marked(found: dict[str, Any], odd: list[str]) -> dict[str, Any]:
    return found | {ODD: odd} if odd else found


def _set_text(holder: dict[str, Any], name: str, path: str, odd: list[str]) -> None:
    value = holder.get(name)
    if name in holder and not isinstance(value, str):
        holder[name] = ""
        odd += [] if value is None else [path + name]


def _set_integer(holder: dict[str, Any], name: str, path: str, odd: list[str]) -> None:
    value = holder.get(name)
    if name in holder and type(value) is not int:  # False is no exit code 0
        holder[name] = None
        odd += [] if value is None else [path + name]


def _set_time(state: dict[str, Any], name: str, odd: list[str]) -> None:
    value = state.get(name)
    try:
        if name in state:
            state[name] = utc_text(value) if value else ""
    except (TypeError, ValueError, OverflowError):
        state[name] = ""
        odd.append(f"State.{name}")


def _set_list(holder: dict[str, Any], name: str, path: str, odd: list[str]) -> None:
    value = holder.get(name)
    if name in holder and not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
        holder[name] = [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
        odd += [] if value is None else [path + name]


def _set_labels(holder: dict[str, Any], path: str, odd: list[str]) -> None:
    value = holder.get("Labels")
    if "Labels" not in holder:
        return
    is_sound = isinstance(value, Mapping) and all(isinstance(word, str | None) for word in value.values())
    odd += [] if value is None or is_sound else [f"{path}Labels"]
    labels = value if isinstance(value, Mapping) else {}
    holder["Labels"] = {str(name): "" if word is None else str(word) for name, word in labels.items()}


def _part(holder: dict[str, Any], name: str, path: str, odd: list[str]) -> dict[str, Any] | None:
    """Return an inner object, as a copy that `holder` then has; None, and none left there, where it is no object."""
    value = holder.get(name)
    if isinstance(value, Mapping):
        inner = dict(value)
        holder[name] = inner
        return inner
    if value is None:
        return None
    odd.append(path + name)
    holder[name] = None
    return None


def _set_host_config(found: dict[str, Any], odd: list[str]) -> None:
    if (settings := _part(found, "HostConfig", "", odd)) is not None:
        _part(settings, "LogConfig", "HostConfig.", odd)
        policy = _part(settings, "RestartPolicy", "HostConfig.", odd)
        if policy is not None and not isinstance(policy.get("Name"), str | None):
            odd.append("HostConfig.RestartPolicy.Name")
        if any(name.startswith("HostConfig.RestartPolicy") for name in odd):
            settings["RestartPolicy"] = _UNKNOWN_POLICY
    elif "HostConfig" in odd:
        found["HostConfig"] = {"RestartPolicy": _UNKNOWN_POLICY}
