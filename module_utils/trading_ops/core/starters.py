"""What could start a bot again after a stop: containers with a way to the engine, units, Quadlets, cron lines. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final

from .bots import NOT_RUNNING, PROJECT_LABEL, SERVICE_LABEL
from .starter_tools import (
    COMMAND_GROUPS,
    ENGINE_ADDRESSES,
    ENGINE_COMMANDS,
    HOLD_OFF,
    OTHER_VERBS,
    SOCKET_NAMES,
    SOCKETS,
    START_VERBS,
    tool_of_image,
    tool_of_unit,
)

PROBABLE, POSSIBLE, UNLIKELY = 0, 1, 2
"""Ranks: a known tool, or what names the bot; what has a way to the engine; what has one and the estate knows."""

OUR_UNITS: Final = "trading-core-"
CRON_FOLDERS: Final = ("/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly", "/etc/cron.monthly")
QUADLET_SUFFIXES: Final = (".container", ".kube", ".pod")
SYSTEM_PROGRAMS: Final = ("/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/", "/usr/lib/", "/dev/", "/proc/", "/sys/")

_NAME: Final = re.compile(r"[A-Za-z0-9/][A-Za-z0-9_@.:/-]{0,199}")
_COMMAND: Final = re.compile(r"\s*(Exec(?:StartPre|StartPost|Start|Reload))\s*=(.*)")
_PATH: Final = re.compile(r"(?<![\w./=])/[\w./@+-]+")
_USER: Final = re.compile(r"/(?:home/)?([a-z_][a-z0-9_-]*)/\.config/")


@dataclass(frozen=True)
class Starter:
    """One thing that could start a bot again, and what holds it off; empty where its name cannot be typed safely."""

    what: str
    why: str
    hold_off: str
    rank: int = POSSIBLE

    def sentence(self) -> str:
        """Return it in words."""
        return f"{self.what} ({self.why})"


@dataclass(frozen=True)
class HostFiles:
    """What a host's files say of what it starts by itself.

    texts: content by path, of units, Quadlets, crontabs and the scripts they call; of two units of one name the first
    counts. live: names of units that are enabled or that run.
    """

    texts: Mapping[str, str] = field(default_factory=dict)
    live: frozenset[str] = frozenset()


def find_containers(
    summaries: Iterable[Mapping[str, Any]], described: Mapping[str, Mapping[str, Any]], others: Collection[str] = ()
) -> list[Starter]:
    """Return the running containers that are a known tool or have a way to the engine.

    `others` is what the estate says of its containers (BotRules.others): one of these is unlikely, a known tool never.
    """
    found = []
    for item in summaries:
        seen = described.get(str(item.get("Id")))
        if seen is None or str(item.get("State", "")) in NOT_RUNNING:
            continue
        config = seen.get("Config") or {}
        labels, image = dict(config.get("Labels") or {}), str(config.get("Image") or item.get("Image") or "")
        name = str(seen.get("Name") or "").lstrip("/")
        tool, way = tool_of_image(image, labels), way_to_engine(seen)
        if not tool and not way:
            continue
        service = str(labels.get(SERVICE_LABEL) or "")
        key = f"{labels.get(PROJECT_LABEL) or ''}/{service or name}/{image}"
        is_named = bool({service or name, key} & set(others))
        rank = PROBABLE if tool else UNLIKELY if is_named else POSSIBLE
        why = ", ".join(text for text in (f"its image is of {tool}" if tool else "", way) if text)
        found.append(_starter("container", name, why, rank))
    return found


def way_to_engine(seen: Mapping[str, Any]) -> str:
    """Return how a container reaches the engine, in words; empty for not at all.

    A mount that only reads is no less a way: the socket takes every call.
    """
    folder = ""
    for mount in seen.get("Mounts") or ():
        source, place = str(mount.get("Source") or ""), str(mount.get("Destination") or "")
        for path in (source, place):
            if PurePosixPath(path).name in SOCKET_NAMES:
                return f"it holds the engine's socket {_shown(path)}"
        above = source.rstrip("/") + "/"
        if source and any(socket.startswith(above) for socket in SOCKETS):
            folder = f"it holds the folder {_shown(source)} with the engine's socket"
    for item in (seen.get("Config") or {}).get("Env") or ():
        name, _, value = str(item).partition("=")
        if name in ENGINE_ADDRESSES and value and not value.startswith("unix:"):  # a socket is a mount
            return f"{name} leads it to an engine"
    return folder


def start_command(line: str) -> str:
    """Return the engine's command in a line that starts containers, in our own words; empty for none."""
    for part in re.split(r"[;&|\n]+|\$\(", line):
        words = [word for word in re.split(r"[\s\"'`,()\[\]{}]+", part) if word]
        for place, word in enumerate(words):
            program = word.rpartition("/")[2]
            if program in ENGINE_COMMANDS and (verb := _start_verb(words[place + 1 :])):
                return f"{program} {verb}"
    return ""


def called_scripts(texts: Mapping[str, str]) -> set[str]:
    """Return the absolute paths of programs that units and cron lines call and that are none of the system's."""
    found = set()
    for path, text in texts.items():
        found |= _scripts_in(_commands(text) if "/systemd/" in path else _plain_lines(text))
    return found


def _scripts_in(lines: Iterable[str]) -> set[str]:
    found = {path for line in lines for path in _PATH.findall(line)}
    return {path for path in found if not path.startswith(SYSTEM_PROGRAMS) and ".." not in path}


def find_in_files(files: HostFiles, names: Collection[str] = ()) -> list[Starter]:
    """Return the units, Quadlets and cron lines that start containers. `names` are bots: what names one is probable.

    A unit that is neither enabled nor running nor called by a timer is left out, and so is a comment.
    """
    first: dict[tuple[str, str], str] = {}
    drop_ins: dict[tuple[str, str], str] = {}
    for path, text in files.texts.items():
        folder, _, name = path.rpartition("/")
        if "/systemd/" in path and folder.endswith(".d"):
            unit = (_account(path), folder.rpartition("/")[2].removesuffix(".d"))
            drop_ins[unit] = f"{drop_ins.get(unit, '')}\n{text}"
        elif "/systemd/" in path:
            first.setdefault((_account(path), name), path)
    units = {path: files.texts[path] + drop_ins.get(unit, "") for unit, path in first.items()}
    callers = _callers(units, files.live)
    found = [each for path, text in units.items() for each in _unit(path, text, files, callers, names)]
    return found + [each for path, text in files.texts.items() for each in _cron(path, text, files, names)]


def _callers(units: Mapping[str, str], live: Collection[str]) -> dict[str, list[str]]:
    """Return the live timers and paths of each service that they call."""
    found: dict[str, list[str]] = {}
    for path, text in units.items():
        name = PurePosixPath(path)
        if name.suffix in {".timer", ".path"}:
            for each in _instances(name.name, live):
                called = re.findall(r"^\s*Unit\s*=\s*(\S+)", text, re.MULTILINE)
                found.setdefault((called or [f"{PurePosixPath(each).stem}.service"])[-1], []).append(each)
    return found


def _instances(name: str, names: Iterable[str]) -> list[str]:
    """Return the name where it is among these, for a template (`a@.service`) those made of it."""
    first, at, rest = name.partition("@.")
    return sorted(n for n in names if n == name or (at and n.startswith(f"{first}@") and n.endswith(f".{rest}")))


def _unit(
    path: str, text: str, files: HostFiles, callers: Mapping[str, list[str]], names: Collection[str]
) -> Iterator[Starter]:
    place, is_quadlet = PurePosixPath(path), path.endswith(QUADLET_SUFFIXES)
    if place.name.startswith(OUR_UNITS) or not (is_quadlet or place.suffix == ".service"):
        return
    tool = tool_of_unit(place.name)
    command = "a container (Quadlet)" if is_quadlet else _starting(_commands(text), files.texts)
    if not (tool or command):
        return
    name = place.name
    if is_quadlet:
        own = re.findall(r"^\s*ServiceName\s*=\s*(\S+)", text, re.MULTILINE)
        name = f"{own[-1] if own else place.stem + '-pod' * (place.suffix == '.pod')}.service"
    live = set(_instances(name, [*files.live, *callers]))
    if is_quadlet and re.search(r"^\s*WantedBy\s*=\s*\S", text, re.MULTILINE):
        live.add(name)
    is_probable = tool or _names_one(_plain_lines(text), names)
    why = f"{f'it is {tool}' if tool else f'it runs {command}'}; {_shown(path)}"
    for each in sorted(live):
        together = " ".join([*callers.get(each, ()), each])
        yield _unit_starter(path, each, together, why, PROBABLE if is_probable else POSSIBLE)


def _unit_starter(path: str, name: str, together: str, why: str, rank: int) -> Starter:
    """Return the starter of a unit, with the command for the account that it belongs to."""
    account = _account(path)
    kind = {"": "unit", "*": "unit of all users"}.get(account, "user unit")
    command = HOLD_OFF[kind].format(name=together, user=account)
    return Starter(f"unit {_shown(name)}", why, command if all(map(_is_plain, together.split())) else "", rank)


def _account(path: str) -> str:
    """Return whose unit it is: empty for the system's, `*` for that of all users."""
    user = _USER.match(path)
    return user[1] if user else "*" * ("/systemd/user" in path)


def _commands(text: str) -> list[str]:
    """Return what a unit runs. An empty assignment takes back what stood before, as in systemd."""
    found: dict[str, list[str]] = {}
    for line in _plain_lines(text):
        if match := _COMMAND.match(line):
            key, command = match[1], match[2].strip()
            found[key] = [*found.get(key, []), command] if command else []
    return [command for commands in found.values() for command in commands]


def _cron(path: str, text: str, files: HostFiles, names: Collection[str]) -> Iterator[Starter]:
    """Yield the lines of a crontab, and the script in a folder of cron, that start containers."""
    if path.startswith(CRON_FOLDERS):
        if command := _starting([text], files.texts):
            rank = PROBABLE if _names_one(_plain_lines(text), names) else POSSIBLE
            yield _starter("cron script", path, f"it runs {command}", rank)
    elif path.startswith(("/etc/cron", "/etc/anacrontab", "/var/spool/cron")):
        for number, line in enumerate(text.split("\n"), 1):
            if command := _starting([line], files.texts):
                rank = PROBABLE if _names_one([line], names) else POSSIBLE
                hold_off = HOLD_OFF["cron line"].format(line=number, name=path) if _is_plain(path) else ""
                yield Starter(f"cron line {number} of {_shown(path)}", f"it runs {command}", hold_off, rank)


def _starting(commands: Iterable[str], texts: Mapping[str, str]) -> str:
    """Return which of the commands, or what line of a script they call, starts containers; empty for none."""
    lines = [line for command in commands for line in _plain_lines(command)]
    for line in lines:
        if command := start_command(line):
            return command
    for path in sorted(_scripts_in(lines)):
        script = "\n".join(_plain_lines(texts.get(path, "")))
        command = next((text for line in script.split("\n") if (text := start_command(line))), "")
        if not command and any(name in script for name in SOCKET_NAMES) and re.search(r"/(re)?start\b", script):
            command = "a start through the engine's API"
        if command:
            return f"{command} in {_shown(path)}"
    return ""


def _start_verb(words: Iterable[str]) -> str:
    groups: list[str] = []
    for word in words:
        if word in START_VERBS:
            return " ".join([*groups, word])
        if word in OTHER_VERBS:
            return ""
        groups += [word] if word in COMMAND_GROUPS else []
    return ""


def _plain_lines(text: str) -> list[str]:
    """Return the lines without comments; a line that goes on in the next one is one."""
    kept = [line for line in text.split("\n") if not line.lstrip().startswith(("#", ";"))]
    return re.sub(r"\\\n", " ", "\n".join(kept)).split("\n")


def _names_one(lines: Iterable[str], names: Collection[str]) -> bool:
    text = "\n".join(lines)
    return any(re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", text) for name in names if name)


def _starter(kind: str, name: str, why: str, rank: int) -> Starter:
    return Starter(f"{kind} {_shown(name)}", why, HOLD_OFF[kind].format(name=name) if _is_plain(name) else "", rank)


def _is_plain(name: str) -> bool:
    """Return whether a name may stand in a command that people paste."""
    return bool(_NAME.fullmatch(name)) and ".." not in name


def _shown(name: str) -> str:
    """Return a name that a host told, bounded, and marked where it is none to type."""
    return name if _is_plain(name) else repr(name[:60])
