"""Logs of containers as evidence: the engine's answer, and its own files where that answer is incomplete."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final

from ..core.bots import SERVICE_LABEL, select_bots
from ..core.clock import parse_utc
from ..core.durable import bounded
from ..core.redaction import Piece
from ..host.engine import EngineError
from ..host.logs import Seen, is_older, look_at_file, pieces_of_answer, pieces_of_file, seek_tail
from .bundle import TOO_LONG, Bundle
from .manifest import Item, safe_name
from .request import FILE_BYTES, Estate, EvidenceEngine, Request, container_labels, container_name

LOG_BYTES: Final = 16 * 1024 * 1024
"""Of one log. Redacting takes about a second for each two megabytes, and all of it has to be done in time."""
RECORDS_AT_ONCE: Final = 256


@dataclass(frozen=True)
class WantedLog:
    """A log that was asked for: so many of its newest lines, None where it has no container."""

    name: str
    lines: int
    container: Mapping[str, Any] | None


@dataclass(frozen=True)
class Source:
    """A container's log, its own file and how many bytes of it are kept at most."""

    name: str
    container: Mapping[str, Any]
    file: Path
    room: int

    def observe(self, lines: int, since: str) -> Seen | None:
        """Return what its file holds of the newest lines, None where it cannot be read."""
        try:
            return look_at_file(self.file, lines, since, self.room) if self.file.is_file() else None
        except OSError:
            return None


def select_logs(request: Request, estate: Estate) -> list[WantedLog]:
    """Return the logs to collect: what was asked for, found or not, and every bot."""
    found: list[WantedLog] = []
    containers = estate.containers or ()
    for service, lines in request.services.items():
        named = [one for one in containers if container_name(one) == service]
        matching = named or [one for one in containers if container_labels(one).get(SERVICE_LABEL) == service]
        found += [WantedLog(service if len(matching) == 1 else container_name(one), lines, one) for one in matching]
        if not matching:
            found.append(WantedLog(service, lines, None))
    listed = {str(each.container["Id"]) for each in found if each.container}
    summaries = [
        {
            "Id": one["Id"],
            "Names": [container_name(one)],
            "Image": (one.get("Config") or {}).get("Image", ""),
            "Labels": container_labels(one),
            "State": (one.get("State") or {}).get("Status", ""),
        }
        for one in containers
    ]
    bots = {bot.id for bot in select_bots(summaries, request.bot_rules)} - listed
    return found + [
        WantedLog(container_name(one), request.bot_tail_lines, one) for one in containers if one["Id"] in bots
    ]


def add_logs(bundle: Bundle, request: Request, estate: Estate, wanted: Sequence[WantedLog]) -> list[tuple[str, Item]]:
    """Add every log, and return those of which there is a file. One that is long leaves room for the others."""
    kept = []
    for place, log in enumerate(wanted):
        room = min(LOG_BYTES, bundle.left_bytes // (len(wanted) - place))
        if log.container is None:
            files = f" in the engine's files ({estate.error})" if estate.error else ""
            bundle.note(f"log {log.name}", "missing", f"no container is called {log.name}{files}")
        elif bundle.left_seconds <= 0 or room <= 0:
            bundle.note(f"log {log.name}", "skipped", "the time or room for evidence was over")
        elif str((log.container.get("State") or {}).get("StartedAt", "")).startswith("0001-"):
            bundle.note(f"log {log.name}", "missing", "the container was never started")
        else:
            driver = ((log.container.get("HostConfig") or {}).get("LogConfig") or {}).get("Type", "")
            file = Path(str(log.container.get("LogPath") or "")) if driver == "json-file" else Path()
            item = _add_log(bundle, request, estate, Source(log.name, log.container, file, room), log.lines)
            kept += [(log.name, item)] if item.path else []
    return kept


def _add_log(bundle: Bundle, request: Request, estate: Estate, source: Source, asked: int) -> Item:
    lines = asked
    in_file = source.observe(lines, request.since)
    if in_file and in_file.records < lines and source.file.stat().st_size > source.room:
        lines = max(1, in_file.records)
    while True:
        flaw = f"the newest {lines} lines of {asked}, for more there is no room" if lines < asked else ""
        item = _write_log(bundle, request, estate, source, lines, flaw)
        if not _is_too_long(item) or lines <= 1:
            return item
        # It was cut at its end, where the newest lines are: rather fewer lines, and those.
        bundle.remove(item)
        lines = max(1, lines // 8)


def _write_log(bundle: Bundle, request: Request, estate: Estate, source: Source, lines: int, flaw: str) -> Item:
    """Return the log as the engine gives it, else as its own file holds it."""
    in_file = source.observe(lines, request.since)
    reason = estate.error
    if estate.engine and not (in_file and in_file.damaged):
        item, seen = _write_answer(bundle, request, estate.engine, source, lines, flaw)
        is_whole = item.status == "complete" or item.reason == flaw
        if _is_too_long(item) or in_file is None or (is_whole and not _has_more(in_file, seen)):
            return item
        reason = item.reason if item.reason != flaw else "the engine's answer ended early"
        bundle.remove(item)
    if in_file is None:
        bundle.note(f"log {source.name}", "failed", f"{reason or 'no answer'}, and it has no file that could be read")
        return bundle.items[-1]
    damaged = f"{in_file.damaged} damaged records in the engine's own file" if in_file.damaged else ""
    taken = "taken from the file itself, as far as it can be read"
    flaw = "; ".join(filter(None, [flaw, reason, damaged, taken]))

    def pieces() -> Iterator[Piece]:
        with open(source.file, "rb") as file:
            seek_tail(file, lines, source.room)
            yield from pieces_of_file(file, request.since, Seen())

    return bundle.add(f"log {source.name}", _path(source), pieces(), source.room, flaw)


def _write_answer(
    bundle: Bundle, request: Request, engine: EvidenceEngine, source: Source, lines: int, flaw: str
) -> tuple[Item, Seen]:
    seen = Seen()
    since = parse_utc(request.since).timestamp() if request.since else None
    is_tty = bool((source.container.get("Config") or {}).get("Tty"))
    records = engine.log_records(str(source.container["Id"]), lines, since)
    pieces = pieces_of_answer(_bounded_each(records, lambda: bundle.left_seconds), is_tty, seen)
    return bundle.add(f"log {source.name}", _path(source), pieces, source.room, flaw), seen


def _path(source: Source) -> str:
    return f"logs/{safe_name(source.name)}.log"


def _is_too_long(item: Item) -> bool:
    return item.status == "incomplete" and item.reason.startswith(TOO_LONG)


def _has_more(in_file: Seen, answered: Seen) -> bool:
    """Return whether the file, looked at before the engine was asked, held more than its answer."""
    if answered.records < in_file.records:
        return True
    return bool(in_file.newest) and (not answered.newest or is_older(answered.newest, in_file.newest))


def _bounded_each(records: Iterator[bytes], left_seconds: Callable[[], float]) -> Iterator[bytes]:
    """Yield the records within the time that is left: an engine that hangs in mid answer ends the log."""

    def take() -> list[bytes]:
        return list(islice(records, RECORDS_AT_ONCE))

    while True:
        try:
            batch = bounded(take, max(0.1, left_seconds()))
        except TimeoutError as error:
            raise EngineError("The engine did not go on with the log in time.") from error
        if not batch:
            return
        yield from batch


def copy_logs(
    request: Request, bundle: Bundle, logs: Sequence[tuple[str, Item]], now: datetime
) -> list[dict[str, str]]:
    """Return where each log was left on the host too, under the owner's name for it. It never replaces one."""
    stamp = now.strftime("%Y%m%d-%H%M%S")
    prefix = "incident_test" if request.incident_id.startswith("incident_test") else "incident"
    folder = request.root_path / "logs"
    copies = []
    for name, item in logs:
        target = folder / f"{prefix}_{stamp}_{safe_name(name)}.log"
        try:
            with open(bundle.root / item.path, "rb") as source:
                _write_anew(request.root_path, target, source)
            copies.append({"name": name, "path": str(target), "reason": ""})
        except OSError as error:
            copies.append({"name": name, "path": "", "reason": f"{target}: {error.strerror or error}"})
    return copies


def _write_anew(root_path: Path, target: Path, source: BinaryIO) -> None:
    """Copy `source` to a new file in a folder of the checkout, owned as the checkout is. Raises OSError.

    The checkout is another user's, who may lay a link where root is about to write: each step stands on the one before
    by its descriptor, and follows no link.
    """
    if not root_path.is_dir():
        raise OSError(f"{root_path} is not there")
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    with ExitStack() as opened:
        root = os.open(root_path, flags)
        opened.callback(os.close, root)
        owner, name, is_new = os.fstat(root), target.parent.name, True
        try:
            os.mkdir(name, 0o750, dir_fd=root)
        except FileExistsError:
            is_new = False
        folder = os.open(name, flags | os.O_NOFOLLOW, dir_fd=root)
        opened.callback(os.close, folder)
        if is_new and os.fstat(folder).st_uid == os.geteuid():
            os.fchown(folder, owner.st_uid, owner.st_gid)
        anew = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(target.name, anew, 0o600, dir_fd=folder), "wb") as file:
            os.fchmod(file.fileno(), 0o640)
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            shutil.copyfileobj(source, file, FILE_BYTES)
